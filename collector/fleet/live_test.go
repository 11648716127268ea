package fleet

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// village is a roster and a clock for Live.
type village struct {
	t      *testing.T
	now    time.Time
	sites  []Site
	agents []telemetry.Address
	deaf   bool
	seq    uint64
	next   time.Duration // that batches announce
	live   *Live
}

func (v *village) Sites() []Site               { return slices.Clone(v.sites) }
func (v *village) Agents() []telemetry.Address { return slices.Clone(v.agents) }
func (v *village) Site(id string) (Site, bool) {
	for _, s := range v.sites {
		if s.ID == id {
			return s, true
		}
	}
	return Site{}, false
}

var kiosk = telemetry.Address{Site: "kibuye", Agent: "kiosk"}

func newVillage(t *testing.T) *village {
	v := &village{t: t, now: time.Date(2026, 11, 20, 12, 30, 0, 0, time.UTC),
		sites: []Site{{ID: "kibuye", Name: "Kibuye"}}, agents: []telemetry.Address{kiosk}}
	v.live = NewLive(v, LiveOptions{Now: func() time.Time { return v.now }, Deaf: func() bool { return v.deaf }})
	return v
}

// batch delivers what an agent sealed at that time.
func (v *village) batch(a telemetry.Address, at time.Time, open telemetry.OpenSpan, lines ...*telemetry.Line) {
	v.t.Helper()
	v.seq++
	h := telemetry.Header{At: at, Boot: "0123abcd", Seq: v.seq, Open: open, Clock: telemetry.ClockSynced, SpoolLines: 7, Next: v.next}
	var text []byte
	for _, l := range append([]*telemetry.Line{h.Line()}, lines...) {
		var err error
		if text, err = l.Append(text); err != nil {
			v.t.Fatal(err)
		}
	}
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 {
		v.t.Fatalf("batch is malformed: %v %v", err, bad)
	}
	v.live.Stored(a, v.now, good)
	for i := range text {
		text[i] = 'x' // what Live keeps must not alias the buffer
	}
}

func (v *village) want(state SiteState, cause telemetry.Cause, since time.Time) Status {
	v.t.Helper()
	st, ok := v.live.Site("kibuye")
	if !ok || st.State != state || st.Cause != cause || !st.Since.Equal(since) {
		v.t.Errorf("site is %s %s since %s (known %v), want %s %s since %s", st.State, st.Cause, st.Since.Format(time.TimeOnly), ok, state, cause, since.Format(time.TimeOnly))
	}
	return st
}

func up(d time.Duration) telemetry.OpenSpan {
	return telemetry.OpenSpan{State: telemetry.StateUp, Length: d}
}

func down(c telemetry.Cause, d time.Duration) telemetry.OpenSpan {
	return telemetry.OpenSpan{State: telemetry.StateDown, Cause: c, Length: d}
}

func TestASiteIsWhatItsNewestBatchSaysUntilItFallsSilent(t *testing.T) {
	v := newVillage(t)
	v.want(NeverSeen, "", time.Time{})
	t0 := v.now
	v.batch(kiosk, t0, up(10*time.Minute))
	v.want(Up, "", t0.Add(-10*time.Minute))
	v.now = t0.Add(time.Minute)
	v.batch(kiosk, v.now, down(telemetry.CauseBackhaul, 20*time.Second))
	v.want(Down, telemetry.CauseBackhaul, v.now.Add(-20*time.Second))
	told := v.now
	v.now = v.now.Add(90 * time.Second)
	v.want(Down, telemetry.CauseBackhaul, told.Add(-20*time.Second))
	v.now = v.now.Add(time.Millisecond)
	st := v.want(Unreachable, "", told)
	if st.Told.State != telemetry.StateDown || !st.Told.At.Equal(told) || st.BacklogLines != 7 {
		t.Errorf("last told %+v with %d lines, want down at %s and 7", st.Told, st.BacklogLines, told)
	}
}

