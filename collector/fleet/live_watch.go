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
	sites, agents := l.overview()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	known := make(map[string]bool, len(sites))
	for _, s := range sites {
		known[s.Site.ID] = true
		t := told{s.State, s.Cause}
		if l.watch.told[s.Site.ID] != t || t.state != NeverSeen && now.Sub(l.watch.changed[s.Site.ID]) >= moveEvery {
			l.watch.told[s.Site.ID] = t
			l.watch.mark(s.Site.ID, now)
		}
	}
	for id := range l.watch.told {
		if !known[id] { // taken out of the files
			delete(l.watch.told, id)
			l.watch.mark(id, now)
		}
	}
	maps.DeleteFunc(l.watch.changed, func(id string, _ time.Time) bool { return !known[id] })
	maps.DeleteFunc(l.agents, func(a telemetry.Address, _ *agentLive) bool {
		_, registered := slices.BinarySearchFunc(agents, a, compareAddress)
		return !registered
	})
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
