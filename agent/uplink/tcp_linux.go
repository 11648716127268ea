package uplink

import (
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tcpHeader     = 20
	tcpTimestamps = 12 // option, in each segment when both ends have it
	synOptions    = 40 // what the two SYN carry beyond an ordinary header: 20 each
	optTimestamps = 1  // TCPI_OPT_TIMESTAMPS
)

// readTCP asks the kernel. ok is false where it does not tell what arrived: Linux before 4.1 does not count it.
func readTCP(c syscall.RawConn, ipHeader int) (tcpInfo, bool) {
	var i *unix.TCPInfo
	var failed error
	if err := c.Control(func(fd uintptr) {
		i, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); err != nil || failed != nil || i.Bytes_acked == 0 {
		return tcpInfo{}, false
	}
	us := func(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
	header := int64(ipHeader + tcpHeader)
	if i.Options&optTimestamps != 0 {
		header += tcpTimestamps
	}
	t := tcpInfo{acked: int64(i.Bytes_acked), lastAck: time.Duration(i.Last_ack_recv) * time.Millisecond, rto: us(i.Rto), rtt: us(i.Rtt),
		delivered: i.Delivered, dataOut: i.Data_segs_out, retrans: i.Total_retrans, spurious: i.Dsack_dups,
		extra: (int64(i.Segs_in)+int64(i.Segs_out))*header + synOptions - 2*(header-int64(ipHeader)-tcpHeader) + int64(i.Bytes_retrans)}
	if i.Min_rtt != math.MaxUint32 {
		t.minRtt = us(i.Min_rtt)
	}
	return t, true
}

// setUserTimeout ends a connection whose far end has acknowledged nothing for that long.
func setUserTimeout(c syscall.RawConn, limit time.Duration) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	return err
}