func TestSinceReachesOverHourCutsAndBeyondTheRibbon(t *testing.T) {
	v := newVillage(t)
	hour := v.now.Truncate(time.Hour)
	for h := 30; h > 0; h-- {
		start := hour.Add(-time.Duration(h) * time.Hour)
		v.now = start.Add(time.Hour)
		v.batch(kiosk, v.now, up(0), telemetry.Span{Start: start, Length: time.Hour, State: telemetry.StateUp}.Line())
	}
	v.now = hour.Add(30 * time.Minute)
	v.batch(kiosk, v.now, up(30*time.Minute))
	st := v.want(Up, "", hour.Add(-30*time.Hour))
	if len(st.Ribbon) != 1 || st.Ribbon[0].Ms() != (24*time.Hour).Milliseconds() {
		t.Errorf("ribbon is %v, want one segment of 24 h", st.Ribbon)
	}
}

func TestAnOldBacklogIsNotTheStateNow(t *testing.T) {
	v := newVillage(t)
	v.batch(kiosk, v.now.Add(-3*time.Hour), up(5*time.Minute))
	st := v.want(Unreachable, "", v.now.Add(-3*time.Hour))
	if !st.CatchingUp {
		t.Error("an agent that is sending its backlog does not show as catching up")
	}
	v.batch(kiosk, v.now, down(telemetry.CauseDNS, time.Minute))
	v.batch(kiosk, v.now.Add(-2*time.Hour), up(5*time.Minute))
	v.want(Down, telemetry.CauseDNS, v.now.Add(-time.Minute))
}

func TestAClockAheadDoesNotFreezeTheState(t *testing.T) {
	v := newVillage(t)
	v.batch(kiosk, v.now.Add(48*time.Hour), up(0))
	v.now = v.now.Add(time.Minute)
	v.batch(kiosk, v.now, down(telemetry.CauseLocal, 0))
	v.want(Down, telemetry.CauseLocal, v.now)
}

func TestPresence(t *testing.T) {
	online := func(n uint64) telemetry.Presence { return telemetry.Presence{Online: true, Session: n} }
	offline := func(n uint64) telemetry.Presence { return telemetry.Presence{Session: n} }
	tests := []struct {
		name string
		said []telemetry.Presence
		want SiteState
	}{
		{"the last will makes a site unreachable at once", []telemetry.Presence{online(3), offline(3)}, Unreachable},
		{"the late will of an old session hides nothing", []telemetry.Presence{online(4), offline(3)}, Up},
		{"a new session undoes the old will", []telemetry.Presence{online(3), offline(3), online(4)}, Up},
		{"a router that has lost count comes back with a lower number", []telemetry.Presence{online(50), offline(50), online(3)}, Up},
		{"its word said again counts, once the will of the old session is out", []telemetry.Presence{online(50), online(3), offline(50), online(3)}, Up},
		{"and its own will counts, too", []telemetry.Presence{online(50), offline(50), online(3), offline(3)}, Unreachable},
		{"online of the session that ended is late news", []telemetry.Presence{online(3), offline(3), online(3)}, Unreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVillage(t)
			at := v.now
			v.batch(kiosk, at, up(0))
			v.now = v.now.Add(5 * time.Second)
			for _, p := range tt.said {
				v.live.Presence(kiosk, p)
			}
			v.want(tt.want, "", at)
			v.now = v.now.Add(time.Second)
			v.batch(kiosk, v.now, up(0)) // a newer batch is better evidence than any will
			v.want(Up, "", v.now)
		})
	}
}

func TestAConnectedAgentThatReportsRarelyIsGivenItsOwnInterval(t *testing.T) {
	v := newVillage(t)
	link := func() *telemetry.Line {
		return telemetry.NewLine("link", v.now).Tag("target", "internet").Int("sent", 10).Int("lost", 1).Float("rtt_avg_ms", 80)
	}
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 1})
	for range 3 {
		v.now = v.now.Add(15 * time.Minute)
		v.batch(kiosk, v.now, up(0), link())
	}
	told := v.now
	v.now = told.Add(22 * time.Minute)
	if st := v.want(Up, "", told); st.LossPct == nil || *st.LossPct != 10 || *st.LatencyMs != 80 {
		t.Errorf("loss %v latency %v, want 10 and 80", st.LossPct, st.LatencyMs)
	}
	v.now = told.Add(23 * time.Minute)
	v.want(Unreachable, "", told)
	v.now = told.Add(2 * time.Minute)
	v.live.Presence(kiosk, telemetry.Presence{Session: 1})
	v.want(Unreachable, "", told)
}

