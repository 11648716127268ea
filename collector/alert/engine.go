package alert

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/internal/wholefile"
)

// Fleet is what the engine needs of the live state.
type Fleet interface {
	Overview() []fleet.Status
	Some(ids []string) []fleet.Status
	Subscribe() (ch <-chan []string, cancel func())
}

// Journal is what the engine needs of what operators wrote down.
type Journal interface {
	Maintenance(site fleet.Site, at time.Time) (journal.Window, bool)
	Acknowledged(site string, since time.Time) (journal.Entry, bool)
	AcknowledgedAlert(alert string) (journal.Entry, bool)
	Subscribe() (ch <-chan struct{}, cancel func())
}

// Check is one thing that the NOC depends on. Err is nil when it is well.
type Check struct {
	Name string
	Err  error
}

// Expiry is when a certificate ends, what happens then, and what to do before, in words.
type Expiry struct {
	Name       string
	End        time.Time
	Then, Next string
}

// Config is what an Engine works with. Fleet and Now are required.
type Config struct {
	Settings
	File         string // where the state is kept; "" keeps none
	Fleet        Fleet
	Journal      Journal         // nil: nothing is planned or acknowledged
	Checks       func() []Check  // of the NOC, InfluxDB by that name; must not wait. While one fails no site is blamed
	Certificates func() []Expiry // must not wait
	Channels     []Channel
	Heartbeat    Heartbeat
	Link         string // address of the board, for messages; "" names none
	Now          func() time.Time
	Log          *slog.Logger
}

const stepEvery = time.Second

// Engine decides what is an alert. It is safe for concurrent use.
type Engine struct {
	c Config

	mu      sync.Mutex
	sites   map[string]*fleet.Status
	members map[groupKey][]string // the sites of each group
	tracks  map[string]*track
	active  map[string]*record
	byKey   map[groupKey][]*record // those of active
	ended   []*record              // the newest last
	own     map[string]*ownTrouble
	month   monthly
	outbox  []*item
	notices []*Notice  // the newest last
	tries   []Delivery // the newest last
	lost    nocCut
	calm    time.Time // no site is out before: it has to come back first
	faulty  time.Time // since when the NOC is at fault; zero: it is not
	started time.Time
	stepped time.Time // the last look
	well    time.Time // when the collector was last known to be well
	known   bool      // the state of all sites was asked for since the last fault
	asked   time.Time // when the journal was, for acknowledgements

	now, lazy    bool // the state has to be written before anybody is told; some time
	written      time.Time
	monthWritten time.Time
	monthNews    bool
	broken       bool // writing fails, and that is told
	subs         map[chan struct{}]struct{}
	wake         map[string]chan struct{} // of each channel
	counts       counts

	lazyEvery time.Duration
	replace   func(file string, data []byte, mode os.FileMode) error
}

// record is an alert with what only the engine needs of it.
type record struct {
	Alert
	Kind   kind                 `json:"kind"`
	Key    groupKey             `json:"key"`
	Starts []start              `json:"starts,omitempty"` // of its troubles
	Told   map[string]time.Time `json:"told,omitempty"`   // by channel, the last time
	Well   bool                 `json:"well,omitempty"`   // one of its sites at least has left it with something to tell of that
	Silent bool                 `json:"silent,omitempty"` // nobody is told of its end
	Own    string               `json:"own,omitempty"`    // the check or certificate that it is about

	changed bool
}

// start is when a trouble began: between the two.
type start struct {
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
}

// Open makes an engine that goes on where the one before it ended, as its file tells.
func Open(c Config) (*Engine, error) {
	e := &Engine{c: c, sites: map[string]*fleet.Status{}, members: map[groupKey][]string{}, tracks: map[string]*track{}, active: map[string]*record{},
		byKey: map[groupKey][]*record{}, own: map[string]*ownTrouble{}, month: monthly{}, subs: map[chan struct{}]struct{}{}, wake: map[string]chan struct{}{}, lazyEvery: lazyWrite, replace: wholefile.Replace}
	if e.c.Log == nil {
		e.c.Log = slog.New(slog.DiscardHandler)
	}
	for _, ch := range c.Channels {
		e.wake[ch.Name()] = make(chan struct{}, 1)
	}
	e.counts.begin()
	e.started = c.Now()
	e.calm = c.Now().Add(c.Grace)
	return e, e.load()
}

