package sampler

import (
	"fmt"
	"hash/crc32"
	"strings"
)

// hardwareDigits is how many a hardware address has in the name of an interface.
const hardwareDigits = 12

// shownName is the name of an interface as it leaves this machine. systemd names what is plugged by its hardware address ("enx001122334455"), and no
// hardware address is told: eight bits of a checksum stand in its place, so that two sticks are still told apart.
func shownName(name string) string {
	if len(name) <= hardwareDigits || name[len(name)-hardwareDigits-1] != 'x' || strings.Trim(name[len(name)-hardwareDigits:], "0123456789abcdef") != "" {
		return name
	}
	return fmt.Sprintf("%s-%02x", name[:len(name)-hardwareDigits], crc32.ChecksumIEEE([]byte(name))&0xff)
}
