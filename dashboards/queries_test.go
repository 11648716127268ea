package dashboards_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/scribe"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/dashboards"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

// programme is a simulated one in a real InfluxDB.
type programme struct {
	*store.Store
	sites    []fleet.Site
	states   []fleet.Status
	scribe   *scribe.Scribe
	now      time.Time // of the collector's own lines
	from, to time.Time // of the agents': always the same days, so that the truth is always the same
}

// Sites, Site and Agents make it a roster; Overview says the states.
func (p *programme) Sites() []fleet.Site             { return slices.Clone(p.sites) }
func (p *programme) Site(string) (fleet.Site, bool)  { return fleet.Site{}, false }
func (p *programme) Agents() (a []telemetry.Address) { return nil }
func (p *programme) Overview() []fleet.Status        { return p.states }

func newProgramme(t *testing.T, server *influxd.Server, days int) *programme {
	t.Helper()
	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: server.Database(t, "detail"), LedgerBucket: server.Database(t, "ledger")},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if err := st.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := &programme{Store: st, now: time.Now().UTC().Truncate(time.Millisecond), from: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	p.to = p.from.Add(time.Duration(days) * 24 * time.Hour)
	world := sim.World{Seed: 42}
	for i, v := range sim.Villages() {
		p.sites = append(p.sites, fleet.Site{ID: v.ID, Name: v.Name, District: v.District, Operator: v.Operator, Technology: string(v.Technology), Latitude: v.Latitude,
			Longitude: v.Longitude, Population: v.Population, TargetDownMbps: 4, TimeZone: v.TimeZone})
		track := world.Track(v)
		if v.ID == "misgar" { // its agent came on the second day: before, nothing is known
			track.Since(p.from.Add(30 * time.Hour))
		}
		p.tell(t, track, v.Address())
		state := []fleet.SiteState{fleet.Up, fleet.Up, fleet.Degraded, fleet.Down, fleet.Off, fleet.Unreachable, fleet.NeverSeen}[i%7]
		p.states = append(p.states, fleet.Status{Site: p.sites[i], AgentStatus: fleet.AgentStatus{State: state, Since: p.now.Add(-time.Hour)}})
	}
	p.scribe = scribe.New(scribe.Config{Name: "noc", Role: "all", Sites: true}, scribe.Parts{Database: st, Roster: p, Live: p, Metrics: metrics(),
		Influx: func() error { return nil }, Fault: func() error { return nil }, MQTT: func() error { return nil },
		Now: func() time.Time { p.now = p.now.Add(time.Millisecond); return p.now }, Log: slog.New(slog.DiscardHandler)})
	for _, write := range []func() error{func() error { return p.scribe.Look(t.Context()) }, func() error { return p.scribe.Note(t.Context()) }} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// metrics has one of each kind that the collector shows, and of each that the scribe tells of.
func metrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	for _, name := range []string{"intake_messages_total", "intake_bytes_total", "intake_lines_total", "intake_refused_total", "intake_dropped_total", "intake_unstored_total",
		"intake_dead_letters_total", "intake_acks_total", "intake_write_faults_total", "broker_signins_rejected_total"} {
		r.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "nabz_" + name}))
	}
	for _, name := range []string{"nabz_intake_queue_messages", "nabz_intake_queue_bytes", "nabz_broker_connections", "process_resident_memory_bytes", "go_memstats_heap_alloc_bytes", "go_goroutines"} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name})
		g.Set(7)
		r.MustRegister(g)
	}
	cpu := prometheus.NewCounter(prometheus.CounterOpts{Name: "process_cpu_seconds_total"})
	writes := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "nabz_intake_write_seconds", Buckets: []float64{.01, .1, 1}})
	r.MustRegister(cpu, writes)
	return r
}

