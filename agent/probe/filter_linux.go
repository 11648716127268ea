package probe

import (
	"net"

	"golang.org/x/sys/unix"
)

const (
	icmpFilter   = 1                  // ICMP_FILTER of linux/icmp.h
	butEchoReply = ^(1 << echoReply4) // types whose bit is set are kept away
)

// onlyReplies keeps all else from a raw socket: in an outage the kernel tells villagers' packets unreachable by the hundred.
// Where it cannot be set, they are read and left.
func onlyReplies(c *net.IPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_RAW, icmpFilter, butEchoReply) })
	}
}
