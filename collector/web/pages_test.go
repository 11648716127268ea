package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

var noon = time.Date(2026, 11, 20, 10, 30, 0, 0, time.UTC) // 15:30 in Karachi

func TestAnEmptyBoardSaysWhatToTypeNext(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.want("/", 200, "No site yet", "nabz-collector site add gokina", "nabz-collector agent add gokina/router", "15:30:00")
}

func TestTheBoardIsWholeWithoutAScript(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	body := w.want("/", 200, `id="site-passu" class="s-down"`, "backhaul", "12 min", "15:17", "Gojal · Margalla Net · VSAT",
		`id="site-saidpur" class="s-unreachable"`, "last told: up at 14:43", "agent has not called",
		`aria-label="Last 24 hours: up `, "<title>Down, backhaul, 15:17–", "% known", `<a href="/sites/passu">Passu school</a>`, "Asia/Karachi (UTC&#43;05:00)")
	order := regexp.MustCompile(`id="site-([a-z]+)"`).FindAllStringSubmatch(body, -1)
	if len(order) != 12 || order[0][1] != "passu" || order[1][1] != "saidpur" || order[2][1] != "keran" || order[3][1] != "astore" || order[4][1] != "bunji" {
		t.Errorf("order is %v, want down, unreachable, degraded, never heard, then those that are up by name", order)
	}
	if bad := regexp.MustCompile(`(?i)<[^>]* (style|on[a-z]+)=|<script[^>]*>[^<]|<style`).FindString(body); bad != "" {
		t.Errorf("the page holds %q, which its own policy forbids", bad)
	}
}

func TestTheAddressChoosesSitesAndOrder(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	ids := func(body string) (out []string) {
		for _, m := range regexp.MustCompile(`<tr id="site-([a-z-]+)"`).FindAllStringSubmatch(body, -1) {
			out = append(out, m[1])
		}
		return out
	}
	tests := []struct{ path, want string }{
		{"/?state=down", "passu"},
		{"/?q=CHITRAL", "bunji rumbur"},
		{"/?q=nobody%22%3E", ""},
		{"/?state=up&q=vsat", "bunji dasu shimshal"},
		{"/?state=nonsense&sort=nonsense&page=-3&q=hunza", "karimabad misgar"},
		{"/?sort=name&q=health", "karimabad misgar rumbur saidpur"},
	}
	for _, tt := range tests {
		if got := strings.Join(ids(w.want(tt.path, 200)), " "); got != tt.want {
			t.Errorf("%s shows %q, want %q", tt.path, got, tt.want)
		}
	}
	for sort := range sorts {
		if n := len(ids(w.want("/?sort="+sort, 200))); n != 12 {
			t.Errorf("sorted by %q it shows %d sites, want 12", sort, n)
		}
	}
	w.want("/?q=nobody%22%3E", 200, "No site matches", "nobody&#34;&gt;")
}

func TestAVillageIsNotPaintedRedForTheCollectorsTrouble(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	w.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused; start influxd")})
	w.want("/", 200)
	w.mu.Lock()
	w.at = noon.Add(10 * time.Minute)
	w.mu.Unlock()
	body := w.want("/", 200, "Trouble at the operations centre, not in the villages", "connection refused; start influxd")
	if n := strings.Count(body, `class="s-unreachable"`); n != 1 {
		t.Errorf("%d sites are unreachable, want the one that was so before", n)
	}
	w.want("/readyz", 503, "ok broker\nfault InfluxDB: connection refused; start influxd\n")
	w.want("/healthz", 200, "ok")
	w.trouble()
	w.want("/readyz", 200, "ok broker\n")
}

func TestAnOutageThatLastsIsSaidToGoOn(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	w.want("/sites/passu", 200, `, backhaul <span class="sub">goes on</span>`)
}

func TestASitePageStandsWithoutItsHistory(t *testing.T) {
	w := newWorld(t, gone{}, noon)
	w.settle()
	w.want("/sites/passu", 200, "Passu school", "for <time", "12 min", "since 15:17", "backhaul", "The history cannot be read now", "connection refused",
		"The numbers are at <a href=\"/api/v1/sites/passu/series?range=24h\">", "router", "People served", "Students")
}

// hangs is a store that takes questions and never answers.
type hangs struct{}

