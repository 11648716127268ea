package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
)

// Each case is a site of its own in one database, on one day.
var day = time.Date(2028, 2, 28, 0, 0, 0, 0, time.UTC)

// cases gives each case a site.
type cases struct {
	t     *testing.T
	store *store.Store
	n     int
}

// told is what an agent tells of a day: stretches in order with gaps between them, each cut at hours as it is told.
func told(t *rapid.T, least, most int) (out []stretch) {
	at := day.UnixMilli()
	for range rapid.IntRange(least, most).Draw(t, "stretches") {
		at += rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 3*hour), rapid.Just(hour-at%hour)).Draw(t, "silence")
		s := rapid.SampledFrom(ranks()[:8]).Draw(t, "state")
		s.from = at
		s.to = at + rapid.OneOf(rapid.Int64Range(1, 4*hour), rapid.Just(hour-at%hour), rapid.Just(3*hour-at%hour)).Draw(t, "ms")
		if at = s.to; at > day.UnixMilli()+24*hour {
			break
		}
		out = append(out, s)
	}
	return out
}

// site stores what agents tell; each list is an agent, but where agents are named alike, and returns the site with its truth.
func (c *cases) site(t *rapid.T, agents []string, lists [][]stretch) known {
	c.n++
	k := known{village: &village{Site: fleet.Site{ID: fmt.Sprintf("case-%d", c.n)}, listed: true}}
	var text []byte
	for i, list := range lists {
		a := &agent{name: agents[i]}
		k.agents = append(k.agents, a)
		last := day.AddDate(0, 0, -3)
		silent := func(to time.Time) {
			if to.After(last) {
				a.truth = append(a.truth, sim.True{Start: last, End: to, State: sim.Unknown})
			}
		}
		for _, s := range list {
			from, to := time.UnixMilli(s.from).UTC(), time.UnixMilli(s.to).UTC()
			silent(from)
			a.truth = append(a.truth, sim.True{Start: from, End: to, State: telemetry.State(s.state), Cause: telemetry.Cause(s.cause)})
			last = to
			for at := s.from; at < s.to; {
				end := min(s.to, at-at%hour+hour)
				cause := ""
				if s.cause != "" {
					cause = ",cause=" + s.cause
				}
				text = fmt.Appendf(text, "span,agent=%s,site=%s,state=%s%s ms=%di,err_ms=0i %d\n", a.name, k.ID, s.state, cause, end-at, at)
				at = end
			}
		}
		silent(day.AddDate(0, 0, 3))
	}
	if len(text) > 0 {
		if err := c.store.Write(c.t.Context(), telemetry.Ledger, text); err != nil {
			t.Fatal(err)
		}
	}
	k.truth = k.unite()
	k.heard = heard(k.truth)
	return k
}

// report is made of some minutes of the day; nil where nothing is known of them.
func (c *cases) report(t fatal, from, to int64, sites ...known) *report.Report {
	const form = "2006-01-02T15:04"
	text := time.UnixMilli(from).UTC().Format(form) + "/" + time.UnixMilli(to).UTC().Format(form)
	period, err := report.ParsePeriod(text, time.UTC, day.AddDate(1, 0, 0))
	if err != nil {
		t.Fatalf("%v", err)
	}
	a := report.Ask{Period: period, Now: day.AddDate(1, 0, 0)}
	for _, k := range sites {
		a.Terms, a.Sites = append(a.Terms, k.ID), append(a.Sites, k.Site)
	}
	r, err := report.Make(context.Background(), c.store, a, nil)
	if errors.Is(err, report.ErrNoData) {
		return nil
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &r
}

func newCases(t *testing.T) *cases { return &cases{t: t, store: openStore(t, influxd.ForTest(t))} }

// minutes draws a period of at least an hour on the day, often from hour to hour.
func minutes(t *rapid.T) (from, to int64) {
	edge := func(name string, least, most int64) int64 {
		return rapid.OneOf(rapid.Int64Range(least, most), rapid.Map(rapid.Int64Range(least/60, most/60), func(h int64) int64 { return max(least, h*60) })).Draw(t, name)
	}
	a := edge("from", 0, 20*60)
	b := edge("to", a+60, 24*60)
	return day.UnixMilli() + a*minute, day.UnixMilli() + b*minute
}

// holds compares times and outages of one site with its truth.
func holds(t fatal, r *report.Report, k known, from, to int64) {
	if r == nil {
		if s := spent(k.truth, from, to); to-from != s["unknown "] {
			t.Fatalf("nothing is reported of %v", s)
		}
		return
	}
	c := &checker{t: t, what: k.ID}
	begin := max(from, k.heard)
	c.times(r.Sites[0].Time, spent(k.truth, begin, to), to-begin)
	c.outages(r.Sites[0].Outages, outages(k.truth, from, to), 0)
}

func TestWhateverAgentsTellTheReportIsTheBestInformedStateAtEachInstant(t *testing.T) {
	c := newCases(t)
	var all []known
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"router", "kiosk", "school"}[:rapid.SampledFrom([]int{1, 1, 2, 3}).Draw(t, "agents")]
		var lists [][]stretch
		for range names {
			lists = append(lists, told(t, 0, 9))
		}
		k := c.site(t, names, lists)
		all = append(all, k)
		from, to := minutes(t)
		holds(t, c.report(t, from, to, k), k, from, to)
	})
	if t.Failed() {
		return
	}
	// All of them together, which is more than one query takes.
	from, to := day.UnixMilli()+100*minute, day.UnixMilli()+1000*minute
	r := c.report(t, from, to, all...)
	whole, of := newTotal(), map[string]report.SiteReport{}
	for _, s := range r.Sites {
		of[s.Site] = s
	}
	for _, k := range all {
		s, ok := of[k.ID]
		if heard := k.heard > 0 && k.heard < to; ok != heard {
			t.Errorf("%s: it is in the report %v, it was heard %v", k.ID, ok, heard)
		} else if ok {
			holds(t, &report.Report{Sites: []report.SiteReport{s}}, k, from, to)
			whole.add(to-max(from, k.heard), spent(k.truth, max(from, k.heard), to), outages(k.truth, from, to), summed{within: make([]int64, len(edges))}, 0)
		}
	}
	check := &checker{t: t, what: fmt.Sprintf("%d sites", len(r.Sites))}
	check.times(r.Programme.Time, whole.spent, whole.period)
	check.outages(r.Programme.Outages, whole.outages, 0)
	if len(r.Sites) < 51 {
		t.Errorf("only %d sites", len(r.Sites))
	}
}

