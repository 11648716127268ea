package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
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
	if !s.openStream(w) {
		return
	}
	defer s.closeStream()
	news, cancel := s.Live.Subscribe()
	defer cancel()
	written, cancelWritten := subscribe(s.Journal != nil, func() (<-chan struct{}, func()) { return s.Journal.Subscribe() })
	defer cancelWritten()
	answered, cancelAnswered := subscribe(s.Commands != nil, func() (<-chan struct{}, func()) { return s.Commands.Subscribe() })
	defer cancelAnswered()
	back, shown := comebackOf(r), s.wordOf(id)
	changed := back.order != "" && back.order != shown || st.Changed.UnixMilli() >= back.since-1000
	if s.Journal != nil {
		all := s.Journal.Of(id)
		changed = changed || len(all) > 0 && all[0].At.UnixMilli() >= back.since-1000
	}
	if s.Commands != nil {
		for _, c := range s.Commands.Of(id) { // an agent that is near answers before the page listens
			changed = changed || c.Changed.UnixMilli() >= back.since-1000
		}
	}
	zone := siteZone(st.Site)
	if !s.sendSite(w, zone, shown, changed) {
		return
	}
	look, beat, pause := time.NewTicker(stillEvery), time.NewTicker(beatEvery), time.NewTimer(newsEvery)
	defer look.Stop()
	defer beat.Stop()
	defer pause.Stop()
	changed = false
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
			if now := s.wordOf(id); now != shown { // windows begin by the clock, neighbours fall, and alerts are acknowledged
				shown, changed = now, true
			}
		}
		if send || changed && !resting {
			if changed && !resting {
				shown = s.wordOf(id)
			}
			if !s.sendSite(w, zone, shown, changed && !resting) {
				return
			}
			if changed && !resting {
				changed, resting = false, true
				pause.Reset(newsEvery)
			}
		}
	}
}

// wordOf is a short word for all that makes the page of a site another one without news of the site itself, so that a page can say what it shows.
func (s *server) wordOf(id string) string {
	_, next := s.hub.until()
	all := s.glance(next - 1).sites
	i, ok := slices.BinarySearchFunc(all, id, func(one seen, id string) int { return strings.Compare(one.Site.ID, id) })
	if !ok {
		return ""
	}
	return keyOf(&all[i]).word()
}

func (s *server) sendSite(w http.ResponseWriter, zone *time.Location, shown string, changed bool) bool {
	b := s.beat()
	u := siteUpdate{b.At, s.Now().In(zone).Format(time.TimeOnly), b.Build, b.Trouble, s.old(), s.alertCount(), changed}
	data, err := json.Marshal(u)
	if err != nil {
		s.Log.Error("an update of a site's page cannot be written as JSON", "error", err)
		return false
	}
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(sendWithin)) // deadlines are in real time; a writer that has none needs no lifting
	if _, err := fmt.Fprintf(w, "retry: 3000\nid: %d.%s\nevent: update\ndata: %s\n\n", u.At, shown, data); err != nil {
		return false
	}
	return c.Flush() == nil
}