// tell stores what the simulated agent told of the period and the day after, on which it may return from a gap, and what the simulator does not tell.
func (p *programme) tell(t *testing.T, track *sim.Track, from telemetry.Address) {
	t.Helper()
	var told sim.Told
	if err := track.Tell(&told, p.from, p.to.Add(24*time.Hour), func(int64) int64 { return 600_000 }); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*telemetry.Line{telemetry.NewLine("event", p.from.Add(time.Hour)).Tag("kind", "boot").Str("detail", "after a power cut"),
		telemetry.NewLine("speedtest", p.from.Add(time.Hour)).Tag("server", "collector").Int("down_bps", 5_000_000).Int("up_bps", 1_000_000).Int("used_bytes", 4_000_000)} {
		var err error
		if told.Ledger, err = l.Append(told.Ledger); err != nil {
			t.Fatal(err)
		}
	}
	for at := p.to.Add(-3 * time.Hour); at.Before(p.to); at = at.Add(time.Minute) {
		h := telemetry.Header{At: at, Boot: "4f2a9c1b", Seq: uint64(at.Unix() / 60), SpoolBytes: 512, SpoolLines: 9, WireBytes: at.Unix() * 10,
			Clock: telemetry.ClockSynced, Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}}
		for _, l := range []*telemetry.Line{h.Line(), telemetry.NewLine("clients", at).Int("wifi_stations", 4).Int("dhcp_leases", 5),
			telemetry.NewLine("power", at).Float("battery_pct", 80)} {
			var err error
			if told.Detail, err = l.Append(told.Detail); err != nil {
				t.Fatal(err)
			}
		}
	}
	for tier, text := range map[telemetry.Tier][]byte{telemetry.Detail: told.Detail, telemetry.Ledger: told.Ledger} {
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 {
			t.Fatalf("simulated lines: %v %v", err, bad)
		}
		for some := range slices.Chunk(good, 5000) {
			var stamped bytes.Buffer
			for _, l := range some {
				stamped.Write(telemetry.AppendStamped(nil, l, from))
			}
			if err := p.Write(t.Context(), tier, stamped.Bytes()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// check asks all queries of that time, and gives them by dashboard and panel.
func (p *programme) check(t *testing.T, from, to time.Time) map[string][]dashboards.Tried {
	t.Helper()
	tried, err := dashboards.Check(t.Context(), p, dashboards.All(""), from, to)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]dashboards.Tried{}
	for _, x := range tried {
		if x.Err != nil {
			t.Errorf("%s: %s %s: %v\n%s", x.Dashboard, x.Panel, x.Ref, x.Err, x.Query)
		}
		key := strings.TrimPrefix(x.Dashboard, "nabz: ") + "/" + x.Panel
		all[key] = append(all[key], x)
	}
	return all
}

func TestEveryPanelAndVariableGivesRowsFromARealInfluxDB(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		p := newProgramme(t, server, 3)
		left := regexp.MustCompile(`\$[A-Za-z_{]`)
		recent := p.check(t, p.now.Add(-time.Hour), p.now)
		for key, tried := range p.check(t, p.from, p.to) {
			for i, x := range tried {
				if x.Rows+recent[key][i].Rows == 0 {
					t.Errorf("%s %s: no value from\n%s", key, x.Ref, x.Query)
				}
				if left.MatchString(x.Query) {
					t.Errorf("%s %s: a variable that nobody fills is left in\n%s", key, x.Ref, x.Query)
				}
			}
		}
	})
}

// number is one column of the first row.
func number(t *testing.T, series []store.Series, column string) float64 {
	t.Helper()
	for _, s := range series {
		for i, c := range s.Columns {
			n, ok := s.Values[0][i].(json.Number)
			if c == column && ok {
				v, err := n.Float64()
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
	}
	t.Fatalf("no number in column %q of %v", column, series)
	return 0
}

func TestFiguresOnPanelsAreThoseOfAReportForTheSamePeriod(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		p := newProgramme(t, server, 3)
		var ids []string
		for _, s := range p.sites {
			ids = append(ids, s.ID)
		}
		want, sites := reported(t, p, ids)
		if want.Times.DownMs() == 0 || want.Times.OffPowerMs == 0 || want.Times.OffShutdownMs == 0 || want.UnknownMs == 0 {
			t.Fatalf("the truth is too kind to prove anything: %+v", want)
		}
		same := func(what string, got float64, want *float64) {
			t.Helper()
			if want == nil || math.Abs(got-100**want) > 0.0002 {
				t.Errorf("%s: the panel says %v %%, the report %v", what, got, *want)
			}
		}
		// Of a range chosen by hand, and of a month as Grafana writes it.
		for _, to := range []time.Time{p.to, p.to.Add(-time.Millisecond)} {
			panels := p.check(t, p.from, to)
			f := want
			for _, x := range []struct {
				panel, column string
				want          *float64
			}{{"Availability", "availability", f.Availability}, {"Without power cuts", "availability", f.WithoutPower}, {"Observed", "observed", f.Completeness},
				{"At least", "at least", f.Lower}, {"At most", "at most", f.Upper}} {
				same(x.panel, number(t, panels["programme figures/"+x.panel][0].Series, x.column), x.want)
			}
			rows := map[string][]store.Series{}
			for _, s := range panels["programme figures/Each site"][0].Series {
				rows[s.Tags["site"]] = []store.Series{s}
			}
			for id, s := range sites {
				same(id, number(t, rows[id], "Availability"), s.Availability)
				same(id+" without power cuts", number(t, rows[id], "Without power cuts"), s.WithoutPower)
				same(id+" observed", number(t, rows[id], "Observed"), s.Completeness)
				same(id+" at least", number(t, rows[id], "At least"), s.Lower)
				same(id+" at most", number(t, rows[id], "At most"), s.Upper)
				for column, ms := range map[string]int64{"Down": s.Times.DownMs(), "Power cuts": s.Times.OffPowerMs, "Switched off": s.Times.OffShutdownMs} {
					if got := number(t, rows[id], column); got != float64(ms) {
						t.Errorf("%s: %s is %v ms on the panel, %d in the report", id, column, got, ms)
					}
				}
			}
			// One site's own dashboard: that of the first in the list.
			first := values(t, panels, "site", "site")[0]
			for id, s := range sites {
				if id == first {
					same("the dashboard of "+first, number(t, panels["site/Availability"][0].Series, "availability"), s.Availability)
					same("the dashboard of "+first+", observed", number(t, panels["site/Observed"][0].Series, "observed"), s.Completeness)
				}
			}
		}
	})
}