// An agent whose clock was wrong, or whose disk was changed, may tell of the same time twice. That is seen by its telling of more time than there was, and
// not seen where as much is silent as was told twice: the spans of a site that has silence are not all read.
func TestAnAgentThatTellsTheSameTimeTwiceIsCountedOnce(t *testing.T) {
	c := newCases(t)
	rapid.Check(t, func(t *rapid.T) {
		var first []stretch
		for at := day.UnixMilli() - 3*hour; at < day.UnixMilli()+26*hour; {
			s := rapid.SampledFrom(append(ranks()[:8], ranks()[0], ranks()[0])).Draw(t, "state")
			s.from, s.to = at, at+rapid.Int64Range(1, 5*hour).Draw(t, "ms")
			first, at = append(first, s), s.to
		}
		second := slices.DeleteFunc(told(t, 1, 5), func(s stretch) bool { // a line that was sent keeps its value: no two begin at the same time in the same state
			return slices.ContainsFunc(first, func(o stretch) bool { return o.is(s.state, s.cause) && o.from < s.to && s.from < o.to })
		})
		k := c.site(t, []string{"router", "router"}, [][]stretch{first, second})
		from, to := minutes(t)
		holds(t, c.report(t, from, to, k), k, from, to)
	})
}

func TestTheFiguresOfTwoPartsOfAPeriodAddUpToThoseOfTheWhole(t *testing.T) {
	c := newCases(t)
	rapid.Check(t, func(t *rapid.T) {
		k := c.site(t, []string{"router", "kiosk"}, [][]stretch{told(t, 1, 9), told(t, 0, 5)})
		from, to := minutes(t)
		if to-from < 2*hour {
			return
		}
		cut := from + hour + rapid.Int64Range(0, (to-from)/minute-120).Draw(t, "cut")*minute
		whole, a, b := c.report(t, from, to, k), c.report(t, from, cut, k), c.report(t, cut, to, k)
		if whole == nil || a == nil || b == nil {
			return
		}
		x, y, z := whole.Programme, a.Programme, b.Programme
		sum := func(f func(report.Findings) int64) {
			if f(x) != f(y)+f(z) {
				t.Errorf("the whole %+v\nis not %+v\nand %+v", x, y, z)
			}
		}
		for _, f := range []func(report.Findings) int64{
			func(f report.Findings) int64 { return f.Time.PeriodMs }, func(f report.Findings) int64 { return f.Time.ServiceMs },
			func(f report.Findings) int64 { return f.Time.ObservedMs }, func(f report.Findings) int64 { return f.Time.UnknownMs },
			func(f report.Findings) int64 { return f.Time.Times.UpMs }, func(f report.Findings) int64 { return f.Time.Times.DegradedMs },
			func(f report.Findings) int64 { return f.Time.Times.DownMs() }, func(f report.Findings) int64 { return f.Time.Times.OffPowerMs },
			func(f report.Findings) int64 { return f.Time.Times.OffShutdownMs }, func(f report.Findings) int64 { return f.Time.Times.OffAgentMs },
			func(f report.Findings) int64 { return int64(f.Outages.All.Count) }, func(f report.Findings) int64 { return f.Outages.All.Ms },
		} {
			sum(f)
		}
	})
}

func TestTimeThatNobodyObservedNeverRaisesAvailabilityNorItsLowerBound(t *testing.T) {
	c := newCases(t)
	silent := c.site(nil, []string{"router"}, [][]stretch{{{day.UnixMilli() - 48*hour, day.UnixMilli() - 47*hour, "up", ""}}}) // heard before, then never again
	rapid.Check(t, func(t *rapid.T) {
		list := told(t, 1, 9)
		k := c.site(t, []string{"router"}, [][]stretch{list})
		from, to := minutes(t)
		r := c.report(t, from, to, k)
		if r == nil || r.Programme.Time.Availability == nil {
			return
		}
		was := r.Programme.Time
		worse := func(what string, now *report.Report) {
			f := now.Programme.Time
			if *f.Availability != *was.Availability || *f.Lower > *was.Lower || *f.Completeness > *was.Completeness || *f.Upper < *f.Availability || *f.Lower > *f.Availability {
				a, _ := json.Marshal(was)
				b, _ := json.Marshal(f)
				t.Errorf("%s:\n%s became\n%s", what, a, b)
			}
		}
		worse("a site of which nothing is known", c.report(t, from, to, k, silent))
		// A longer period, in which nothing more was observed.
		if last := list[len(list)-1].to; last < to {
			worse("hours of which nothing is known", c.report(t, from, to+12*hour, k))
		}
	})
}
