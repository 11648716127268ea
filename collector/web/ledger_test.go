package web

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// whole is an hour's line with a histogram of ten answers: 6 within 50 ms, 9 within 150 ms, one above 1200 ms.
func whole(at time.Time) *telemetry.Line {
	return telemetry.NewLine("hour", at).Int("ms", 3600000).Int("rtt_le_25", 0).Int("rtt_le_50", 6).Int("rtt_le_100", 8).Int("rtt_le_150", 9).Int("rtt_le_300", 9).Int("rtt_le_600", 9).
		Int("rtt_le_1200", 9).Int("rtt_le_inf", 10).Int("sent", 12).Int("lost", 2).Int("rx_bytes", 45000000).Int("tx_bytes", 4500000).Int("rx_peak_bps", 9000000).Int("tx_peak_bps", 800000).Int("clients_max", 7)
}

func (w *world) series(path string) (doc seriesDoc) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.want(path, 200)), &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

func columns(all []seriesColumn) map[string][]*float64 {
	out := map[string][]*float64{}
	for _, c := range all {
		out[c.Name] = c.Values
	}
	return out
}

func shownValue(v *float64) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprint(*v)
}

func TestHoursAndSpeedTestsOfARealInfluxDBAreCharted(t *testing.T) {
	influxd.Each(t, hoursAreCharted)
}

func hoursAreCharted(t *testing.T, db *influxd.Server) {
	s := storeOn(t, db)
	now := time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute)
	w := newWorld(t, s, now)
	w.settle()
	site, _ := w.reg.Site("passu")
	site.TargetDownMbps = 8
	if err := w.reg.ChangeSites(func([]fleet.Site) (_, update []fleet.Site, _ error) { return nil, []fleet.Site{site}, nil }); err != nil {
		t.Fatal(err)
	}
	router := telemetry.Address{Site: "passu", Agent: "router"}
	hour := now.Truncate(time.Hour)
	put(t, s, telemetry.Ledger, router, whole(hour.Add(-time.Hour)), whole(hour.Add(-2*time.Hour)),
		telemetry.NewLine("speedtest", hour.Add(-90*time.Minute)).Tag("server", "noc").Int("down_bps", 9000000).Int("up_bps", 1000000).Float("min_rtt_ms", 40).Int("used_bytes", 1),
		telemetry.NewLine("speedtest", hour.Add(-30*time.Minute)).Tag("server", "noc").Int("down_bps", 5000000).Int("used_bytes", 1),
		telemetry.NewLine("hour_service", hour.Add(-time.Hour)).Tag("service", "clinic").Int("ready_ms", 2700000).Int("window_ms", 3600000),
		telemetry.NewLine("hour_service", hour.Add(-2*time.Hour)).Tag("service", "clinic").Int("ready_ms", 0).Int("window_ms", 0))
	put(t, s, telemetry.Ledger, telemetry.Address{Site: "dasu", Agent: "router"}, whole(hour.Add(-3*time.Hour)))
	doc := w.series("/api/v1/sites/passu/series?range=24h")
	h := columns(doc.Hours.Series)
	n := len(doc.Hours.Time)
	if doc.Hours.StepMs != 3600000 || n != 25 || doc.Hours.Time[n-1] != hour.UnixMilli() || doc.Agent != "router" {
		t.Errorf("%d steps of %d ms up to %d, of %q", n, doc.Hours.StepMs, doc.Hours.Time[n-1], doc.Agent)
	}
	for name, want := range map[string][3]string{ // two hours that were told, and the one that goes on
		"known": {"100", "100", "null"}, "within_50": {"60", "60", "null"}, "within_150": {"90", "90", "null"}, "within_600": {"90", "90", "null"}, "within_inf": {"100", "100", "null"},
		"loss": {"16.667", "16.667", "null"}, "down": {"100000", "100000", "null"}, "up": {"10000", "10000", "null"}, "down_peak": {"9e+06", "9e+06", "null"}, "clients": {"7", "7", "null"},
	} {
		v := h[name]
		if len(v) != n {
			t.Errorf("%s has %d values, want %d", name, len(v), n)
			continue
		}
		if got := [3]string{shownValue(v[n-3]), shownValue(v[n-2]), shownValue(v[n-1])}; got != want {
			t.Errorf("%s ends with %v, want %v", name, got, want)
		}
		for _, early := range v[:n-3] {
			if early != nil {
				t.Errorf("%s has %v where nothing was told", name, *early)
			}
		}
	}
	l := doc.Hours.Latency
	if l.Answers != 20 || l.Sent != 24 || l.Lost != 4 || l.Within["50"] != 12 || l.P50 == nil || *l.P50 != 50 || l.P95 != nil || l.Known == nil || *l.Known < 0.07 || *l.Known > 0.09 {
		t.Errorf("the histogram is %+v", l)
	}
	if tests := doc.Tests; len(tests.Tests) != 2 || *tests.Tests[0].Down != 9e6 || tests.Tests[1].Up != nil || tests.Tests[1].At != hour.Add(-30*time.Minute).UnixMilli() || *tests.TargetDown != 8e6 || tests.TargetUp != nil {
		t.Errorf("speed tests are %+v", tests)
	}
	w.want("/sites/passu", 200, "<b>clinic</b>", "75.0 %", "of 1 h open, as far as told", "ready 45 min of 1 h", "Ready 75.0 % of 1 h that it was open")
	w.want("/api/v1/sites/passu", 200, `"services":[{"service":"clinic","agent":"router","ready_ms":2700000,"window_ms":3600000,"ready":0.75`)
	if year := w.series("/api/v1/sites/passu/series?range=1y"); year.Hours.StepMs != 86400000 || year.Hours.Latency.Answers != 20 {
		t.Errorf("of a year: steps of %d ms, %d answers", year.Hours.StepMs, year.Hours.Latency.Answers)
	}
}