func (hangs) Query(ctx context.Context, _ telemetry.Tier, _ string) ([]store.Series, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAnInfluxDBThatHangsDoesNotHoldPagesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hangs{}, noon)
		w.settle()
		for path, status := range map[string]int{"/sites/passu": 200, "/api/v1/sites/passu": 200, "/api/v1/sites/passu/series": 503} {
			start := time.Now()
			w.want(path, status, "deadline exceeded")
			if took := time.Since(start); took > readWithin {
				t.Errorf("%s took %v, want at most %v", path, took, readWithin)
			}
		}
	})
}

func TestWhatIsNotThereIsSaidSo(t *testing.T) {
	w := newWorld(t, gone{}, noon)
	w.settle()
	tests := []struct {
		path   string
		status int
		part   string
	}{
		{"/sites/nowhere", 404, "nabz-collector site add nowhere"},
		{"/sites/%3Cscript%3E", 404, "nabz-collector site add SITE"},
		{"/nothing", 404, "There is no such page"},
		{"/api/v1/sites/nowhere", 404, `{"error":"no site of that id","do":"list the sites with /api/v1/sites"}`},
		{"/api/v1/sites/passu/series?range=2y", 400, "ask for one of these"},
		{"/api/v1/sites/passu/series", 503, `"do":"see /readyz for what is wrong, and ask again"`},
		{"/api/v1/nothing", 404, `"do":"there are /api/v1/sites`},
		{"/static/old/nabz.css", 404, "reload the page"},
	}
	for _, tt := range tests {
		w.want(tt.path, tt.status, tt.part)
	}
	for _, path := range []string{"/", "/api/v1/sites"} {
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "http://localhost"+path, nil))
		if rec.Code != 405 || rec.Header().Get("Allow") == "" {
			t.Errorf("POST %s answers %d, Allow %q", path, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

func TestJSONSaysWhatTheBoardShows(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	var all struct {
		Counts map[string]int
		Sites  []apiStatus
	}
	if err := json.Unmarshal([]byte(w.want("/api/v1/sites", 200)), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Sites) != 12 || all.Counts["up"] != 8 || all.Sites[0].Site != "passu" || all.Sites[0].State != fleet.Down || *all.Sites[0].Since != noon.Add(-12*time.Minute-4*time.Second) {
		t.Errorf("sites are %+v", all)
	}
	lost := all.Sites[1]
	if lost.Site != "saidpur" || lost.LastTold == nil || lost.LastTold.State != telemetry.StateUp || lost.LatencyMs != nil {
		t.Errorf("the unreachable site is %+v", lost)
	}
	body := w.want("/api/v1/sites/passu?range=7d", 200, `"definition":"nabz-figures/1"`, `"range":"30d"`, `"agents":[{"agent":"router"`)
	var one apiDetail
	if err := json.Unmarshal([]byte(body), &one); err != nil {
		t.Fatal(err)
	}
	if len(one.Ribbon) < 2 || one.History == nil || len(one.History.Figures) != 3 || one.History.Figures[2].Citable || len(one.History.Outages) == 0 {
		t.Errorf("site is %s", body)
	}
}

func TestEveryAnswerForbidsOtherHosts(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	for _, path := range []string{"/", "/nothing", "/api/v1/sites", "/metrics", "/readyz"} {
		res, body := w.get(path)
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s has policy %q", path, csp)
		}
		if m := regexp.MustCompile(`(src|href|action)="(https?:)?//[^"]*"`).FindString(body); m != "" {
			t.Errorf("%s points elsewhere: %s", path, m)
		}
	}
}

func TestStaticFilesMayBeKeptForEverAndArePacked(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	_, page := w.get("/")
	css := regexp.MustCompile(`/static/[0-9a-f]{12}/nabz\.css`).FindString(page)
	req := httptest.NewRequest(http.MethodGet, "http://localhost"+css, nil)
	req.Header.Set("Accept-Encoding", "br, gzip;q=0.8")
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	if rec.Code != 200 || rec.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" || rec.Header().Get("Content-Encoding") != "gzip" || rec.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Fatalf("%s answers %d %v", css, rec.Code, rec.Header())
	}
	z, err := gzip.NewReader(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !strings.Contains(string(text), "--r-down") {
		t.Errorf("unpacked it is %d bytes (%v)", len(text), err)
	}
}

func TestMetricsAreTheGatherers(t *testing.T) {
	newWorld(t, nothing{}, noon).want("/metrics", 200, "nabz_test 0")
}

func TestALargeFleetIsShownInPages(t *testing.T) {
	w := manySites(t, 450)
	body := w.want("/?page=3", 200, "Sites 401 to 450 of 450", `aria-current="page">3</a>`)
	if n := strings.Count(body, "<tr id="); n != 50 {
		t.Errorf("the last page has %d rows, want 50", n)
	}
	w.want("/?page=99", 200, "Sites 401 to 450 of 450")
}

// firstByte is a response that notes when its body began, and drops it.
type firstByte struct {
	header http.Header
	start  time.Time
	first  time.Duration
	bytes  int
}

func (f *firstByte) Header() http.Header { return f.header }
func (f *firstByte) WriteHeader(int)     {}
func (f *firstByte) Flush()              {}
func (f *firstByte) Write(b []byte) (int, error) {
	if f.bytes == 0 {
		f.first = time.Since(f.start)
	}
	f.bytes += len(b)
	return len(b), nil
}

// The budget is 50 ms to the first byte.
func BenchmarkBoardOf5000Sites(b *testing.B) {
	w := manySites(b, 5000)
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
			req.Header.Set("Accept-Encoding", encoding)
			first, bytes := time.Duration(0), 0
			b.ReportAllocs()
			for b.Loop() {
				f := &firstByte{header: http.Header{}, start: time.Now()}
				w.handler.ServeHTTP(f, req)
				first, bytes = first+f.first, f.bytes
			}
			b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "first-byte-ms")
			b.ReportMetric(float64(bytes), "B/page")
		})
	}
}

