package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// update is one message to a board. What has not changed is left out.
type update struct {
	At      int64             `json:"at"` // ms
	Clock   string            `json:"clock"`
	Build   string            `json:"build"`
	Trouble string            `json:"trouble"`
	Old     bool              `json:"old,omitempty"` // states are as they were last stored
	Title   string            `json:"title,omitempty"`
	Summary string            `json:"summary,omitempty"`
	Found   *int              `json:"found,omitempty"`  // sites of the view, over all its pages
	Alerts  *int              `json:"alerts,omitempty"` // that go on
	Rows    map[string]string `json:"rows,omitempty"`
	Order   []string          `json:"order,omitempty"`
	Empty   bool              `json:"empty,omitempty"` // the view has no site
	Points  map[string]point  `json:"points,omitempty"`
	Gone    []string          `json:"gone,omitempty"` // points that are no longer in the view
	All     bool              `json:"all,omitempty"`  // these are all points there are
	List    string            `json:"list,omitempty"` // of alerts
}

// hub has what all boards share: one snapshot for each half second in which there was news, each changed row drawn once, and each
// message to boards that show the same and know the same made once.
type hub struct {
	start time.Time
	mu    sync.Mutex
	tick  int64
	seq   uint64
	last  *snapshot
	rows  map[string]*drawn
}

// drawn is one site as boards were last sent it.
type drawn struct {
	key  rowKey
	seq  uint64    // the snapshot in which it last changed
	at   time.Time // and when that was
	html string    // "" until somebody wants it
}

// rowKey is all that makes a row of a board another one.
type rowKey struct {
	changed                                              int64
	state, shown                                         fleet.SiteState
	name, district, operator, technology, peers, planned string
	care                                                 string
	unread                                               bool
}

func keyOf(st *seen) rowKey {
	k := rowKey{changed: st.Changed.UnixNano(), state: st.State, shown: st.Shown, name: st.Site.Name, district: st.Site.District, operator: st.Site.Operator,
		technology: st.Site.Technology, planned: st.planned(), care: st.care(), unread: st.Unread}
	if inTrouble(st.Shown) {
		k.peers = st.peers()
	}
	return k
}

// word is a short one for all of it but the time of the site's own news.
func (k rowKey) word() string {
	k.changed = 0
	return orderOf([]string{fmt.Sprintf("%+v", k)})
}

// until is how long it is until the next snapshot may be taken, and the number of that one.
func (h *hub) until() (wait time.Duration, tick int64) {
	since := time.Since(h.start)
	tick = int64(since/newsEvery) + 1
	return time.Duration(tick)*newsEvery - since, tick
}

// glance is a snapshot that is no older than the beginning of the tick: whoever asks first takes it, and the others share it.
func (s *server) glance(tick int64) *snapshot {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil && h.tick >= tick {
		return h.last
	}
	n := s.look()
	h.seq++
	n.seq = h.seq
	now := s.Now()
	for i := range n.sites {
		st := &n.sites[i]
		key, d := keyOf(st), h.rows[st.Site.ID]
		switch {
		case d == nil:
			h.rows[st.Site.ID] = &drawn{key: key, seq: n.seq, at: st.Changed}
		case d.key != key:
			if at := st.Changed; key.changed == d.key.changed {
				d.at = now
			} else {
				d.at = at
			}
			d.key, d.seq, d.html = key, n.seq, ""
		}
	}
	if len(h.rows) > len(n.sites) {
		known := make(map[string]bool, len(n.sites))
		for i := range n.sites {
			known[n.sites[i].Site.ID] = true
		}
		for id := range h.rows {
			if !known[id] {
				delete(h.rows, id)
			}
		}
	}
	h.last, h.tick = n, tick
	return n
}

// feed is what one board is, and what it was last sent.
type feed struct {
	page string // "board", "map", "alerts"
	view view
	acts bool   // who looks may acknowledge alerts
	had  *sight // nil: nothing yet
}

