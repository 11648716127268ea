package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestARestartGoesOnFromWhatInfluxDBHolds(t *testing.T) {
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
	v := newVillage(t)
	v.now = time.Now().UTC().Truncate(time.Hour).Add(-time.Hour) // retention counts from now
	silent := telemetry.Address{Site: "lost", Agent: "kiosk"}
	v.sites, v.agents = append(v.sites, Site{ID: "lost"}), append(v.agents, silent)
	stopped := v.now
	write := func(tier telemetry.Tier, a telemetry.Address, l *telemetry.Line) {
		t.Helper()
		raw, err := l.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		good, bad, _ := telemetry.Parse(raw)
		if len(bad) > 0 {
			t.Fatal(bad[0].Err)
		}
		if err := s.Write(t.Context(), tier, telemetry.AppendStamped(nil, good[0], a)); err != nil {
			t.Fatal(err)
		}
	}
	head := func(at time.Time, o telemetry.OpenSpan) *telemetry.Line {
		return telemetry.Header{At: at, Boot: "0123abcd", Seq: 9, Open: o, Clock: telemetry.ClockSynced, SpoolLines: 3}.Line()
	}
	write(telemetry.Ledger, kiosk, telemetry.Span{Start: stopped.Add(-time.Hour), Length: time.Hour, State: telemetry.StateDown, Cause: telemetry.CauseDNS}.Line())
	write(telemetry.Ledger, kiosk, telemetry.Span{Start: stopped.Add(-2 * time.Hour), Length: time.Hour, State: telemetry.StateUp}.Line())
	write(telemetry.Detail, kiosk, head(stopped.Add(-time.Minute), down(telemetry.CauseDNS, 59*time.Minute)))
	write(telemetry.Detail, kiosk, head(stopped, down(telemetry.CauseDNS, 0)))
	seldom := telemetry.Address{Site: "seldom", Agent: "kiosk"}
	v.sites, v.agents = append(v.sites, Site{ID: "seldom"}), append(v.agents, seldom)
	write(telemetry.Detail, seldom, telemetry.Header{At: stopped, Boot: "0123abcd", Seq: 4, Open: up(time.Minute), Clock: telemetry.ClockSynced, Next: 15 * time.Minute}.Line())
	write(telemetry.Detail, silent, head(stopped.Add(-72*time.Hour), up(time.Minute)))

	write(telemetry.Detail, kiosk, telemetry.NewLine("power", stopped.Add(-time.Minute)).Float("battery_pct", 14).Bool("charging", false))
	write(telemetry.Detail, kiosk, telemetry.NewLine("host", stopped).Float("disk_pct", 91))

	v.now = stopped.Add(10 * time.Minute) // the collector was away for ten minutes
	if err := v.live.Restore(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	st := v.want(Down, telemetry.CauseDNS, stopped.Add(-time.Hour))
	if len(st.Ribbon) != 2 || st.BacklogLines != 3 || st.Clock != telemetry.ClockSynced || st.Boot != "0123abcd" {
		t.Errorf("restored %+v", st)
	}
	if m := st.Machine; m.BatteryPct == nil || *m.BatteryPct != 14 || m.Charging == nil || *m.Charging || !m.BatteryAt.Equal(stopped.Add(-time.Minute)) || m.DiskPct == nil || *m.DiskPct != 91 {
		t.Errorf("restored of battery and disk %+v", m)
	}
	if lost, _ := v.live.Site("lost"); lost.State != Unreachable || !lost.Told.At.Equal(stopped.Add(-72*time.Hour)) {
		t.Errorf("a site that was lost before the restart is %s, last told %s", lost.State, lost.Told.At)
	}
	v.now = v.now.Add(91 * time.Second) // it has had its chance to come back
	v.want(Unreachable, "", stopped)
	v.live.Presence(seldom, telemetry.Presence{Online: true, Session: 5})
	for after, want := range map[time.Duration]SiteState{32 * time.Minute: Up, 33 * time.Minute: Unreachable} { // ten minutes of absence do not count
		v.now = stopped.Add(after)
		if st, _ := v.live.Site("seldom"); st.State != want {
			t.Errorf("a site that reports every 15 minutes is %s after %v, want %s", st.State, after, want)
		}
	}
}

// headQuerier holds one batch line of an agent.
type headQuerier struct {
	a    telemetry.Address
	at   time.Time
	next time.Duration
}

func (q headQuerier) Query(_ context.Context, tier telemetry.Tier, _ string) ([]store.Series, error) {
	if tier == telemetry.Ledger {
		return nil, nil
	}
	number := func(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
	return []store.Series{{Name: "batch", Tags: map[string]string{"site": q.a.Site, "agent": q.a.Agent},
		Values: [][]any{{number(q.at.UnixMilli()), number(9), "0123abcd", "up", "", number(60_000), number(0), number(0), number(0), "synced", number(int64(q.next.Seconds()))}}}}, nil
}

func TestASiteThatReportsSeldomHasItsChanceToComeBackAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		told  time.Duration // before the collector stopped
		first SiteState
	}{"in the middle of its interval": {10 * time.Minute, Up}, "silent for longer than it had said": {23 * time.Minute, Unreachable}} {
		t.Run(name, func(t *testing.T) {
			v := newVillage(t)
			other := telemetry.Address{Site: "other", Agent: "kiosk"} // which spoke when the collector stopped
			v.sites, v.agents = append(v.sites, Site{ID: "other"}), append(v.agents, other)
			stopped := v.now
			v.now = stopped.Add(5 * time.Minute)
			if err := v.live.Restore(t.Context(), headQueriers{{kiosk, stopped.Add(-c.told), 15 * time.Minute}, {other, stopped, time.Minute}}); err != nil {
				t.Fatal(err)
			}
			state := func() SiteState { st, _ := v.live.Site(kiosk.Site); return st.State }
			v.now = v.now.Add(89 * time.Second)
			if got := state(); got != c.first {
				t.Errorf("before it can have come back it is %s, want %s", got, c.first)
			}
			v.now = v.now.Add(2 * time.Second)
			if got := state(); got != Unreachable {
				t.Errorf("it has not come back and is %s", got)
			}
		})
	}
}

