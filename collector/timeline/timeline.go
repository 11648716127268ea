package timeline

import (
	"slices"
	"sort"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Segment is a stretch of time in one state, [Start, End) in milliseconds since the epoch. ErrMs is the
// uncertainty of its ends.
type Segment struct {
	Start, End int64
	State      telemetry.State
	Cause      telemetry.Cause
	ErrMs      int64
}

// Of is the segment that a closed span covers.
func Of(s telemetry.Span) Segment {
	start := s.Start.UnixMilli()
	return Segment{Start: start, End: start + s.Length.Milliseconds(), State: s.State, Cause: s.Cause, ErrMs: s.Err.Milliseconds()}
}

// Ms is the segment's length in milliseconds.
func (s Segment) Ms() int64 { return s.End - s.Start }

// From is the segment's start as a time.
func (s Segment) From() time.Time { return time.UnixMilli(s.Start).UTC() }

// Rank orders states by how well informed they are: up, degraded, down, off; then the causes, those first
// that saw furthest. 0 is a state that says nothing.
func Rank(s telemetry.State, c telemetry.Cause) int {
	rank := 0
	switch s {
	case telemetry.StateUp:
		return 90
	case telemetry.StateDegraded:
		return 80
	case telemetry.StateDown:
		rank = 70
	case telemetry.StateOff:
		rank = 60
	default:
		return 0
	}
	switch c {
	case telemetry.CauseDNS, telemetry.CausePower:
		rank += 3
	case telemetry.CauseBackhaul, telemetry.CauseShutdown:
		rank += 2
	case telemetry.CauseLocal, telemetry.CauseAgent:
		rank++
	}
	return rank
}

// Timeline is a list of segments in order of time, without overlap. The zero value is ready.
type Timeline struct{ segs []Segment }

// Insert adds a segment. Where it meets others, the better informed wins; of two that say the same, the
// larger uncertainty. A segment without length or without a state changes nothing.
func (t *Timeline) Insert(s Segment) {
	if s.End <= s.Start || Rank(s.State, s.Cause) == 0 {
		return
	}
	i := sort.Search(len(t.segs), func(i int) bool { return t.segs[i].End >= s.Start })
	j := i
	for j < len(t.segs) && t.segs[j].Start <= s.End {
		j++
	}
	var room [8]Segment
	out := room[:0]
	add := func(like Segment, from, to int64) {
		if to <= from {
			return
		}
		if n := len(out); n > 0 && out[n-1].End == from && out[n-1].State == like.State && out[n-1].Cause == like.Cause {
			out[n-1].End = to
			out[n-1].ErrMs = max(out[n-1].ErrMs, like.ErrMs)
			return
		}
		like.Start, like.End = from, to
		out = append(out, like)
	}
	at := s.Start
	for _, old := range t.segs[i:j] {
		add(old, old.Start, min(old.End, s.Start))
		add(s, at, min(old.Start, s.End))
		add(better(old, s), max(old.Start, s.Start), min(old.End, s.End))
		add(old, max(old.Start, s.End), old.End)
		at = max(at, old.End)
	}
	add(s, at, s.End)
	t.segs = slices.Replace(t.segs, i, j, out...)
}

// Extend inserts a list that Clip returned, which then belongs to the timeline.
func (t *Timeline) Extend(segs []Segment) {
	if len(t.segs) == 0 {
		t.segs = segs
		return
	}
	for _, s := range segs {
		t.Insert(s)
	}
}

func better(a, b Segment) Segment {
	ra, rb := Rank(a.State, a.Cause), Rank(b.State, b.Cause)
	if ra > rb || ra == rb && a.ErrMs >= b.ErrMs {
		return a
	}
	return b
}

// Forget drops the segments that ended at or before that instant, and the oldest beyond max. One that
// reaches over the instant stays whole, so that a long state keeps its true start.
func (t *Timeline) Forget(before int64, max int) {
	n := sort.Search(len(t.segs), func(i int) bool { return t.segs[i].End > before })
	if over := len(t.segs) - max; over > n {
		n = over
	}
	t.segs = slices.Delete(t.segs, 0, n)
}

// Segments is the list itself; the caller must not change it.
func (t *Timeline) Segments() []Segment { return t.segs }

// Clip copies what lies in [from, to), cut at its edges.
func (t *Timeline) Clip(from, to int64) []Segment {
	i := sort.Search(len(t.segs), func(i int) bool { return t.segs[i].End > from })
	j := i + sort.Search(len(t.segs)-i, func(k int) bool { return t.segs[i+k].Start >= to })
	if i == j {
		return nil
	}
	out := make([]Segment, j-i, j-i+1) // room for the open span
	copy(out, t.segs[i:j])
	out[0].Start = max(out[0].Start, from)
	out[len(out)-1].End = min(out[len(out)-1].End, to)
	return out
}

// Run returns the start of the unbroken stretch in that state which ends within slack before at, or at
// itself when there is none.
func (t *Timeline) Run(state telemetry.State, cause telemetry.Cause, at int64, slack time.Duration) int64 {
	i := sort.Search(len(t.segs), func(i int) bool { return t.segs[i].Start >= at }) - 1
	for ; i >= 0; i-- {
		s := t.segs[i]
		if s.State != state || s.Cause != cause || s.End < at-slack.Milliseconds() {
			break
		}
		at = min(at, s.Start)
	}
	return at
}
