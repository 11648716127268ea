package fleet

import (
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// Bounds on what is held of one agent. A site that changes its state every two minutes all day fills
// maxSegments; beyond it the oldest part of its ribbon becomes unknown, and the ledger still has it.
const (
	ribbonFor   = 24 * time.Hour
	maxSegments = 720
	maxIfaces   = 16
	maxEvery    = time.Hour       // the rarest that an agent can be told to report
	spanSlack   = 2 * time.Second // between the end of one span and the start of the next
)

// Roster is what Live needs of the registry.
type Roster interface {
	Sites() []Site
	Site(id string) (Site, bool)
	Agents() []telemetry.Address
}

// LiveOptions tunes Live.
type LiveOptions struct {
	Now func() time.Time // required
	// UnreachableAfter is how long an agent may be silent. 0 means 90 s. An agent that is connected and says that it reports
	// more rarely than that is given one and a half times its own interval, that of the rarest until it is known.
	UnreachableAfter time.Duration
	// Deaf reports that the collector itself cannot take anything in, for example because InfluxDB is gone. Time
	// spent deaf does not count as silence of an agent. It is asked often, so it must not wait, nor call Live. nil
	// means never.
	Deaf func() bool
}

// Live is the state of every site as it is now, from what intake has stored, from presence, and from the time
// that passes. It is safe for concurrent use. Its memory is bounded by the number of registered agents.
type Live struct {
	roster Roster
	o      LiveOptions

	mu     sync.Mutex
	agents map[telemetry.Address]*agentLive
	deaf   []deafness
	back   time.Time // when Restore brought the past back; zero when it has not
	watch  watchers
}

// NewLive makes a Live that has heard of nothing. Run must run for time to turn into news for subscribers.
func NewLive(reg Roster, o LiveOptions) *Live {
	if o.UnreachableAfter <= 0 {
		o.UnreachableAfter = 90 * time.Second
	}
	if o.Deaf == nil {
		o.Deaf = func() bool { return false }
	}
	l := &Live{roster: reg, o: o, agents: map[telemetry.Address]*agentLive{}}
	l.watch.wake = make(chan struct{}, 1)
	l.watch.dirty = map[string]bool{}
	l.watch.told = map[string]told{}
	l.watch.changed = map[string]time.Time{}
	return l
}

// Stored takes in a batch that InfluxDB has. It keeps copies only. At is when it was received.
func (l *Live) Stored(a telemetry.Address, at time.Time, lines []telemetry.Parsed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ag := l.agent(a)
	ag.heard = later(ag.heard, at)
	var head telemetry.Header
	detail := false
	for i := range lines {
		p := &lines[i]
		switch p.Measurement {
		case "batch":
			if h, err := telemetry.HeaderOf(&p.Line); err == nil {
				head = h
			}
		case "span":
			if s, err := telemetry.SpanOf(&p.Line); err == nil {
				ag.past.Insert(timeline.Of(s))
			}
		case "event":
			ag.takeBoot(&p.Line)
		case "link", "traffic":
			detail = true
		}
	}
	if !head.At.IsZero() && ag.takeHeader(head, at, detail) {
		ag.takeReadings(lines)
	}
	ag.past.Forget(at.Add(-ribbonFor).UnixMilli(), maxSegments)
	l.watch.mark(a.Site, l.o.Now())
}

// Presence takes in what the broker was told of an agent's connection. What belongs to an older session than
// the newest is ignored, so that the late will of an old connection hides nothing. But once the newest has ended, an online of any other is a
// connection that lives: a router without a clock that keeps nothing through a power cut does not know how far it had counted.
func (l *Live) Presence(a telemetry.Address, p telemetry.Presence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ag := l.agent(a)
	anew := p.Online && p.Session != ag.session && !ag.offlineAt.IsZero()
	if p.Session < ag.session && !anew {
		return
	}
	now := l.o.Now()
	switch {
	case anew, p.Online && (p.Session > ag.session || ag.offlineAt.IsZero()):
		ag.connected, ag.offlineAt = true, time.Time{}
	case !p.Online && ag.offlineAt.IsZero():
		ag.connected, ag.offlineAt = false, now
	}
	ag.session = p.Session
	l.watch.mark(a.Site, now)
}

func (l *Live) agent(a telemetry.Address) *agentLive {
	ag := l.agents[a]
	if ag == nil {
		ag = &agentLive{}
		l.agents[a] = ag
	}
	return ag
}

// deafness is a stretch in which the collector could take nothing in; a zero end is still open.
type deafness struct{ from, to time.Time }

// listen notes whether the collector is deaf now. The mutex is held.
func (l *Live) listen(now time.Time) {
	n := len(l.deaf)
	open := n > 0 && l.deaf[n-1].to.IsZero()
	switch deaf := l.o.Deaf(); {
	case deaf && !open:
		l.deaf = append(l.deaf, deafness{from: now})
		if len(l.deaf) > 8 {
			l.deaf = l.deaf[1:]
		}
	case !deaf && open:
		l.deaf[n-1].to = now
	}
}

// silence is how long an agent has said nothing since that instant, without the time spent deaf. Stretches may
// overlap: what Restore adds reaches into the one in which the collector waited for InfluxDB.
func (l *Live) silence(since, now time.Time) time.Duration {
	silent, counted := now.Sub(since), since
	for _, d := range l.deaf {
		from, to := later(d.from, counted), d.to
		if to.IsZero() || to.After(now) {
			to = now
		}
		if to.After(from) {
			silent -= to.Sub(from)
			counted = to
		}
	}
	return silent
}

// longDeaf is how long the collector has to have been deaf for agents to have lost their connections or to try again more rarely, so that they
// need time to come back.
const longDeaf = 30 * time.Second

// overdue tells whether an agent that was last heard then has been silent for longer than it may. Time spent deaf does not count, and after a long
// stretch of it the count begins anew, for those that were not overdue before.
func (l *Live) overdue(since, now time.Time, patience time.Duration) bool {
	silent, counted := time.Duration(0), since
	for _, d := range l.deaf {
		from, to := later(d.from, counted), d.to
		if to.IsZero() || to.After(now) {
			to = now
		}
		if !to.After(from) {
			continue
		}
		if silent += from.Sub(counted); silent > patience {
			return true
		}
		if counted = to; to.Sub(from) >= longDeaf {
			silent = 0
		}
	}
	return silent+now.Sub(counted) > patience
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
