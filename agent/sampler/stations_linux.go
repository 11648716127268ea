package sampler

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Stations counts the stations associated with this machine's access points, through nl80211, the kernel's interface to
// all its Wi-Fi drivers; it takes no privilege. An error says that they are not known: no access point, no Wi-Fi, or a driver
// of the vendor's own beside it.
func Stations() (int64, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return 0, fmt.Errorf("open a netlink socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return 0, fmt.Errorf("bound the wait for the kernel: %w", err)
	}
	return countStations(kernel(fd))
}

// kernel is a netlink socket.
type kernel int

func (k kernel) send(b []byte) error {
	return unix.Sendto(int(k), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

func (k kernel) receive(b []byte) (int, error) {
	for {
		n, _, flags, _, err := unix.RecvmsgBuffers(int(k), [][]byte{b}, nil, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case flags&unix.MSG_TRUNC != 0:
			return 0, errMessage
		}
		return n, nil
	}
}
