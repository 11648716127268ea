package scribe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a programme, its collector, and an InfluxDB that keeps what it is sent.
type world struct {
	mu     sync.Mutex
	sites  []fleet.Site
	agents []telemetry.Address
	states []fleet.Status
	lines  []string // tier and line
	fail   error    // of writes
	away   error
	deaf   bool
	log    bytes.Buffer

	metrics *prometheus.Registry
	stored  prometheus.Counter
	writes  prometheus.Histogram
}

func (w *world) Site(string) (fleet.Site, bool) { return fleet.Site{}, false }

func (w *world) Sites() (all []fleet.Site) {
	w.set(func() { all = append(all, w.sites...) })
	return all
}

func (w *world) Agents() (all []telemetry.Address) {
	w.set(func() { all = append(all, w.agents...) })
	return all
}

func (w *world) Overview() (all []fleet.Status) {
	w.set(func() { all = append(all, w.states...) })
	return all
}

func (w *world) fault() (err error) {
	w.set(func() { err = w.away })
	return err
}

func (w *world) hearsNothing() (deaf bool) {
	w.set(func() { deaf = w.deaf })
	return deaf
}

// set changes the world, or looks at it.
func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, nil
}

func (w *world) Write(_ context.Context, tier telemetry.Tier, lines []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	for l := range strings.Lines(string(lines)) {
		w.lines = append(w.lines, tier.String()+" "+strings.TrimSuffix(l, "\n"))
	}
	return nil
}

// take returns what was written of a measurement since the last take.
func (w *world) take(measurement string) (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var rest []string
	for _, l := range w.lines {
		if strings.Contains(l, " "+measurement+",") {
			out = append(out, l)
		} else {
			rest = append(rest, l)
		}
	}
	w.lines = rest
	return out
}

func newWorld() *world {
	w := &world{metrics: prometheus.NewRegistry(), stored: prometheus.NewCounter(prometheus.CounterOpts{Name: "nabz_intake_lines_total"}),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: writeTimes, Buckets: []float64{.01, .1, 1}})}
	w.metrics.MustRegister(w.stored, w.writes)
	return w
}

func (w *world) scribe(db database, role string) *Scribe {
	return New(Config{Name: "noc", Role: role, Sites: role != "intake"}, Parts{Database: db, Roster: w, Live: w, Metrics: w.metrics,
		Influx: w.fault, Fault: w.fault, Deaf: w.hearsNothing, Now: time.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
}

// run starts a scribe in the bubble, and ends it with the test.
func (w *world) run(t *testing.T, role string) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	s := w.scribe(w, role)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestASiteIsToldWhenItChangesAndOnceADayToBothTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(func() {
			w.sites = []fleet.Site{{ID: "gokina", Name: "Gokina", District: "Islamabad", Operator: "Margalla Net", Latitude: 33.7771234, Longitude: 73.075, TargetDownMbps: 4.5}, {ID: "sela"}}
		})
		w.set(func() {
			w.agents = []telemetry.Address{{Site: "keran", Agent: "router"}, {Site: "sela", Agent: "router"}}
		})
		w.run(t, "all")
		after(10 * time.Second)
		first := w.take("site")
		if len(first) != 6 { // three sites, one known by its agent alone, to two tiers
			t.Fatalf("got %q", first)
		}
		want := `ledger site,site=gokina listed=1i,name="Gokina",label="Gokina (gokina)",choice="*;*;gokina;.*",district="Islamabad",operator="Margalla Net",technology="",latitude=33.777123,longitude=73.075,target_down_bps=4500000i `
		if !strings.HasPrefix(first[0], want) {
			t.Errorf("got  %s\nwant %s", first[0], want)
		}
		if !strings.Contains(first[1], `name="sela",label="sela"`) || strings.Contains(first[1], "latitude") || strings.Contains(first[1], "target") {
			t.Errorf("a site of which nothing is known is told as %s", first[1])
		}
		after(time.Hour)
		if more := w.take("site"); len(more) != 0 {
			t.Errorf("told again without need: %q", more)
		}
		w.set(func() { w.sites[0].District = "Hunza" })
		after(10 * time.Second)
		if more := w.take("site"); len(more) != 2 || !strings.Contains(more[0], `district="Hunza"`) {
			t.Errorf("after a move: %q", more)
		}
		w.set(func() { w.sites = w.sites[:1] })
		w.set(func() { w.agents = w.agents[:1] })
		after(10 * time.Second)
		if gone := w.take("site"); len(gone) != 2 || !strings.Contains(gone[0], `site=sela listed=0i,name="sela"`) {
			t.Errorf("after a site has left: %q", gone)
		}
		after(23 * time.Hour)
		if again := w.take("site"); len(again) != 4 {
			t.Errorf("on the next day: %q", again)
		}
	})
}

func TestAStateIsToldAtOnceAndEachFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		begun := time.Now()
		status := func(id string, s fleet.SiteState, c telemetry.Cause) fleet.Status {
			return fleet.Status{Site: fleet.Site{ID: id}, AgentStatus: fleet.AgentStatus{State: s, Cause: c, Since: begun}}
		}
		w.set(func() {
			w.states = []fleet.Status{status("gokina", fleet.Up, ""), {Site: fleet.Site{ID: "sela"}, AgentStatus: fleet.AgentStatus{State: fleet.NeverSeen}}}
		})
		w.run(t, "board")
		after(6 * time.Second)
		if got := w.take("state"); len(got) != 2 || !strings.HasPrefix(got[0], `detail state,site=gokina code=5i,state="up",since_ms=5000i `) || !strings.HasPrefix(got[1], `detail state,site=sela code=4i,state="never" `) {
			t.Errorf("at first: %q", got)
		}
		w.set(func() { w.states[0] = status("gokina", fleet.Down, telemetry.CauseBackhaul) })
		after(5 * time.Second)
		if got := w.take("state"); len(got) != 1 || !strings.Contains(got[0], `code=0i,state="down",cause="backhaul"`) {
			t.Errorf("after a change: %q", got)
		}
		after(11 * time.Minute)
		if got := w.take("state"); len(got) != 4 { // each twice more
			t.Errorf("in eleven minutes: %q", got)
		}
		w.set(func() { w.away = errors.New("gone") })
		w.set(func() { w.states[0] = status("gokina", fleet.Unreachable, "") })
		after(time.Hour)
		if got := w.take("state"); len(got) != 0 {
			t.Errorf("while InfluxDB is away: %q", got)
		}
		w.set(func() { w.away = nil })
		after(6 * time.Second)
		if got := w.take("state"); len(got) != 2 || !strings.Contains(got[0], "code=1i") { // as it is now, not as it was
			t.Errorf("after that: %q", got)
		}
	})
}

func TestACollectorThatHearsNothingTellsNoStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(func() {
			w.sites = []fleet.Site{{ID: "gokina"}}
			w.states = []fleet.Status{{Site: w.sites[0], AgentStatus: fleet.AgentStatus{State: fleet.Up, Since: time.Now()}}}
		})
		w.run(t, "all")
		after(6 * time.Second)
		if got := w.take("state"); len(got) != 1 {
			t.Errorf("at first: %q", got)
		}
		w.set(func() { w.deaf = true })
		w.set(func() { w.sites = append(w.sites, fleet.Site{ID: "sela"}) })
		after(time.Hour)
		if got := w.take("state"); len(got) != 0 {
			t.Errorf("while it hears nothing: %q", got)
		}
		if got := w.take("site"); len(got) != 4 {
			t.Errorf("what the sites file says needs no ears: %q", got)
		}
		w.set(func() { w.deaf = false })
		after(6 * time.Second)
		if got := w.take("state"); len(got) != 1 {
			t.Errorf("after that: %q", got)
		}
	})
}

func TestTheCollectorTellsOfItselfEachMinuteAndNothingIsLostWhileInfluxDBIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.stored.Add(1000) // before the scribe
		w.run(t, "intake")
		w.stored.Add(40)
		w.writes.Observe(0.005)
		w.writes.Observe(0.5)
		after(61 * time.Second)
		got := w.take("collector")
		if len(got) != 1 || !strings.HasPrefix(got[0], `detail collector,collector=noc,role=intake ms=60000i,lines=40i,writes=2i,write_ms=505i,write_le_10=1i,write_le_100=1i,write_le_1000=2i,influx_fault=0i `) {
			t.Errorf("got %q", got)
		}
		if len(w.lines) != 0 {
			t.Errorf("an intake tells of sites, too: %q", w.lines)
		}
		w.set(func() { w.away = errors.New("gone") })
		after(2 * time.Minute)
		w.stored.Add(5)
		w.set(func() { w.away = nil })
		after(time.Minute)
		got = w.take("collector")
		if len(got) != 3 || !strings.Contains(got[0], "influx_fault=1i") || !strings.Contains(got[1], "influx_fault=1i") || !strings.Contains(got[2], "lines=5i") || !strings.Contains(got[2], "influx_fault=0i") {
			t.Errorf("after two minutes without InfluxDB: %q", got)
		}
		w.set(func() { w.away = errors.New("gone") })
		after(5 * time.Hour)
		w.set(func() { w.away = nil })
		after(time.Minute)
		if got = w.take("collector"); len(got) != mostPending {
			t.Errorf("after five hours without InfluxDB %d lines are told, want %d", len(got), mostPending)
		}
	})
}

