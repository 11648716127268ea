package ndt7

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentMost is how much may wait in the kernel unsent. More would not be faster, and what is said between the messages would come late: a
// measurement of the first second when the test is over.
const unsentMost = 128 << 10

// socket calls f with the socket of a connection, with or without TLS over it.
func socket(c net.Conn, f func(fd int)) {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // tls.Conn
		c = over.NetConn()
	}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) }) // a closed one has nothing to tell
		}
	}
}

// keepFresh bounds what waits unsent.
func keepFresh(c net.Conn) {
	socket(c, func(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost) }) // a kernel without it is as good, but late
}

// readTCP asks the kernel for what it knows of a connection; nil where it says nothing.
func readTCP(c net.Conn) (info *tcpInfo) {
	socket(c, func(fd int) {
		i, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || i.Rto == 0 { // an emulated kernel says yes and tells nothing
			return
		}
		info = &tcpInfo{BusyTime: int64(i.Busy_time), BytesAcked: int64(i.Bytes_acked), BytesReceived: int64(i.Bytes_received),
			BytesSent: int64(i.Bytes_sent), BytesRetrans: int64(i.Bytes_retrans), MinRTT: int64(i.Min_rtt), RTT: int64(i.Rtt), RTTVar: int64(i.Rttvar),
			RWndLimited: int64(i.Rwnd_limited), SndBufLimited: int64(i.Sndbuf_limited)}
	})
	return info
}
