package service

import (
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// What is judged together: round trips and losses of the latest minute, jitter of some more.
const (
	pool       = time.Minute
	jitterPool = 5 * time.Minute
	neighbours = 15 * time.Minute
)

// Believed says for how long a finding is believed when none follows, and when nothing more is found about an hour.
type Believed struct {
	Quality time.Duration // round trips and losses; default 10 min; twice the time between two samples
	Check   time.Duration // of an endpoint; default 45 min; one and a half times the time between two checks
	Speed   time.Duration // of a speed test; default 7 days
	Settle  time.Duration // from the end of an hour until it is closed, as an outage is found some time after it began; default 2 min
}

// Monitor adds up for how long each service was ready. One goroutine uses it; times are wall time. It covers nothing until Begin.
type Monitor struct {
	specs    []Spec
	believed Believed
	begun    bool
	from     time.Time // covered from here on
	floor    time.Time // end of all that was closed

	link              track // 1: up or degraded, 0: anything else
	rtt, jitter, loss track // ns, ns, percent
	down, up          track // bit/s
	reached           map[string]*track
	recent            []sample
	trips             map[string]trip // the last one of each path
}

type trip struct {
	at  time.Time
	rtt time.Duration
}

// sample is one measurement of the path.
type sample struct {
	at         time.Time
	sent, lost int
	rtts       []time.Duration
	moved      time.Duration // sum of differences of neighbouring round trips
	moves      int
}

// NewMonitor judges the services.
func NewMonitor(specs []Spec, b Believed) *Monitor {
	m := &Monitor{specs: specs, believed: b, reached: map[string]*track{}, trips: map[string]trip{}}
	for value, otherwise := range map[*time.Duration]time.Duration{
		&m.believed.Quality: 10 * time.Minute, &m.believed.Check: 45 * time.Minute, &m.believed.Speed: 7 * 24 * time.Hour, &m.believed.Settle: 2 * time.Minute} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	for _, s := range specs {
		m.reached[s.Name] = &track{}
	}
	return m
}

// Begin covers time from at on. What was found out before stays believed for as long as it may.
func (m *Monitor) Begin(at time.Time) {
	at = wall(at)
	if m.floor.Sub(at) > ledger.MaxAhead { // what was told came from a wrong clock
		m.floor = at
	}
	if at.Before(m.floor) {
		at = m.floor
	}
	m.from, m.begun = at, true
}

func wall(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Link says that the link is up (or degraded) from at on, or not. At may lie in the past: it is when the change happened.
func (m *Monitor) Link(at time.Time, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.link.set(wall(at), time.Time{}, value)
}

// Measured takes a measurement of the way to the internet: how many were sent and lost, and round trips in order. Path names what was
// asked, if that is the same each time, such as "collector"; "" for anchors, which take turns. Round trips and losses of a minute are judged
// together: the median round trip, the share that was lost. Jitter is the mean difference of neighbouring round trips (RFC 3393's delay
// variation, absolute) within five minutes, because there may be one trip a minute; neighbours are two of one path, at most a quarter of an
// hour apart.
func (m *Monitor) Measured(at time.Time, path string, sent, lost int, rtts []time.Duration) {
	at = wall(at)
	for len(m.recent) > 0 && (at.Sub(m.recent[0].at) >= jitterPool || m.recent[0].at.After(at)) {
		m.recent = m.recent[1:]
	}
	now := sample{at: at, sent: sent, lost: lost, rtts: rtts}
	for i, d := range rtts {
		if i > 0 {
			now.moved, now.moves = now.moved+(d-rtts[i-1]).Abs(), now.moves+1
		} else if before, ok := m.trips[path]; ok && path != "" && at.Sub(before.at) <= neighbours && !at.Before(before.at) {
			now.moved, now.moves = (d - before.rtt).Abs(), 1
		}
	}
	if len(rtts) > 0 {
		m.trips[path] = trip{at, rtts[len(rtts)-1]}
	}
	m.recent = append(m.recent, now)

	var all []time.Duration
	var moved time.Duration
	sent, lost, moves := 0, 0, 0
	for _, s := range m.recent {
		moved, moves = moved+s.moved, moves+s.moves
		if at.Sub(s.at) < pool {
			sent, lost, all = sent+s.sent, lost+s.lost, append(all, s.rtts...)
		}
	}
	until := at.Add(m.believed.Quality)
	if sent > 0 {
		m.loss.set(at, until, 100*float64(lost)/float64(sent))
	}
	if len(all) > 0 {
		m.rtt.set(at, until, float64(ledger.Median(all)))
	}
	if now.moves > 0 {
		m.jitter.set(at, until, float64(moved)/float64(moves))
	}
}

// Reached says whether the endpoint of a service answered.
func (m *Monitor) Reached(at time.Time, service string, ok bool) {
	value := 0.0
	if ok {
		value = 1
	}
	if t := m.reached[service]; t != nil {
		t.set(wall(at), wall(at).Add(m.believed.Check), value)
	}
}

// Speed takes the result of a speed test in bit/s; 0 is not measured.
func (m *Monitor) Speed(at time.Time, downBps, upBps int64) {
	until := wall(at).Add(m.believed.Speed)
	if downBps > 0 {
		m.down.set(wall(at), until, float64(downBps))
	}
	if upBps > 0 {
		m.up.set(wall(at), until, float64(upBps))
	}
}

// Cover says that time is covered until at, and returns the lines of the hours that are settled by then.
func (m *Monitor) Cover(at time.Time) []*telemetry.Line {
	return m.cover(wall(at).Add(-m.believed.Settle))
}

func (m *Monitor) cover(at time.Time) (lines []*telemetry.Line) {
	if !m.begun {
		return nil
	}
	for end := nextHour(m.from); !end.After(at); end = nextHour(m.from) {
		lines = append(lines, m.lines(m.from, end)...)
		m.from, m.floor = end, end
		m.forget()
	}
	return lines
}

// Open returns the lines of all that is covered and not yet returned, as they would be if the agent ended at at. It changes nothing:
// it is for a mark on disk, from which the next start tells them after a power cut.
func (m *Monitor) Open(at time.Time) (lines []*telemetry.Line) {
	if at = wall(at); !m.begun {
		return nil
	}
	from := m.from
	for end := nextHour(from); !end.After(at); end = nextHour(from) {
		lines, from = append(lines, m.lines(from, end)...), end
	}
	if at.After(from) {
		lines = append(lines, m.lines(from, at)...)
	}
	return lines
}

// Close returns the lines of all that was covered until at, and covers nothing more until Begin.
func (m *Monitor) Close(at time.Time) []*telemetry.Line {
	lines := m.Open(at)
	if at = wall(at); m.begun && at.After(m.from) {
		m.floor = at
	}
	m.begun = false
	return lines
}

// Step closes the hour of the old clock at before, and goes on at after by the new one. What is known goes along.
func (m *Monitor) Step(before, after time.Time) []*telemetry.Line {
	begun, d := m.begun, after.Sub(before)
	lines := m.Close(before)
	for _, t := range m.tracks() {
		t.shift(d, wall(before))
	}
	for i := range m.recent {
		m.recent[i].at = m.recent[i].at.Add(d)
	}
	for path, t := range m.trips {
		m.trips[path] = trip{t.at.Add(d), t.rtt}
	}
	if begun {
		m.Begin(after)
	}
	return lines
}

// Slept says that the machine was asleep between two moments: that time is in nobody's window, and whether the link works afterwards is
// not known until Link says so.
func (m *Monitor) Slept(from, to time.Time) []*telemetry.Line {
	begun := m.begun
	lines := m.Close(from)
	if m.Link(to, false); begun {
		m.Begin(to)
	}
	return lines
}

func (m *Monitor) tracks() []*track {
	all := []*track{&m.link, &m.rtt, &m.jitter, &m.loss, &m.down, &m.up}
	for _, t := range m.reached {
		all = append(all, t)
	}
	return all
}

func (m *Monitor) forget() {
	for _, t := range m.tracks() {
		t.forget(m.from)
	}
}

// lines are those of the services that were open between two moments of one hour.
func (m *Monitor) lines(from, to time.Time) (lines []*telemetry.Line) {
	for _, s := range m.specs {
		if ready, window := m.add(s, from, to); window > 0 {
			lines = append(lines, telemetry.NewLine("hour_service", from).Tag("service", s.Name).
				Int("ready_ms", ready.Milliseconds()).Int("window_ms", window.Milliseconds()))
		}
	}
	return lines
}

// add goes from change to change.
func (m *Monitor) add(s Spec, from, to time.Time) (ready, window time.Duration) {
	for at := from; at.Before(to); {
		open, until := s.Week.State(at, s.Zone)
		ok := false
		if open {
			var next time.Time
			if ok, next = m.ready(s, at); !next.IsZero() && next.Before(until) {
				until = next
			}
		}
		if until.After(to) {
			until = to
		}
		if open {
			window += until.Sub(at)
		}
		if ok {
			ready += until.Sub(at)
		}
		at = until
	}
	return ready, window
}

// ready judges one moment, and tells the next one at which the judgement may change.
func (m *Monitor) ready(s Spec, at time.Time) (ok bool, next time.Time) {
	ok = true
	need := func(t *track, always bool, within func(v float64, known bool) bool) {
		if !always {
			return
		}
		v, known, n := t.at(at)
		ok = ok && within(v, known)
		if !n.IsZero() && (next.IsZero() || n.Before(next)) {
			next = n
		}
	}
	yes := func(v float64, known bool) bool { return known && v > 0 }
	atMost := func(limit float64) func(float64, bool) bool {
		return func(v float64, known bool) bool { return known && v <= limit }
	}
	atLeast := func(limit int64) func(float64, bool) bool {
		return func(v float64, known bool) bool { return !known || v >= float64(limit) } // no test yet: not judged
	}
	l := s.Limits
	need(&m.link, true, yes)
	need(m.reached[s.Name], s.Endpoint != "", yes)
	need(&m.rtt, l.RTT > 0, atMost(float64(l.RTT)))
	need(&m.jitter, l.Jitter > 0, atMost(float64(l.Jitter)))
	need(&m.loss, l.LossPct > 0, atMost(l.LossPct))
	need(&m.down, l.DownBps > 0, atLeast(l.DownBps))
	need(&m.up, l.UpBps > 0, atLeast(l.UpBps))
	return ok, next
}

// nextHour is the first UTC hour after t.
func nextHour(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }
