package uplink

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// maxTracked is how many unanswered batches are remembered beyond those on their way, so that a few that are never answered do
// not hold up the rest.
const maxTracked = 128

// flight is a batch that was sent and not yet answered.
type flight struct {
	seq    uint64
	boot   string // "" when not known
	digest uint32
	size   int
	first  time.Time // first sent
	due    time.Time // out: when its answer is late; else when it may go again
	out    bool      // on its way on this connection
	tries  int
	taken  func() bool // whether the broker has confirmed it
	passed int64       // bytes on the connection when it was last looked at
	stalls int         // times in a row that it was late and hardly a byte had passed
}

// window decides what may be sent and when. Pure: no I/O, no clock of its own.
type window struct {
	max        int
	ackTimeout time.Duration
	maxBackoff time.Duration
	jitter     func(time.Duration) time.Duration // uniform in [0, d)

	size    int // how many may be out now: down to 1 when an answer is late, doubled by each answer
	flights map[uint64]*flight
	silent  int       // late answers since the last answer
	pause   time.Time // nothing goes before this
}

func newWindow(c Config, jitter func(time.Duration) time.Duration) *window {
	return &window{max: c.Window, size: c.Window, ackTimeout: c.AckTimeout, maxBackoff: 5 * c.MaxBackoff, jitter: jitter, flights: map[uint64]*flight{}}
}

// room is how many batches may be sent now.
func (w *window) room(now time.Time) int {
	if now.Before(w.pause) {
		return 0
	}
	n := w.size
	for _, f := range w.flights {
		if f.out {
			n--
		}
	}
	return max(0, n)
}

// fresh tells whether a batch that was never tried should go before one whose answer was late: every second time, so that
// neither starves.
func (w *window) fresh() bool { return w.silent%2 == 1 }

// skip lists the batches that must not be sent now; with fresh all that were tried.
func (w *window) skip(now time.Time, fresh bool) map[uint64]bool {
	out := make(map[uint64]bool, len(w.flights))
	for seq, f := range w.flights {
		if fresh || f.out || now.Before(f.due) {
			out[seq] = true
		}
	}
	return out
}

// begin returns the flight for a batch that is about to be sent.
func (w *window) begin(seq uint64, boot string, payload []byte, now time.Time) *flight {
	f := w.flights[seq]
	if f == nil {
		w.forgetOldest()
		f = &flight{seq: seq, boot: boot, digest: telemetry.Digest(payload), size: len(payload), first: now}
		w.flights[seq] = f
	}
	f.out, f.due = true, now.Add(w.ackTimeout)
	f.tries++
	return f
}

// forgetOldest keeps the number of flights bounded; at most max of them are out. A forgotten batch is sent again like a new one.
func (w *window) forgetOldest() {
	if len(w.flights) < maxTracked+w.max {
		return
	}
	var oldest *flight
	for _, f := range w.flights {
		if !f.out && (oldest == nil || f.first.Before(oldest.first)) {
			oldest = f
		}
	}
	if oldest != nil {
		delete(w.flights, oldest.seq)
	}
}

// prune forgets what the queue no longer has: it was asked for everything that may go, and had nothing.
func (w *window) prune(now time.Time) {
	for seq, f := range w.flights {
		if !f.out && !now.Before(f.due) {
			delete(w.flights, seq)
		}
	}
}

// backoff is exponential with full jitter: uniform up to the timeout doubled n times, at most maxBackoff.
func (w *window) backoff(n int) time.Duration {
	d := w.ackTimeout
	for ; n > 0 && d < w.maxBackoff; n-- {
		d *= 2
	}
	return w.jitter(min(d, w.maxBackoff))
}

// late notes that an answer has not come in time.
func (w *window) late(f *flight, now time.Time) {
	w.silent++
	w.size = 1
	w.pause = now.Add(w.backoff(w.silent - 1))
	f.out, f.due = false, now.Add(w.backoff(f.tries-1))
}

// answered forgets the flight that an acknowledgement names; nil when there is none.
func (w *window) answered(a telemetry.Ack) *flight {
	f := w.flights[a.Seq]
	if a.Boot == "" {
		f = nil
		for _, g := range w.flights {
			if g.digest == a.Digest {
				f = g
			}
		}
	} else if f != nil && f.boot != "" && f.boot != a.Boot {
		f = nil
	}
	if f == nil {
		return nil
	}
	delete(w.flights, f.seq)
	w.silent, w.pause = 0, time.Time{}
	w.size = min(w.max, 2*w.size)
	return f
}

// unsent takes back a begin that came to nothing.
func (w *window) unsent(f *flight, now time.Time) {
	f.out, f.due = false, now.Add(time.Second)
	if f.tries--; f.tries == 0 {
		delete(w.flights, f.seq)
		w.pause = now.Add(time.Second)
	}
}

// lost makes everything due again: the connection is gone, and perhaps the broker with all it held. Reconnecting has its own
// backoff, so whoever answers at the new end is asked at once, with one batch if this one was silent.
func (w *window) lost(now time.Time) {
	for _, f := range w.flights {
		f.out, f.due = false, now
	}
	w.silent, w.pause = 0, time.Time{}
}

// wait is how long nothing happens by itself.
func (w *window) wait(now time.Time) time.Duration {
	next := now.Add(time.Hour)
	if w.pause.After(now) && w.pause.Before(next) {
		next = w.pause
	}
	for _, f := range w.flights {
		if (f.out || f.due.After(now)) && f.due.Before(next) {
			next = f.due
		}
	}
	return max(0, next.Sub(now))
}