// sight is what all boards of one page and view show after one snapshot.
type sight struct {
	seq     uint64
	order   []string // a board's sites as they stand there; a map's by id
	title   string
	summary string
	list    string
	lasting string // the list without how long each has lasted, which a page counts itself
	found   int
	alerts  int
}

// look is one page and view at one snapshot.
type look struct {
	snap     *snapshot
	mu       sync.Mutex
	sight    *sight
	sites    []*seen           // in the order of sight
	pages    int               //
	messages map[uint64][]byte // by what a board had
}

// message is what a board of that feed has to be told at a snapshot; nil when that is nothing. The feed has had it then.
func (s *server) message(n *snapshot, f *feed, back comeback) []byte {
	l := n.look(fmt.Sprint(f.page, f.acts, f.view.url("")))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sight == nil {
		s.see(n, l, f)
	}
	had := f.had
	f.had = l.sight
	switch {
	case had == nil:
		return s.encode(s.first(l, f.page, back), l.sight)
	case had.seq == n.seq:
		return nil
	}
	m, ok := l.messages[had.seq]
	if !ok {
		if u, news := s.difference(l, f.page, had); news {
			m = s.encode(u, l.sight)
		}
		l.messages[had.seq] = m
	}
	return m
}

func (n *snapshot) look(key string) *look {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.looks[key]
	if l == nil {
		l = &look{snap: n, messages: map[uint64][]byte{}}
		n.looks[key] = l
	}
	return l
}

// ages are what a page counts itself.
var ages = regexp.MustCompile(` data-ago>[^<]*`)

// see fills a look in.
func (s *server) see(n *snapshot, l *look, f *feed) {
	g := &sight{seq: n.seq, alerts: n.alerts}
	l.sight = g
	if f.page == "alerts" {
		g.title, g.list = alertsTitle(n.alerts), s.alertList(n, f.acts)
		g.lasting = ages.ReplaceAllLiteralString(g.list, "")
		return
	}
	v := f.view
	c := n.choose(&v)
	sum := newSummary(c, v, map[string]string{"board": "/", "map": "/map"}[f.page])
	l.sites, l.pages = c.page, c.pages
	if f.page == "map" {
		l.sites = slices.Clone(c.all)
		slices.SortFunc(l.sites, func(a, b *seen) int { return strings.Compare(a.Site.ID, b.Site.ID) })
	}
	g.title, g.summary, g.found = sum.title(), s.fragment("summary", sum), len(c.all)
	g.order = ids(l.sites)
}

func ids(sites []*seen) []string {
	out := make([]string, len(sites))
	for i, st := range sites {
		out[i] = st.Site.ID
	}
	return out
}

// slack is how much older than a message may be what it did not tell yet: what waits for the next snapshot.
const slack = 3 * time.Second

// comeback is what a board says it knows when it opens its stream.
type comeback struct {
	since int64  // ms; what changed before it has
	order string // what orderOf said of its rows; "" when it cannot tell
}

// first is all that has changed since a page was drawn or since its stream broke. A site that has not changed itself may have come in from
// another page of the board meanwhile, so where the order is another one all of a page are sent.
func (s *server) first(l *look, page string, back comeback) update {
	u, g := s.beat(), l.sight
	u.Title, u.Summary, u.Found, u.Alerts, u.List = g.title, g.summary, &g.found, &g.alerts, g.list
	same := back.order == orderOf(g.order)
	missed := func(d *drawn) bool { return d.at.UnixMilli() >= back.since-slack.Milliseconds() }
	switch page {
	case "board":
		if !same {
			u.Order = g.order
		}
		u.Empty = len(g.order) == 0
		u.Rows = s.draw(l, l.sites, func(d *drawn) bool { return missed(d) || !same && l.pages > 1 })
	case "map":
		u.All = !same
		u.Points = s.points(l, l.sites, func(d *drawn) bool { return missed(d) || !same })
	}
	return u
}

