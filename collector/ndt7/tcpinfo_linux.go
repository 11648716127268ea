package ndt7

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// readTCP asks the kernel for what it knows of a connection, with or without TLS over it; nil where it says nothing.
func readTCP(c net.Conn) *tcpInfo {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // tls.Conn
		c = over.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var i *unix.TCPInfo
	if e := raw.Control(func(fd uintptr) { i, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
		return nil
	}
	return &tcpInfo{BusyTime: int64(i.Busy_time), BytesAcked: int64(i.Bytes_acked), BytesReceived: int64(i.Bytes_received),
		BytesSent: int64(i.Bytes_sent), BytesRetrans: int64(i.Bytes_retrans), MinRTT: int64(i.Min_rtt), RTT: int64(i.Rtt), RTTVar: int64(i.Rttvar),
		RWndLimited: int64(i.Rwnd_limited), SndBufLimited: int64(i.Sndbuf_limited)}
}
