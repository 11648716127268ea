package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// stream reads a board's events.
type stream struct {
	t    *testing.T
	news chan update
	body interface{ Close() error }
}

func openStream(t *testing.T, url, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s answers %s %v", url, res.Status, res.Header)
	}
	s := &stream{t: t, news: make(chan update), body: res.Body}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var u update
			if err := json.Unmarshal([]byte(data), &u); err != nil {
				t.Errorf("event is not JSON: %v", err)
			}
			select {
			case s.news <- u:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = res.Body.Close()
		<-done
	})
	return s
}

// next returns the first update that satisfies the condition.
func (s *stream) next(what string, ok func(update) bool) update {
	s.t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case u := <-s.news:
			if ok(u) {
				return u
			}
		case <-end:
			s.t.Fatalf("no update came that has %s", what)
		}
	}
}

func anything(update) bool { return true }

func TestABoardHearsOfAChangeOnce(t *testing.T) {
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	all := openStream(t, server.URL+"/events", "")
	first := all.next("anything", anything)
	if len(first.Order) != 12 || len(first.Rows) == 0 || !strings.Contains(first.Summary, "All sites") {
		t.Errorf("the first update has %d rows and order %v", len(first.Rows), first.Order)
	}
	w.tell(telemetry.Address{Site: "shimshal", Agent: "router"}, w.now(), open(telemetry.StateDown, telemetry.CauseLocal, time.Second))
	u := all.next("shimshal down", func(u update) bool { return strings.Contains(u.Rows["shimshal"], `data-state="down"`) })
	if len(u.Order) != 12 || u.Order[0] != "shimshal" || !strings.HasPrefix(u.Title, "(3)") {
		t.Errorf("order %v title %q, want shimshal first and three in trouble", u.Order, u.Title)
	}
	w.tell(telemetry.Address{Site: "shimshal", Agent: "router"}, w.now(), open(telemetry.StateDown, telemetry.CauseLocal, 2*time.Second))
	if u := all.next("shimshal again", func(u update) bool { return u.Rows["shimshal"] != "" }); u.Order != nil && u.Order[0] != "shimshal" {
		t.Errorf("order is %v", u.Order)
	}
}

func TestABoardOfOneStateGainsAndLosesRows(t *testing.T) {
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	down := openStream(t, server.URL+"/events?state=down", "")
	down.next("passu", func(u update) bool { return len(u.Order) == 1 && u.Order[0] == "passu" })
	w.tell(telemetry.Address{Site: "dasu", Agent: "router"}, w.now(), open(telemetry.StateDown, telemetry.CauseDNS, 0))
	down.next("dasu", func(u update) bool { return len(u.Order) == 2 && strings.Contains(u.Rows["dasu"], "name resolution") })
	w.tell(telemetry.Address{Site: "passu", Agent: "router"}, w.now(), open(telemetry.StateUp, "", 0))
	w.tell(telemetry.Address{Site: "dasu", Agent: "router"}, w.now(), open(telemetry.StateUp, "", 0))
	down.next("nothing left", func(u update) bool { return u.Empty })
}

func TestABoardThatComesBackHearsOnlyWhatItMissed(t *testing.T) {
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	first := openStream(t, server.URL+"/events", "").next("anything", anything)
	later := time.Now().Add(time.Hour).UnixMilli()
	data, _ := json.Marshal(later)
	back := openStream(t, server.URL+"/events?at=0", string(data)).next("anything", anything)
	if len(back.Rows) != 0 || len(back.Order) != len(first.Order) {
		t.Errorf("it is sent %d rows again, and order %v", len(back.Rows), back.Order)
	}
}

func TestABoardOfALargeFleetGetsTheRowsThatMovedOntoItsPage(t *testing.T) {
	w := manySites(t, perPage+1)
	server := w.serve(t)
	later, _ := json.Marshal(time.Now().Add(time.Hour).UnixMilli()) // nothing has changed since
	back := openStream(t, server.URL+"/events?page=1", string(later)).next("anything", anything)
	for _, id := range back.Order {
		if back.Rows[id] == "" {
			t.Fatalf("%s is on the page and its row was not sent; %d of %d were", id, len(back.Rows), len(back.Order))
		}
	}
	if len(back.Order) != perPage {
		t.Errorf("%d sites are on the page, want %d", len(back.Order), perPage)
	}
}

func TestBoardsAreBounded(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	s, err := newServer(Config{Open: true, Live: w.live, Store: nothing{}, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	s.boards = make(chan struct{}) // no place left
	w.handler = s.routes()
	w.want("/events", 503, "Too many boards are open")
}
