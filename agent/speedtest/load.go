package speedtest

import (
	"sync"
	"time"
)

const (
	// idleBps is what a link carries without anybody using it: the agent itself, a phone's keepalives.
	idleBps = 64_000
	// loadAge is how long a reading counts.
	loadAge = time.Minute
)

// Load tells whether villagers are using more than a share of the link. What the link can carry is what the last test measured, or the highest
// rate that was seen since. The zero value with a Share is ready; safe for concurrent use.
type Load struct {
	Share float64 // of what the link can carry, 0 to 1; 0: any use is too much

	mu             sync.Mutex
	rx, tx         int64
	rxMost, txMost int64
	at             time.Time
}

// Saw takes the rates of the WAN interface since the reading before, in bit/s.
func (l *Load) Saw(rxBps, txBps int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rx, l.tx, l.at = rxBps, txBps, time.Now()
	l.rxMost, l.txMost = max(l.rxMost, rxBps), max(l.txMost, txBps)
}

// Tested takes what a test has measured.
func (l *Load) Tested(r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.DownBps > 0 {
		l.rxMost = r.DownBps
	}
	if r.UpBps > 0 {
		l.txMost = r.UpBps
	}
}

// Busy tells whether more than the share is in use. Without a reading of the last minute nothing is known, and the link counts as free; what
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
