package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

const (
	beatEvery  = 5 * time.Second        // a board that hears nothing for four of these says so
	newsEvery  = 500 * time.Millisecond // at most one update in this time, to each board
	stillEvery = 400 * time.Millisecond // with the quarter of one of the users file, the board of who may not look any more ends within one
	sendWithin = 20 * time.Second       // a board that takes longer is cut off and comes back by itself
)

// update is one message to a board. Rows and order are left out when nothing of them has changed.
type update struct {
	At      int64             `json:"at"` // ms
	Clock   string            `json:"clock"`
	Build   string            `json:"build"`
	Title   string            `json:"title,omitempty"`
	Summary string            `json:"summary,omitempty"`
	Trouble string            `json:"trouble"`
	Rows    map[string]string `json:"rows,omitempty"`
	Order   []string          `json:"order,omitempty"`
	Empty   bool              `json:"empty,omitempty"` // the view has no site
}

// feed is what one board has been sent.
type feed struct {
	view  view
	order []string
}

// events sends a board what changes in its view: rows to swap in place, and the order when that changes. On a
// first connection it sends what has changed since the page was drawn; after a break, since the last message.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.boards <- struct{}{}:
		defer func() { <-s.boards }()
	default:
		w.Header().Set("Retry-After", "30")
		s.failed(w, http.StatusServiceUnavailable, "Too many boards are open", fmt.Sprintf("This collector serves %d at once. Close one, or reload the page by hand.", maxBoards))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	news, cancel := s.Live.Subscribe()
	defer cancel()
	f := &feed{view: parseView(r)}
	since, _ := strconv.ParseInt(r.URL.Query().Get("at"), 10, 64)
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		since = last
	}
	changed := func(st *fleet.Status) bool { return st.Changed.UnixMilli() >= since-1000 }
	if !s.send(w, s.updateFor(f, changed)) {
		return
	}
	look := time.NewTicker(stillEvery)
	defer look.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	pause := time.NewTimer(newsEvery)
	defer pause.Stop()
	listen := (<-chan []string)(nil) // deaf during the pause; what comes meanwhile waits as one message
	for {
		var u update
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
			if !s.still(visitorOf(r)) {
				return
			}
			continue
		case <-pause.C:
			listen = news
			continue
		case ids := <-listen:
			listen = nil
			pause.Reset(newsEvery)
			u = s.updateFor(f, func(st *fleet.Status) bool { _, ok := slices.BinarySearch(ids, st.Site.ID); return ok })
		case <-beat.C:
			u = s.beat()
		}
		if !s.send(w, u) {
			return
		}
	}
}

func (s *server) beat() update {
	now := s.Now()
	u := update{At: now.UnixMilli(), Clock: now.Format(time.TimeOnly), Build: s.assets.build}
	if bad := s.troubles(); len(bad) > 0 {
		u.Trouble = s.fragment("troubles", bad)
	}
	return u
}

// updateFor draws the rows on the board's page that have changed or are new to it. When a stream begins, a site that
// has not changed itself may have come in from another page since the board was drawn, so all of a page are sent.
func (s *server) updateFor(f *feed, changed func(*fleet.Status) bool) update {
	u, v := s.beat(), f.view
	c := s.choose(&v)
	sum := newSummary(c, v)
	u.Title, u.Summary, u.Empty = sum.title(), s.fragment("summary", sum), len(c.page) == 0
	order := make([]string, len(c.page))
	var draw []*fleet.Status
	shown := make(map[string]bool, len(f.order))
	for _, id := range f.order {
		shown[id] = true
	}
	for i, st := range c.page {
		order[i] = st.Site.ID
		if changed(st) || !shown[st.Site.ID] && (f.order != nil || c.pages > 1) {
			draw = append(draw, st)
		}
	}
	u.Rows = make(map[string]string, len(draw))
	for _, one := range s.rows(draw) {
		u.Rows[one.ID] = s.fragment("row", one)
	}
	if f.order == nil || !slices.Equal(order, f.order) {
		u.Order = order
	}
	f.order = order
	return u
}

func (s *server) fragment(name string, data any) string {
	text, err := s.render(name, data)
	if err != nil {
		s.Log.Error("a part of the board cannot be drawn", "part", name, "error", err)
	}
	return text
}

func (s *server) send(w http.ResponseWriter, u update) bool {
	data, err := json.Marshal(u)
	if err != nil {
		s.Log.Error("an update of the board cannot be written as JSON", "error", err)
		return false
	}
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(sendWithin)) // deadlines are in real time; a writer that has none needs no lifting
	if _, err := fmt.Fprintf(w, "retry: 3000\nid: %d\nevent: update\ndata: %s\n\n", u.At, data); err != nil {
		return false
	}
	return c.Flush() == nil
}
