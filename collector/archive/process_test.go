package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
)

const inChild = "NABZ_ARCHIVE_CHILD"

// TestMain lets the test binary be another process, which publishes and shares until it is killed and says what is done.
func TestMain(m *testing.M) {
	job := strings.Split(os.Getenv(inChild), ",")
	if len(job) != 3 {
		os.Exit(m.Run())
	}
	dir, who := job[0], job[1]
	most, _ := strconv.Atoi(job[2])
	a := New(dir, time.Now)
	for i := range most {
		r, fresh, err := a.Publish(fmt.Appendf(nil, `{"n":%d,"by":%q,"text":%q}`, i, who, strings.Repeat("x", 20_000)), meta("x"))
		fmt.Println("published", r.Permalink(), fresh, err)
		token, s, err := a.Share("x", "l", who, time.Time{})
		fmt.Println("shared", token, s.ID, err)
		_, err = a.Revoke(s.ID, who)
		fmt.Println("revoked", s.ID, token, err)
	}
}

func child(t *testing.T, dir, who string, most int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%s,%d", inChild, dir, who, most))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// said checks what a child has told against what there is.
func said(t *testing.T, a *Archive, line string) {
	t.Helper()
	w := strings.Fields(line)
	if w[len(w)-1] != "<nil>" {
		t.Fatal(line)
	}
	switch w[0] {
	case "published":
		id, number, _ := strings.Cut(w[1], "/")
		n, _ := strconv.Atoi(number)
		if _, _, err := a.Get(id, n); err != nil || w[2] != "true" {
			t.Errorf("%s: %v", line, err)
		}
	case "revoked":
		if _, err := a.Follow(w[2]); !errors.Is(err, ErrShare) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestProcessesThatPublishAtOnceGetARevisionEach(t *testing.T) {
	a, dir := open(t)
	const processes, each = 3, 8
	var cmds []*exec.Cmd
	var outs []*bufio.Scanner
	for i := range processes {
		cmd, out := child(t, dir, fmt.Sprint("p", i), each)
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	for i, out := range outs {
		for out.Scan() {
			said(t, a, out.Text())
		}
		if err := cmds[i].Wait(); err != nil {
			t.Error(err)
		}
	}
	r, err := a.Report("x")
	if err != nil || len(r.Damage) > 0 || len(r.Revisions) != processes*each || r.Newest().Number != processes*each {
		t.Errorf("%d revisions up to %d, damage %v, %v; want %d", len(r.Revisions), r.Newest().Number, r.Damage, err, processes*each)
	}
}

func TestAKillAtAnyInstantLeavesARevisionWholeOrNotAtAll(t *testing.T) {
	a, dir := open(t)
	told := 0
	for kill := range 25 {
		cmd, out := child(t, dir, fmt.Sprint("k", kill), 1000)
		lines := 0
		for ; lines < 1+kill%7 && out.Scan(); lines++ {
			said(t, a, out.Text())
			if strings.HasPrefix(out.Text(), "published") {
				told++
			}
		}
		// The instant is where the child happens to be: it goes on while the line is read.
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for out.Scan() {
			if w := strings.Fields(out.Text()); len(w) > 3 && w[0] == "published" {
				told++
			}
		}
		_ = cmd.Wait()
		r, err := a.Report("x")
		if err != nil || len(r.Damage) > 0 || len(r.Revisions) < told || len(r.Revisions) > told+1 {
			t.Fatalf("kill %d: %d revisions of %d, damage %v, %v", kill, len(r.Revisions), told, r.Damage, err)
		}
		told = len(r.Revisions)
		for _, one := range r.Revisions {
			if _, _, err := a.Get("x", one.Number); err != nil {
				t.Error(err)
			}
		}
		if _, err := a.Shares(); err != nil {
			t.Error(err)
		}
	}
	publish(t, a, "x", `{}`)
	if left, _ := filepath.Glob(filepath.Join(dir, "reports", "x", "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatATornWriteLeftIsNoRevision(t *testing.T) {
	a, dir := open(t)
	publish(t, a, "x", `{"up":1}`)
	in := filepath.Join(dir, "reports", "x")
	for _, name := range []string{"2.revision.123.new", strings.Repeat("a", 64) + ".json", "02.revision", "2.revision~", "0.revision", "99999999999999999999.revision", "-2.revision"} {
		if err := os.WriteFile(filepath.Join(in, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := a.Report("x"); err != nil || len(r.Revisions) != 1 || len(r.Damage) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _ := publish(t, a, "x", `{"up":2}`); r.Number != 2 || len(r.Changes.List) != 1 {
		t.Errorf("the next is %+v", r)
	}
}

func TestWhatRootPublishesAndSharesTheDaemonCanReadAndRevoke(t *testing.T) {
	if os.Geteuid() != 0 {
		testneed.Missing(t, "root", "run the tests as root: it gives files away")
	}
	a, dir := open(t)
	if err := os.Chown(dir, 4321, 4322); err != nil {
		t.Fatal(err)
	}
	publish(t, a, "x", `{"up":1}`)
	publish(t, a, "x", `{"up":2}`)
	if _, s, err := a.Share("x", "l", "root", time.Time{}); err != nil {
		t.Fatal(err)
	} else if _, err := a.Revoke(s.ID, "root"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		info, e := os.Stat(path)
		if err = errors.Join(err, e); err != nil {
			return err
		}
		seen++
		if st := info.Sys().(*syscall.Stat_t); st.Uid != 4321 || st.Gid != 4322 || info.Mode().Perm()&0o007 != 0 && path != dir {
			t.Errorf("%s belongs to %d:%d, %v", path, st.Uid, st.Gid, info.Mode())
		}
		return nil
	})
	if err != nil || seen != 1+2+1+4+1 {
		t.Errorf("%d files and folders, %v", seen, err)
	}
}