func TestAnAgentThatSaysWhenItComesNextIsSilentOnlyAfterThat(t *testing.T) {
	v := newVillage(t)
	v.next = 15 * time.Minute
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 1})
	told := v.now
	v.batch(kiosk, told, up(0)) // its first word is enough
	v.now = told.Add(14 * time.Minute)
	v.want(Up, "", told)
	v.now = told.Add(22*time.Minute + 30*time.Second)
	v.want(Up, "", told)
	v.now = v.now.Add(time.Millisecond)
	v.want(Unreachable, "", told)

	told = v.now
	v.batch(kiosk, told, up(0))
	v.now = told.Add(8 * time.Minute)
	v.live.Presence(kiosk, telemetry.Presence{Session: 1}) // the broker has lost it
	v.want(Unreachable, "", told)

	v.next = time.Minute // the standard profile from now on
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 2})
	told = v.now
	v.batch(kiosk, told, up(0))
	v.now = told.Add(90 * time.Second)
	v.want(Up, "", told)
	v.now = v.now.Add(time.Millisecond)
	v.want(Unreachable, "", told)
}

func TestTheWayToTheCollectorIsShownWhereTheInternetIsSeldomAsked(t *testing.T) {
	v := newVillage(t)
	v.next = 15 * time.Minute
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 1})
	link := func(target string, sent, lost int64, rtt float64) *telemetry.Line {
		return telemetry.NewLine("link", v.now).Tag("target", target).Int("sent", sent).Int("lost", lost).Float("rtt_avg_ms", rtt)
	}
	want := func(rtt, loss float64) {
		t.Helper()
		if st, _ := v.live.Site("kibuye"); st.LatencyMs == nil || st.LossPct == nil || *st.LatencyMs != rtt || *st.LossPct != loss {
			t.Errorf("latency %v loss %v, want %v and %v", st.LatencyMs, st.LossPct, rtt, loss)
		}
	}
	v.batch(kiosk, v.now, up(0), link("internet", 2, 0, 61), link("collector", 4, 1, 80))
	want(61, 0)
	v.now = v.now.Add(9 * time.Minute)
	want(61, 0)
	v.now = v.now.Add(6 * time.Minute)
	v.batch(kiosk, v.now, up(0), link("collector", 4, 0, 84))
	want(84, 0)
	v.now = v.now.Add(15 * time.Minute)
	v.batch(kiosk, v.now, up(0), link("internet", 2, 1, 60))
	want(60, 50)
	v.now = v.now.Add(15 * time.Minute)
	v.batch(kiosk, v.now, up(0))
	want(60, 50) // nothing newer is known
}

func TestAConnectedAgentIsNotUnreachableBeforeItsIntervalIsKnown(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0)) // as Restore leaves it: one header, no interval
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 7})
	v.now = told.Add(14 * time.Minute)
	v.want(Up, "", told)
	v.now = told.Add(91 * time.Minute)
	v.want(Unreachable, "", told)
}

func TestAnHourlyAgentIsNotUnreachableBetweenItsReports(t *testing.T) {
	v := newVillage(t)
	v.live.Presence(kiosk, telemetry.Presence{Online: true, Session: 1})
	for range 3 {
		v.now = v.now.Add(time.Hour)
		v.batch(kiosk, v.now, up(0), telemetry.NewLine("link", v.now).Tag("target", "internet").Int("sent", 1).Int("lost", 0))
	}
	told := v.now
	v.now = told.Add(61 * time.Minute)
	v.want(Up, "", told)
}

