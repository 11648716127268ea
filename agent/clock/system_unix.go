//go:build unix && !linux

package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// SystemReading reads this machine's clocks. Mono counts from a moment that is fixed within a boot.
func SystemReading() Reading {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // POSIX demands it
	return Reading{Wall: time.Now().Round(0), Mono: time.Duration(ts.Nano())}
}
