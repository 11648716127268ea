package speedtest

import (
	"sync"
	"time"
)

const (
	// idleBps is what a link carries without anybody using it: the agent itself, a phone's keepalives.
	idleBps = 64_000
	// loadAge is how long a rate counts.
	loadAge = time.Minute
	// loadOver is the shortest time that makes a rate. A reading that follows another at once, for a report, would else make a link of
	// gigabits of a single packet, or an idle one of one in use.
	loadOver = 5 * time.Second
)

// Load tells whether villagers are using more than a share of the link. What the link can carry is what the last test measured, or the highest
// rate that was seen since; of another interface nothing of that holds. The zero value with a Share is ready; safe for concurrent use.
type Load struct {
	Share float64 // of what the link can carry, 0 to 1; 0: any use is too much

	mu             sync.Mutex
	seen           use
	rx, tx         int64 // bit/s, of the last time that was long enough
	at             time.Time
	rxMost, txMost int64
	ours           time.Time // what passed until then may have been a test's
}

// use is what passed the WAN interface and made no rate yet.
type use struct {
	iface  string
	over   time.Duration
	rx, tx uint64
}

// Saw takes what passed the WAN interface in the time since the reading before, in bytes.
func (l *Load) Saw(iface string, over time.Duration, rxBytes, txBytes uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if iface != l.seen.iface { // a stick carries less than the cable that it stands in for
		l.seen, l.at, l.rxMost, l.txMost = use{iface: iface}, time.Time{}, 0, 0
	}
	if time.Now().Add(-over).Before(l.ours) {
		return
	}
	s := &l.seen
	s.over, s.rx, s.tx = s.over+over, s.rx+rxBytes, s.tx+txBytes
	if s.over < loadOver {
		return
	}
	bps := func(bytes uint64) int64 { return int64(8 * float64(bytes) / s.over.Seconds()) }
	l.rx, l.tx, l.at = bps(s.rx), bps(s.tx), time.Now()
	l.rxMost, l.txMost = max(l.rxMost, l.rx), max(l.txMost, l.tx)
	l.seen = use{iface: iface}
}

// Tested takes what a test has measured, which has just ended. What passed meanwhile was its own, and is nobody's use.
func (l *Load) Tested(r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.at, l.ours = use{iface: l.seen.iface}, time.Time{}, time.Now()
	if r.DownBps > 0 {
		l.rxMost = r.DownBps
	}
	if r.UpBps > 0 {
		l.txMost = r.UpBps
	}
}

// Busy tells whether more than the share is in use. Without a rate of the last minute nothing is known, and the link counts as free; what
// the link can carry being unknown, any use counts as too much.
func (l *Load) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() || time.Since(l.at) > loadAge {
		return false
	}
	over := func(now, most int64) bool { return now > max(idleBps, int64(l.Share*float64(most))) }
	return over(l.rx, l.rxMost) || over(l.tx, l.txMost)
}
