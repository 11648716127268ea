package uplink

import "time"

// tcpInfo is what the kernel tells of a TCP connection.
type tcpInfo struct {
	acked     int64         // bytes that the far end has acknowledged, the SYN counted as one
	lastAck   time.Duration // since an acknowledgement came
	rto, rtt  time.Duration // rtt is smoothed: each new sample counts an eighth
	minRtt    time.Duration // 0: not known
	delivered uint32        // segments known to have arrived
	dataOut   uint32        // segments with data that went out, retransmissions included
	retrans   uint32        // of these, retransmissions; and those of the SYN
	spurious  uint32        // retransmissions of what had arrived all the same
	extra     int64         // bytes of IP and TCP headers both ways, and what was sent more than once
}

// sample recovers the one round trip that was measured between two looks: the kernel keeps new = (7 old + sample) / 8. Where several
// were measured, or a retransmission blurs them, the smoothed one is the best there is. Zero: none was measured.
func (t tcpInfo) sample(before tcpInfo) time.Duration {
	switch t.delivered - before.delivered {
	case 0:
		return 0
	case 1:
		if s := 8*t.rtt - 7*before.rtt; t.retrans == before.retrans && s > 0 && s >= t.minRtt {
			return s
		}
	}
	return t.rtt
}

// lost counts the segments lost between two looks: what was sent again for nothing was not lost.
func (t tcpInfo) lost(before tcpInfo) int {
	return max(0, int(t.retrans-before.retrans)-int(t.spurious-before.spurious))
}
