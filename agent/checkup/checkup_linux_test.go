package checkup

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

func TestAFullDiskIsNotCalledWritable(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 128<<10), 0o600); err == nil {
		t.Fatal("the disk takes more than it has room for")
	}
	c.DataDir = dir
	found, _, text := findings(t, c)
	if f := found["disk"]; f.Grade != Fail || !strings.Contains(f.Found, "no space left") || !strings.Contains(f.Next, "free space") {
		t.Errorf("disk: %+v\n%s", f, text)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".check-*")); err != nil || len(left) > 0 {
		t.Errorf("left on the full disk: %v, %v", left, err)
	}
}

func TestAnAgentOnAReadOnlyDiskIsNotSaidToBeAway(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	c.DataDir = t.TempDir()
	if err := syscall.Mount("tmpfs", c.DataDir, "tmpfs", syscall.MS_RDONLY, "size=64k"); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(c.DataDir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	found, _, text := findings(t, c)
	if f, asked := found["credentials"]; asked {
		t.Errorf("signed in beside an agent that may run: %+v", f)
	}
	if f := found["test line"]; f.Grade != Fail || !strings.Contains(f.Found, "read-only file system, so one that runs cannot be asked") || !strings.Contains(f.Next, "mend the disk first") {
		t.Errorf("test line: %+v\n%s", f, text)
	}
	if f := found["disk"]; f.Grade != Fail || !strings.Contains(f.Found, "read-only file system") {
		t.Errorf("disk: %+v\n%s", f, text)
	}
}

func TestWhoMayNotReadWhatTheAgentReadsIsToldToAskAsRoot(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	door(t, c.DataDir, nil)
	runtime.LockOSThread() // the user is that of this thread
	defer runtime.UnlockOSThread()
	for _, path := range []string{c.SecretFile, c.DataDir} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(path, 0o700)
	}
	if os.Getuid() == 0 {
		if err := syscall.Setfsuid(65534); err != nil {
			testneed.Missing(t, "another user", err.Error())
		}
		defer func() { _ = syscall.Setfsuid(0) }()
	}
	found, _, text := findings(t, c)
	for _, matter := range []string{"credentials", "disk"} {
		if f := found[matter]; f.Grade != Fail || !strings.Contains(f.Found, "permission denied") || f.Next != askAs {
			t.Errorf("%s: %+v\n%s", matter, f, text)
		}
	}
}
