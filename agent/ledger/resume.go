package ledger

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// MaxOff is the longest absence that is written down as off. A longer one is more likely a wrong clock, so that
// time stays unknown.
const MaxOff = 366 * 24 * time.Hour

// longBoot is how long a machine may take from its boot to the start of the agent. When it has been up for longer and nothing on its
// disk tells of an earlier run in this boot, what happened since the boot is not known.
const longBoot = 10 * time.Minute

// sameStart is how near to the start of a run its first batch is. The run has left more than that behind, so the batch is no news.
const sameStart = 6 * time.Second

// Last is the last moment at which this machine knows itself to have been alive.
type Last struct {
	At    time.Time
	Mono  time.Duration      // the same since boot; 0: not known
	Open  telemetry.OpenSpan // as it stood at At
	Boot  string             // the boot id of then
	Clean bool               // the agent had stopped in good order
}

// Return is what is known when an agent starts. Mark and Batch are nil where nothing is known.
type Return struct {
	Mark       *Last                // from this machine's own disk
	Batch      *telemetry.LastBatch // from the collector, which tells it of other boots only. Open is off: shutdown in the last word of a clean stop, agent in the first one of a start
	Boot       string               // the boot id of now
	Start      time.Time            // when this agent started
	Up         time.Duration        // since boot, at Start; 0: not known
	Slack      time.Duration        // how much longer it may have lived after the mark
	BatchSlack time.Duration        // the same after the batch; 0: like Slack
	Lives      []Life               // runs after the mark that never knew the time, oldest first
}

// Resume writes down the time before this start, and must be called before the first Observe. It closes the span
// that was open at the last moment known alive and tells the time from there to Start as off:
//
//   - cause agent when the boot id is the same,
//   - cause shutdown when the machine booted after the agent had stopped in good order,
//   - cause power when it booted without that.
//
// Runs that never knew the time are placed in between. Those of this boot, or of the mark's, have their place by the time since boot.
// Others lie somewhere: they are spread evenly, and the uncertainty covers all the room that they have. Where they do not fit,
// that time stays unknown; estimated is true when any was placed.
//
// When the last moment lies after Start, because a clock was wrong, no span is off and later spans begin there. The collector's
// word is not taken for the last moment when it lies after Start, or when the mark is of this very boot, so that the batch is
// from an earlier one with a wrong clock; nor when that batch had no open span, because it may be of a run that only guessed its time.
func (l *Ledger) Resume(r Return) (spans []telemetry.Span, estimated bool) {
	r.Start = r.Start.Truncate(time.Millisecond)
	last, slack, ok := r.last()
	p := placer{r: r}
	if !ok {
		p.between()
		l.floor = p.floor
		return p.spans, false
	}
	slack = min(max(r.Start.Sub(last.At), 0), slack)
	if last.Clean {
		slack = 0
	}
	if s := closed(last.At, last.Open, slack); s.Length > 0 {
		p.spans = append(p.spans, s)
	}
	p.at, p.boot, p.clean, p.err, p.mono = last.At, last.Boot, last.Clean, slack, last.Mono
	p.floor = last.At
	if b := r.Batch; b != nil && b.At.After(p.floor) && told(b.Open) {
		p.floor = b.At // that clock was ahead, and told so far
	}
	if r.Start.After(last.At) {
		estimated = p.between()
	}
	l.floor = p.floor
	return p.spans, estimated
}

// told: a header with an open span is of a run that stamps and tells.
func told(o telemetry.OpenSpan) bool { return o.State != "" && o.State != telemetry.StateOff }

// closed is the span that was open at at.
func closed(at time.Time, o telemetry.OpenSpan, err time.Duration) telemetry.Span {
	if !told(o) {
		return telemetry.Span{}
	}
	start := openStart(at, o)
	return telemetry.Span{Start: start, Length: at.Sub(start), State: o.State, Cause: o.Cause, Err: err}
}

// sameSpan is how far apart two headers may tell the start of one span: they are never of the same millisecond.
const sameSpan = time.Second

// Outdated tells whether spans and hours were told after the mark, so that the disk took no mark then: the collector's word is of another open
// span, or of a clean stop. What the mark holds has been told then, or is lost, and must not be told as it stood.
func (r Return) Outdated() bool {
	if !r.news() {
		return false
	}
	b, m := r.Batch, r.Mark
	if !told(b.Open) {
		return b.Open.Cause == telemetry.CauseShutdown
	}
	return b.Open.State != m.Open.State || b.Open.Cause != m.Open.Cause || openStart(b.At, b.Open).Sub(openStart(m.At, m.Open)).Abs() > sameSpan
}

// news: the collector's word is later than the mark, and to be believed.
func (r Return) news() bool {
	b, m := r.Batch, r.Mark
	return b != nil && m != nil && b.Open.State != "" && b.At.After(m.At.Truncate(time.Millisecond)) && m.Boot != r.Boot && !b.At.After(r.Start)
}

// last is the later of the mark and the collector's word. Where that is the collector's, the span that was open at the mark is the batch's, or
// the mark is outdated.
func (r Return) last() (last Last, slack time.Duration, ok bool) {
	if r.BatchSlack == 0 {
		r.BatchSlack = r.Slack
	}
	if b := r.Batch; b != nil && (b.Open.State == "" || slices.ContainsFunc(r.Lives, func(l Life) bool { return l.At.Sub(b.At).Abs() < sameStart })) {
		r.Batch = nil
	}
	switch {
	case r.Mark == nil && r.Batch == nil:
		return Last{}, 0, false
	case r.Mark == nil:
		return Last{At: r.Batch.At, Open: r.Batch.Open, Clean: r.Batch.Open.Cause == telemetry.CauseShutdown}, r.BatchSlack, true
	}
	last = *r.Mark
	last.At = last.At.Truncate(time.Millisecond)
	b := r.Batch
	if !r.news() {
		return last, r.Slack, true
	}
	return Last{At: b.At, Open: b.Open, Boot: last.Boot, Clean: b.Open.Cause == telemetry.CauseShutdown}, r.BatchSlack, true
}

