package bench

import (
	"time"
)

// Month is the month of the budgets.
const Month = 30 * 24 * time.Hour

const (
	// together is the longest gap between packets of one exchange.
	together = 5 * time.Second
	// turning is how long after a full hour its closing may take: lines of the ledger and their acknowledgement.
	turning = 30 * time.Second
)

// event is one packet, sorted.
type event struct {
	at    time.Time
	parts []Part
}

// sum adds up by kind what passed from one moment to another.
func sum(events []event, from, to time.Time) (b Bytes) {
	for _, e := range events {
		if !e.at.Before(from) && e.at.Before(to) {
			for _, p := range e.parts {
				b[p.Kind] += int64(p.Bytes)
			}
		}
	}
	return b
}

// Estimate is a month made of what was seen.
type Estimate struct {
	Month Bytes   // by kind, the hour's closing left out
	Hours float64 // bytes of a month's closings of the hour
	// Whole tells that it is the plain sum over whole hours, with nothing to be estimated.
	Whole bool
}

// Total is the sum.
func (e *Estimate) Total() float64 { return float64(e.Month.Total()) + e.Hours }

// estimate makes a month of the window. Over a whole number of hours it is the plain ratio. A shorter one is taken by cycles,
// so that what comes every 15 minutes is neither missed nor counted double, and errs upwards: each kind's bytes from the
// first of its exchanges to before the last one, over that time; a kind seen once is taken to come as often as the time since allows, from the
// agent's first packets on. What passes at a full hour is counted apart, 720 times a month; where none was in the window, the
// last words at the agent's stop stand for it, which hold the same lines and more.
func estimate(all []event, from, to time.Time, lastWords int64) Estimate {
	var e Estimate
	length := to.Sub(from)
	if length = length.Round(time.Minute); length >= time.Hour && length%time.Hour == 0 {
		e.Whole = true
		for k, v := range sum(all, from, to) {
			e.Month[k] = int64(float64(v) * Month.Hours() / length.Hours())
		}
		return e
	}
	turn := from.Truncate(time.Hour)
	for turn.Before(from) {
		turn = turn.Add(time.Hour)
	}
	closing := lastWords
	inTurn := func(at time.Time) bool { return false }
	if end := turn.Add(turning); !end.After(to) {
		inTurn = func(at time.Time) bool { return !at.Before(turn) && at.Before(end) }
		b := sum(all, turn, end)
		closing = b.Total()
	}
	e.Hours = float64(closing) * Month.Hours()
	for k := range kinds {
		e.Month[k] = int64(monthOf(k, all, from, to, inTurn))
	}
	return e
}

// exchange is what passed of one kind without a longer pause.
type exchange struct {
	at    time.Time
	last  time.Time
	bytes int64
	turn  bool
}

func exchanges(k Kind, all []event, to time.Time, inTurn func(time.Time) bool) (out []exchange) {
	for _, e := range all {
		for _, p := range e.parts {
			if p.Kind != k || !e.at.Before(to) {
				continue
			}
			if n := len(out); n == 0 || e.at.Sub(out[n-1].last) > together {
				out = append(out, exchange{at: e.at, turn: inTurn(e.at)})
			}
			x := &out[len(out)-1]
			x.last = e.at
			x.bytes += int64(p.Bytes)
		}
	}
	return out
}

// monthOf is the month's bytes of one kind.
func monthOf(k Kind, all []event, from, to time.Time, inTurn func(time.Time) bool) float64 {
	x := exchanges(k, all, to, inTurn)
	first := 0
	for first < len(x) && x[first].at.Before(from) {
		first++
	}
	if k == Handshake || k == SignIn { // they come with a new connection, and in the steady state there is none: what is in the window counts
		b := sum(all, from, to)
		return float64(b[k]) * float64(Month) / float64(to.Sub(from))
	}
	if len(x)-first < 2 { // rare: look back to the agent's start
		if len(x) == 0 {
			return 0
		}
		last := x[len(x)-1]
		since := to.Sub(last.at)
		if len(x) > 1 {
			since = max(since, last.at.Sub(x[len(x)-2].at))
		}
		return float64(last.bytes) * float64(Month) / float64(max(since, together))
	}
	var bytes, span float64
	for i := first; i < len(x)-1; i++ {
		if x[i].turn || x[i+1].turn { // counted apart
			continue
		}
		bytes += float64(x[i].bytes)
		span += float64(x[i+1].at.Sub(x[i].at))
	}
	if span == 0 {
		b := sum(all, from, to)
		return float64(b[k]) * float64(Month) / float64(to.Sub(from))
	}
	return bytes * float64(Month) / span
}