// Run looks each second, and tells who has to be told, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, ch := range e.c.Channels {
		g.Go(func() error { e.send(ctx, ch); return nil })
	}
	g.Go(func() error { e.beat(ctx); return nil })
	g.Go(func() error {
		news, cancel := e.c.Fleet.Subscribe()
		defer cancel()
		var written <-chan struct{}
		if e.c.Journal != nil {
			ch, cancel := e.c.Journal.Subscribe()
			defer cancel()
			written = ch
		}
		tick := time.NewTicker(stepEvery)
		defer tick.Stop()
		changed := map[string]bool{}
		for {
			select {
			case <-ctx.Done():
				e.mu.Lock()
				defer e.mu.Unlock()
				e.lazy, e.monthNews, e.monthWritten = true, true, time.Time{}
				e.keep(e.c.Now(), true)
				return nil
			case ids := <-news:
				for _, id := range ids {
					changed[id] = true
				}
			case <-written: // the next look asks for it
				e.mu.Lock()
				e.asked = time.Time{}
				for _, tr := range e.tracks {
					tr.plannedAsked = time.Time{}
				}
				e.mu.Unlock()
			case <-tick.C:
				e.step(e.c.Now(), changed)
				clear(changed)
			}
		}
	})
	return g.Wait()
}

// step is one look at everything that has changed, or is in trouble.
func (e *Engine) step(now time.Time, changed map[string]bool) {
	checks := []Check(nil)
	if e.c.Checks != nil {
		checks = e.c.Checks()
	}
	e.mu.Lock()
	fault := e.lookOwn(checks, now)
	known := e.known // what it has made of it
	e.mu.Unlock()
	var whole, some []fleet.Status
	switch {
	case fault: // what is known of the sites is old
	case !known:
		whole = e.c.Fleet.Overview()
	case len(changed) > 0:
		ids := make([]string, 0, len(changed))
		for id := range changed {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		some = e.c.Fleet.Some(ids)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !fault {
		if !known {
			e.takeWhole(whole)
			changed = nil
		}
		look := e.take(some, changed)
		for id := range e.tracks {
			look[id] = true
		}
		if !known {
			for id := range e.sites {
				look[id] = true
			}
		}
		for id := range look {
			e.evaluate(id, now)
		}
		e.lookLost(now)
		e.raise(now)
	}
	e.stepped = now
	e.lookAcknowledged(now)
	e.settle(now)
	e.keep(now, false)
}

// takeWhole takes in the state of all sites.
func (e *Engine) takeWhole(all []fleet.Status) {
	gone := e.sites
	e.sites, e.members = make(map[string]*fleet.Status, len(all)), map[groupKey][]string{}
	for i := range all {
		id := all[i].Site.ID
		e.sites[id] = &all[i]
		delete(gone, id)
		e.monthNews = e.month.take(&all[i]) || e.monthNews
		if k := keyOf(all[i].Site); k != (groupKey{}) {
			e.members[k] = append(e.members[k], id)
		}
	}
	for id := range gone {
		if e.tracks[id] == nil {
			continue
		}
		e.evaluate(id, e.c.Now())
	}
	e.known = true
}

// take takes in what is new of some sites, and returns which have to be looked at.
func (e *Engine) take(some []fleet.Status, changed map[string]bool) map[string]bool {
	look := make(map[string]bool, len(changed)+len(e.tracks))
	for i := range some {
		st := &some[i]
		id := st.Site.ID
		before := e.sites[id]
		if k := keyOf(st.Site); before == nil || keyOf(before.Site) != k {
			if before != nil {
				e.ungroup(before)
			}
			if k != (groupKey{}) {
				at, _ := slices.BinarySearch(e.members[k], id)
				e.members[k] = slices.Insert(e.members[k], at, id)
			}
		}
		e.sites[id] = st
		e.monthNews = e.month.take(st) || e.monthNews
		look[id] = true
	}
	for id := range changed {
		if st := e.sites[id]; st != nil && !look[id] { // it is not in the files any more
			e.ungroup(st)
			delete(e.sites, id)
			look[id] = true
		}
	}
	return look
}

func (e *Engine) ungroup(st *fleet.Status) {
	k := keyOf(st.Site)
	e.members[k] = slices.DeleteFunc(e.members[k], func(id string) bool { return id == st.Site.ID })
	if len(e.members[k]) == 0 {
		delete(e.members, k)
	}
}
