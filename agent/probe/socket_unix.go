//go:build unix

package probe

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// pingSocket sends echo requests for whoever may, without any right: net.ipv4.ping_group_range says who. The kernel
// sets id and checksum and hands over the replies to this socket alone.
func pingSocket(six bool) (net.PacketConn, error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if six {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "ping")
	defer f.Close()
	return net.FilePacketConn(f) // works on a copy
}