// values are what a variable offers.
func values(t *testing.T, panels map[string][]dashboards.Tried, board, name string) []string {
	t.Helper()
	for _, d := range dashboards.All("") {
		for _, v := range d.Variables {
			if d.Title == "nabz: "+board && v.Name == name {
				return v.Values(panels[board+"/$"+name][0].Series)
			}
		}
	}
	t.Fatalf("no variable %s on %s", name, board)
	return nil
}

func TestASiteThatMovedIsInItsNewDistrictAlone(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		p := newProgramme(t, server, 1)
		p.sites[0].District, p.sites[0].Name = "New (north)/east", "Gokina's new place"
		gone := p.sites[1]
		p.sites = slices.Delete(p.sites, 1, 2)
		if err := p.scribe.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		panels := p.check(t, p.from, p.to)
		districts := values(t, panels, "fleet", "district")
		if !slices.Contains(districts, "New (north)/east") || slices.Contains(districts, "Islamabad") { // both of its sites have left it
			t.Errorf("the districts are %q", districts)
		}
		sites := values(t, panels, "fleet", "site")
		if len(sites) != len(p.sites) || !slices.Contains(sites, p.sites[0].ID) || slices.Contains(sites, gone.ID) {
			t.Errorf("the sites are %q", sites)
		}
		if n := number(t, panels["fleet/$count"][0].Series, "count"); n != float64(len(p.sites)) {
			t.Errorf("%v sites are counted, want %d", n, len(p.sites))
		}
		about := panels["fleet/Sites"][1].Series
		i := slices.IndexFunc(about, func(s store.Series) bool { return s.Tags["site"] == p.sites[0].ID })
		if i < 0 || !slices.Contains(about[i].Values[0], any("Gokina's new place")) || !slices.Contains(about[i].Values[0], any("New (north)/east")) {
			t.Errorf("the table says %v", about)
		}
		// A district chosen by hand, whose name means something in a regular expression, gives its site.
		for _, d := range dashboards.All("") {
			for i, v := range d.Variables {
				if v.Name == "district" {
					d.Variables[i] = dashboards.Variable{Name: "district", Kind: "custom", Query: `New \(north\)\/east`}
				}
			}
			if d.Title != "nabz: fleet" {
				continue
			}
			tried, err := dashboards.Check(t.Context(), p, []dashboards.Dashboard{d}, p.from, p.to)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tried {
				if x.Err != nil || x.Panel == "$count" && number(t, x.Series, "count") != 1 {
					t.Errorf("%s: %v %v", x.Panel, x.Err, x.Series)
				}
			}
		}
	})
}

func TestStatesOnPanelsAreThoseOfTheBoard(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		p := newProgramme(t, server, 1)
		panels := p.check(t, p.from, p.to)
		for title, state := range map[string]fleet.SiteState{"Up": fleet.Up, "Degraded": fleet.Degraded, "Down": fleet.Down, "Off": fleet.Off, "Unreachable": fleet.Unreachable} {
			want := 0
			for _, s := range p.states {
				if s.State == state {
					want++
				}
			}
			if got := number(t, panels["fleet/"+title][0].Series, "sites"); want == 0 || got != float64(want) {
				t.Errorf("%s: %v sites on the panel, %d on the board", title, got, want)
			}
		}
		if got := number(t, panels["fleet/Not known"][0].Series, "sites"); got != 0 {
			t.Errorf("%v sites are not known, want none", got)
		}
	})
}

// reported are the figures of some sites over all of a stretch of time: a report counts a site from when it was first heard, which Grafana cannot know.
func reported(t *testing.T, p *programme, ids []string) (together report.Figures, sites map[string]report.Figures) {
	t.Helper()
	lines, err := report.Timelines(t.Context(), p, p.from, p.to, ids)
	if err != nil {
		t.Fatal(err)
	}
	sites = map[string]report.Figures{}
	var all []report.Figures
	for _, id := range ids {
		sites[id] = report.Of(lines[id], p.from.UnixMilli(), p.to.UnixMilli())
		all = append(all, sites[id])
	}
	return report.Together(all...), sites
}
