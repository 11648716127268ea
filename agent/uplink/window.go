package uplink

import (
	"cmp"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// maxTracked is how many unanswered batches are remembered beyond those on their way, so that a few that are never answered do
// not hold up the rest.
const maxTracked = 128

// maxPatient bounds the batches that have arrived and whose answers are not expected soon; they do not fill the window.
const maxPatient = 64

// flight is a batch that was sent and not yet answered.
type flight struct {
	seq    uint64
	boot   string // "" when not known
	digest uint32
	size   int
	first  time.Time // first sent
	sent   time.Time // last sent
	due    time.Time // out: when its answer is late; else when it may go again
	out    bool      // an answer is expected
	taken  bool      // the far end has the bytes
	slow   bool      // the collector may answer it together with later ones
	tries  int
	has    func() bool // whether the far end has the bytes now
	passed int64       // bytes that had arrived on the connection when it was last looked at
	stalls int         // times in a row that it was late and hardly a byte had arrived
}

func (f *flight) patient() bool { return f.slow && f.out && f.taken }

// window decides what may be sent and when. Pure: no I/O, no clock of its own.
type window struct {
	max        int
	ackTimeout time.Duration
	ackWithin  time.Duration
	maxBackoff time.Duration
	jitter     func(time.Duration) time.Duration // uniform in [0, d)

	size    int // how many may be out now: down to 1 when an answer is late, doubled by each answer
	flights map[uint64]*flight
	spoken  bool      // there was an answer; until then none is waited for with patience
	silent  int       // late answers since the last answer
	since   time.Time // when the first of these was asked for
	pause   time.Time // nothing goes before this
}

func newWindow(c Config, jitter func(time.Duration) time.Duration) *window {
	return &window{max: c.Window, size: c.Window, ackTimeout: c.AckTimeout, ackWithin: c.AckWithin,
		maxBackoff: 5 * c.MaxBackoff, jitter: jitter, flights: map[uint64]*flight{}}
}

// room is how many batches may be sent now.
func (w *window) room(now time.Time) int {
	if now.Before(w.pause) {
		return 0
	}
	n, patient := w.size, maxPatient
	for _, f := range w.flights {
		switch {
		case f.patient():
			patient--
		case f.out:
			n--
		}
	}
	return max(0, min(n, patient))
}

// slow tells whether batches fill the window that would not if they were known to have arrived.
func (w *window) slow() bool {
	for _, f := range w.flights {
		if f.slow && f.out && !f.taken {
			return true
		}
	}
	return false
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

// begin returns the flight for a batch that is about to be sent. The collector may take its time over one of detail, once it has been
// heard at all: the first batch after a start asks for an answer at once.
func (w *window) begin(seq uint64, boot string, payload []byte, detail bool, now time.Time) *flight {
	f := w.flights[seq]
	if f == nil {
		w.forgetOldest()
		f = &flight{seq: seq, boot: boot, digest: telemetry.Digest(payload), size: len(payload), first: now}
		w.flights[seq] = f
	}
	f.out, f.taken, f.slow = true, false, detail && w.ackWithin > 0 && w.spoken
	f.sent, f.due = now, now.Add(w.ackTimeout)
	if f.slow {
		f.due = f.due.Add(w.ackWithin)
	}
	f.tries++
	return f
}

// forgetOldest keeps the number of flights bounded; at most max and the patient ones are out. A forgotten batch is sent again like a new one.
func (w *window) forgetOldest() {
	if len(w.flights) < maxTracked+maxPatient+w.max {
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
	if w.silent++; w.silent == 1 {
		w.since = f.sent
	}
	w.size = 1
	w.pause = now.Add(w.backoff(w.silent - 1))
	f.out, f.due = false, now.Add(w.backoff(f.tries-1))
	if !f.slow {
		return
	}
	// One word would have answered those sent since as well, so it is lost to all of them. Sent close together they are answered at once.
	for _, g := range w.flights {
		if g.patient() && !g.sent.After(f.sent.Add(w.ackWithin)) {
			g.out, g.due = false, f.due
		}
	}
}

// answered forgets the flights that an acknowledgement speaks of, and returns them, the newest first.
func (w *window) answered(a telemetry.Ack) []*flight {
	var all []*flight
	for _, f := range w.flights {
		if a.Boot == "" && f.digest == a.Digest || a.Boot != "" && a.Has(f.seq) && (f.boot == "" || f.boot == a.Boot) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(f, g *flight) int { return cmp.Compare(g.seq, f.seq) })
	for _, f := range all {
		delete(w.flights, f.seq)
	}
	w.spoken, w.silent, w.pause = true, 0, time.Time{}
	w.size = min(w.max, 2*w.size)
	return all
}

// unsent takes back a begin that came to nothing.
func (w *window) unsent(f *flight, now time.Time) {
	f.out, f.due = false, now.Add(time.Second)
	if f.tries--; f.tries == 0 {
		delete(w.flights, f.seq)
		w.pause = now.Add(time.Second)
	}
}

// lost makes due again what had not arrived, or was to be answered at once: the connection is gone, and perhaps the broker with all it
// held. Reconnecting has its own backoff, so whoever answers at the new end is asked at once. What had arrived and may be answered
// late is left its time: to send it all again at each cut of a flapping link would cost more than it brings. Only what the broker has is said to
// have arrived here: arrived is false where a proxy had it, which may be lost with the connection.
func (w *window) lost(now time.Time, arrived bool) {
	for _, f := range w.flights {
		if !f.patient() || !arrived {
			f.out, f.due = false, now
		}
		f.has = func() bool { return false }
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
