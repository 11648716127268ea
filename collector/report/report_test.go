package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const minute = int64(60_000)

var kinds = []timeline.Segment{
	{State: telemetry.StateUp}, {State: telemetry.StateDegraded},
	{State: telemetry.StateDown, Cause: telemetry.CauseLocal}, {State: telemetry.StateDown, Cause: telemetry.CauseBackhaul},
	{State: telemetry.StateDown, Cause: telemetry.CauseDNS}, {State: telemetry.StateOff, Cause: telemetry.CausePower},
	{State: telemetry.StateOff, Cause: telemetry.CauseShutdown}, {State: telemetry.StateOff, Cause: telemetry.CauseAgent},
}

func segments(t *rapid.T) []timeline.Segment {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) timeline.Segment {
		s := rapid.SampledFrom(kinds).Draw(t, "kind")
		s.Start = rapid.Int64Range(0, 1000).Draw(t, "start")
		s.End = s.Start + rapid.Int64Range(1, 300).Draw(t, "ms")
		return s
	}), 0, 15).Draw(t, "spans")
}

func lay(segs []timeline.Segment) *timeline.Timeline {
	tl := &timeline.Timeline{}
	for _, s := range segs {
		tl.Insert(s)
	}
	return tl
}

func TestSplittingAPeriodAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tl := lay(segments(t))
		cut := rapid.Int64Range(1, 999).Draw(t, "cut")
		whole, a, b := Of(tl, 0, 1000), Of(tl, 0, cut), Of(tl, cut, 1000)
		sum := a.Times
		sum.add(b.Times)
		if sum != whole.Times {
			t.Fatalf("%+v and %+v are not %+v", a.Times, b.Times, whole.Times)
		}
		if whole.ObservedMs+whole.UnknownMs+whole.Times.OffShutdownMs != whole.PeriodMs {
			t.Fatalf("times do not fill the period: %+v", whole)
		}
	})
}

func TestOrderAndRepetitionChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segs := segments(t)
		other := slices.Concat(rapid.Permutation(segs).Draw(t, "order"), segs)
		a, _ := json.Marshal(Of(lay(segs), 100, 1100))
		b, _ := json.Marshal(Of(lay(other), 100, 1100))
		if string(a) != string(b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func TestUnknownTimeNeverRaisesAvailability(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segs := segments(t)
		f := Of(lay(segs), 0, 1000)
		longer := Of(lay(segs), 0, 1000+rapid.Int64Range(400, 4000).Draw(t, "more")) // all spans end before 1300
		if all := Of(lay(segs), 0, 1300); all.Availability != nil && *longer.Availability != *all.Availability && longer.PeriodMs > 1300 {
			t.Fatalf("availability went from %v to %v with time that nobody observed", *all.Availability, *longer.Availability)
		}
		if f.Availability == nil {
			return
		}
		if f.Lower != nil && (*f.Lower > *f.Availability || *f.Upper < *f.Availability) {
			t.Fatalf("availability %v is outside its bounds %v to %v", *f.Availability, *f.Lower, *f.Upper)
		}
	})
}

