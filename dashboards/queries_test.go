package dashboards_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// database is one InfluxDB database that answers for one data source.
type database struct {
	server *influxd.Server
	name   string
}

type series struct {
	Name    string
	Tags    map[string]string
	Columns []string
	Values  [][]any
}

func (d database) do(t *testing.T, path string, query url.Values, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if d.server.Token != "" {
		req.Header.Set("Authorization", "Token "+d.server.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %v: %s %s (%v)", path, query, res.Status, text, err)
	}
	return text
}

// ask returns the series that a query gives, times in ms.
func (d database) ask(t *testing.T, query string) []series {
	t.Helper()
	var answer struct {
		Results []struct {
			Series []series
			Error  string
		}
	}
	text := d.do(t, "/query", url.Values{"db": {d.name}, "epoch": {"ms"}, "q": {query}}, "")
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Results) != 1 || answer.Results[0].Error != "" {
		t.Fatalf("%s\ngave %s", query, text)
	}
	return answer.Results[0].Series
}

// write stores lines as the collector does: checked against the schema, stamped with who sent them.
func (d database) write(t *testing.T, tier telemetry.Tier, from telemetry.Address, lines ...*telemetry.Line) {
	t.Helper()
	var text, stamped []byte
	for _, l := range lines {
		var err error
		if text, err = l.Append(text); err != nil {
			t.Fatal(err)
		}
	}
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 {
		t.Fatalf("sample lines: %v %v", err, bad)
	}
	for _, p := range good {
		if p.Tier == tier {
			stamped = telemetry.AppendStamped(stamped, p, from)
		}
	}
	d.do(t, "/write", url.Values{"db": {d.name}, "precision": {"ms"}}, string(stamped))
}

// fleet stores two hours of two sites, with every measurement of the schema, and returns the databases by the
// uid of their data source.
func fleet(t *testing.T, s *influxd.Server, now time.Time) map[string]database {
	t.Helper()
	dbs := map[string]database{}
	for uid, base := range provisioned(t) {
		dbs[uid] = database{s, s.Database(t, base)}
	}
	st, err := store.Open(store.Config{URL: s.URL, Token: s.Token, Org: s.Org, DetailBucket: dbs["nabz-detail"].name, LedgerBucket: dbs["nabz-ledger"].name},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, from := range []telemetry.Address{{Site: "village-a", Agent: "router"}, {Site: "village-b", Agent: "kiosk"}} {
		lines := append(ledger(now), detail(now, i)...)
		dbs["nabz-detail"].write(t, telemetry.Detail, from, lines...)
		dbs["nabz-ledger"].write(t, telemetry.Ledger, from, lines...)
	}
	return dbs
}

// ledger is 100 minutes: 60 up, 20 degraded, 15 down, 5 off by a power cut.
func ledger(now time.Time) []*telemetry.Line {
	start := now.Add(-100 * time.Minute)
	var lines []*telemetry.Line
	for _, s := range []telemetry.Span{
		{Length: 60 * time.Minute, State: telemetry.StateUp},
		{Length: 20 * time.Minute, State: telemetry.StateDegraded},
		{Length: 15 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Err: time.Second},
		{Length: 5 * time.Minute, State: telemetry.StateOff, Cause: telemetry.CausePower, Err: time.Minute},
	} {
		s.Start = start
		start = s.End()
		lines = append(lines, s.Line())
	}
	at := now.Add(-90 * time.Minute)
	return append(lines,
		telemetry.NewLine("hour", at).Int("ms", 3_600_000).Int("rtt_le_25", 0).Int("rtt_le_50", 10).Int("rtt_le_100", 50).
			Int("rtt_le_150", 60).Int("rtt_le_300", 80).Int("rtt_le_600", 95).Int("rtt_le_1200", 99).Int("rtt_le_inf", 100).
			Int("sent", 110).Int("lost", 10).Int("rx_bytes", 1_000_000).Int("tx_bytes", 100_000),
		telemetry.NewLine("hour_service", at).Tag("service", "clinic").Int("ready_ms", 3_000_000).Int("window_ms", 3_600_000),
		telemetry.NewLine("speedtest", at).Tag("server", "noc").Int("down_bps", 9_000_000).Int("up_bps", 2_000_000).Int("used_bytes", 4_000_000),
		telemetry.NewLine("event", at).Tag("kind", "boot").Str("detail", "after a power cut"))
}

// detail is one set of lines a minute for the last hour.
func detail(now time.Time, n int) []*telemetry.Line {
	var lines []*telemetry.Line
	for m := range 60 {
		at := now.Add(-time.Duration(m) * time.Minute)
		h := telemetry.Header{At: at, Boot: "4f2a9c1b", Seq: uint64(100 - m), SpoolBytes: 512, SpoolLines: 9, WireBytes: int64(1_000_000 - 1000*m),
			Clock: telemetry.ClockSynced, Open: telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseLocal, Length: time.Minute}}
		lines = append(lines, h.Line(),
			telemetry.NewLine("traffic", at).Tag("iface", "wan0").Int("rx_bytes", 60_000).Int("tx_bytes", 6_000).
				Int("rx_peak_bps", 90_000).Int("tx_peak_bps", 9_000).Int("errs", 0).Int("drops", int64(n)),
			telemetry.NewLine("host", at).Float("cpu_pct", 3).Float("mem_pct", 40).Float("disk_pct", 12).Float("load1", 0.2).
				Float("temp_c", 51).Int("uptime_s", int64(9000-60*m)),
			telemetry.NewLine("power", at).Float("battery_pct", 88).Float("volts", 12.6))
		for _, target := range []string{"gateway", "internet", "dns"} {
			lines = append(lines, telemetry.NewLine("link", at).Tag("target", target).Int("sent", 10).Int("lost", 1).
				Float("rtt_min_ms", 20).Float("rtt_avg_ms", 30).Float("rtt_max_ms", 50).Float("jitter_ms", 4))
		}
	}
	return lines
}

