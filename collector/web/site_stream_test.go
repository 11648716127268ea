package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestTheStreamOfASiteTellsThatItsNeighboursAreOutToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nothing{}, time.Time{})
		at := func(i int) telemetry.Address { return telemetry.Address{Site: region()[i].ID, Agent: "router"} }
		for i, s := range region()[:3] {
			w.site(s, "router")
			w.live.Presence(at(i), telemetry.Presence{Online: true, Session: 1})
			w.tell(at(i), w.now(), open(telemetry.StateUp, "", time.Second))
		}
		w.tell(at(0), w.now(), open(telemetry.StateDown, telemetry.CauseBackhaul, time.Second))
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = w.live.Run(ctx) }()
		time.Sleep(5 * time.Second)
		page := w.want("/sites/hunza-00", 200)
		known := regexp.MustCompile(`data-at="(\d+)" data-order="([^"]+)"`).FindStringSubmatch(page)
		if known == nil {
			t.Fatal("the page does not say what it shows")
		}
		listen := func(with string) (said func() string) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "http://localhost/sites/hunza-00/events?at="+with, nil).WithContext(ctx)
			go w.handler.ServeHTTP(rec, r)
			return func() string { synctest.Wait(); return rec.Body.String() }
		}
		later := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
		said := listen(later + "." + known[2])
		time.Sleep(12 * time.Second)
		if before := said(); strings.Contains(before, `"changed":true`) || !strings.Contains(before, `"changed":false`) {
			t.Errorf("nothing has happened, and it says %s", before)
		}
		for i := 1; i < 3; i++ {
			w.tell(at(i), w.now(), open(telemetry.StateDown, telemetry.CauseBackhaul, time.Second))
		}
		w.want("/sites/hunza-00", 200, "2 of 2 other sites of this operator in this district too")
		time.Sleep(beatEvery + time.Second)
		if n := strings.Count(said(), `"changed":true`); n != 1 {
			t.Errorf("of its neighbours it is told %d times, want once: %s", n, said())
		}
		back := listen(later + "." + known[2])
		time.Sleep(time.Second)
		if !strings.Contains(back(), `"changed":true`) {
			t.Errorf("a page that was away meanwhile is told %s", back())
		}
		stop()
		synctest.Wait()
	})
}

func TestWhatAnAgentAnswersBeforeThePageListensIsTold(t *testing.T) {
	c, _, _ := commanding(t)
	aisha := as(c.cookieOf("aisha"))
	if res, body := c.ask(http.MethodPost, "/sites/passu/commands", url.Values{"kind": {"speedtest"}}, aisha); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("the form answers %d %.300s", res.StatusCode, body)
	}
	server := httptest.NewServer(c.handler)
	t.Cleanup(server.Close)
	page := fmt.Sprint(server.URL, "/sites/passu/events?at=", noon.Add(10*time.Second).UnixMilli())
	if openSiteStream(t, page, aisha).next("a first word").Changed {
		t.Error("something is news before anything happened")
	}
	c.mu.Lock()
	c.at = noon.Add(20 * time.Second)
	c.mu.Unlock()
	one := c.server.Commands.Of("passu")[0]
	c.server.Commands.Result(one.Address(), telemetry.Result{ID: one.ID, State: telemetry.ResultRefused, Text: "the month's budget is spent"}.Append(nil))
	if !openSiteStream(t, page, aisha).next("a first word").Changed {
		t.Error("the answer came before the page listened, and it is not told of it")
	}
}

// A break right after such a word would have the board believe that it has heard all up to then.
func TestTheFirstWordOfABoardIsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nothing{}, time.Time{})
		w.settle()
		w.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused")})
		ctx, stop := context.WithCancel(t.Context())
		rec := httptest.NewRecorder()
		go w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://localhost/events", nil).WithContext(ctx))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, first, _ := strings.Cut(rec.Body.String(), "data: "); !strings.Contains(strings.SplitN(first, "\n", 2)[0], `"order"`) {
			t.Errorf("the first word is %.300s", first)
		}
		stop()
		synctest.Wait()
	})
}