// placer goes from the last moment known alive to the start, and tells what was in between.
type placer struct {
	r     Return
	spans []telemetry.Span
	floor time.Time // no span may begin before it

	at    time.Time     // told up to here
	mono  time.Duration // the same since boot, in that boot; 0: not known
	boot  string        // of then
	clean bool
	err   time.Duration // uncertainty of at
	lost  bool          // what came after at is not known
}

// stale: the collector has heard of a run that the mark knows nothing of, so that the disk took none then. What the mark holds of runs
// without the time may be from before that one, and told.
func (p *placer) stale() bool {
	m := p.r.Mark
	return p.mono == 0 && (m == nil || p.at.Sub(m.At) > 2*p.r.Slack)
}

// between places the lives, with the off times before and behind them.
func (p *placer) between() (estimated bool) {
	var free []Life
	for _, l := range p.r.Lives {
		at, ok := p.place(l)
		if !ok {
			free = append(free, l)
			continue
		}
		estimated = p.spread(free, at) || estimated
		free = nil
		p.put(l, at, 0)
	}
	estimated = p.spread(free, p.r.Start) || estimated
	switch {
	case p.at.IsZero() || p.lost: // what was before is not known
	case p.boot == "" && p.r.Up > longBoot:
		p.off(p.r.Start.Add(-p.r.Up), p.r.Boot, 0)
	default:
		p.off(p.r.Start, p.r.Boot, 0)
	}
	return estimated
}

// place is when a life began, where that can be told: it knew by then, or its boot is the present one or the mark's.
func (p *placer) place(l Life) (time.Time, bool) {
	m := p.r.Mark
	switch {
	case !l.At.IsZero():
		return l.At, true
	case l.Boot == p.r.Boot && p.r.Up > 0:
		return p.r.Start.Add(l.From - p.r.Up), true
	case m != nil && m.Mono > 0 && m.Boot == l.Boot:
		return m.At.Add(l.From - m.Mono), true
	}
	return time.Time{}, false
}

// spread places lives that may have been at any time up to edge.
func (p *placer) spread(lives []Life, edge time.Time) bool {
	if len(lives) == 0 || p.at.IsZero() {
		return false
	}
	room := edge.Sub(p.at)
	if gone := room; gone > MaxOff {
		room = -1
	}
	for _, l := range lives {
		room -= l.Length()
	}
	if room < 0 || p.stale() { // a clock was wrong, or they may be of before the last moment
		p.lost = true
		return false
	}
	part := room / time.Duration(len(lives)+1)
	for i, l := range lives {
		before := part * time.Duration(i+1)
		p.put(l, p.at.Add(part), max(before, room-before))
	}
	return true
}

// off tells the time from where we are up to to, when the boot with this id began to tell.
func (p *placer) off(to time.Time, boot string, err time.Duration) {
	gone := to.Sub(p.at)
	if gone > 0 && gone <= MaxOff {
		cause := telemetry.CausePower
		switch {
		case p.boot == boot:
			cause = telemetry.CauseAgent
		case p.clean:
			cause = telemetry.CauseShutdown
		}
		p.tell(telemetry.Span{Start: p.at, Length: gone, State: telemetry.StateOff, Cause: cause, Err: max(p.err, err)})
	}
	if gone > 0 {
		p.at = to
	}
}

// put tells a life that began at start, within err.
func (p *placer) put(l Life, start time.Time, err time.Duration) {
	start = start.Truncate(time.Millisecond)
	if !start.Add(l.Length()).After(p.at) {
		return // told already
	}
	if !p.at.IsZero() && !p.lost {
		p.off(start, l.Boot, err)
	}
	at := start
	for i, s := range l.Stretches {
		e := s.Err
		if i+1 < len(l.Stretches) {
			e = max(e, l.Stretches[i+1].Err)
		} else if !l.Clean {
			e = max(e, l.Slack)
		}
		if s.State != "" {
			p.tell(telemetry.Span{Start: at, Length: s.Length, State: s.State, Cause: s.Cause, Err: err + e})
		}
		at = at.Add(s.Length)
	}
	p.at, p.boot, p.clean, p.mono, p.err, p.lost = at, l.Boot, l.Clean, l.End(), err, false
	if !l.Clean {
		p.err += l.Slack
	}
}

// tell adds a span, from the floor on, cut at the hours.
func (p *placer) tell(s telemetry.Span) {
	if p.floor.Sub(s.End()) > MaxAhead {
		p.floor = s.Start // that came from a wrong clock
	}
	if late := p.floor.Sub(s.Start); late > 0 {
		s.Start, s.Length = p.floor, s.Length-late
	}
	if s.Length <= 0 {
		return
	}
	p.spans = append(p.spans, Cut(s)...)
	p.floor = s.End()
}

// openStart is where a span began that was open at at. It never crosses a UTC hour.
func openStart(at time.Time, o telemetry.OpenSpan) time.Time {
	start, hour := at.Add(-o.Length), at.Add(-time.Millisecond).Truncate(time.Hour)
	if start.Before(hour) {
		return hour
	}
	return start
}