// Strangers who guess passwords from many hosts take the processors that are meant for it, and not those of the board.
func BenchmarkBoardOf5000SitesWhileStrangersGuess(b *testing.B) {
	w := manySites(b, 5000)
	c := newClosed(b, noon)
	c.live = w.live
	c.build()
	cookie := c.cookieOf("wall")
	ctx, stop := context.WithCancel(b.Context())
	var guesses atomic.Int64
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := c.people.SignIn(ctx, fmt.Sprint(n, "-", i), fmt.Sprint("guess-", n, "-", i), "magenta cactus teapot river")
				if errors.Is(err, people.ErrWrong) {
					guesses.Add(1)
					continue
				}
				select { // a stranger asks as often as the network lets him
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	req := httptest.NewRequest(http.MethodGet, "http://noc.example/", nil)
	req.AddCookie(cookie)
	first := time.Duration(0)
	for b.Loop() {
		f := &firstByte{header: http.Header{}, start: time.Now()}
		c.handler.ServeHTTP(f, req)
		first += f.first
	}
	b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "first-byte-ms")
	b.ReportMetric(float64(guesses.Load())/b.Elapsed().Seconds(), "guesses/s")
	stop()
	wg.Wait()
}

func TestWordsForNumbers(t *testing.T) {
	f := func(v float64) *float64 { return &v }
	say := func(q *quantity) string {
		if q == nil {
			return "–"
		}
		return q.Value + " " + q.Unit
	}
	tests := []struct{ got, want string }{
		{span(-time.Second), "0 s"}, {span(59 * time.Second), "59 s"}, {span(61 * time.Second), "1 min"}, {span(134 * time.Minute), "2 h 14 min"},
		{span(2 * time.Hour), "2 h"}, {span(76 * time.Hour), "3 d 4 h"}, {length(187 * time.Second), "3 min 7 s"}, {length(time.Hour), "1 h"},
		{say(bitrate(nil)), "–"}, {say(bitrate(f(0))), "0 bit/s"}, {say(bitrate(f(999.6))), "1.0 kbit/s"}, {say(bitrate(f(1.25e6))), "1.2 Mbit/s"}, {say(bitrate(f(48.2e6))), "48 Mbit/s"},
		{say(millis(f(3.14))), "3.1 ms"}, {say(millis(f(83.4))), "83 ms"}, {say(percent(f(0))), "0 %"}, {say(percent(f(8.33))), "8.3 %"}, {say(percent(f(100))), "100 %"},
		{share(nil, 1), "–"}, {share(f(0.99999), 1), "99.9 %"}, {share(f(1), 1), "100.0 %"}, {share(f(0.97314), 2), "97.31 %"}, {share(f(0.29), 0), "29 %"},
		{stateWord("never"), "Never heard"}, {stateWord(""), "Unknown"}, {causeWord(telemetry.CausePower), "power cut"},
	}
	for i, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("row %d says %q, want %q", i, tt.got, tt.want)
		}
	}
}
