package twin

import (
	"slices"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	bootsKept = 4                // of one agent, those that sealed last
	returns   = 2                // comebacks of each of two boots that make them twins
	ahead     = 5 * time.Second  // a batch sealed so much after it came has a time that is wrong
	within    = 6                // comebacks count, in gaps between two batches of the agent
	least     = 30 * time.Minute // and for so long at least: machines that know of each other take long turns
	most      = 2 * time.Hour
)

// Sighting says that two machines work as one agent. The zero value says that none are known to.
type Sighting struct {
	Boots       [2]string // boot ids of two of the machines, sorted
	Since, Last time.Time // when this was seen first, and last
}

// Seen tells whether there are two.
func (s Sighting) Seen() bool { return !s.Last.IsZero() }

// Other is the boot id of a machine that is not the one with this boot.
func (s Sighting) Other(boot string) string {
	if s.Boots[0] == boot {
		return s.Boots[1]
	}
	return s.Boots[0]
}

// Agent is what is known of one agent's machines. The zero value knows of none. It is for one goroutine at a time.
type Agent struct {
	boots []boot
	every time.Duration // between two batches, as far as is known
	since time.Time     // of the twins; zero: there are none
}

// boot is one boot of a machine.
type boot struct {
	id     string
	sealed int64              // ms, by its newest batch
	back   [returns]time.Time // when it came back after another, the newest first
}

// Take takes the header of a batch that came at an instant.
func (a *Agent) Take(h telemetry.Header, at time.Time) {
	if h.Clock != telemetry.ClockSynced || h.At.After(at.Add(ahead)) {
		return
	}
	if h.Next > 0 {
		a.every = h.Next
	}
	sealed := h.At.UnixMilli()
	x, between := -1, int64(0)
	for i := range a.boots {
		if a.boots[i].id == h.Boot {
			x = i
		} else {
			between = max(between, a.boots[i].sealed)
		}
	}
	if x < 0 {
		if len(a.boots) == bootsKept {
			oldest := slices.MinFunc(a.boots, func(p, q boot) int { return int(min(1, max(-1, p.sealed-q.sealed))) })
			a.boots = slices.DeleteFunc(a.boots, func(b boot) bool { return b.id == oldest.id })
		}
		a.boots = append(a.boots, boot{id: h.Boot, sealed: sealed})
		return
	}
	b := &a.boots[x]
	if b.sealed < between && between < sealed {
		copy(b.back[1:], b.back[:])
		b.back[0] = at
	}
	b.sealed = max(b.sealed, sealed)
	a.Seen(at) // which notes since when
}

// Seen tells of two machines, as of now.
func (a *Agent) Seen(now time.Time) Sighting {
	from := now.Add(-min(most, max(least, within*a.every)))
	var s Sighting
	n, first := 0, time.Time{}
	newest := [2]int64{}
	for _, b := range a.boots {
		if b.back[returns-1].IsZero() || b.back[0].Before(from) {
			continue
		}
		n++
		if first.IsZero() || b.back[returns-1].Before(first) {
			first = b.back[returns-1]
		}
		if b.back[0].After(s.Last) {
			s.Last = b.back[0]
		}
		if b.sealed > newest[0] {
			s.Boots[0], s.Boots[1], newest[0], newest[1] = b.id, s.Boots[0], b.sealed, newest[0]
		} else if b.sealed > newest[1] {
			s.Boots[1], newest[1] = b.id, b.sealed
		}
	}
	if n < 2 {
		a.since = time.Time{}
		return Sighting{}
	}
	if a.since.IsZero() {
		a.since = first
	}
	s.Since = a.since
	slices.Sort(s.Boots[:])
	return s
}

// Fleet is what is known of the machines of many agents. Safe for concurrent use.
type Fleet struct {
	mu     sync.Mutex
	agents map[telemetry.Address]*Agent
	seen   map[telemetry.Address]bool
}

// NewFleet knows of none.
func NewFleet() *Fleet {
	return &Fleet{agents: map[telemetry.Address]*Agent{}, seen: map[telemetry.Address]bool{}}
}

// Take takes the header of a batch that came at an instant, and tells what is known then, and whether it is another thing than before.
func (f *Fleet) Take(a telemetry.Address, h telemetry.Header, at time.Time) (s Sighting, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.agents[a]
	if one == nil {
		one = &Agent{}
		f.agents[a] = one
	}
	one.Take(h, at)
	s = one.Seen(at)
	if news = s.Seen() != f.seen[a]; news {
		f.seen[a] = s.Seen()
	}
	return s, news
}

// Of is what is known of an agent now.
func (f *Fleet) Of(a telemetry.Address, now time.Time) Sighting {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.agents[a]; one != nil {
		return one.Seen(now)
	}
	return Sighting{}
}