func TestTheBestInformedAgentSpeaksForTheSite(t *testing.T) {
	v := newVillage(t)
	router := telemetry.Address{Site: "kibuye", Agent: "router"}
	v.agents = append(v.agents, router, telemetry.Address{Site: "kibuye-2", Agent: "x"})
	v.batch(kiosk, v.now, down(telemetry.CauseLocal, time.Minute))
	v.batch(router, v.now, up(30*time.Second))
	st := v.want(Up, "", v.now.Add(-30*time.Second))
	if len(st.Agents) != 2 || st.Agent != "router" || len(st.Ribbon) != 2 {
		t.Errorf("agents %v, speaker %s, ribbon %v", st.Agents, st.Agent, st.Ribbon)
	}
	if all := v.live.Sites(); len(all) != 2 || all[0].State != Up || len(all[0].Agents) != 2 || all[1].Site.ID != "kibuye-2" || len(all[1].Agents) != 1 {
		t.Errorf("sites are %+v", all)
	}
}

func TestASiteWithTwoAgentsDoesNotChangeWithWhoSpokeLast(t *testing.T) {
	v := newVillage(t)
	router := telemetry.Address{Site: "kibuye", Agent: "router"}
	v.agents = append(v.agents, router)
	t0 := v.now
	closed := func(from, to time.Duration, s telemetry.State) *telemetry.Line {
		return telemetry.Span{Start: t0.Add(from), Length: to - from, State: s}.Line()
	}
	v.batch(router, t0, up(10*time.Minute))
	v.batch(kiosk, t0, up(time.Minute))
	v.want(Up, "", t0.Add(-10*time.Minute))
	v.batch(router, t0, up(10*time.Minute))
	v.want(Up, "", t0.Add(-10*time.Minute))

	// The router is down a minute before the kiosk is: the site is down since the kiosk is.
	v.now = t0.Add(5 * time.Minute)
	backhaul := func() {
		v.batch(router, v.now, down(telemetry.CauseBackhaul, 4*time.Minute), closed(-10*time.Minute, time.Minute, telemetry.StateUp))
	}
	local := func() {
		v.batch(kiosk, v.now, down(telemetry.CauseLocal, 3*time.Minute), closed(-time.Minute, 2*time.Minute, telemetry.StateUp))
	}
	for _, last := range []func(){backhaul, local, backhaul} {
		last()
	}
	v.want(Down, telemetry.CauseBackhaul, t0.Add(2*time.Minute))
	local()
	v.want(Down, telemetry.CauseBackhaul, t0.Add(2*time.Minute))
}

func TestTrafficIsARateOfTheInterfaceThatReceivesMost(t *testing.T) {
	v := newVillage(t)
	traffic := func(iface string, rx, tx int64) *telemetry.Line {
		return telemetry.NewLine("traffic", v.now).Tag("iface", iface).Int("rx_bytes", rx).Int("tx_bytes", tx)
	}
	v.batch(kiosk, v.now, up(0), traffic("wan", 9e6, 1e6))
	if st, _ := v.live.Site("kibuye"); st.RxBps != nil {
		t.Errorf("a first line gives a rate of %v; its interval is not known", *st.RxBps)
	}
	v.now = v.now.Add(time.Minute)
	v.batch(kiosk, v.now, up(0), traffic("lan", 1e6, 8e6), traffic("wan", 9e6, 1.5e6))
	st, _ := v.live.Site("kibuye")
	if st.RxBps == nil || *st.RxBps != 1.2e6 || *st.TxBps != 2e5 {
		t.Errorf("rates %v %v, want 1.2 and 0.2 Mbit/s", st.RxBps, st.TxBps)
	}
}

func TestOpenSpanEndsAtTheLastWordAndTheRestIsUnknown(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(10*time.Minute), telemetry.Span{Start: told.Add(-15 * time.Minute), Length: 8 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseLocal}.Line())
	v.now = told.Add(time.Hour)
	st := v.want(Unreachable, "", told)
	n := len(st.Ribbon)
	if n != 2 || st.Ribbon[n-1].End != told.UnixMilli() || st.Ribbon[n-1].Ms() != 7*60000 {
		t.Errorf("ribbon %v, want 8 min down, then up from where that closed span ends until the last word", st.Ribbon)
	}
}

