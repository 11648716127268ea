package checkup

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// account is a user of this machine.
type account struct {
	name     string
	uid, gid int
	groups   []int
}

// accountOf finds a user where we may act as it, which root may. Nil: there is none, or we are not root.
func accountOf(name string) *account {
	if os.Geteuid() != 0 {
		return nil
	}
	a := &account{name: name, uid: -1}
	each("/etc/passwd", func(f []string) {
		if len(f) > 3 && f[0] == name {
			a.uid, a.gid = number(f[2]), number(f[3])
		}
	})
	if a.uid < 0 || a.gid < 0 {
		return nil
	}
	each("/etc/group", func(f []string) {
		if len(f) > 3 && slices.Contains(strings.Split(f[3], ","), name) {
			a.groups = append(a.groups, number(f[2]))
		}
	})
	return a
}

func each(file string, line func(fields []string)) {
	f, err := os.Open(file)
	if err != nil {
		return // then there is no such user
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line(strings.Split(s.Text(), ":"))
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// do does something with the rights of the account on files, which the kernel judges: on a thread of its own, that ends with it.
func (a *account) do(what func() error) error {
	if a == nil {
		return what()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			groups := make([]uint32, 0, len(a.groups))
			for _, g := range a.groups {
				groups = append(groups, uint32(g))
			}
			if err := setgroups(groups); err != nil {
				return fmt.Errorf("act as %s: %w", a.name, err)
			}
			if err := unix.Setfsgid(a.gid); err != nil {
				return fmt.Errorf("act as %s: %w", a.name, err)
			}
			if err := unix.Setfsuid(a.uid); err != nil {
				return fmt.Errorf("act as %s: %w", a.name, err)
			}
			return what()
		}()
	}()
	return <-done
}

// setgroups is for this thread alone; syscall.Setgroups is for all.
func setgroups(groups []uint32) error {
	var first *uint32
	if len(groups) > 0 {
		first = &groups[0]
	}
	if _, _, e := syscall.RawSyscall(sysSetgroups, uintptr(len(groups)), uintptr(unsafe.Pointer(first)), 0); e != 0 {
		return e
	}
	return nil
}

// mayWrite tells why a file or folder may not be written to, by the rights of the thread.
func mayWrite(path string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// synced tells whether the kernel holds the clock for right.
func synced() (is, known bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err == nil
}

// room is how much is free below a folder for who is not root, in bytes.
func room(dir string) (bytes uint64, err error) {
	var s unix.Statfs_t
	err = unix.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), err
}