func TestOfSeveralAgentsEachChartIsOfOne(t *testing.T) {
	s := realStore(t)
	now := time.Now().UTC().Truncate(time.Minute)
	w := newWorld(t, s, now)
	w.site(fleet.Site{ID: "gokina", TimeZone: "Asia/Karachi"}, "kiosk", "router")
	host := func(at time.Time, cpu float64) *telemetry.Line {
		return telemetry.NewLine("host", at).Float("cpu_pct", cpu)
	}
	kiosk, router := telemetry.Address{Site: "gokina", Agent: "kiosk"}, telemetry.Address{Site: "gokina", Agent: "router"}
	put(t, s, telemetry.Detail, kiosk, host(now, 90))
	put(t, s, telemetry.Detail, router, host(now, 10), host(now.Add(-10*time.Minute), 12),
		telemetry.NewLine("link", now).Tag("target", "internet").Int("sent", 4).Int("lost", 0).Float("rtt_avg_ms", 30))
	for _, tt := range []struct{ query, agent, cpu, latency string }{
		{"", "router", "10", "30"}, {"&agent=kiosk", "kiosk", "90", "null"}, {"&agent=router", "router", "10", "30"}, {"&agent=nobody", "nobody", "null", "null"},
	} {
		doc := w.series("/api/v1/sites/gokina/series?range=1h" + tt.query)
		c := columns(doc.Series)
		if n := len(doc.Time); doc.Agent != tt.agent || strings.Join(doc.Agents, " ") != "kiosk router" || shownValue(c["cpu"][n-1]) != tt.cpu || shownValue(c["latency_avg"][n-1]) != tt.latency {
			t.Errorf("%q: agent %q of %v, cpu %s, latency %s; want %+v", tt.query, doc.Agent, doc.Agents, shownValue(c["cpu"][n-1]), shownValue(c["latency_avg"][n-1]), tt)
		}
	}
	w.want("/sites/gokina?range=7d&agent=kiosk", 200, `aria-current="page">kiosk</a>`, "/sites/gokina?range=7d&amp;agent=router", `data-series="/api/v1/sites/gokina/series?range=7d&amp;agent=kiosk"`)
	w.want("/api/v1/sites/gokina/series?agent=../x", 400, "agent is no id")
	w.want("/sites/gokina?agent=%22%3E%3Cscript%3E", 200, `aria-current="page">the one with most to tell</a>`)
}