func TestFiguresByHand(t *testing.T) {
	seg := func(from, to int64, k int) timeline.Segment {
		s := kinds[k]
		s.Start, s.End = from*minute, to*minute
		return s
	}
	number := func(p *float64) string {
		if p == nil {
			return "-"
		}
		return fmt.Sprint(*p)
	}
	tests := []struct {
		name                   string
		segs                   []timeline.Segment
		avail, power, complete string
		lower, upper           string
		citable                bool
		why                    string
	}{
		{"nothing was heard", nil, "-", "-", "0", "0", "1", false, "0.0 % of the time was observed, 90 % is needed"},
		{"degraded counts as up", []timeline.Segment{seg(0, 50, 0), seg(50, 100, 1)}, "1", "1", "1", "1", "1", true, ""},
		{"a power cut is told apart", []timeline.Segment{seg(0, 60, 0), seg(60, 80, 3), seg(80, 100, 5)}, "0.6", "0.75", "1", "0.6", "0.6", true, ""},
		{"by choice is taken out", []timeline.Segment{seg(0, 50, 0), seg(50, 100, 6)}, "1", "1", "1", "1", "1", true, ""},
		{"by choice all the time", []timeline.Segment{seg(0, 100, 6)}, "-", "-", "-", "-", "-", false, "switched off by choice for the whole period"},
		{"an agent that was off knows nothing", []timeline.Segment{seg(0, 45, 0), seg(45, 90, 2), seg(90, 100, 7)}, "0.5", "0.5", "0.9", "0.45", "0.55", true, ""},
		{"below 90 % is not citable", []timeline.Segment{seg(0, 89, 0)}, "1", "1", "0.89", "0.89", "1", false, "89.0 % of the time was observed, 90 % is needed"},
		{"edges are clipped", []timeline.Segment{seg(-30, 50, 0), seg(50, 130, 4)}, "0.5", "0.5", "1", "0.5", "0.5", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := Of(lay(tt.segs), 0, 100*minute)
			got := fmt.Sprint(number(f.Availability), number(f.WithoutPower), number(f.Completeness), number(f.Lower), number(f.Upper), f.Citable, f.Why)
			want := fmt.Sprint(tt.avail, tt.power, tt.complete, tt.lower, tt.upper, tt.citable, tt.why)
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestOutagesReachOverHourCuts(t *testing.T) {
	down := func(from, to int64) timeline.Segment {
		return timeline.Segment{Start: from * minute, End: to * minute, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, ErrMs: from}
	}
	got := ListOutages(lay([]timeline.Segment{down(40, 60), down(60, 75), down(90, 130)}), 0, 100*minute)
	if len(got) != 2 || got[0].Ms != 10*minute || !got[0].Goes || got[1].Ms != 35*minute || got[1].ErrMs != 60 || got[1].BeganEarly {
		t.Errorf("outages are %+v, want 10 min that goes on, and 35 min known to 60 ms", got)
	}
}

func TestASiteIDThatIsNoneNeverReachesAQuery(t *testing.T) {
	now := time.Unix(1e9, 0)
	if _, err := Timelines(t.Context(), nil, now, now, []string{"a"}); !errors.Is(err, ErrPeriod) {
		t.Errorf("got %v, want ErrPeriod", err)
	}
	if _, err := Timelines(t.Context(), nil, now, now.Add(1), []string{"a' OR 1=1"}); err == nil {
		t.Error("a site id that is none reached the query of timelines")
	}
	a := Asked{Period: "2026-10", Roster: []Entry{{Site: "a' OR 1=1"}}}
	if _, err := Again(t.Context(), nil, a, nil); err == nil {
		t.Error("a site id that is none reached the queries of a report")
	}
}

func TestAFileThatAsksForWhatCannotBeIsRefusedBeforeTheLedgerIsAsked(t *testing.T) {
	set, err := benchmark.Load("")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(change func(*Asked)) Asked {
		a := Asked{Period: "2026-10", PeakHours: PeakHours, Roster: []Entry{{Site: "a"}, {Site: "b"}}, Benchmarks: set.All()[:1]}
		change(&a)
		return a
	}
	for name, a := range map[string]Asked{
		"a site that is there twice, so that it weighs twice": ask(func(a *Asked) { a.Roster[1].Site = "a" }),
		"a benchmark of no statistic":                         ask(func(a *Asked) { a.Benchmarks[0].Criteria[0].Statistic = "" }),
		"a benchmark that is there twice":                     ask(func(a *Asked) { a.Benchmarks = append(a.Benchmarks, a.Benchmarks[0]) }),
		"a period of 8,000 years":                             ask(func(a *Asked) { a.Period = "2000-01-01/9999-12-31" }),
		"a period that depends on the day":                    ask(func(a *Asked) { a.Period = "last-month" }),
	} {
		if _, err := newMaker(nil, a); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := newMaker(nil, ask(func(*Asked) {})); err != nil {
		t.Error(err)
	}
}

// realStore is a store on a real InfluxDB, with databases of its own.
func realStore(t testing.TB) *store.Store {
	t.Helper()
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
	return s
}

// stamped is a span as intake writes it.
func stamped(t testing.TB, dst []byte, site, agent string, s telemetry.Span) []byte {
	t.Helper()
	text, err := s.Line().Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	good, _, _ := telemetry.Parse(text)
	return telemetry.AppendStamped(dst, good[0], telemetry.Address{Site: site, Agent: agent})
}

func TestARealInfluxDBGivesTheFiguresOfWhatWasStored(t *testing.T) {
	s := realStore(t)
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	to := from.Add(10 * time.Hour)
	var text []byte
	put := func(site, agent string, start, end time.Duration, state telemetry.State, cause telemetry.Cause) {
		for start < end { // cut at every hour, as an agent does
			cut := min(end, start.Truncate(time.Hour)+time.Hour)
			if start < 0 {
				cut = min(end, 0)
			}
			text = stamped(t, text, site, agent, telemetry.Span{Start: from.Add(start), Length: cut - start, State: state, Cause: cause, Err: time.Second})
			start = cut
		}
	}
	put("a", "kiosk", -30*time.Minute, 6*time.Hour, telemetry.StateUp, "")
	put("a", "kiosk", 6*time.Hour, 10*time.Hour+20*time.Minute, telemetry.StateDown, telemetry.CauseBackhaul)
	put("a", "router", 7*time.Hour, 8*time.Hour, telemetry.StateUp, "") // sees further than the kiosk
	put("b", "kiosk", 0, 5*time.Hour, telemetry.StateUp, "")
	put("b-2", "kiosk", 0, 5*time.Hour, telemetry.StateUp, "") // not asked for
	for range 2 {                                              // delivered twice
		if err := s.Write(t.Context(), telemetry.Ledger, text); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(ids ...string) Ask {
		a := Ask{Period: Between(from, to, time.UTC), Terms: ids, Now: to.AddDate(1, 0, 0)}
		for _, id := range ids {
			a.Sites = append(a.Sites, fleet.Site{ID: id})
		}
		return a
	}
	r, err := Make(t.Context(), s, ask("a", "b", "nobody"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sites) != 2 || r.Sites[0].Site != "a" || *r.Sites[0].Time.Availability != 0.7 || *r.Sites[0].Time.Completeness != 1 || r.Sites[0].Time.Times.DownBackhaulMs != 180*minute {
		t.Errorf("site a is %+v", r.Sites[0])
	}
	if b := r.Sites[1].Time; *b.Availability != 1 || *b.Completeness != 0.5 || b.Citable || *b.Lower != 0.5 || *b.Upper != 1 {
		t.Errorf("site b is %+v", b)
	}
	if p := r.Programme.Time; math.Abs(*p.Availability-12.0/15) > 1e-6 || *p.Completeness != 0.75 || p.PeriodMs != 1200*minute {
		t.Errorf("programme is %+v: want it weighted by time, not a mean of percentages", p)
	}
	if len(r.LeftOut) != 1 || r.LeftOut[0] != (LeftOut{Site: "nobody", Reason: NeverHeard}) {
		t.Errorf("left out are %+v", r.LeftOut)
	}
	if o := r.Sites[0].Outages.All; o.Count != 2 || o.Restored != 1 || o.RestoreMs != 60*minute || o.GoOn != 1 || o.Ms != 180*minute {
		t.Errorf("outages of a are %+v", o)
	}
	again, err := Again(t.Context(), s, r.Asked, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, y := canonicalOf(t, r), canonicalOf(t, again)
	if string(x) != string(y) {
		t.Errorf("the same question gives other bytes:\n%s\n%s", x, y)
	}
	if !strings.HasPrefix(string(x), `{"asked":{"as_of":null,"benchmarks":[],"peak_hours":"19:00-23:00","period":"2026-10-01T00:00/2026-10-01T10:00",`) {
		t.Errorf("JSON begins %.200s", x)
	}
	back, bytes, err := Parse(x)
	if err != nil || string(bytes) != string(x) || string(canonicalOf(t, back)) != string(x) {
		t.Errorf("read again it is other bytes (%v)", err)
	}
}

func TestASiteHeardInMidPeriodThatTellsTheSameTimeTwiceIsCountedOnce(t *testing.T) {
	s := realStore(t)
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	var text []byte
	put := func(site string, first, last int, state telemetry.State, cause telemetry.Cause) {
		for h := first; h < last; h++ {
			text = stamped(t, text, site, "kiosk", telemetry.Span{Start: from.Add(time.Duration(h) * time.Hour), Length: time.Hour, State: state, Cause: cause})
		}
	}
	for site, first := range map[string]int{"late": 6, "late-before": -4} {
		put(site, first, first+4, telemetry.StateUp, "")
		put(site, first, first+3, telemetry.StateOff, telemetry.CausePower) // of the same hours, as after a wrong clock
	}
	put("late-before", 0, 10, telemetry.StateUp, "")
	if err := s.Write(t.Context(), telemetry.Ledger, text); err != nil {
		t.Fatal(err)
	}
	a := Ask{Period: Between(from, from.Add(10*time.Hour), time.UTC), Terms: []string{"late", "late-before"}, Sites: []fleet.Site{{ID: "late"}, {ID: "late-before"}}, Now: from.AddDate(1, 0, 0)}
	r, err := Make(t.Context(), s, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Times{UpMs: 4 * hourMs}
	if got := r.Sites[0].Time; got.Times != want || got.PeriodMs != 4*hourMs || *got.Completeness != 1 {
		t.Errorf("a site heard for 4 hours has %+v, completeness %v", got.Times, *got.Completeness)
	}
	if got := r.Before.Time; got.Times != want || got.PeriodMs != 4*hourMs || *got.Completeness != 1 {
		t.Errorf("a site heard for 4 hours in the period before has %+v, completeness %v", got.Times, *got.Completeness)
	}
}

func TestABenchmarkCountsTheHoursThatWereCountedAndTheLastTestThatEverWas(t *testing.T) {
	s := realStore(t)
	from, to := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var text []byte
	for _, site := range []string{"dead", "never"} {
		for at := from; at.Before(to); at = at.Add(time.Hour) {
			text = stamped(t, text, site, "router", telemetry.Span{Start: at, Length: time.Hour, State: telemetry.StateUp})
		}
	}
	for h := range 3 {
		text = fmt.Appendf(text, "hour,agent=router,site=dead ms=3600000i,rtt_le_25=10i,rtt_le_50=10i,rtt_le_100=10i,rtt_le_150=10i,rtt_le_300=10i,rtt_le_600=10i,rtt_le_1200=10i,rtt_le_inf=10i,sent=10i,lost=0i %d\n", from.Add(time.Duration(h)*time.Hour).UnixMilli())
	}
	text = fmt.Appendf(text, "speedtest,agent=router,site=dead,server=x up_bps=1000000i %d\n", to.AddDate(0, 0, -100).UnixMilli())
	if err := s.Write(t.Context(), telemetry.Ledger, text); err != nil {
		t.Fatal(err)
	}
	month, err := ParsePeriod("2026-10", time.UTC, to)
	if err != nil {
		t.Fatal(err)
	}
	b := benchmark.Benchmark{ID: "x", Name: "x", ShareOfSites: 1, Source: benchmark.Source{Title: "x", Publisher: "x", Date: "2026", Checked: "x"}, Criteria: []benchmark.Criterion{
		{ID: "live", Name: "live", Measure: "days_since_test", Window: "all", AtMost: 21},
		{ID: "loss", Name: "loss", Measure: "loss", Window: "all", AtMost: 0.02, LeastHours: 24}}}
	r, err := Make(t.Context(), s, Ask{Period: month, Terms: []string{AllSites}, Sites: []fleet.Site{{ID: "dead"}, {ID: "never"}}, Benchmarks: []benchmark.Benchmark{b}, Now: to}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dead, never := r.Benchmarks[0].Sites[0].Results, r.Benchmarks[0].Sites[1].Results
	if got := dead[0]; got.Verdict != benchmark.Fail || got.Value == nil || *got.Value != 100 {
		t.Errorf("a site with its last test 100 days ago: %+v, want a fail of 100 days", got)
	}
	if got := never[0]; got.Reason != benchmark.NeverTested {
		t.Errorf("a site that never had a test: %+v", got)
	}
	if got := dead[1]; got.Reason != benchmark.FewHours || got.Hours != 3 {
		t.Errorf("loss that 3 hours of 744 stand behind: %+v, want too few hours", got)
	}
}

func canonicalOf(t *testing.T, r Report) []byte {
	t.Helper()
	b, err := r.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// broken is a ledger that finds a mistake of ours.
type broken struct{}

func (broken) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	panic("index out of range")
}

func TestAMistakeOfOursIsAnErrorAndNoEndOfTheCollector(t *testing.T) {
	now := time.Date(2026, 10, 9, 0, 0, 0, 0, time.UTC)
	a := Ask{Period: Between(now.AddDate(0, 0, -2), now, time.UTC), Terms: []string{"a"}, Sites: []fleet.Site{{ID: "a"}}, Now: now.AddDate(1, 0, 0)}
	if _, err := Make(t.Context(), broken{}, a, nil); err == nil || !strings.Contains(err.Error(), "a fault of nabz itself") {
		t.Errorf("got %v", err)
	}
}
