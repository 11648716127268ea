package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// SystemReading reads this machine's clocks. Mono counts from boot, sleep included.
func SystemReading() Reading {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil { // before Linux 2.6.39
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // every Linux has it
	}
	return Reading{Wall: time.Now().Round(0), Mono: time.Duration(ts.Nano())}
}