func TestAPeriodIsReadFromTheAddress(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Karachi")
	if err != nil {
		t.Fatal(err)
	}
	at := func(d, h, m int) time.Time { return time.Date(2026, 11, d, h, m, 0, 0, time.UTC) }
	for _, tt := range []struct {
		query    string
		from, to time.Time
		step     time.Duration
		words    string
	}{
		{"", at(19, 10, 30), at(20, 10, 30), 5 * time.Minute, "24 hours"},
		{"range=1h", at(20, 9, 30), at(20, 10, 30), 2 * time.Minute, "1 hour"},
		{"from=2026-11-19T10:00&to=2026-11-19T12:30", at(19, 5, 0), at(19, 7, 30), 2 * time.Minute, "19 Nov 10:00 to 12:30"},
		{"from=2026-11-19T10:00Z&to=2026-11-20T10:00Z", at(19, 10, 0), at(20, 10, 0), 5 * time.Minute, "19 Nov 15:00 to 15:00"},
		{"from=2026-11-19T10:00:00%2B05:00", at(19, 5, 0), at(20, 10, 30), 5 * time.Minute, "19 Nov 10:00 to 15:30"},
		{"from=2026-11-20+14:00&to=2026-11-21+14:00", at(20, 9, 0), at(21, 9, 0), 5 * time.Minute, "14:00 to 21 Nov 14:00"},
	} {
		q, _ := url.ParseQuery(tt.query)
		p, err := periodOf(q, noon, zone)
		if err != nil || !p.From.Equal(tt.from) || !p.To.Equal(tt.to) || p.Step != tt.step || p.Words != tt.words {
			t.Errorf("%q: got %v to %v, step %v, %q, %v; want %+v", tt.query, p.From, p.To, p.Step, p.Words, err, tt)
		}
		again, _ := url.ParseQuery(p.query())
		if q, err := periodOf(again, noon, zone); err != nil || !q.From.Equal(p.From) || !q.To.Equal(p.To) {
			t.Errorf("%q: %s leads to %v to %v, %v", tt.query, p.query(), q.From, q.To, err)
		}
	}
	for query, want := range map[string]string{
		"range=2y":                                    "range is none of 1h, 24h, 7d, 30d, 90d, 1y",
		"from=yesterday":                              "from is no time; write it as 2026-11-27T14:30, by the clock of the site, or with a zone as 2026-11-27T09:30Z",
		"to=2026-11-20T10:00":                         "from is no time; write it as 2026-11-27T14:30, by the clock of the site, or with a zone as 2026-11-27T09:30Z",
		"from=2026-11-20T15:25":                       "to is less than 10 minutes after from; choose a longer period",
		"from=2024-11-20T15:25":                       "to is more than a year after from; choose a shorter period",
		"from=2027-01-01T00:00&to=2027-01-02T00:00":   "from is in the future; choose an earlier one",
		"from=0001-01-01T00:00Z&to=0001-01-02T00:00Z": "from is before there was any nabz; choose a later one",
	} {
		q, _ := url.ParseQuery(query)
		if p, err := periodOf(q, noon, zone); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %+v, %v\nwant %s", query, p, err, want)
		}
	}
}

