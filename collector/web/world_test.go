package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a fleet behind the pages: a real registry and a real Live; the store is given.
type world struct {
	t       testing.TB
	mu      sync.Mutex
	at      time.Time // zero: real time
	ill     []Check
	zone    *time.Location
	reg     *fleet.Registry
	live    *fleet.Live
	handler http.Handler
	notes   *journal.Journal // with withJournal
	seq     uint64
}

// nothing is a store that holds nothing.
type nothing struct{}

func (nothing) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, nil
}

// gone is a store that cannot be reached.
type gone struct{}

func (gone) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, errors.New("connection refused")
}

func newWorld(t testing.TB, q Querier, at time.Time) *world { return openWorld(t, q, at, t.TempDir()) }

// manySites is a world of n sites, each with an agent and a plausible day.
func manySites(t testing.TB, n int) *world {
	t.Helper()
	dir := t.TempDir()
	var sites, agents strings.Builder
	for i := range n {
		fmt.Fprintf(&sites, "[[site]]\nid = \"site-%04d\"\nname = \"Village %d school\"\ndistrict = \"Hunza\"\noperator = \"Margalla Net\"\n", i, i)
		fmt.Fprintf(&agents, "[[agent]]\naddress = \"site-%04d/router\"\nsecret_sha256 = \"%064d\"\n", i, i)
	}
	for name, text := range map[string]string{"sites.toml": sites.String(), "agents.toml": agents.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := openWorld(t, nothing{}, noon, dir)
	for i := range n {
		rnd := rand.New(rand.NewPCG(uint64(i), 3))
		lines, o := past(uint64(i), 25, noon)
		if o.State == telemetry.StateUp && i%50 == 0 {
			o = open(telemetry.StateDown, telemetry.CauseBackhaul, o.Length)
		}
		w.tell(telemetry.Address{Site: fmt.Sprintf("site-%04d", i), Agent: "router"}, noon, o, append(lines, minute(rnd, noon, time.Minute)...)...)
	}
	return w
}

// openWorld reads the files of dir; more may say further what the pages have.
func openWorld(t testing.TB, q Querier, at time.Time, dir string, more ...func(w *world, c *Config)) *world {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Karachi")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, at: at, zone: zone}
	if w.reg, err = fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml")); err != nil {
		t.Fatal(err)
	}
	w.live = fleet.NewLive(w.reg, fleet.LiveOptions{Now: w.now, Deaf: func() bool { return len(w.checks()) > 0 }})
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "nabz_test", Help: "A gauge of this test."}))
	c := Config{Open: true, Registry: w.reg, Live: w.live, Store: q, Metrics: metrics, Now: w.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ready: func() []Check { return append([]Check{{Name: "broker"}}, w.checks()...) }}
	for _, add := range more {
		add(w, &c)
	}
	if w.handler, err = New(c); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at.IsZero() {
		return time.Now().In(w.zone)
	}
	return w.at.In(w.zone)
}

func (w *world) checks() []Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ill
}

func (w *world) trouble(ill ...Check) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ill = ill
}

