package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// head is what every page begins with.
type head struct {
	Title, Page, Build, Events string
	Order                      string // of the rows, as orderOf says it
	Clock, Zone, At            string // now as people and as machines read it
	Troubles                   faults
	Old                        bool // states are as they were last stored
	Who                        visitor
	Alerts                     int    // that go on; -1 where there are none to be had
	Map                        string // the address of the map
	Again                      bool   // a browser without scripts asks again each second
	Help                       bool   // there are pages of help
}

func (s *server) head(title, page string, now time.Time) head {
	return head{Title: title, Page: page, Build: s.assets.build, Clock: now.Format(time.TimeOnly), Zone: zoneName(now),
		At: strconv.FormatInt(now.UnixMilli(), 10), Troubles: s.troubles(), Old: s.old(), Alerts: s.alertCount(), Map: "/map", Help: s.Help != nil}
}

// summary counts the sites of a view by state.
type summary struct {
	View  view
	Path  string // of the page that shows it
	Total int
	Tiles []tile
}

type tile struct {
	State  fleet.SiteState
	Word   string
	Count  int
	Active bool
}

func newSummary(c chosen, v view, path string) summary {
	sum := summary{View: v, Path: path}
	for _, state := range shownStates() {
		n := c.counts[state]
		sum.Total += n
		if n == 0 && (state == fleet.Off || state == fleet.NeverSeen || state == Maintenance) && v.State != state {
			continue // these are news only when there are some
		}
		sum.Tiles = append(sum.Tiles, tile{state, stateWord(string(state)), n, v.State == state})
	}
	return sum
}

// title is what a tab shows: how many sites want somebody.
func (sum summary) title() string {
	bad := 0
	for _, t := range sum.Tiles {
		if t.State == fleet.Down || t.State == fleet.Unreachable {
			bad += t.Count
		}
	}
	what := "all sites"
	if v := sum.View; v.Narrow() {
		what = joined(v.District, v.Operator, v.Technology, strings.ToLower(stateWordOr(string(v.State))), v.Q)
	}
	if sum.Path == "/map" {
		what = "map of " + what
	}
	if bad == 0 {
		return "nabz: " + what
	}
	return fmt.Sprintf("(%d) nabz: %s", bad, what)
}

func stateWordOr(s string) string {
	if s == "" {
		return ""
	}
	return stateWord(s)
}

type boardTop struct {
	head
	View    view
	Filters filters
	Summary summary
	Columns []column
	Total   int // sites of the fleet
	Found   int
	First   int
	Last    int
	Pages   []pageLink
	Silent  bool // no site has ever been heard
}

type column struct {
	Class, Word, Sort, URL string
	Active                 bool
}

type pageLink struct {
	Word, URL string
	Here      bool
}

func (v view) columns() []column {
	cols := []column{{"state", "State", "", "", false}, {"site", "Site", "name", "", false}, {"since", "Since", "since", "", false},
		{"day", "Last 24 hours", "-", "", false}, {"avail", "Availability", "availability", "", false},
		{"latency", "Latency", "latency", "", false}, {"loss", "Loss", "loss", "", false},
		{"down", "Download", "down", "", false}, {"up", "Upload", "up", "", false}}
	for i := range cols {
		if cols[i].Sort != "-" {
			cols[i].URL, cols[i].Active = v.By(cols[i].Sort), v.Sort == cols[i].Sort
		}
	}
	return cols
}

func (v view) links(pages int) []pageLink {
	if pages < 2 {
		return nil
	}
	var out []pageLink
	for p := 1; p <= pages; p++ {
		if p == 1 || p == pages || p >= v.Page-3 && p <= v.Page+3 {
			out = append(out, pageLink{strconv.Itoa(p), v.At(p), p == v.Page})
		} else if n := len(out); out[n-1].Word != "…" {
			out = append(out, pageLink{Word: "…"})
		}
	}
	return out
}

// board is the page for the wall. Its head goes out before its rows are made.
func (s *server) board(w http.ResponseWriter, r *http.Request) {
	v, now, n := parseView(r), s.Now(), s.look()
	c := n.choose(&v)
	top := boardTop{head: s.head("", "board", now), View: v, Filters: newFilters(v, c, "/"), Summary: newSummary(c, v, "/"), Columns: v.columns(), Total: c.total,
		Found: len(c.all), Pages: v.links(c.pages), Silent: c.total > 0 && n.counts[fleet.NeverSeen] == c.total && !n.old}
	top.Title = top.Summary.title()
	top.Who, top.Alerts = visitorOf(r), n.alerts
	top.Map = v.Map()
	top.Events, top.Order, top.Old = v.url("/events"), orderOf(ids(c.page)), n.old
	top.First, top.Last = (v.Page-1)*perPage+1, (v.Page-1)*perPage+len(c.page)
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, "board-top", top); err != nil {
		s.fault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
	_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends all at the end
	for start := 0; start < len(c.page); start += 50 {
		b.Reset()
		some := c.page[start:min(start+50, len(c.page))]
		for _, one := range n.rows(some) {
			if err := s.pages.ExecuteTemplate(&b, "row", one); err != nil {
				s.Log.Error("a row of the board cannot be drawn", "site", one.ID, "error", err)
			}
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			return // the reader has gone
		}
	}
	b.Reset()
	if err := s.pages.ExecuteTemplate(&b, "board-end", top); err != nil {
		s.Log.Error("the foot of the board cannot be drawn", "error", err)
	}
	_, _ = w.Write(b.Bytes())
}

// page sends a whole page.
func (s *server) page(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	text, err := s.render(name, data)
	if err != nil {
		s.fault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// trouble is a page for what went wrong.
type trouble struct {
	head
	Status   int
	What, Do string
}

// failed says it to those who may look.
func (s *server) failed(w http.ResponseWriter, status int, what, do string) {
	s.told(w, trouble{s.head(what, "trouble", s.Now()), status, what, do})
}

// refused is failed for those who may not, or who have not said who they are: what is wrong with the collector is not for them.
func (s *server) refused(w http.ResponseWriter, status int, what, do string) {
	t := trouble{s.head(what, "trouble", s.Now()), status, what, do}
	t.Troubles = nil
	s.told(w, t)
}

func (s *server) told(w http.ResponseWriter, t trouble) {
	text, err := s.render("trouble", t)
	if err != nil {
		http.Error(w, t.What, t.Status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(t.Status)
	_, _ = w.Write([]byte(text))
}

func (s *server) fault(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Error("a page cannot be drawn", "path", loggable(r), "error", err)
	s.failed(w, http.StatusInternalServerError, "This page could not be drawn", "The collector's log says why. Reload the page; if it stays so, report it with that line.")
}

func (s *server) unknown(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.failed(w, http.StatusMethodNotAllowed, "This address only answers questions", "Use GET.")
		return
	}
	s.failed(w, http.StatusNotFound, "There is no such page", "The board has a link to every site; the address may be misspelt.")
}
