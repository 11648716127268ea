//go:build unix

package influxd

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock takes file for this process and for every child that inherits it; it ends when all of them have closed it.
func lock(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return f, nil
}

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// interrupt ends a 2.7, which SIGTERM would end at once, its files open.
func interrupt(p *os.Process) error { return p.Signal(os.Interrupt) }
