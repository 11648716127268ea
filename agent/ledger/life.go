package ledger

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// maxStretches bounds the history of a life; beyond it the oldest become unknown.
const maxStretches = 200

// Life is what a run of the agent saw before it knew the time, by the time since boot.
type Life struct {
	Boot      string
	Clean     bool          // the agent had stopped in good order
	From      time.Duration // since boot, when the agent began
	At        time.Time     // the same by the clock, where that came to be known; zero: not
	Slack     time.Duration // how much longer it may have lived than it tells
	Stretches []Stretch     // one after the other from From on
}

// Stretch is a time in one state; "" is unknown. Err is the uncertainty of its start.
type Stretch struct {
	State       telemetry.State
	Cause       telemetry.Cause
	Length, Err time.Duration
}

// End is the time since boot at which the last stretch ends.
func (l *Life) End() time.Duration { return l.From + l.Length() }

// Length is how long the agent is known to have lived.
func (l *Life) Length() (sum time.Duration) {
	for _, s := range l.Stretches {
		sum += s.Length
	}
	return sum
}

// Observe says that the link is in this state from at on, as Ledger.Observe does. At may lie as far back as the start of the last stretch.
func (l *Life) Observe(at time.Duration, s telemetry.State, c telemetry.Cause, err time.Duration) {
	n := len(l.Stretches)
	if n > 0 && l.Stretches[n-1].State == s && l.Stretches[n-1].Cause == c {
		l.Advance(at)
		return
	}
	end := max(l.End(), at)
	if n == 0 {
		if at > l.From {
			l.Stretches = append(l.Stretches, Stretch{Length: at - l.From})
		}
	} else {
		last := &l.Stretches[n-1]
		start := l.End() - last.Length
		at = max(at, start)
		if last.Length = at - start; last.Length == 0 {
			err = max(err, last.Err)
			l.Stretches = l.Stretches[:n-1]
		}
	}
	l.Stretches = append(l.Stretches, Stretch{State: s, Cause: c, Err: err, Length: max(0, end-max(at, l.From))})
	if len(l.Stretches) > maxStretches {
		l.Stretches[1] = Stretch{Length: l.Stretches[0].Length + l.Stretches[1].Length}
		l.Stretches = append(l.Stretches[:0], l.Stretches[1:]...)
	}
}

// Advance says that the last state lasts on until at.
func (l *Life) Advance(at time.Duration) {
	if n, more := len(l.Stretches), at-l.End(); n > 0 && more > 0 {
		l.Stretches[n-1].Length += more
	}
}

// Lapse says that from the end up to at nothing is known.
func (l *Life) Lapse(at time.Duration) {
	if at > l.End() {
		l.Observe(l.End(), "", "", 0)
		l.Advance(at)
	}
}
