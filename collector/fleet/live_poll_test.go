package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// A board that takes nothing in shows what the process beside it does that stored the same batches itself.
func TestABoardThatPollsShowsWhatTheOneShowsThatStored(t *testing.T) {
	db := influxd.ForTest(t)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")},
		slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	storing, polling := newVillage(t), newVillage(t)
	begin := time.Now().UTC().Truncate(time.Hour).Add(-2 * time.Hour)
	storing.now, polling.now = begin, begin
	poller := NewPoller(polling.live, s)
	seq := uint64(0)
	send := func(at time.Time, o telemetry.OpenSpan, lines ...*telemetry.Line) {
		t.Helper()
		seq++
		h := telemetry.Header{At: at, Boot: "0123abcd", Seq: seq, Open: o, Clock: telemetry.ClockSynced, Next: time.Minute, SpoolLines: int64(seq)}
		var raw []byte
		for _, l := range append([]*telemetry.Line{h.Line()}, lines...) {
			if raw, err = l.Append(raw); err != nil {
				t.Fatal(err)
			}
		}
		good, bad, _ := telemetry.Parse(raw)
		if len(bad) > 0 {
			t.Fatal(bad[0].Err)
		}
		for _, l := range good {
			if err := s.Write(t.Context(), l.Tier, telemetry.AppendStamped(nil, l, kiosk)); err != nil {
				t.Fatal(err)
			}
		}
		storing.live.Stored(kiosk, storing.now, good)
	}
	link := func(at time.Time, rtt float64) *telemetry.Line {
		return telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", 10).Int("lost", 1).Float("rtt_avg_ms", rtt)
	}
	traffic := func(at time.Time, bytes int64) *telemetry.Line {
		return telemetry.NewLine("traffic", at).Tag("iface", "wan").Int("rx_bytes", bytes).Int("tx_bytes", bytes/2)
	}
	same := func(what string) Status {
		t.Helper()
		if err := poller.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		a, _ := storing.live.Site(kiosk.Site)
		b, _ := polling.live.Site(kiosk.Site)
		value := func(p *float64) float64 {
			if p == nil {
				return -1
			}
			return *p
		}
		if a.State != b.State || a.Cause != b.Cause || !a.Since.Equal(b.Since) || a.Told != b.Told || a.BacklogLines != b.BacklogLines || a.Boot != b.Boot ||
			value(a.LatencyMs) != value(b.LatencyMs) || value(a.LossPct) != value(b.LossPct) || value(a.RxBps) != value(b.RxBps) || value(a.TxBps) != value(b.TxBps) ||
			value(a.BatteryPct) != value(b.BatteryPct) || value(a.DiskPct) != value(b.DiskPct) || !a.BatteryAt.Equal(b.BatteryAt) || !a.DiskAt.Equal(b.DiskAt) ||
			(a.Charging == nil) != (b.Charging == nil) || a.Charging != nil && *a.Charging != *b.Charging || !slices.Equal(a.Ribbon, b.Ribbon) {
			t.Errorf("%s: the board that polls shows\n%+v\nthe one that stored\n%+v", what, b, a)
		}
		return b
	}
	pass := func(d time.Duration) time.Time {
		storing.now, polling.now = storing.now.Add(d), polling.now.Add(d)
		return storing.now
	}
	if got := same("before anything"); got.State != NeverSeen {
		t.Errorf("before anything it is %s", got.State)
	}
	for n := range 10 {
		at := pass(time.Minute)
		send(at, up(time.Duration(n)*time.Minute), link(at, 40+float64(n)), traffic(at, 60_000*int64(n+1)),
			telemetry.NewLine("power", at).Float("battery_pct", 50-float64(n)).Bool("charging", n%2 == 0), telemetry.NewLine("host", at).Float("disk_pct", 70+float64(n)))
		if n%3 == 0 { // not each batch is seen
			if got := same("while it reports"); got.State != Up || got.LatencyMs == nil || got.BatteryPct == nil || got.DiskPct == nil {
				t.Errorf("while it reports it is %s, latency %v", got.State, got.LatencyMs)
			}
		}
	}
	at := pass(time.Minute)
	send(at, down(telemetry.CauseDNS, 10*time.Second), telemetry.Span{Start: begin.Add(time.Minute), Length: 10*time.Minute - 10*time.Second, State: telemetry.StateUp}.Line())
	pass(time.Minute) // spans are asked for that often
	if got := same("names are gone"); got.State != Down || got.Cause != telemetry.CauseDNS {
		t.Errorf("when names are gone it is %s %s", got.State, got.Cause)
	}
	ch, cancel := polling.live.Subscribe()
	defer cancel()
	polling.live.flush()
	<-ch
	polling.live.flush()
	if news := <-ch; len(news) > 0 {
		t.Errorf("without news subscribers hear of %v", news)
	}
	pass(10 * time.Minute)
	if got := same("it is silent"); got.State != Unreachable {
		t.Errorf("after ten silent minutes it is %s", got.State)
	}
	// What it tells late, of hours ago, is taken in within five minutes.
	at = pass(time.Minute)
	send(at, up(time.Minute), telemetry.Span{Start: at.Add(-23 * time.Hour), Length: time.Hour, State: telemetry.StateDown, Cause: telemetry.CauseLocal}.Line())
	pass(5 * time.Minute)
	if got := same("it is back"); len(got.Ribbon) < 2 {
		t.Errorf("the ribbon lacks what was told late: %v", got.Ribbon)
	}
}

// empty is an InfluxDB into which nobody writes.
type empty struct{}

func (empty) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) { return nil, nil }

func TestWhenAllConnectedSitesAreSilentTheNOCIsToBlame(t *testing.T) {
	for sites, stalls := range map[int]bool{2: false, 3: true} {
		v := newVillage(t)
		v.sites, v.agents = nil, nil
		var stalled error
		v.live.o.Deaf = func() bool { return stalled != nil }
		p := NewPoller(v.live, empty{})
		for n := range sites {
			a := telemetry.Address{Site: fmt.Sprint("s", n), Agent: "main"}
			v.sites, v.agents = append(v.sites, Site{ID: a.Site}), append(v.agents, a)
			h := telemetry.Header{At: v.now, Boot: "0123abcd", Seq: 1, Open: up(time.Minute), Clock: telemetry.ClockSynced, Next: time.Minute}
			raw, err := h.Line().Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			good, _, _ := telemetry.Parse(raw)
			v.live.Presence(a, telemetry.Presence{Online: true, Session: 1})
			v.live.Stored(a, v.now, good)
		}
		for range 30 { // five minutes
			v.now = v.now.Add(10 * time.Second)
			if err := p.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			stalled = p.Stalled()
			v.live.Sites()
		}
		want := map[bool]SiteState{false: Unreachable, true: Up}[stalls]
		if st, _ := v.live.Site("s0"); (stalled != nil) != stalls || st.State != want {
			t.Errorf("%d silent sites: stalled %v, shown as %s; want %t and %s", sites, stalled, st.State, stalls, want)
		}
		v.live.Presence(v.agents[1], telemetry.Presence{Session: 1}) // who leaves the broker is another matter
		if st, _ := v.live.Site("s1"); st.State != Unreachable {
			t.Errorf("%d silent sites: one that has left is shown as %s", sites, st.State)
		}
	}
}
