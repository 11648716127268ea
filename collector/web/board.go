package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// head is what every page begins with.
type head struct {
	Title, Page, Build, Events string
	Clock, Zone, At            string // now as people and as machines read it
	Troubles                   []Check
	Who                        visitor
}

func (s *server) head(title, page string, now time.Time) head {
	return head{Title: title, Page: page, Build: s.assets.build, Clock: now.Format(time.TimeOnly), Zone: zoneName(now),
		At: strconv.FormatInt(now.UnixMilli(), 10), Troubles: s.troubles()}
}

// summary counts the fleet by state.
type summary struct {
	View  view
	Total int
	Tiles []tile
}

type tile struct {
	State  fleet.SiteState
	Word   string
	Count  int
	Active bool
}

func newSummary(c chosen, v view) summary {
	sum := summary{View: v, Total: c.total}
	for _, state := range fleet.SiteStates() {
		n := c.counts[state]
		if n == 0 && (state == fleet.Off || state == fleet.NeverSeen) && v.State != state {
			continue // these two are news only when there are some
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
	if bad == 0 {
		return "nabz: all sites"
	}
	return fmt.Sprintf("(%d) nabz: all sites", bad)
}

type boardTop struct {
	head
	View    view
	Summary summary
	Columns []column
	Found   int
	First   int
	Last    int
	Pages   []pageLink
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
	v, now := parseView(r), s.Now()
	c := s.choose(&v)
	top := boardTop{head: s.head("", "board", now), View: v, Summary: newSummary(c, v), Columns: v.columns(), Found: len(c.all), Pages: v.links(c.pages)}
	top.Title = top.Summary.title()
	top.Who = visitorOf(r)
	top.Events = v.url("/events")
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
		for _, one := range s.rows(some) {
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

// rows puts some statuses into words, with their ribbons. Times are in the zone of the board.
func (s *server) rows(some []*fleet.Status) []row {
	full := make([]fleet.Status, len(some))
	for i, st := range some {
		full[i] = *st
	}
	s.Live.Ribbons(full)
	out := make([]row, len(full))
	zone := s.Now().Location()
	for i := range full {
		full[i].From, full[i].Now = full[i].From.In(zone), full[i].Now.In(zone)
		out[i] = newRow(&full[i])
	}
	return out
}

// trouble is a page for what went wrong.
type trouble struct {
	head
	Status   int
	What, Do string
}

func (s *server) failed(w http.ResponseWriter, status int, what, do string) {
	text, err := s.render("trouble", trouble{s.head(what, "trouble", s.Now()), status, what, do})
	if err != nil {
		http.Error(w, what, status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (s *server) fault(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Error("a page cannot be drawn", "path", r.URL.Path, "error", err)
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
