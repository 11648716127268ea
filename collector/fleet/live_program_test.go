package fleet

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func boot(t *testing.T, at time.Time, detail string) telemetry.Parsed {
	t.Helper()
	raw, err := telemetry.NewLine("event", at).Tag("kind", "boot").Str("detail", detail).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	good, bad, err := telemetry.Parse(raw)
	if err != nil || len(bad) > 0 {
		t.Fatal(err, bad)
	}
	return good[0]
}

func TestTheVersionOfAnAgentIsThatOfItsNewestStart(t *testing.T) {
	v := newVillage(t)
	program := func() telemetry.Program { st, _ := v.live.Site(kiosk.Site); return st.Agents[0].Program }
	if got := program(); got != (telemetry.Program{}) {
		t.Errorf("an agent that was never heard is %+v", got)
	}
	now := telemetry.Program{Version: "0.7.0", System: "linux/mipsle", Contract: 2}
	v.live.Stored(kiosk, v.now, []telemetry.Parsed{boot(t, v.now, now.BootDetail("boot 4f2a9c1b, asks by icmp"))})
	v.live.Stored(kiosk, v.now, []telemetry.Parsed{boot(t, v.now.Add(-time.Hour), "nabz-agent 0.6.0 on linux/mipsle, boot 0badcafe, asks by icmp")}) // from a backlog
	v.live.Stored(kiosk, v.now, []telemetry.Parsed{boot(t, v.now.Add(time.Second), "back after a power cut")})
	if got := program(); got != now {
		t.Errorf("got %+v, want %+v", got, now)
	}
	v.live.Stored(kiosk, v.now, []telemetry.Parsed{boot(t, v.now.Add(time.Minute), "nabz-agent 0.6.0 on linux/mipsle, boot 4f2a9c1b, asks by icmp")}) // a downgrade
	if got := program(); got.Version != "0.6.0" || got.Contract != 1 {
		t.Errorf("after a downgrade it is %+v", got)
	}
}

func TestVersionsAreCountedAndNoAgentFillsTheMetrics(t *testing.T) {
	v := newVillage(t)
	for i := range 60 {
		a := telemetry.Address{Site: "s" + fmt.Sprint(i), Agent: "main"}
		v.agents = append(v.agents, a)
		version := "0.7.0"
		if i >= 30 {
			version = fmt.Sprintf("0.6.0-%d", i) // each says something else
		}
		v.live.Stored(a, v.now, []telemetry.Parsed{boot(t, v.now, "nabz-agent "+version+" on linux/arm, boot 4f2a9c1b")})
	}
	got, sum := v.live.Versions(), 0
	for _, n := range got {
		sum += n
	}
	if len(got) != maxVersions+1 || got["0.7.0"] != 30 || got["other"] != 12 || sum != len(v.agents) {
		t.Errorf("%d agents are counted as %v", len(v.agents), got)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(v.live.Metric())
	families, err := r.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "nabz_agents" || len(families[0].GetMetric()) != maxVersions+1 {
		t.Errorf("the metric is %v, %v", families, err)
	}
}

func TestVersionsAreKnownAfterARestartAndOnABoardThatTakesNothingIn(t *testing.T) {
	db := influxd.ForTest(t)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := newVillage(t)
	v.now = time.Now().UTC().Truncate(time.Second)
	write := func(at time.Time, version string) {
		t.Helper()
		p := boot(t, at, "nabz-agent "+version+" on linux/mips, contract 2, boot 4f2a9c1b")
		if err := s.Write(t.Context(), telemetry.Ledger, telemetry.AppendStamped(nil, p, kiosk)); err != nil {
			t.Fatal(err)
		}
	}
	program := func() string { st, _ := v.live.Site(kiosk.Site); return st.Agents[0].Program.Version }
	write(v.now.Add(-400*24*time.Hour), "0.6.0")
	write(v.now.Add(-300*24*time.Hour), "0.7.0")
	if err := v.live.Restore(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if got := program(); got != "0.7.0" {
		t.Errorf("after a restart the agent is %q, want the version of its last start", got)
	}
	write(v.now.Add(-time.Minute), "0.8.0")
	if err := NewPoller(v.live, s).Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := program(); got != "0.8.0" {
		t.Errorf("a board that asks InfluxDB has %q, want 0.8.0", got)
	}
	all, err := LastBoots(t.Context(), s, v.now)
	if err != nil || len(all) != 1 || all[0].Address != kiosk || all[0].Program.Version != "0.8.0" || !strings.HasPrefix(all[0].At.Format(time.RFC3339), v.now.Add(-time.Minute).Format("2006-01-02T15:04")) {
		t.Errorf("asked for the last starts: %+v, %v", all, err)
	}
}