func TestALastingFaultIsToldOnceWhenItBeginsAndOnceWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(func() { w.sites = []fleet.Site{{ID: "gokina"}} })
		w.set(func() { w.fail = errors.New("no") })
		w.run(t, "all")
		after(10 * time.Minute)
		w.set(func() { w.fail = nil })
		after(10 * time.Minute)
		if log := w.log.String(); strings.Count(log, "level=ERROR") != 1 || strings.Count(log, "stored again") != 1 {
			t.Errorf("the log says\n%s", log)
		}
		if got := w.take("site"); len(got) != 2 {
			t.Errorf("after the fault: %q", got)
		}
		if got := w.take("collector"); len(got) != 20 {
			t.Errorf("%d lines of the collector, want 20", len(got))
		}
	})
}

func TestWhatInfluxDBRefusesDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set(func() { w.fail = fmt.Errorf("write: %w", &store.RefusedError{Words: "no"}) })
		w.run(t, "intake")
		after(3*time.Minute + time.Second)
		w.set(func() { w.fail = nil })
		after(time.Minute)
		if got := w.take("collector"); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}

// TestEveryLineIsInTheSchema holds what is written against what docs/telemetry.md says, with all that /metrics can show.
func TestEveryLineIsInTheSchema(t *testing.T) {
	w := newWorld()
	w.sites = []fleet.Site{{ID: "gokina", Name: "Gokina", District: "D", Operator: "O", Technology: "lte", Latitude: 1, Longitude: -2, Population: 9, TargetDownMbps: 4, TargetUpMbps: 1,
		ServiceHours: "Mo-Fr 08:00-16:00", TimeZone: "Asia/Karachi"}}
	if err := telemetry.CheckOwn(siteLine(w.sites[0], time.Now(), 1)); err != nil {
		t.Error(err)
	}
	for _, s := range fleet.SiteStates() {
		st := fleet.Status{Site: w.sites[0], AgentStatus: fleet.AgentStatus{State: s, Cause: telemetry.CauseDNS, Since: time.Now().Add(-time.Hour)}}
		if err := telemetry.CheckOwn(stateLine(&st, time.Now())); err != nil {
			t.Error(err)
		}
	}
	known := map[string]bool{}
	for _, m := range telemetry.OwnSchema() {
		for _, f := range m.Fields {
			known[m.Name+" "+f.Key] = true
		}
	}
	for _, x := range append(counters, gauges...) {
		if !known["collector "+x.field] {
			t.Errorf("field %s of collector is not in the schema", x.field)
		}
	}
}

func TestARestartGoesOnFromWhatInfluxDBHas(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: server.Database(t, "detail"), LedgerBucket: server.Database(t, "ledger")}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if err := st.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := newWorld()
		w.set(func() {
			w.sites = []fleet.Site{{ID: "gokina", Name: `Gokina "old" \ town`, District: "Islamabad", Latitude: 33.5, Longitude: 73, Population: 12, ServiceHours: "Mo-Fr 08:00-16:00", TimeZone: "Asia/Karachi"}, {ID: "sela"}}
		})
		look := func() int {
			t.Helper()
			if err := w.scribe(st, "all").Look(t.Context()); err != nil { // a new one each time
				t.Fatal(err)
			}
			series, err := st.Query(t.Context(), telemetry.Ledger, `SELECT "listed" FROM "site"`)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, s := range series {
				n += len(s.Values)
			}
			return n
		}
		if n := look(); n != 2 {
			t.Errorf("at first %d lines, want 2", n)
		}
		if n := look(); n != 2 {
			t.Errorf("after a restart %d lines, want the same 2", n)
		}
		w.set(func() { w.sites[0].District = "Hunza" })
		w.sites = w.sites[:1] // while no collector ran
		if n := look(); n != 4 {
			t.Errorf("after a move and a removal %d lines, want 4", n)
		}
		if n := look(); n != 4 {
			t.Errorf("after one more restart %d lines, want the same 4", n)
		}
		last, err := st.Query(t.Context(), telemetry.Detail, `SELECT last("listed") AS "listed" FROM "site" WHERE "site" = 'sela'`)
		if err != nil || len(last) != 1 || fmt.Sprint(last[0].Values[0][1]) != "0" {
			t.Errorf("the site that has left is told as %v (%v)", last, err)
		}
	})
}
