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

// siteUpdate is one message to the page of a site: that something of it has changed, of whatever time. The page asks for what it shows of it.
type siteUpdate struct {
	At      int64  `json:"at"` // ms
	Clock   string `json:"clock"`
	Build   string `json:"build"`
	Trouble string `json:"trouble"`
	Old     bool   `json:"old,omitempty"`
	Alerts  int    `json:"alerts"` // -1 where there are none to be had
	Changed bool   `json:"changed"`
}

// siteEvents tells the page of a site when the site, what operators wrote of it, or what was asked of it changes. It is one of the streams of boards, and bounded with them.
func (s *server) siteEvents(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	st, ok := s.Live.Site(id)
	if !ok {
		s.noSite(w, id)
		return
	}
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
	var written, answered <-chan struct{}
	if s.Journal != nil {
		written, cancel = s.Journal.Subscribe()
		defer cancel()
	}
	if s.Commands != nil {
		answered, cancel = s.Commands.Subscribe()
		defer cancel()
	}
	since, _ := strconv.ParseInt(r.URL.Query().Get("at"), 10, 64)
	if last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64); err == nil {
		since = last
	}
	changed := st.Changed.UnixMilli() >= since-1000
	if s.Journal != nil {
		all := s.Journal.Of(id)
		changed = changed || len(all) > 0 && all[0].At.UnixMilli() >= since-1000
	}
	zone := siteZone(st.Site)
	if !s.sendSite(w, zone, changed) {
		return
	}
	look, beat, pause := time.NewTicker(stillEvery), time.NewTicker(beatEvery), time.NewTimer(newsEvery)
	defer look.Stop()
	defer beat.Stop()
	defer pause.Stop()
	changed, planned := false, s.inMaintenance(st.Site)
	resting := true // what comes during the pause waits as one message
	for {
		send := false
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
			if !s.still(visitorOf(r)) {
				return
			}
		case <-pause.C:
			resting = false
		case ids := <-news:
			if _, ok := slices.BinarySearch(ids, id); ok {
				changed = true
			}
		case <-written:
			changed = true
		case <-answered:
			changed = true
		case <-beat.C:
			send = true
			if now := s.inMaintenance(st.Site); now != planned { // a window begins and ends by the clock
				planned, changed = now, true
			}
		}
		if send || changed && !resting {
			if !s.sendSite(w, zone, changed && !resting) {
				return
			}
			if changed && !resting {
				changed, resting = false, true
				pause.Reset(newsEvery)
			}
		}
	}
}

func (s *server) inMaintenance(site fleet.Site) bool {
	if s.Journal == nil {
		return false
	}
	_, ok := s.Journal.Maintenance(site, s.Now())
	return ok
}

func (s *server) sendSite(w http.ResponseWriter, zone *time.Location, changed bool) bool {
	b := s.beat()
	u := siteUpdate{b.At, s.Now().In(zone).Format(time.TimeOnly), b.Build, b.Trouble, s.old(), s.alertCount(), changed}
	data, err := json.Marshal(u)
	if err != nil {
		s.Log.Error("an update of a site's page cannot be written as JSON", "error", err)
		return false
	}
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(sendWithin)) // deadlines are in real time; a writer that has none needs no lifting
	if _, err := fmt.Fprintf(w, "retry: 3000\nid: %d\nevent: update\ndata: %s\n\n", u.At, data); err != nil {
		return false
	}
	return c.Flush() == nil
}