func (w *world) site(s fleet.Site, agents ...string) {
	w.t.Helper()
	if err := w.reg.AddSite(s); err != nil {
		w.t.Fatal(err)
	}
	for _, a := range agents {
		if _, err := w.reg.AddAgent(telemetry.Address{Site: s.ID, Agent: a}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func parsed(t testing.TB, lines ...*telemetry.Line) []telemetry.Parsed {
	t.Helper()
	var text []byte
	for _, l := range lines {
		var err error
		if text, err = l.Append(text); err != nil {
			t.Fatal(err)
		}
	}
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 {
		t.Fatalf("malformed lines: %v %v", err, bad)
	}
	return good
}

// tell delivers a batch sealed at that time, now.
func (w *world) tell(a telemetry.Address, at time.Time, open telemetry.OpenSpan, lines ...*telemetry.Line) {
	w.t.Helper()
	w.heard(a, w.now(), at, open, lines...)
}

// heard delivers a batch sealed at one time and received at another.
func (w *world) heard(a telemetry.Address, received, at time.Time, open telemetry.OpenSpan, lines ...*telemetry.Line) {
	w.t.Helper()
	w.mu.Lock()
	w.seq++
	seq := w.seq
	w.mu.Unlock()
	h := telemetry.Header{At: at, Boot: "0123abcd", Seq: seq, Open: open, Clock: telemetry.ClockSynced}
	w.live.Stored(a, received, parsed(w.t, append([]*telemetry.Line{h.Line()}, lines...)...))
}

func open(state telemetry.State, cause telemetry.Cause, for_ time.Duration) telemetry.OpenSpan {
	return telemetry.OpenSpan{State: state, Cause: cause, Length: for_}
}

// get asks the handler as a browser without gzip would.
func (w *world) get(path string) (*http.Response, string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
	res := rec.Result()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

func (w *world) want(path string, status int, parts ...string) string {
	w.t.Helper()
	res, body := w.get(path)
	if res.StatusCode != status {
		w.t.Errorf("%s answers %d, want %d", path, res.StatusCode, status)
	}
	for _, p := range parts {
		if !strings.Contains(body, p) {
			w.t.Errorf("%s does not say %q; it says:\n%.3000s", path, p, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
		}
	}
	return body
}

// realStore is a store on a real InfluxDB, with databases of its own.
func realStore(t testing.TB) *store.Store {
	t.Helper()
	return storeOn(t, influxd.ForTest(t))
}

// storeOn is realStore on that server.
func storeOn(t testing.TB, db *influxd.Server) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")},
		slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores lines as intake does.
func put(t testing.TB, s *store.Store, tier telemetry.Tier, a telemetry.Address, lines ...*telemetry.Line) {
	t.Helper()
	var text []byte
	for _, p := range parsed(t, lines...) {
		text = telemetry.AppendStamped(text, p, a)
	}
	if err := s.Write(t.Context(), tier, text); err != nil {
		t.Fatal(err)
	}
}

// villages are made up.
func villages() []fleet.Site {
	names := []string{"Karimabad", "Passu", "Gokina", "Saidpur", "Bunji", "Keran", "Misgar", "Shimshal", "Nagar", "Rumbur", "Dasu", "Astore"}
	districts := []string{"Hunza", "Gojal", "Islamabad", "Saidpur", "Chitral", "Keran", "Hunza", "Gilgit", "Nagar", "Chitral", "Diamer", "Baltistan"}
	places := [][2]float64{{36.33, 74.65}, {36.47, 74.90}, {33.74, 73.09}, {33.72, 73.05}, {35.64, 74.63}, {34.65, 73.94}, {36.79, 74.77}, {36.43, 75.30}, {36.25, 74.72}, {35.70, 71.68}, {35.29, 73.29}, {35.36, 74.86}}
	var out []fleet.Site
	for i, n := range names {
		out = append(out, fleet.Site{ID: strings.ToLower(n), Name: n + []string{" health post", " school", " village centre"}[i%3], District: districts[i],
			Operator: []string{"Karakoram Link", "Margalla Net"}[i%2], Technology: []string{"4G", "VSAT", "fibre"}[i%3],
			Latitude: places[i][0], Longitude: places[i][1], Population: 800 + 350*i, Students: []int{0, 85, 0}[i%3], TimeZone: "Asia/Karachi"})
	}
	return out
}

// past makes a plausible ledger of some hours that ends at that time; it returns what is still open.
func past(seed uint64, hours int, to time.Time) (lines []*telemetry.Line, last telemetry.OpenSpan) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	at := to.Add(-time.Duration(hours) * time.Hour).Truncate(time.Hour)
	state, cause := telemetry.StateUp, telemetry.CauseNone
	left := time.Duration(rnd.IntN(600)) * time.Minute
	for at.Before(to) {
		if left <= 0 {
			switch n := rnd.IntN(10); {
			case state != telemetry.StateUp:
				state, cause, left = telemetry.StateUp, "", time.Duration(60+rnd.IntN(1400))*time.Minute
			case n < 4:
				state, cause, left = telemetry.StateDegraded, "", time.Duration(5+rnd.IntN(50))*time.Minute
			case n < 7:
				state, cause, left = telemetry.StateDown, telemetry.CauseBackhaul, time.Duration(20+rnd.IntN(7000))*time.Second
			case n < 8:
				state, cause, left = telemetry.StateDown, telemetry.CauseDNS, time.Duration(20+rnd.IntN(900))*time.Second
			default:
				state, cause, left = telemetry.StateOff, telemetry.CausePower, time.Duration(15+rnd.IntN(200))*time.Minute
			}
		}
		end := at.Add(min(left, at.Truncate(time.Hour).Add(time.Hour).Sub(at)))
		if end.After(to) {
			if state == telemetry.StateOff {
				state, cause = telemetry.StateUp, ""
			}
			return lines, open(state, cause, to.Sub(at))
		}
		lines = append(lines, telemetry.Span{Start: at, Length: end.Sub(at), State: state, Cause: cause, Err: 2 * time.Second}.Line())
		left -= end.Sub(at)
		at = end
	}
	return lines, open(telemetry.StateUp, "", 0)
}

// minute makes one minute's detail lines.
func minute(rnd *rand.Rand, at time.Time, every time.Duration) []*telemetry.Line {
	busy := 0.25 + 0.75*float64((at.Hour()+20)%24)/24
	rtt := 45 + 120*busy*rnd.Float64()
	rx := int64(every.Seconds() * 2.2e5 * busy * rnd.Float64())
	return []*telemetry.Line{
		telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", 12).Int("lost", int64(rnd.IntN(14)/13)).
			Float("rtt_min_ms", rtt*.7).Float("rtt_avg_ms", rtt).Float("rtt_max_ms", rtt*(1.4+rnd.Float64())).Float("jitter_ms", rtt/9),
		telemetry.NewLine("traffic", at).Tag("iface", "wwan0").Int("rx_bytes", rx).Int("tx_bytes", rx/6).Int("rx_peak_bps", rx*8/int64(every.Seconds())*3).Int("tx_peak_bps", rx*8/int64(every.Seconds())/2),
		telemetry.NewLine("host", at).Float("cpu_pct", 8+20*busy*rnd.Float64()).Float("mem_pct", 41+4*rnd.Float64()),
	}
}

// settle fills a world with the villages, each in its own trouble, as it would look at a NOC.
func (w *world) settle() {
	w.t.Helper()
	now := w.now()
	for i, s := range villages() {
		w.site(s, "router")
		a := telemetry.Address{Site: s.ID, Agent: "router"}
		rnd := rand.New(rand.NewPCG(uint64(i), 3))
		said := now.Add(-time.Duration(3+i) * time.Second)
		switch i {
		case 3:
			said = now.Add(-47 * time.Minute)
		case 11:
			continue
		}
		state, cause, lasts := telemetry.StateUp, telemetry.CauseNone, 2*time.Minute
		switch i {
		case 1:
			state, cause, lasts = telemetry.StateDown, telemetry.CauseBackhaul, 12*time.Minute
		case 5:
			state, lasts = telemetry.StateDegraded, 4*time.Minute
		}
		lasts = min(lasts, said.Sub(said.Truncate(time.Hour))) // an open span begins at the hour at the latest
		lines, before := past(uint64(i), 25, said.Add(-lasts))
		lines = append(lines, telemetry.Span{Start: said.Add(-lasts - before.Length), Length: before.Length, State: telemetry.StateUp}.Line())
		o := open(state, cause, lasts)
		w.heard(a, said, said.Add(-time.Minute), open(telemetry.StateUp, "", 0), append(lines, minute(rnd, said.Add(-time.Minute), time.Minute)...)...)
		last := minute(rnd, said, time.Minute)
		switch state { // what was measured agrees with what is told
		case telemetry.StateDown:
			last[0] = telemetry.NewLine("link", said).Tag("target", "internet").Int("sent", 12).Int("lost", 12)
			last[1] = telemetry.NewLine("traffic", said).Tag("iface", "wwan0").Int("rx_bytes", 540).Int("tx_bytes", 8100)
		case telemetry.StateDegraded:
			last[0] = telemetry.NewLine("link", said).Tag("target", "internet").Int("sent", 12).Int("lost", 4).
				Float("rtt_min_ms", 210).Float("rtt_avg_ms", 486).Float("rtt_max_ms", 912).Float("jitter_ms", 140)
		}
		w.heard(a, said, said, o, last...)
	}
}
