package machine

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What the root holds beside Debian's smallest. Another list, another folder in the cache.
const (
	suite    = "bookworm"
	packages = "systemd,systemd-sysv,iproute2,procps,curl,ca-certificates"
)

// base is the folder that holds the kept root, in root/, and an empty folder room/, over which each machine lays its own.
// The first to ask makes it, in a minute; others wait.
func base(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("find a cache folder for the root of a machine: %v; set HOME or XDG_CACHE_HOME", err)
	}
	sum := sha256.Sum256([]byte(suite + packages))
	dir := filepath.Join(cache, "nabz", fmt.Sprintf("debian-%s-%x", suite, sum[:4]))
	if err := os.MkdirAll(filepath.Join(dir, "room"), 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", lock.Name(), err)
	}
	root := filepath.Join(dir, "root")
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		return dir
	}
	if out, err := build(dir, root); err != nil {
		missing(t, "a Debian root", fmt.Sprintf("debootstrap %s: %v; it needs Debian's archive\n%s", suite, err, out))
	}
	return dir
}

// build makes the root beside its place and moves it there, so that it is absent or whole.
func build(dir, root string) ([]byte, error) {
	unfinished := filepath.Join(dir, "build")
	if err := os.RemoveAll(unfinished); err != nil { // of one that was cut short
		return nil, err
	}
	// In namespaces of its own: it mounts, and what it leaves mounted ends with it.
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "debootstrap", "--variant=minbase", "--include="+packages, suite, unfinished)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return last(out), errors.Join(err, os.RemoveAll(unfinished))
	}
	for _, leaf := range []string{"var/cache/apt/archives", "var/lib/apt/lists"} {
		if err := os.RemoveAll(filepath.Join(unfinished, leaf)); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(unfinished, "var/cache/apt/archives/partial"), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(unfinished, "etc/resolv.conf"), nil, 0o644); err != nil { // that of the host
		return nil, err
	}
	return nil, os.Rename(unfinished, root)
}

// last is the end of what a program said.
func last(out []byte) []byte {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return []byte(strings.Join(lines[max(0, len(lines)-5):], "\n"))
}
