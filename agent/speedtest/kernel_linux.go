package speedtest

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// readKernel asks for TCP_INFO. Old kernels tell less, and leave the rest zero.
func readKernel(c net.Conn) (k kernel, ok bool) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return k, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return k, false
	}
	var i *unix.TCPInfo
	var room int
	var err2 error
	err = raw.Control(func(fd uintptr) {
		i, err2 = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		room, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	if err != nil || err2 != nil || i.Rto == 0 { // an emulated kernel says yes and tells nothing
		return k, false
	}
	k = kernel{sent: int64(i.Bytes_sent), received: int64(i.Bytes_received), retrans: int64(i.Bytes_retrans), acked: int64(i.Bytes_acked), unsent: int64(i.Notsent_bytes),
		segsOut: int64(i.Segs_out), segsIn: int64(i.Segs_in), window: int64(i.Rcv_wnd), minRTT: int64(i.Min_rtt), rcvRTT: int64(i.Rcv_rtt),
		hasSent: i.Bytes_sent > 0, hasAcked: i.Bytes_acked > 0, hasSegs: i.Segs_out > 0}
	if !k.hasSent { // before Linux 4.19
		k.retrans = int64(i.Total_retrans) * int64(i.Snd_mss)
	}
	if k.window == 0 { // before Linux 6.2: what the socket has room for is the most that it can have asked for
		k.window = int64(room)
	}
	return k, true
}

// keepFresh bounds what waits in the kernel unsent: more is not faster, and all of it counts as spent until it is thrown away.
func keepFresh(c net.Conn) {
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
			}) // one without it only reserves more
		}
	}
}

// room is the most that can come in before somebody reads.
func room(c net.Conn) int64 {
	n := 0
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { n, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
		}
	}
	if n == 0 {
		return unknownWindow
	}
	return int64(n)
}