type headQueriers []headQuerier

func (all headQueriers) Query(ctx context.Context, tier telemetry.Tier, q string) (out []store.Series, err error) {
	for _, h := range all {
		series, _ := h.Query(ctx, tier, q)
		out = append(out, series...)
	}
	return out, nil
}

func TestTimeSpentWaitingForInfluxDBCountsOnce(t *testing.T) {
	v := newVillage(t)
	stopped := v.now
	v.now, v.deaf = stopped.Add(10*time.Minute), true // started anew, without InfluxDB
	v.live.Sites()
	v.now = v.now.Add(time.Hour)
	if err := v.live.Restore(t.Context(), headQuerier{a: kiosk, at: stopped}); err != nil {
		t.Fatal(err)
	}
	v.deaf = false
	v.want(Up, "", stopped.Add(-time.Minute))
	v.now = v.now.Add(91 * time.Second)
	v.want(Unreachable, "", stopped)
}

func TestABatchStoredWhileRestoreWaitedTakesNoDeafnessAway(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0))
	v.deaf = true
	v.live.Sites()
	v.now = told.Add(time.Hour)
	other := telemetry.Address{Site: "lost", Agent: "kiosk"}
	if err := v.live.Restore(t.Context(), headQuerier{a: other, at: told.Add(59 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	v.deaf = false
	v.now = v.now.Add(80 * time.Second)
	v.want(Up, "", told)
}

type brokenQuerier struct{ err error }

func (q brokenQuerier) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, q.err
}

func TestRestoreSaysWhatItCouldNotRead(t *testing.T) {
	v, gone := newVillage(t), errors.New("connection refused")
	if err := v.live.Restore(t.Context(), brokenQuerier{gone}); !errors.Is(err, gone) || !strings.Contains(err.Error(), "last day's spans") {
		t.Errorf("got %v", err)
	}
}
