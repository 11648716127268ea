package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// SystemReading reads this machine's clocks. Mono counts from boot, sleep included. Synced is what the kernel's clock discipline says,
// which every usual time service feeds; the kernel itself takes it back after hours without one.
func SystemReading() Reading {
	var boot, awake unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake)       // every Linux has it
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil { // before Linux 2.6.39
		boot = awake
	}
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	return Reading{Wall: time.Now().Round(0), Mono: time.Duration(boot.Nano()), Awake: time.Duration(awake.Nano()), Synced: err == nil && state != unix.TIME_ERROR}
}
