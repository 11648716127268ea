package ledger

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// MaxOff is the longest absence that is written down as off. A longer one is more likely a wrong clock, so that
// time stays unknown.
const MaxOff = 366 * 24 * time.Hour

// Last is the last moment at which this machine knows itself to have been alive.
type Last struct {
	At    time.Time
	Open  telemetry.OpenSpan // as it stood at At
	Boot  string             // the boot id of then
	Clean bool               // the agent had stopped in good order
}

// Return is what is known when an agent starts. Mark and Batch are nil where nothing is known.
type Return struct {
	Mark  *Last                // from this machine's own disk
	Batch *telemetry.LastBatch // from the collector, which tells it after a boot only
	Boot  string               // the boot id of now
	Start time.Time            // when this agent started
	Slack time.Duration        // how much longer it may have lived after the mark or the batch
}

// Resume writes down the time before this start, and must be called before the first Observe. It closes the span
// that was open at the last moment known alive and tells the time from there to Start as off:
//
//   - cause agent when the boot id is the same,
//   - cause shutdown when the machine booted after the agent had stopped in good order,
//   - cause power when it booted without that.
//
// When the last moment lies after Start, because a clock was wrong, no span is off and later spans begin there.
func (l *Ledger) Resume(r Return) (spans []telemetry.Span) {
	last, ok := r.last()
	if !ok {
		return nil
	}
	start := r.Start.Truncate(time.Millisecond)
	slack := min(max(start.Sub(last.At), 0), r.Slack)
	if last.Clean {
		slack = 0
	}
	if last.Open.State != "" {
		s := telemetry.Span{Start: openStart(last.At, last.Open), State: last.Open.State, Cause: last.Open.Cause, Err: slack}
		if s.Length = last.At.Sub(s.Start); s.Length > 0 {
			spans = append(spans, s)
		}
	}
	l.floor = last.At
	if gone := start.Sub(last.At); gone > 0 && gone <= MaxOff {
		off := telemetry.Span{Start: last.At, Length: gone, State: telemetry.StateOff, Cause: r.cause(last), Err: slack}
		spans = append(spans, Cut(off)...)
		l.floor = start
	}
	return spans
}

// last is the later of the mark and the collector's word.
func (r Return) last() (Last, bool) {
	switch {
	case r.Mark == nil && r.Batch == nil:
		return Last{}, false
	case r.Mark == nil:
		return Last{At: r.Batch.At, Open: r.Batch.Open}, true
	}
	last := *r.Mark
	last.At = last.At.Truncate(time.Millisecond)
	if r.Batch != nil && r.Batch.At.After(last.At) {
		last = Last{At: r.Batch.At, Open: r.Batch.Open, Boot: last.Boot}
	}
	return last, true
}

func (r Return) cause(last Last) telemetry.Cause {
	switch {
	case last.Boot == r.Boot:
		return telemetry.CauseAgent
	case last.Clean:
		return telemetry.CauseShutdown
	}
	return telemetry.CausePower
}

// openStart is where a span began that was open at at. It never crosses a UTC hour.
func openStart(at time.Time, o telemetry.OpenSpan) time.Time {
	start, hour := at.Add(-o.Length), at.Add(-time.Millisecond).Truncate(time.Hour)
	if start.Before(hour) {
		return hour
	}
	return start
}
