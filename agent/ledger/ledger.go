package ledger

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// MaxAhead is how far behind the end of the ledger the clock may stand and still be believed to catch up. The
// ledger is silent until it has: that time is already told. When the clock is further behind, what was told came
// from a wrong clock, and the ledger begins anew.
const MaxAhead = 24 * time.Hour

// Ledger holds the span that is open. The zero value has none. Times are cut to milliseconds, as on the wire.
type Ledger struct {
	state telemetry.State // "" when no span is open
	cause telemetry.Cause
	start time.Time
	err   time.Duration // uncertainty of start
	until time.Time     // the open span is known to have lasted until here
	floor time.Time     // end of all that was closed: no span may begin before it
}

// Observe says that the link is in this state from at on, and that the change lay within err of that moment. The
// time up to at belongs to the state before. At may lie before an earlier Advance, as far back as the start of the
// open span. It returns the spans that this closes.
func (l *Ledger) Observe(at time.Time, s telemetry.State, c telemetry.Cause, err time.Duration) []telemetry.Span {
	at = at.Truncate(time.Millisecond)
	if l.state == s && l.cause == c {
		return l.Advance(at)
	}
	spans := l.Close(at, err)
	l.begin(at, s, c, err)
	return spans
}

func (l *Ledger) begin(at time.Time, s telemetry.State, c telemetry.Cause, err time.Duration) {
	if l.floor.Sub(at) > MaxAhead {
		l.floor = at
	}
	if at.Before(l.floor) {
		at = l.floor
	}
	l.state, l.cause, l.start, l.until, l.err = s, c, at, at, err
}

// Advance says that the open span lasts on until at. It returns what the UTC hours since have cut off.
func (l *Ledger) Advance(at time.Time) []telemetry.Span {
	if l.state == "" {
		return nil
	}
	if at = at.Truncate(time.Millisecond); at.After(l.until) {
		l.until = at
	}
	return l.cut(l.until)
}

// cut closes what lies before the last UTC hour up to end.
func (l *Ledger) cut(end time.Time) (spans []telemetry.Span) {
	for hour := nextHour(l.start); !hour.After(end); hour = nextHour(l.start) {
		spans = l.emit(spans, hour, l.err)
		l.start, l.err = hour, max(0, l.err-hour.Sub(l.start)) // an hour may be nearer to the change than that is known
	}
	return spans
}

// Close ends the open span at at, with no other to follow: the agent stops. The end is known within err.
func (l *Ledger) Close(at time.Time, err time.Duration) []telemetry.Span {
	if l.state == "" {
		return nil
	}
	if at = at.Truncate(time.Millisecond); at.Before(l.start) {
		at = l.start
	}
	spans := l.cut(at)
	for i := range spans { // the end may lie in one before the last hour
		spans[i].Err = max(spans[i].Err, err-at.Sub(spans[i].End()))
	}
	spans = l.emit(spans, at, max(l.err, err))
	*l = Ledger{floor: l.floor}
	return spans
}

func (l *Ledger) emit(to []telemetry.Span, end time.Time, err time.Duration) []telemetry.Span {
	if end.After(l.floor) {
		l.floor = end
	}
	if !end.After(l.start) {
		return to
	}
	return append(to, telemetry.Span{Start: l.start, Length: end.Sub(l.start), State: l.state, Cause: l.cause, Err: err})
}

// Open is the span still open at at, for a batch header. It is zero when there is none.
func (l *Ledger) Open(at time.Time) telemetry.OpenSpan {
	if l.state == "" {
		return telemetry.OpenSpan{}
	}
	length := min(max(at.Truncate(time.Millisecond).Sub(l.start), 0), nextHour(l.start).Sub(l.start))
	return telemetry.OpenSpan{State: l.state, Cause: l.cause, Length: length}
}

// Start is where the open span began; false when there is none.
func (l *Ledger) Start() (time.Time, bool) { return l.start, l.state != "" }

// State is the state and cause of the open span; "" when there is none.
func (l *Ledger) State() (telemetry.State, telemetry.Cause) { return l.state, l.cause }

// Step says that the clock was set forward by d, or back when d is negative. The open span keeps its true length
// as far as it can and moves with the clock: after a step forward the time in between stays unknown, after a step
// back the span begins where the closed ones end. It is cut at the hours of the new clock by the next Advance.
func (l *Ledger) Step(d time.Duration) {
	if l.state == "" {
		return
	}
	d = d.Truncate(time.Millisecond)
	until := l.until.Add(d)
	if l.floor.Sub(until) > MaxAhead {
		l.floor = l.start.Add(d)
	}
	if l.start = l.start.Add(d); l.start.Before(l.floor) {
		l.start = l.floor
	}
	if l.until = until; l.until.Before(l.start) {
		l.until = l.start
	}
}

// nextHour is the first UTC hour after t.
func nextHour(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }

// Cut splits a span at the UTC hours. The uncertainty stays with the pieces that the ends may lie in.
func Cut(s telemetry.Span) (out []telemetry.Span) {
	end := s.End()
	for at := s.Start; at.Before(end); {
		to := nextHour(at)
		if to.After(end) {
			to = end
		}
		err := s.Err
		if at.Sub(s.Start) >= err && end.Sub(to) >= err && at.After(s.Start) && to.Before(end) {
			err = 0
		}
		out = append(out, telemetry.Span{Start: at, Length: to.Sub(at), State: s.State, Cause: s.Cause, Err: err})
		at = to
	}
	return out
}