// fill puts in what Grafana would: a variable of several values becomes (a|b), the time filter bounds in ms.
func fill(query string, now time.Time, site, agent string) string {
	return strings.NewReplacer(
		"$timeFilter", fmt.Sprintf("time >= %dms and time <= %dms", now.Add(-6*time.Hour).UnixMilli(), now.UnixMilli()),
		"$__interval_ms", "60000", "$__interval", "1m", "$site", site, "$agent", agent).Replace(query)
}

func TestEveryPanelAndVariableGivesRowsFromARealInfluxDB(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		now := time.Now().Truncate(time.Millisecond)
		dbs := fleet(t, server, now)
		left := regexp.MustCompile(`\$[A-Za-z_{]`)
		check := func(t *testing.T, uid, query string) {
			t.Helper()
			if m := left.FindString(query); m != "" {
				t.Fatalf("a variable that the test does not know is left in %s", query)
			}
			for _, s := range dbs[uid].ask(t, query) {
				for _, row := range s.Values {
					for _, v := range row[1:] { // the first is the time
						if v != nil {
							return
						}
					}
				}
			}
			t.Errorf("no value from\n%s", query)
		}
		for file, d := range load(t) {
			for _, v := range d.Templating.List {
				t.Run(file+" $"+v.Name, func(t *testing.T) {
					check(t, v.Datasource.UID, fill(v.Query, now, "village-a", ".*"))
				})
			}
			for _, p := range d.Panels {
				for _, q := range p.Targets {
					t.Run(file+" "+p.Title+" "+q.RefID, func(t *testing.T) {
						if file == "fleet.json" {
							check(t, q.Datasource.UID, fill(q.Query, now, "(village-a|village-b)", ".*"))
						}
						check(t, q.Datasource.UID, fill(q.Query, now, "village-b", "(kiosk)"))
					})
				}
			}
		}
	})
}

func TestAvailabilityOnDashboardsIsUpTimeOverObservedTime(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		now := time.Now().Truncate(time.Millisecond)
		dbs := fleet(t, server, now)
		db := dbs["nabz-ledger"]
		at := now.Add(-2 * time.Hour)
		for site, spans := range map[string][]telemetry.Span{
			"always-up": {{Start: at, Length: time.Hour, State: telemetry.StateUp}},
			"never-up":  {{Start: at, Length: time.Hour, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul}},
			"switched-off": {{Start: at, Length: 30 * time.Minute, State: telemetry.StateUp},
				{Start: at.Add(30 * time.Minute), Length: time.Hour, State: telemetry.StateOff, Cause: telemetry.CauseShutdown}},
		} {
			for _, s := range spans {
				db.write(t, telemetry.Ledger, telemetry.Address{Site: site, Agent: "router"}, s.Line())
			}
		}
		tests := []struct {
			file, title, site string
			want              map[string]float64 // by site, "" for all together
		}{
			{"site.json", "Availability", "village-a", map[string]float64{"": 80}},
			{"site.json", "Availability without power cuts", "village-a", map[string]float64{"": 100 * 80. / 95}},
			{"site.json", "Availability", "always-up", map[string]float64{"": 100}},
			{"site.json", "Availability", "never-up", map[string]float64{"": 0}},
			{"site.json", "Availability", "switched-off", map[string]float64{"": 100}},
			{"fleet.json", "Availability", "(village-a|never-up)", map[string]float64{"": 50}},
			{"fleet.json", "Availability of each site", "(village-a|never-up|always-up)", map[string]float64{"village-a": 80, "never-up": 0, "always-up": 100}},
		}
		boards := load(t)
		for _, tt := range tests {
			t.Run(tt.title+" "+tt.site, func(t *testing.T) {
				got := map[string]float64{}
				for _, p := range boards[tt.file].Panels {
					if p.Title != tt.title {
						continue
					}
					for _, s := range db.ask(t, fill(p.Targets[0].Query, now, tt.site, ".*")) {
						v, ok := s.Values[0][1].(float64)
						if !ok || len(s.Values) != 1 {
							t.Errorf("got rows %v, want one number", s.Values)
						}
						got[s.Tags["site"]] = v
					}
				}
				if len(got) != len(tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				for site, want := range tt.want {
					// Nothing but the rounding of the last digits may differ.
					if d := got[site] - want; d > 1e-9 || d < -1e-9 {
						t.Errorf("site %q: got %v, want %v", site, got[site], want)
					}
				}
			})
		}
	})
}
