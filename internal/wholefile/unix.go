//go:build unix

package wholefile

import (
	"os"
	"syscall"
)

// Lock waits until no other process, and nobody else in this one, holds the folder.
func Lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		d.Close()
		return nil, err
	}
	return func() { d.Close() }, nil // closing gives the lock back
}

// KeepOwner gives f the owner of the old file, or of the folder: what root makes can be read by the daemon. Only root has to and can.
func KeepOwner(f *os.File, old, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(old)
	if err != nil {
		if info, err = os.Stat(dir); err != nil {
			return err
		}
	}
	st := info.Sys().(*syscall.Stat_t)
	return f.Chown(int(st.Uid), int(st.Gid))
}
