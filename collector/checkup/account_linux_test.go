package checkup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
)

// user is one that every Linux has, and that owns nothing.
const user = "nobody"

// asService has the machine's collector run as another user than who asks, with all that is its own.
func asService(t *testing.T) *noc {
	t.Helper()
	if os.Getuid() != 0 {
		testneed.Missing(t, "the rights of another user", "run the test as root")
	}
	a := accountOf(user)
	if a == nil {
		testneed.Missing(t, "a user named "+user, "add one to /etc/passwd")
	}
	n := newNOC(t, influxd.SignInForTest(t))
	n.o.Service = user
	for dir := n.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) { // a test's folder is its own
		n.must(os.Chmod(dir, 0o755))
	}
	n.must(filepath.WalkDir(n.c.DataDir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, a.uid, a.gid))
	}))
	for _, file := range []string{n.o.File, n.c.MQTT.TLSKey, n.c.Alert.URLsFile} {
		n.must(os.Chown(file, 0, a.gid), os.Chmod(file, 0o640))
	}
	return n
}

func TestWhatTheServiceMayNotDoIsFoundByRoot(t *testing.T) {
	n := asService(t)
	if _, worst, text := n.check(); worst != Warn { // it does not run
		t.Fatalf("got %s\n%s", worst, text)
	}
	n.want("data folder", Pass, "writable for user "+user, "")
	for name, row := range map[string]struct {
		file        string
		mode        os.FileMode
		matter      string
		found, next string
	}{
		"configuration":      {n.o.File, 0o600, "configuration", "user nobody may not read it", "chown root:nobody"},
		"key":                {n.c.MQTT.TLSKey, 0o600, "certificate", "user nobody may not read it", "chmod 640"},
		"channels":           {n.c.Alert.URLsFile, 0o600, "alerts", "user nobody may not read", "chmod 640"},
		"a file of root's":   {filepath.Join(n.c.DataDir, "audit/done.jsonl"), 0o600, "data folder", "user nobody cannot use 1 of its files, such as: write ", "chown -R nobody:nobody"},
		"a folder of root's": {filepath.Join(n.c.DataDir, "audit"), 0o700, "data folder", "user nobody cannot use ", "chown -R nobody:nobody"},
		"its folder":         {n.c.DataDir, 0o755, "data folder", "user nobody may not write there", "chown -R nobody:nobody"},
		"who may sign in":    {n.c.AgentsFile, 0o600, "agents", "user nobody may not read", "chown nobody:nobody"},
		"users":              {n.c.Users(), 0o600, "users", "user nobody may not read", "chown nobody:nobody"},
		"sites":              {n.c.SitesFile, 0o600, "sites", "user nobody may not read", "chmod 644"},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := os.Stat(row.file)
			n.must(err)
			st := info.Sys().(*syscall.Stat_t)
			n.must(os.Chown(row.file, 0, 0), os.Chmod(row.file, row.mode))
			n.t = t
			n.want(row.matter, Fail, row.found, row.next)
			n.must(os.Chown(row.file, int(st.Uid), int(st.Gid)), os.Chmod(row.file, info.Mode()))
		})
	}
}

func TestOnlyTheThreadThatAsksActsAsTheService(t *testing.T) {
	n := asService(t)
	a := accountOf(user)
	shut := filepath.Join(n.dir, "shut")
	n.write("shut", "x", 0o600)
	if err := a.do(func() error { _, err := os.ReadFile(shut); return err }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("as %s: got %v, want that it may not", user, err)
	}
	for range 100 { // on whatever thread
		done := make(chan error)
		go func() { _, err := os.ReadFile(shut); done <- err }()
		if err := <-done; err != nil {
			t.Fatalf("root afterwards: %v", err)
		}
	}
}

func TestTheServiceHasItsOwnGroupsAndNoOther(t *testing.T) {
	if os.Getuid() != 0 {
		testneed.Missing(t, "the rights of another user", "run the test as root")
	}
	a := &account{name: user, uid: 65534, gid: 65534, groups: []int{1001, 70000}}
	var got []int
	if err := a.do(func() (err error) { got, err = unix.Getgroups(); return err }); err != nil || !slices.Equal(got, a.groups) {
		t.Errorf("got %v, %v, want %v", got, err, a.groups) // on 32 bit an older call takes ids of 16, and 0, root's own, for what is between them
	}
}

// small mounts a disk of that size for the test.
func small(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

// fill leaves no room on the disk of a folder.
func fill(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestAFullDiskIsNamed(t *testing.T) {
	n := newNOC(t, influxd.SignInForTest(t))
	n.c.DataDir = filepath.Join(t.TempDir(), "small")
	small(t, n.c.DataDir, "1m")
	n.want("data folder", Warn, "0.0 GB free", "free some space")
	fill(t, n.c.DataDir)
	n.want("data folder", Fail, "is full", "free space there")
	n.must(os.Remove(filepath.Join(n.c.DataDir, "ballast")))
	n.must(syscall.Mount("", n.c.DataDir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	n.want("data folder", Fail, "mounted read-only", "dmesg")
}

func TestAnInfluxDBWhoseDiskIsFullStoresNoTestLine(t *testing.T) {
	path, err := influxd.Find(t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	dir := t.TempDir()
	small(t, dir, "48m")
	db, err := influxd.Start(t.Context(), influxd.Options{Path: path, Dir: filepath.Join(dir, "influx")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Kill() })
	n := newNOC(t, db)
	n.want("test line", Pass, "read back", "")
	fill(t, dir)
	waitFor(t, "the last page is full", func() bool { all, _, _ := n.check(); return all["test line"].Grade == Fail })
	n.want("test line", Fail, "500", "a full disk is answered with 500")
}