func TestNoPeriodHasMoreStepsThanAChartCanShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.Int64Range(int64(minPeriod), int64(maxPeriod)).Draw(t, "length"))
		step := stepOf(length)
		if n := int(length / step); n > maxSteps || step%(2*time.Minute) != 0 && step%(5*time.Minute) != 0 || (24*time.Hour)%step != 0 {
			t.Fatalf("%v has %d steps of %v", length, n, step)
		}
	})
}

func TestChartsThatHaveNotChangedAreNotSentAgain(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	ask := func(tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://localhost/api/v1/sites/passu/series?range=7d", nil)
		r.Header.Set("If-None-Match", tag)
		r.Header.Set("Accept-Encoding", "gzip")
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		return rec
	}
	first := ask("")
	tag := first.Header().Get("ETag")
	if again := ask(tag); first.Code != 200 || tag == "" || again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("first %d with tag %q, then %d with %d bytes", first.Code, tag, again.Code, again.Body.Len())
	}
	w.mu.Lock()
	w.at = noon.Add(time.Minute)
	w.mu.Unlock()
	if other := ask(tag); other.Code != 200 {
		t.Errorf("a minute later it answers %d", other.Code)
	}
}

func TestTheStreamOfASiteTellsWhatIsNews(t *testing.T) {
	c := newClosed(t, time.Time{})
	c.settle()
	w := c.world
	server := c.serve(t)
	b := openSiteStream(t, server.URL+"/sites/passu/events?at="+fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), as(c.cookieOf("wall")))
	if b.next("a first word").Changed {
		t.Error("something is news before anything happened")
	}
	w.tell(telemetry.Address{Site: "passu", Agent: "router"}, w.now(), open(telemetry.StateUp, "", 0))
	b.until("the site", func(u siteUpdate) bool { return u.Changed })
	if _, err := c.notes.Comment("aisha", "passu", "x"); err != nil {
		t.Fatal(err)
	}
	b.until("a comment", func(u siteUpdate) bool { return u.Changed })
}

func TestStepsAreNotFinerThanAnAgentMeasures(t *testing.T) {
	s := realStore(t)
	now := time.Now().UTC().Truncate(time.Minute)
	w := newWorld(t, s, now)
	w.site(fleet.Site{ID: "gokina"}, "main")
	w.site(fleet.Site{ID: "passu"}, "main")
	for site, every := range map[string]time.Duration{"gokina": 5 * time.Minute, "passu": time.Minute} { // metered and standard
		var lines []*telemetry.Line
		for at := now.Add(-25 * time.Hour); !at.After(now); at = at.Add(every) {
			if since := now.Sub(at); since > 40*time.Minute && since < 3*time.Hour {
				continue // a hole is a hole
			}
			jitter := time.Duration(at.Unix()%7) * time.Second
			lines = append(lines, telemetry.NewLine("traffic", at.Add(-jitter)).Tag("iface", "wan").Int("rx_bytes", 1).Int("tx_bytes", 1))
		}
		put(t, s, telemetry.Detail, telemetry.Address{Site: site, Agent: "main"}, lines...)
	}
	for _, tt := range []struct {
		path  string
		step  time.Duration
		empty int
	}{
		{"gokina/series?range=1h", 10 * time.Minute, 1}, {"gokina/series?range=24h", 10 * time.Minute, 13}, {"gokina/series?range=7d", 30 * time.Minute, 288},
		{"passu/series?range=1h", 2 * time.Minute, 9}, {"passu/series?range=24h", 5 * time.Minute, 27},
	} {
		doc := w.series("/api/v1/sites/" + tt.path)
		empty := 0
		for _, v := range columns(doc.Series)["down"] {
			if v == nil {
				empty++
			}
		}
		if doc.StepMs != tt.step.Milliseconds() || empty > tt.empty+2 || empty < tt.empty-2 {
			t.Errorf("%s: steps of %d ms, %d of %d empty; want %v and about %d", tt.path, doc.StepMs, empty, len(doc.Time), tt.step, tt.empty)
		}
	}
}