// difference is what a board that had one sight has to be told to show another.
func (s *server) difference(l *look, page string, had *sight) (u update, news bool) {
	u = s.beat()
	g := l.sight
	if g.title != had.title {
		u.Title, news = g.title, true
	}
	if g.summary != had.summary {
		u.Summary, news = g.summary, true
	}
	if g.lasting != had.lasting {
		u.List, news = g.list, true
	}
	if g.found != had.found {
		u.Found, news = &g.found, true
	}
	if g.alerts != had.alerts {
		u.Alerts, news = &g.alerts, true
	}
	if page == "alerts" {
		return u, news
	}
	before := make(map[string]bool, len(had.order))
	for _, id := range had.order {
		before[id] = true
	}
	var wanted []*seen
	for _, st := range l.sites {
		if !before[st.Site.ID] {
			wanted = append(wanted, st)
		}
		delete(before, st.Site.ID)
	}
	anew := func(d *drawn) bool { return d.seq > had.seq }
	if page == "map" {
		u.Points, u.Gone = s.points(l, l.sites, anew), sortedKeys(before)
		for id, p := range s.points(l, wanted, func(*drawn) bool { return true }) {
			u.Points[id] = p
		}
		return u, news || len(u.Points)+len(u.Gone) > 0
	}
	u.Empty = len(g.order) == 0
	u.Rows = s.draw(l, l.sites, anew)
	for id, html := range s.draw(l, wanted, func(*drawn) bool { return true }) {
		u.Rows[id] = html
	}
	if !slices.Equal(g.order, had.order) {
		u.Order = g.order
	}
	return u, news || len(u.Rows) > 0 || !slices.Equal(g.order, had.order)
}

// draw is the rows of the sites that are wanted, each drawn once for all boards.
func (s *server) draw(l *look, sites []*seen, want func(*drawn) bool) map[string]string {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]string{}
	var missing []*seen
	for _, st := range sites {
		switch d := h.rows[st.Site.ID]; {
		case d == nil || !want(d): // no site of the fleet any more, or nothing new
		case d.html != "" && d.seq <= l.snap.seq:
			out[st.Site.ID] = d.html
		default:
			missing = append(missing, st)
		}
	}
	for _, one := range l.snap.rows(missing) {
		out[one.ID] = s.fragment("row", one)
		if d := h.rows[one.ID]; d.seq <= l.snap.seq { // else there is a newer snapshot, in which it is another
			d.html = out[one.ID]
		}
	}
	return out
}

// orderOf is a short word for an order, so that a board can say which one it shows.
func orderOf(ids []string) string {
	h := fnv.New64a()
	for _, id := range ids {
		_, _ = io.WriteString(h, id+"\n")
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// beat is what each message has, and all that one has when nothing is new.
func (s *server) beat() update {
	now := s.Now()
	u := update{At: now.UnixMilli(), Clock: now.Format(time.TimeOnly), Build: s.assets.build, Old: s.old()}
	if bad := s.troubles(); len(bad) > 0 {
		u.Trouble = s.fragment("troubles", bad)
	}
	return u
}

// encode makes an event of it. The order stands in its id, so that a browser that comes back says it.
func (s *server) encode(u update, g *sight) []byte {
	var b bytes.Buffer
	order := ""
	if g != nil {
		order = "." + orderOf(g.order)
	}
	fmt.Fprintf(&b, "id: %d%s\nevent: update\ndata: ", u.At, order)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is no page; without it rows are half as long
	if err := e.Encode(u); err != nil {
		s.Log.Error("an update of the board cannot be written as JSON", "error", err)
		return nil
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func (s *server) fragment(name string, data any) string {
	text, err := s.render(name, data)
	if err != nil {
		s.Log.Error("a part of the board cannot be drawn", "part", name, "error", err)
	}
	return text
}
