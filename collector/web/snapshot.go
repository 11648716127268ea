package web

import (
	"strings"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
)

// seen is one site as a board shows it: its status, what is planned for it, and how its neighbours fare. Peers and Of leave the site itself out.
type seen struct {
	fleet.Status
	Shown  fleet.SiteState // Maintenance, or the state of the status
	Window *journal.Window // nil: no maintenance
	began  time.Time       // when the window did, of a weekly one this time
	Ack    *journal.Entry  // who takes care of it; nil: nobody
	Unread bool            // nothing is known of it because the past could not be read back yet
	Peers  int             // sites of the same operator in the same district that are in trouble too
	Of     int             // of so many that have reported
	text   string          // what a search looks through
	drawn  bool            // the ribbon is
}

// snapshot is the whole fleet at one moment, for all boards. The sites are by id; what is made of them lazily is under mu.
type snapshot struct {
	seq    uint64 // 0: of no feed
	sites  []seen
	counts map[fleet.SiteState]int
	old    bool // states are as they were last stored: something of the NOC's own is at fault
	alerts int  // that go on; -1 where there are none to be had
	live   *fleet.Live

	mu     sync.Mutex
	orders map[string][]*seen
	looks  map[string]*look
}

// look takes a snapshot.
func (s *server) look() *snapshot {
	all := s.Live.Overview()
	n := &snapshot{sites: make([]seen, len(all)), counts: map[fleet.SiteState]int{}, old: s.old(), alerts: s.alertCount(), live: s.Live,
		orders: map[string][]*seen{}, looks: map[string]*look{}}
	unread := n.old && !s.Live.Restored()
	zone := s.Now().Location()
	type group struct{ operator, district string }
	type tally struct{ bad, heard int }
	groups, care, began := map[group]*tally{}, s.careOfAlerts(), map[uint64]time.Time{}
	for i := range all {
		st := &n.sites[i]
		st.Status = all[i]
		st.From, st.Now = st.From.In(zone), st.Now.In(zone)
		st.Shown, st.Unread = st.State, unread && st.State == fleet.NeverSeen
		s.written(st, began)
		if st.Ack == nil && troubled(st.State) {
			st.Ack = care[st.Site.ID]
		}
		n.counts[st.Shown]++
		site := &st.Site
		st.text = s.searchText(site)
		if st.State == fleet.NeverSeen || site.Operator == "" || site.District == "" {
			continue
		}
		k := group{site.Operator, site.District}
		g := groups[k]
		if g == nil {
			g = &tally{}
			groups[k] = g
		}
		g.heard++
		if inTrouble(st.Shown) {
			g.bad++
		}
	}
	for i := range n.sites {
		st := &n.sites[i]
		if g := groups[group{st.Site.Operator, st.Site.District}]; g != nil && inTrouble(st.Shown) {
			st.Peers, st.Of = g.bad-1, g.heard-1
		}
	}
	return n
}

// written adds what operators wrote down. Began keeps when each window began, which many sites may share.
func (s *server) written(st *seen, began map[uint64]time.Time) {
	if s.Journal == nil {
		return
	}
	if w, ok := s.Journal.Maintenance(st.Site, st.Now); ok {
		st.Window, st.Shown = &w, Maintenance
		at, known := began[w.ID]
		if !known {
			at = w.Began(st.Now)
			began[w.ID] = at
		}
		st.began = at
	}
	if troubled(st.State) {
		st.Ack = s.acknowledged(&st.Status)
	}
}

// inTrouble tells whether nobody in the village can use the link, as far as is known.
func inTrouble(s fleet.SiteState) bool {
	return s == fleet.Down || s == fleet.Unreachable || s == fleet.Off
}

// old tells whether the collector cannot hear what there is to hear, so that states are as they were.
func (s *server) old() bool {
	for _, c := range s.Ready() {
		if c.Err != nil {
			return true
		}
	}
	return false
}

// searchText is what a search looks through, which changes seldom and is wanted for each site of each snapshot.
func (s *server) searchText(site *fleet.Site) string {
	s.textMu.Lock()
	defer s.textMu.Unlock()
	t, ok := s.texts[site.ID]
	if !ok || t.name != site.Name || t.district != site.District || t.operator != site.Operator || t.technology != site.Technology {
		t = searched{site.Name, site.District, site.Operator, site.Technology,
			strings.ToLower(strings.Join([]string{site.ID, site.Name, site.District, site.Operator, site.Technology}, "\n"))}
		s.texts[site.ID] = t
	}
	return t.text
}

type searched struct{ name, district, operator, technology, text string }

// ribbon fills in the last 24 hours of a site. The mutex is held.
func (n *snapshot) ribbon(st *seen) {
	if !st.drawn {
		one := []fleet.Status{st.Status}
		n.live.Ribbons(one)
		st.Ribbon, st.drawn = one[0].Ribbon, true
	}
}

// rows puts some sites into words, with their ribbons.
func (n *snapshot) rows(some []*seen) []row {
	n.mu.Lock()
	for _, st := range some {
		n.ribbon(st)
	}
	n.mu.Unlock()
	out := make([]row, len(some))
	for i, st := range some {
		out[i] = newRow(st)
	}
	return out
}

// since is how long a site has been as it is shown.
func (st *seen) since() time.Time {
	if st.Window != nil && st.began.After(st.Since) {
		return st.began
	}
	return st.Since
}
