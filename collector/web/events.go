package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	beatEvery  = 5 * time.Second        // a board that hears nothing for four of these says so
	newsEvery  = 500 * time.Millisecond // at most one update in this time, at the same instants to all boards, so that they share it
	stillEvery = 400 * time.Millisecond // with the quarter of one of the users file, the board of who may not look any more ends within one
	sendWithin = 20 * time.Second       // a board that takes longer is cut off and comes back by itself
)

// openStream takes one of the places for event streams, and begins the answer; false when there is none, which is told then.
func (s *server) openStream(w http.ResponseWriter) bool {
	select {
	case s.boards <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "30")
		s.failed(w, http.StatusServiceUnavailable, "Too many boards are open", fmt.Sprintf("This collector serves %d at once. Close one, or reload the page by hand.", maxBoards))
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	return true
}

// closeStream gives the place back.
func (s *server) closeStream() { <-s.boards }

// events sends a board, a map or a list of alerts what changes in its view. On a first connection it sends what has changed since the page was drawn;
// after a break, since the last message.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	if !s.openStream(w) {
		return
	}
	defer s.closeStream()
	sites, cancel := s.Live.Subscribe()
	defer cancel()
	written, cancelWritten := subscribe(s.Journal != nil, func() (<-chan struct{}, func()) { return s.Journal.Subscribe() })
	defer cancelWritten()
	alerts, cancelAlerts := subscribe(s.Alerts != nil, func() (<-chan struct{}, func()) { return s.Alerts.Subscribe() })
	defer cancelAlerts()
	f := &feed{page: "board", view: parseView(r)}
	if page := r.URL.Query().Get("show"); page == "map" || page == "alerts" {
		f.page, f.view.Page, f.view.Sort = page, 1, ""
		f.acts = page == "alerts" && mayOperate(r)
	}
	back := comebackOf(r)
	look := time.NewTicker(stillEvery)
	defer look.Stop()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	wait, tick := s.hub.until() // a snapshot that is not older than the page
	next := time.NewTimer(wait)
	defer next.Stop()
	waits, trouble := true, ""
	if s.sendAll(w, []byte("retry: 3000\n\n")) != nil { // the browser knows that it is connected
		return
	}
	for {
		var m []byte
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
			if !s.still(visitorOf(r)) {
				return
			}
			if now := s.troubleNow(); now != trouble && f.had != nil { // what it missed comes first, and has the trouble too
				trouble = now
				m = s.encode(s.beat(), f.had)
			}
		case <-sites:
			waits, tick = s.wake(waits, tick, next)
		case <-written:
			waits, tick = s.wake(waits, tick, next)
		case <-alerts:
			waits, tick = s.wake(waits, tick, next)
		case <-next.C:
			waits = false
			m = s.message(s.glance(tick), f, back)
		case <-beat.C:
			m = s.encode(s.beat(), f.had)
			waits, tick = s.wake(waits, tick, next) // a maintenance window begins by the clock alone
		}
		if m != nil && s.sendAll(w, m) != nil {
			return
		}
	}
}

// wake has a board look at the next snapshot that is taken after now.
func (s *server) wake(waits bool, tick int64, next *time.Timer) (bool, int64) {
	if waits {
		return true, tick
	}
	wait, tick := s.hub.until()
	next.Reset(wait)
	return true, tick
}

// subscribe hears of something that may not be there: then nothing ever comes.
func subscribe(there bool, to func() (<-chan struct{}, func())) (<-chan struct{}, func()) {
	if !there {
		return nil, func() {}
	}
	return to()
}

// comebackOf reads what a board says it knows: time and order, as they stand in a page and in the ids of events.
func comebackOf(r *http.Request) comeback {
	at, order, _ := strings.Cut(r.URL.Query().Get("at"), ".")
	since, _ := strconv.ParseInt(at, 10, 64)
	at, last, _ := strings.Cut(r.Header.Get("Last-Event-ID"), ".")
	if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
		since, order = ms, last
	}
	return comeback{since, order}
}

// troubleNow is what is wrong at the operations centre, to be compared.
func (s *server) troubleNow() string {
	var b strings.Builder
	for _, c := range s.troubles() {
		b.WriteString(c.Name + "\n" + c.Err.Error() + "\n")
	}
	return b.String()
}

func (s *server) sendAll(w http.ResponseWriter, event []byte) error {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Now().Add(sendWithin)) // deadlines are in real time; a writer that has none needs no lifting
	if _, err := w.Write(event); err != nil {
		return err
	}
	return c.Flush()
}
