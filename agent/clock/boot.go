package clock

import (
	"fmt"
	"regexp"
	"time"
)

// BootIDFile is where Linux tells its boot id.
const BootIDFile = "/proc/sys/kernel/random/boot_id"

var bootID = regexp.MustCompile(`^[0-9a-f]{8}-`)

// BootID is the first 8 hex digits of the kernel's boot id. On a machine without one it is derived from the boot time, to the minute:
// a machine that booted twice within a minute, or whose clock steps while the agent restarts, is then taken wrongly. With
// neither it is an error. read is os.ReadFile.
func BootID(read func(string) ([]byte, error), booted time.Time) (string, error) {
	b, err := read(BootIDFile)
	if err == nil && bootID.Match(b) {
		return string(b[:8]), nil
	}
	if booted.IsZero() {
		return "", fmt.Errorf("boot id: %s is missing or not a boot id (%.40q, %v), and the boot time is not known; mount /proc", BootIDFile, b, err)
	}
	return fmt.Sprintf("%08x", uint32(booted.Round(time.Minute).Unix())), nil
}
