package fleet

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	coalesce   = 250 * time.Millisecond // at most one message in this time, to each subscriber
	checkEvery = time.Second            // how soon time alone becomes news
	moveEvery  = 5 * time.Minute        // the last day of a site that says nothing moves on: two pixels of a ribbon
)

// told is what subscribers know of a site's state.
type told struct {
	state SiteState
	cause telemetry.Cause
}

// watchers holds what is news and who wants it. Live's mutex guards it.
type watchers struct {
	wake    chan struct{}
	dirty   map[string]bool
	subs    []*subscriber
	told    map[string]told
	changed map[string]time.Time
}

type subscriber struct{ ch chan []string }

func (w *watchers) mark(site string, at time.Time) {
	w.changed[site] = at
	w.dirty[site] = true
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Subscribe returns a channel of the ids of sites that changed, sorted, each message at least 250 ms after the
// one before. A subscriber that does not read holds nobody up: what it missed comes as one message. Cancel
// ends it and closes nothing; it may be called more than once.
func (l *Live) Subscribe() (ch <-chan []string, cancel func()) {
	s := &subscriber{ch: make(chan []string, 1)}
	l.mu.Lock()
	l.watch.subs = append(l.watch.subs, s)
	l.mu.Unlock()
	return s.ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.watch.subs = slices.DeleteFunc(l.watch.subs, func(o *subscriber) bool { return o == s })
	}
}

// Run turns the passing of time into states, and tells subscribers what changed, until the context ends.
func (l *Live) Run(ctx context.Context) error {
	look := time.NewTicker(checkEvery)
	defer look.Stop()
	flush := time.NewTimer(coalesce)
	flush.Stop()
	defer flush.Stop()
	waiting := false
	for {
		wake := l.watch.wake
		if waiting {
			wake = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			l.look()
		case <-wake:
			waiting = true
			flush.Reset(coalesce)
		case <-flush.C:
			waiting = false
			l.flush()
		}
	}
}

// look marks the sites whose state is another than subscribers were told, and those of which nothing was news for so
// long that their last 24 hours have moved on. It forgets agents that are no longer registered.
func (l *Live) look() {
	agents := l.roster.Agents()
	slices.SortFunc(agents, compareAddress)
	sites := withAgentSites(l.roster.Sites(), agents)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	l.listen(now)
	rest := agents
	for i := range sites {
		id := sites[i].ID
		for len(rest) > 0 && rest[0].Site < id {
			rest = rest[1:]
		}
		n := 0
		for n < len(rest) && rest[n].Site == id {
			n++
		}
		t := l.tell(rest[:n], now)
		if l.watch.told[id] != t || t.state != NeverSeen && now.Sub(l.watch.changed[id]) >= moveEvery {
			l.watch.told[id] = t
			l.watch.mark(id, now)
		}
	}
	known := func(id string) bool {
		_, ok := slices.BinarySearchFunc(sites, id, func(s Site, id string) int { return strings.Compare(s.ID, id) })
		return ok
	}
	for id := range l.watch.told {
		if !known(id) { // taken out of the files
			delete(l.watch.told, id)
			l.watch.mark(id, now)
		}
	}
	maps.DeleteFunc(l.watch.changed, func(id string, _ time.Time) bool { return !known(id) })
	maps.DeleteFunc(l.agents, func(a telemetry.Address, _ *agentLive) bool {
		_, registered := slices.BinarySearchFunc(agents, a, compareAddress)
		return !registered
	})
}

// tell is what a status of a site with these agents would say of its state, without the rest of it: all sites are asked each second. The mutex is held.
func (l *Live) tell(agents []telemetry.Address, now time.Time) told {
	best := AgentStatus{State: NeverSeen}
	for i, a := range agents {
		one := AgentStatus{State: NeverSeen}
		if ag := l.agents[a]; ag != nil {
			one.State, one.Cause = ag.state(l, now)
			one.Told.At = ag.head.At
		}
		if i == 0 || betterAgent(&one, &best) {
			best = one
		}
	}
	return told{best.State, best.Cause}
}

// flush tells every subscriber the news. What lies unread in a channel is taken back and sent as one with it;
// only this goroutine sends, so that there is room then.
func (l *Live) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.watch.subs {
		news := l.watch.dirty
		select {
		case unread := <-s.ch:
			news = maps.Clone(news)
			for _, id := range unread {
				news[id] = true
			}
		default:
		}
		s.ch <- slices.Sorted(maps.Keys(news))
	}
	clear(l.watch.dirty)
}

func compareAddress(a, b telemetry.Address) int {
	return cmp.Or(strings.Compare(a.Site, b.Site), strings.Compare(a.Agent, b.Agent))
}
