package probe

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// Sample is what became of probes to one target. Sent is 0 when it was not asked.
type Sample struct {
	ledger.Quality
}

// Answered tells whether any probe was answered.
func (s Sample) Answered() bool { return s.Sent > s.Lost }

// Answer is the sample as a yes, a no or a "not asked".
func (s Sample) Answer() ledger.Answer {
	switch {
	case s.Sent == 0:
		return ledger.NotAsked
	case s.Answered():
		return ledger.Answered
	}
	return ledger.Silent
}

// Add puts another sample of the same target behind this one.
func (s *Sample) Add(o Sample) {
	s.Sent, s.Lost, s.RTTs = s.Sent+o.Sent, s.Lost+o.Lost, append(s.RTTs, o.RTTs...)
}

// Line is the sample as a link line; target is gateway, internet or dns. The round trips are left out when
// nothing was answered. Jitter is the mean difference between neighbours (RFC 3393's delay variation, absolute).
func (s Sample) Line(target string, at time.Time) *telemetry.Line {
	l := telemetry.NewLine("link", at).Tag("target", target).Int("sent", int64(s.Sent)).Int("lost", int64(s.Lost))
	if len(s.RTTs) == 0 {
		return l
	}
	var sum, moved time.Duration
	for i, d := range s.RTTs {
		sum += d
		if i > 0 {
			moved += (d - s.RTTs[i-1]).Abs()
		}
	}
	n := time.Duration(len(s.RTTs))
	l.Float("rtt_min_ms", ms(slices.Min(s.RTTs))).Float("rtt_avg_ms", ms(sum/n)).Float("rtt_max_ms", ms(slices.Max(s.RTTs)))
	if n > 1 {
		l.Float("jitter_ms", ms(moved/(n-1)))
	}
	return l
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Bounds of link-local noise. On a WAN port whose link beyond is dead there is still ARP, DHCP, router
// advertisements, the modem's own chatter and an ICMP error for what villagers send: small packets, well below 1 KiB/s
// of them in the mean. Whatever carries content has larger ones.
const (
	movedBytes      = 16 << 10 // at least this much at all
	movedPerSecond  = 1 << 10  // and this much a second
	movedPacketSize = 200      // and this mean packet size, in bytes
)

// Moved tells whether bytes and packets received on the WAN interface within elapsed are more than link-local noise.
func Moved(rxBytes, rxPackets uint64, elapsed time.Duration) bool {
	return rxPackets > 0 && rxBytes >= movedBytes && float64(rxBytes) >= movedPerSecond*elapsed.Seconds() && rxBytes/rxPackets >= movedPacketSize
}
