//go:build unix

package wholefile

import (
	"errors"
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

// TryLock is Lock that does not wait: not ok where somebody else holds the folder.
func TryLock(dir string) (unlock func(), ok bool, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, false, err
	}
	switch err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return func() { d.Close() }, true, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, false, d.Close()
	default:
		return nil, false, errors.Join(err, d.Close())
	}
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
