package web

import (
	"net/http"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// point is one site on a map.
type point struct {
	Lat   float64         `json:"lat"`
	Lon   float64         `json:"lon"`
	State fleet.SiteState `json:"state"`
	Word  string          `json:"word"`
	Title string          `json:"title"`
	Where string          `json:"where,omitempty"`
	Known string          `json:"known,omitempty"`
	Since string          `json:"since,omitempty"` // RFC 3339
	Told  string          `json:"told,omitempty"`  // when its agent last said so
	Place bool            `json:"place"`           // where it is is known
}

// points are the sites that are wanted.
func (s *server) points(l *look, sites []*seen, want func(*drawn) bool) map[string]point {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]point{}
	for _, st := range sites {
		if d := h.rows[st.Site.ID]; d != nil && want(d) {
			out[st.Site.ID] = newPoint(st)
		}
	}
	return out
}

func newPoint(st *seen) point {
	site := st.Site
	p := point{Lat: site.Latitude, Lon: site.Longitude, State: st.Shown, Word: stateWord(string(st.Shown)), Title: site.Title(), Where: where(site),
		Known: st.known(), Told: st.heardAt(), Place: site.Located()}
	if st.Unread {
		p.Word = "Not known yet"
	}
	if plan := st.planned(); plan != "" {
		p.Known = plan + "; " + p.Known
	}
	if at := st.since(); !at.IsZero() {
		p.Since = at.UTC().Format(time.RFC3339)
	}
	return p
}

type mapTop struct {
	head
	View    view
	Filters filters
	Summary summary
	Total   int // sites of the fleet
	Found   int
	Lost    []lostSite // sites of the view whose place is not known
	More    int        // that the page leaves out
}

// Marks are the signs of the map's legend.
func (mapTop) Marks() (out []tile) {
	for _, state := range shownStates() {
		out = append(out, tile{State: state, Word: stateWord(string(state))})
	}
	return out
}

type lostSite struct{ ID, Title string }

// maxLost bounds how many sites without a place the page names.
const maxLost = 100

// mapPage shows where the sites of a view are. Its points come through the event stream.
func (s *server) mapPage(w http.ResponseWriter, r *http.Request) {
	v, n := parseView(r), s.look()
	v.Sort, v.Page = "", 1
	c := n.choose(&v)
	v.Page = 1
	top := mapTop{head: s.head("", "map", s.Now()), View: v, Filters: newFilters(v, c, "/map"), Summary: newSummary(c, v, "/map"), Total: c.total, Found: len(c.all)}
	top.Title = top.Summary.title()
	top.Who, top.Alerts, top.Old = visitorOf(r), n.alerts, n.old
	top.Map, top.Events = v.Map(), v.url("/events?show=map")
	for _, st := range c.all {
		if st.Site.Located() {
			continue
		}
		if len(top.Lost) == maxLost {
			top.More++
			continue
		}
		top.Lost = append(top.Lost, lostSite{st.Site.ID, st.Site.Title()})
	}
	s.page(w, r, http.StatusOK, "map", top)
}