func TestSubscribersHearOfBatchesAndOfTimeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t)
		v.live.o.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- v.live.Run(ctx) }()
		slow, cancelSlow := v.live.Subscribe()
		ch, cancelFast := v.live.Subscribe()
		time.Sleep(2 * time.Second) // inside the bubble
		if got := <-ch; !slices.Equal(got, []string{"kibuye"}) {
			t.Errorf("first news is %v, want kibuye", got)
		}
		start := time.Now()
		for range 100 {
			v.now = time.Now()
			v.batch(kiosk, v.now, up(0))
		}
		<-ch
		if waited := time.Since(start); waited != coalesce {
			t.Errorf("news of 100 batches came after %v, want once, after %v", waited, coalesce)
		}
		time.Sleep(2 * time.Second)
		select { // a look may tell of the same change once more
		case <-ch:
		default:
		}
		time.Sleep(80 * time.Second)
		select {
		case got := <-ch:
			t.Errorf("news %v while nothing happened", got)
		default:
		}
		<-ch
		if silent := time.Since(start); silent < 90*time.Second || silent > 93*time.Second {
			t.Errorf("silence became news after %v, want 90 s", silent)
		}
		// A screen on a wall shows the last day of a site that stays silent, too.
		time.Sleep(moveEvery + 2*time.Second)
		select {
		case got := <-ch:
			if !slices.Equal(got, []string{"kibuye"}) {
				t.Errorf("news %v, want kibuye, whose last day has moved on", got)
			}
		default:
			t.Errorf("no news of a silent site after %v; its ribbon stands still", moveEvery)
		}
		if got := <-slow; !slices.Equal(got, []string{"kibuye"}) { // read nothing until now, and held nobody up
			t.Errorf("slow subscriber got %v", got)
		}
		cancelSlow()
		cancelFast()
		cancelFast()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestMemoryIsBoundedByTheRegister(t *testing.T) {
	v := newVillage(t)
	for i := range 50 {
		v.batch(telemetry.Address{Site: fmt.Sprintf("gone-%d", i), Agent: "a"}, v.now, up(0))
	}
	v.batch(kiosk, v.now, up(0))
	v.live.look()
	if len(v.live.agents) != 1 || len(v.live.watch.changed) != 1 || len(v.live.watch.told) != 1 {
		t.Errorf("%d agents, %d changed, %d told are held, want 1 of each", len(v.live.agents), len(v.live.watch.changed), len(v.live.watch.told))
	}
}

// A board draws an overview; a ribbon for each site of its page.
func BenchmarkLiveOf5000Sites(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := &village{now: time.Date(2026, 11, 20, 12, 30, 0, 0, time.UTC)}
	v.live = NewLive(v, LiveOptions{Now: func() time.Time { return v.now }})
	for i := range 5000 {
		a := telemetry.Address{Site: fmt.Sprintf("site-%04d", i), Agent: "a"}
		v.sites, v.agents = append(v.sites, Site{ID: a.Site}), append(v.agents, a)
		ag := v.live.agent(a)
		ag.head = telemetry.Header{At: v.now, Open: up(time.Minute)}
		for h := range 24 {
			start := v.now.Add(-time.Duration(h) * time.Hour)
			for _, s := range []telemetry.Span{{Start: start, Length: 50 * time.Minute, State: telemetry.StateUp}, {Start: start.Add(50 * time.Minute), Length: 10 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseLocal}} {
				ag.past.Insert(timeline.Of(s))
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := float64(after.HeapAlloc-before.HeapAlloc) / 5000
	b.Run("overview", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.live.Overview()
		}
		b.ReportMetric(held, "B-held/site")
	})
	b.Run("those-of-a-second", func(b *testing.B) { // 5,000 that report each minute
		ids := make([]string, 0, 83)
		for i := range 83 {
			ids = append(ids, v.sites[60*i].ID)
		}
		b.ReportAllocs()
		for b.Loop() {
			v.live.Some(ids)
		}
	})
	b.Run("with-ribbons", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.live.Sites()
		}
	})
}
