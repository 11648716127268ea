package web

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

func TestTheWayToTheCollectorIsChartedWhereTheInternetIsSeldomAsked(t *testing.T) {
	way := func(target string, sent ...int) store.Series {
		s := store.Series{Tags: map[string]string{"target": target}}
		for i, n := range sent {
			row := []any{json.Number(strconv.Itoa(i)), nil, nil, nil, nil, nil}
			if n > 0 {
				row[4] = json.Number(strconv.Itoa(n))
			}
			s.Values = append(s.Values, row)
		}
		return s
	}
	for _, tt := range []struct {
		name string
		ways []store.Series
		want string
	}{
		{"an hour of minutes", []store.Series{way("collector", 1, 1, 1, 1, 1), way("internet", 9, 0, 0, 0, 0)}, "collector"},
		{"a day of steps that both fill", []store.Series{way("collector", 9, 9, 9, 9), way("internet", 1, 1, 1, 1)}, "internet"},
		{"half of them", []store.Series{way("collector", 9, 9, 9, 9), way("internet", 0, 1, 0, 1)}, "internet"},
		{"the other order", []store.Series{way("internet", 0, 1, 0, 0), way("collector", 9, 9, 9, 9)}, "collector"},
		{"an older agent", []store.Series{way("internet", 1, 1)}, "internet"},
		{"no probes at all", []store.Series{way("collector", 1, 1)}, "collector"},
	} {
		if got := steadiest(tt.ways); got == nil || got.Tags["target"] != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
		}
	}
	if got := steadiest(nil); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestChartsAreWhatARealInfluxDBHolds(t *testing.T) {
	s := realStore(t)
	now := time.Now().UTC().Truncate(time.Minute)
	w := newWorld(t, s, now.Add(20*time.Second))
	w.settle()
	a := telemetry.Address{Site: "passu", Agent: "router"}
	link := func(at time.Time, lo, avg, hi float64, sent, lost int64) *telemetry.Line {
		return telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", sent).Int("lost", lost).Float("rtt_min_ms", lo).Float("rtt_avg_ms", avg).Float("rtt_max_ms", hi)
	}
	traffic := func(at time.Time, iface string, rx, tx int64) *telemetry.Line {
		return telemetry.NewLine("traffic", at).Tag("iface", iface).Int("rx_bytes", rx).Int("tx_bytes", tx).Int("rx_peak_bps", rx).Int("tx_peak_bps", tx)
	}
	put(t, s, telemetry.Detail, a,
		link(now, 10, 20, 90, 10, 0), link(now.Add(-4*time.Minute), 8, 40, 60, 10, 3), // the last step: it ends at now, and takes its end in
		link(now.Add(-5*time.Minute), 50, 50, 50, 4, 4), // the step before
		link(now.Add(-24*time.Hour), 1, 1, 1, 1, 0),     // before the first step
		telemetry.NewLine("link", now).Tag("target", "gateway").Int("sent", 10).Int("lost", 10),
		traffic(now, "wan", 3_750_000, 375_000), traffic(now, "lan", 375_000, 3_750_000),
		telemetry.NewLine("host", now).Float("cpu_pct", 12.5).Float("mem_pct", 40))
	put(t, s, telemetry.Detail, telemetry.Address{Site: "dasu", Agent: "router"}, link(now, 999, 999, 999, 1, 1))

	var doc seriesDoc
	if err := json.Unmarshal([]byte(w.want("/api/v1/sites/passu/series?range=24h", 200)), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Time) != 288 || doc.StepMs != 300_000 || doc.Time[287] != now.Add(-5*time.Minute).UnixMilli() || doc.Interface != "wan" || doc.TimeZone != "Asia/Karachi" || doc.Target != "internet" {
		t.Errorf("%d steps of %d ms up to %d, interface %q, zone %q", len(doc.Time), doc.StepMs, doc.Time[len(doc.Time)-1], doc.Interface, doc.TimeZone)
	}
	want := map[string][2]string{ // the last two steps
		"latency_min": {"50", "8"}, "latency_avg": {"50", "30"}, "latency_max": {"50", "90"}, "loss": {"100", "15"},
		"down": {"null", "100000"}, "up": {"null", "10000"}, "down_peak": {"null", "3750000"}, "up_peak": {"null", "375000"},
		"cpu": {"null", "13"}, "mem": {"null", "40"}, "disk": {"null", "null"}, "temp": {"null", "null"}, "battery": {"null", "null"}, "volts": {"null", "null"},
	}
	if len(doc.Series) != len(want) {
		t.Errorf("%d columns, want %d", len(doc.Series), len(want))
	}
	for _, c := range doc.Series {
		x, _ := json.Marshal(c.Values[286])
		y, _ := json.Marshal(c.Values[287])
		if got := [2]string{string(x), string(y)}; got != want[c.Name] || len(c.Values) != 288 || c.Unit == "" {
			t.Errorf("%s ends with %v %s, want %v", c.Name, got, c.Unit, want[c.Name])
		}
		for i, v := range c.Values[:286] {
			if v != nil {
				t.Errorf("%s has %v in step %d, where nothing was measured", c.Name, *v, i)
			}
		}
	}
	for name, steps := range map[string]int{"7d": 336, "30d": 360, "90d": 360, "1y": 365, "1h": 30} {
		if err := json.Unmarshal([]byte(w.want("/api/v1/sites/passu/series?range="+name, 200)), &doc); err != nil || len(doc.Time) != steps {
			t.Errorf("%s has %d steps, want %d (%v)", name, len(doc.Time), steps, err)
		}
	}
}

func TestASitesHistoryIsWhatARealInfluxDBHolds(t *testing.T) {
	s := realStore(t)
	now := time.Now().UTC().Truncate(time.Hour).Add(30 * time.Minute)
	w := newWorld(t, s, now)
	w.settle()
	a := telemetry.Address{Site: "astore", Agent: "router"} // of which Live has heard nothing
	var lines []*telemetry.Line
	start := now.Truncate(time.Hour)
	for h := 1; h <= 29*24; h++ { // nine tenths of each hour up, one tenth down
		at := start.Add(-time.Duration(h) * time.Hour)
		lines = append(lines, telemetry.Span{Start: at, Length: 54 * time.Minute, State: telemetry.StateUp, Err: time.Second}.Line(),
			telemetry.Span{Start: at.Add(54 * time.Minute), Length: 6 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseDNS, Err: 1500 * time.Millisecond}.Line())
	}
	put(t, s, telemetry.Ledger, a, lines...)
	put(t, s, telemetry.Ledger, a, telemetry.NewLine("event", now.Add(-2*time.Hour)).Tag("kind", "boot").Str("detail", `back after "a cut" <b>`))
	body := w.want("/sites/astore?range=7d", 200, "Outages, last 7 days", "name resolution", "6 min", "± 2 s", "118 earlier ones are in", "back after &#34;a cut&#34; &lt;b&gt;")
	for _, figure := range []string{"89.78 %", "89.97 %", "90.00 %"} { // the current half hour is unknown, and counts for nothing
		if !strings.Contains(body, `<p class="figure">`+figure+`</p>`) {
			t.Errorf("the page has no figure %s:\n%s", figure, body)
		}
	}
}
