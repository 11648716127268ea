package clock

import (
	"time"

	"golang.org/x/sys/windows"
)

// SystemReading reads this machine's clocks. Mono counts from boot, sleep included.
func SystemReading() Reading {
	return Reading{Wall: time.Now().Round(0), Mono: windows.DurationSinceBoot()}
}
