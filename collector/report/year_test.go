package report_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
)

// known is what the test knows of a site: its truth, and what its agents could see of services.
type known struct {
	*village
	truth []stretch
	heard int64
	seen  map[*agent][]watched
}

func know(p *programme, sites []sim.Site) (out []known) {
	for _, v := range p.villages {
		k := known{village: v, truth: v.unite(), seen: map[*agent][]watched{}}
		k.heard = heard(k.truth)
		i := slices.IndexFunc(sites, func(s sim.Site) bool { return s.ID == v.ID })
		for _, a := range v.agents {
			k.seen[a] = a.watch(sites[i])
		}
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b known) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// fatal is a test, or a case of one.
type fatal interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// checker holds a report against what is known.
type checker struct {
	t        fatal
	what     string
	compared int
}

// same wants exactly that.
func (c *checker) same(what string, got, want any) {
	c.t.Helper()
	c.compared++
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("%s: %s is %v, the truth is %v", c.what, what, got, want)
	}
}

// share wants a fraction within 0.01 points; where nothing is behind it, none.
func (c *checker) share(what string, got *float64, part, whole int64) {
	c.t.Helper()
	c.compared++
	switch {
	case whole <= 0 && got != nil:
		c.t.Errorf("%s: %s is %v, nothing is behind it", c.what, what, *got)
	case whole > 0 && got == nil:
		c.t.Errorf("%s: %s is missing, the truth is %d of %d", c.what, what, part, whole)
	case whole > 0 && math.Abs(*got-float64(part)/float64(whole)) > 0.0001:
		c.t.Errorf("%s: %s is %v, the truth is %v", c.what, what, *got, float64(part)/float64(whole))
	}
}

func (c *checker) near(what string, got, want, within int64) {
	c.t.Helper()
	c.compared++
	if got < want-within || got > want+within {
		c.t.Errorf("%s: %s is %d, the truth is %d", c.what, what, got, want)
	}
}

// times holds the time in each state, and the fractions made of it.
func (c *checker) times(got report.Figures, spent map[string]int64, period int64) {
	c.t.Helper()
	up, down, power, shutdown := spent["up "]+spent["degraded "], spent["down dns"]+spent["down backhaul"]+spent["down local"], spent["off power"], spent["off shutdown"]
	unknown := spent["off agent"] + spent["unknown "]
	if up+down+power+shutdown+unknown != period {
		c.t.Fatalf("%s: the truth has %d ms of %d", c.what, up+down+power+shutdown+unknown, period)
	}
	c.same("the period", got.PeriodMs, period)
	for _, x := range []struct {
		state string
		got   int64
	}{{"up ", got.Times.UpMs}, {"degraded ", got.Times.DegradedMs}, {"down local", got.Times.DownLocalMs}, {"down backhaul", got.Times.DownBackhaulMs}, {"down dns", got.Times.DownDNSMs},
		{"off power", got.Times.OffPowerMs}, {"off shutdown", got.Times.OffShutdownMs}, {"off agent", got.Times.OffAgentMs}, {"unknown ", got.Times.SilentMs}} {
		c.same("time "+x.state, x.got, spent[x.state])
	}
	observed, service := up+down+power, period-shutdown
	c.share("availability", got.Availability, up, observed)
	c.share("availability without power cuts", got.WithoutPower, up, observed-power)
	c.share("completeness", got.Completeness, observed, service)
	c.share("lower bound", got.Lower, up, service)
	c.share("upper bound", got.Upper, up+unknown, service)
	c.same("citable", got.Citable, service > 0 && 10*observed >= 9*service)
	c.same("that it says why not", got.Why == "", got.Citable)
}

// outages holds all that is counted. Doubt is how far apart the parts of an outage may be whose inside was guessed.
func (c *checker) outages(got report.Outages, want map[string]counted, doubt int64) {
	c.t.Helper()
	one := func(what string, g report.OutageCount, w counted, doubt int64) {
		c.same("outages "+what+" begun", g.Count, w.began)
		c.same("outages "+what+" of five minutes", g.FiveMin, w.fiveMinutes)
		c.same("outages "+what+" from before", g.CarriedIn, w.before)
		c.same("outages "+what+" at the end", g.GoOn, w.goOn)
		c.same("outages "+what+" restored", g.Restored, w.restored)
		c.same("outages "+what+" time", g.Ms, w.ms)
		c.near("outages "+what+" time to restore", g.RestoreMs, w.restoreMs, doubt)
		c.near("outages "+what+" longest", g.LongestMs, w.longest, doubt)
		c.same("outages "+what+" with a mean time to restore", g.MeanMs != nil, w.restored > 0)
		if g.MeanMs != nil && w.restored > 0 {
			c.near("outages "+what+" mean time to restore", *g.MeanMs, w.restoreMs/int64(w.restored), 1+doubt/int64(w.restored))
		}
	}
	one("of all causes", got.All, want[""], 0)
	for _, g := range got.Causes {
		kind := string(g.State) + " " + string(g.Cause)
		one(kind, g, want[kind], doubt)
	}
	c.same("kinds of outages", len(got.Causes), 4)
	if len(got.Longest) > 0 {
		c.same("the longest outage", got.Longest[0].Ms, got.All.LongestMs)
	}
}

// rate holds quantiles of what was measured, and how much of it reaches the target.
func (c *checker) rate(what string, got report.Rate, values []int64, target int64) {
	c.t.Helper()
	on := 0
	for _, v := range values {
		if v >= target {
			on++
		}
	}
	c.same(what+" tests", got.Tests, len(values))
	c.same(what+" with a target", got.WithTarget, len(values))
	c.same(what+" on target", got.OnTarget, on)
	c.share(what+" share on target", got.Share, int64(on), int64(len(values)))
	for _, q := range []struct {
		percent int
		got     *int64
	}{{5, got.P5Bps}, {50, got.MedianBps}, {95, got.P95Bps}} {
		if len(values) == 0 {
			c.same(what+" no quantile", q.got == nil, true)
		} else {
			c.same(fmt.Sprintf("%s %d %%", what, q.percent), *q.got, rank(values, q.percent))
		}
	}
}

func (c *checker) throughput(got report.Throughput, tests []test) {
	c.t.Helper()
	for _, w := range []struct {
		what string
		got  report.Tests
		in   func(test) bool
	}{{"tests", got.All, func(test) bool { return true }}, {"peak tests", got.Peak, func(x test) bool { return x.peak }}, {"off-peak tests", got.OffPeak, func(x test) bool { return !x.peak }}} {
		var down, up []int64
		for _, x := range tests {
			if w.in(x) {
				down, up = append(down, x.down), append(up, x.up)
			}
		}
		c.same(w.what, w.got.Tests, len(down))
		c.rate(w.what+" down", w.got.Down, down, 12e6)
		c.rate(w.what+" up", w.got.Up, up, 3e6)
	}
}

func (c *checker) sums(got report.Findings, want summed) {
	c.t.Helper()
	all := want.within[len(edges)-1]
	c.same("answers", got.Latency.Answers, all)
	for i, b := range got.Latency.Within {
		c.same("edge", fmt.Sprint(b.LeMs), edges[i])
		c.same("answers within "+edges[i], b.Answers, want.within[i])
		c.share("share within "+edges[i], b.Share, want.within[i], all)
	}
	for _, q := range []struct {
		percent int64
		got     *report.Quantile
	}{{50, got.Latency.Median}, {95, got.Latency.P95}} {
		if all == 0 {
			c.same("no latency", q.got == nil, true)
			continue
		}
		i := 0
		for 100*want.within[i] < q.percent*all {
			i++
		}
		over := "0"
		if i > 0 {
			over = edges[i-1]
		}
		most := "inf"
		if q.got.AtMostMs != nil {
			most = fmt.Sprint(*q.got.AtMostMs)
		}
		c.same(fmt.Sprintf("latency %d %%", q.percent), fmt.Sprint(q.got.OverMs, " ", most), over+" "+edges[i])
	}
	c.same("probes sent", got.Loss.Sent, want.sent)
	c.same("probes lost", got.Loss.Lost, want.lost)
	c.share("loss", got.Loss.Share, want.lost, want.sent)
	c.same("bytes received", got.Volume.RxBytes, want.rx)
	c.same("bytes sent", got.Volume.TxBytes, want.tx)
	if want.most == 0 {
		c.same("no clients", got.Clients.Most == nil, true)
	} else {
		c.same("most clients", *got.Clients.Most, want.most)
		c.near("mean of clients, in hundredths", int64(math.Round(100**got.Clients.MeanPeak)), int64(math.Round(100*want.meanPeak)), int64(got.Clients.Sites))
	}
	c.same("services", len(got.Services), len(want.services))
	for _, s := range got.Services {
		w := want.services[s.Service]
		c.same("service "+s.Service+" ready", s.ReadyMs, w[0])
		c.same("service "+s.Service+" open", s.WindowMs, w[1])
		c.share("service "+s.Service, s.Share, w[0], w[1])
	}
}

// total is what is known of several sites together.
type total struct {
	period  int64
	spent   map[string]int64
	outages map[string]counted
	sums    summed
	doubt   int64
}

func newTotal() *total {
	return &total{spent: map[string]int64{}, outages: map[string]counted{}, sums: summed{within: make([]int64, len(edges)), services: map[string][2]int64{}}}
}

func (x *total) add(period int64, spent map[string]int64, out map[string]counted, s summed, doubt int64) {
	x.period += period
	x.doubt += doubt
	for k, v := range spent {
		x.spent[k] += v
	}
	for k, v := range out {
		x.outages[k] = x.outages[k].plus(v)
	}
	for i := range edges {
		x.sums.within[i] += s.within[i]
	}
	x.sums.sent, x.sums.lost, x.sums.rx, x.sums.tx = x.sums.sent+s.sent, x.sums.lost+s.lost, x.sums.rx+s.rx, x.sums.tx+s.tx
	x.sums.most, x.sums.meanPeak = x.sums.most+s.most, x.sums.meanPeak+s.meanPeak
	for k, v := range s.services {
		x.sums.services[k] = [2]int64{x.sums.services[k][0] + v[0], x.sums.services[k][1] + v[1]}
	}
	x.sums.tests = append(x.sums.tests, s.tests...)
}

// doubt is how far what was guessed in a period may be from where it was. No edge of a period lies in a guess, or the truth is not to be had.
func (k known) doubt(t *testing.T, from, to int64) (ms int64) {
	for _, a := range k.agents {
		for _, g := range a.guesses {
			a, b := g.Start.UnixMilli(), g.End.UnixMilli()
			if a < from && b > from || a < to && b > to {
				t.Fatalf("%s: a period ends between %v and %v, of which the agent only guesses; choose another", k.ID, g.Start, g.End)
			}
			if a >= from && b <= to {
				ms += 2 * g.Doubt.Milliseconds()
			}
		}
	}
	return ms
}

// check holds a whole report against the truth.
func check(t *testing.T, r report.Report, from, to, pastFrom, pastTo time.Time, zone *time.Location, all []known, chosen map[string]bool) int {
	t.Helper()
	c := &checker{t: t}
	a, b := from.UnixMilli(), to.UnixMilli()
	whole, past := newTotal(), newTotal()
	var leftOut []string
	var tests []test
	var citable []float64
	n, pastSites := 0, 0
	days := map[string]int64{}
	for _, k := range all {
		switch {
		case !chosen[k.ID] && k.listed:
			continue
		case !k.listed:
			if len(chosen) == len(all)-1 { // all that there are
				if s := spent(k.truth, a, b); b-a-s["unknown "] > 0 {
					leftOut = append(leftOut, fmt.Sprint(k.ID, " ", report.NotListed, " ", b-a-s["unknown "]))
				}
			}
			continue
		case k.heard == 0 || k.heard >= b:
			leftOut = append(leftOut, fmt.Sprint(k.ID, " ", report.NeverHeard, " 0"))
			continue
		}
		c.what = fmt.Sprintf("%s, %s", r.Asked.Period, k.ID)
		if n >= len(r.Sites) || r.Sites[n].Site != k.ID {
			t.Errorf("%s: it is not in the report, or not in its place", c.what)
			continue
		}
		got := r.Sites[n]
		n++
		begin := max(a, k.heard)
		c.same("counted from", got.CountedFrom != nil, begin > a)
		if got.CountedFrom != nil {
			c.same("counted from", got.CountedFrom.UnixMilli(), begin)
		}
		in, out, sums, doubt := spent(k.truth, begin, b), outages(k.truth, begin, b), k.sum(a, b, k.seen), k.doubt(t, a, b)
		c.times(got.Time, in, b-begin)
		c.outages(got.Outages, out, doubt)
		c.throughput(got.Throughput, sums.tests)
		c.sums(got.Findings, sums)
		var agents []string
		for _, one := range k.agents {
			if slices.ContainsFunc(one.truth, func(s sim.True) bool {
				return s.State != sim.Unknown && s.Start.UnixMilli() < b && s.End.UnixMilli() > a
			}) {
				agents = append(agents, one.name)
			}
		}
		slices.Sort(agents)
		c.same("agents", got.Agents, agents)
		whole.add(b-begin, in, out, sums, doubt)
		tests = append(tests, sums.tests...)
		if got.Time.Citable && got.Time.Availability != nil {
			citable = append(citable, *got.Time.Availability)
		}
		if k.heard < pastTo.UnixMilli() {
			begin := max(pastFrom.UnixMilli(), k.heard)
			in, sums := spent(k.truth, begin, pastTo.UnixMilli()), k.sum(pastFrom.UnixMilli(), pastTo.UnixMilli(), nil)
			past.add(pastTo.UnixMilli()-begin, in, nil, sums, 0)
			up := in["up "] + in["degraded "]
			c.share("availability before", got.Before, up, up+in["down dns"]+in["down backhaul"]+in["down local"]+in["off power"])
			pastSites++
		}
		for _, s := range k.truth {
			if !s.out() || s.within(begin, b) == 0 {
				continue
			}
			for at := s.from; at < s.to; { // in quarters of an hour, since clocks may be changed at midnight
				next := min(at-at%900_000+900_000, s.to)
				days[time.UnixMilli(at).In(zone).Format("2006-01-02")+" "+s.state+" "+s.cause] += (stretch{from: at, to: next}).within(begin, b)
				at = next
			}
		}
	}
	c.what = r.Asked.Period + ", the programme"
	c.same("sites", len(r.Sites), n)
	c.same("sites counted", r.Programme.Sites, n)
	c.times(r.Programme.Time, whole.spent, whole.period)
	c.outages(r.Programme.Outages, whole.outages, whole.doubt)
	c.throughput(r.Programme.Throughput, tests)
	c.sums(r.Programme, whole.sums)
	var left []string
	for _, l := range r.LeftOut {
		left = append(left, fmt.Sprint(l.Site, " ", l.Reason, " ", l.ToldMs))
	}
	c.same("left out", left, leftOut)
	c.same("sites before", r.Before.Sites, pastSites)
	c.times(r.Before.Time, past.spent, past.period)
	c.throughput(r.Before.Throughput, past.sums.tests)
	c.same("days", len(r.Days), countDays(from, to, zone))
	for _, d := range r.Days {
		for _, x := range []struct {
			state string
			ms    int64
		}{{"down local", d.DownLocalMs}, {"down backhaul", d.DownBackhaulMs}, {"down dns", d.DownDNSMs}, {"off power", d.OffPowerMs}} {
			if whole.doubt == 0 || x.state == "down local" || x.state == "down dns" { // what was guessed was on the same day by the village's clock
				c.same(d.Day+" "+x.state, x.ms, days[d.Day+" "+x.state])
			}
		}
	}
	slices.Sort(citable)
	c.same("sites in the distribution", r.Distribution.Sites, len(citable))
	if len(citable) > 0 {
		c.same("the worst", *r.Distribution.Availability.Min, citable[0])
		c.same("the best", *r.Distribution.Availability.Max, citable[len(citable)-1])
		c.same("the one in the middle", *r.Distribution.Availability.Median, citable[(len(citable)-1)/2])
	}
	return c.compared
}

func countDays(from, to time.Time, zone *time.Location) (n int) {
	for at, last := from, ""; at.Before(to); at = at.Add(time.Minute) {
		if day := at.In(zone).Format("2006-01-02"); day != last {
			n, last = n+1, day
		}
	}
	return n
}

// listed is what the sites file says.
func (p *programme) listed() (out []fleet.Site) {
	for _, v := range p.villages {
		if v.listed {
			out = append(out, v.Site)
		}
	}
	return out
}

// question is one report that is asked for.
type question struct {
	period, zone string
	sites        []string
	from, to     string // what the test takes it to be
	before       string // when the period before began
}

func (p *programme) ask(t *testing.T, s *store.Store, q question, now time.Time) (report.Report, map[string]bool) {
	t.Helper()
	zone, err := time.LoadLocation(q.zone)
	if err != nil {
		t.Fatal(err)
	}
	period, err := report.ParsePeriod(q.period, zone, now)
	if err != nil {
		t.Fatal(err)
	}
	terms, chosen, err := report.Select(p.listed(), q.sites)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Make(t.Context(), s, report.Ask{Programme: "Smart villages", Period: period, Terms: terms, Sites: chosen, Now: now}, nil)
	if err != nil {
		t.Fatalf("%s: %v", q.period, err)
	}
	in := map[string]bool{}
	for _, c := range chosen {
		in[c.ID] = true
	}
	return r, in
}

// questions are the months, two quarters, the year, and odd stretches of it.
func questions() []question {
	all := []string{"all"}
	return []question{
		{"2028-02", "Asia/Karachi", all, "2028-01-31T19:00Z", "2028-02-29T19:00Z", "2027-12-31T19:00Z"},
		{"2028-03", "Asia/Kathmandu", all, "2028-02-29T18:15Z", "2028-03-31T18:15Z", "2028-01-31T18:15Z"},
		{"2028-02-28T07:41/2028-03-01T18:17", "Africa/Casablanca", all, "2028-02-28T07:41Z", "2028-03-01T18:17Z", "2028-02-25T21:05Z"},
		{"2028-01-28/2028-02-29", "Africa/Casablanca", []string{"operator=Atlas Mobile", "islamkot"}, "2028-01-28T00:00Z", "2028-03-01T00:00Z", "2027-12-25T23:00Z"},
		{"2028-01", "Asia/Karachi", all, "2027-12-31T19:00Z", "2028-01-31T19:00Z", "2027-11-30T19:00Z"},
		{"2028-04", "America/Santiago", all, "2028-04-01T03:00Z", "2028-05-01T04:00Z", "2028-03-01T03:00Z"},
		{"2028-05", "Asia/Karachi", all, "2028-04-30T19:00Z", "2028-05-31T19:00Z", "2028-03-31T19:00Z"},
		{"2028-06", "UTC", all, "2028-06-01T00:00Z", "2028-07-01T00:00Z", "2028-05-01T00:00Z"},
		{"2028-07", "Asia/Karachi", all, "2028-06-30T19:00Z", "2028-07-31T19:00Z", "2028-05-31T19:00Z"},
		{"2028-08", "Asia/Karachi", all, "2028-07-31T19:00Z", "2028-08-31T19:00Z", "2028-06-30T19:00Z"},
		{"2028-09", "America/Santiago", all, "2028-09-01T04:00Z", "2028-10-01T03:00Z", "2028-08-01T04:00Z"},
		{"2028-10", "Europe/Lisbon", all, "2028-09-30T23:00Z", "2028-11-01T00:00Z", "2028-08-31T23:00Z"},
		{"2028-11", "America/St_Johns", all, "2028-11-01T02:30Z", "2028-12-01T03:30Z", "2028-10-01T02:30Z"},
		{"2028-12", "Australia/Lord_Howe", all, "2028-11-30T13:00Z", "2028-12-31T13:00Z", "2028-10-31T13:00Z"},
		{"2028-Q1", "America/Santiago", all, "2028-01-01T03:00Z", "2028-04-01T03:00Z", "2027-10-01T03:00Z"},
		{"2028-Q4", "Europe/Lisbon", []string{"district=Beira", "district=Neelum"}, "2028-09-30T23:00Z", "2029-01-01T00:00Z", "2028-06-30T23:00Z"},
		{"2028", "Asia/Kathmandu", all, "2027-12-31T18:15Z", "2028-12-31T18:15Z", "2026-12-31T18:15Z"},
		{"2028-08-30T23:59/2028-11-01T00:01", "Australia/Lord_Howe", all, "2028-08-30T13:29Z", "2028-10-31T13:01Z", "2028-06-29T13:57Z"},
	}
}

func TestEachFigureOfAYearEqualsTheSimulatorsTruth(t *testing.T) {
	db := influxd.ForTest(t)
	end, sites := clock(t, "2029-01-03T00:00Z"), sim.Abroad()
	if raceDetected { // which makes it ten times slower
		sites = slices.DeleteFunc(sites, func(s sim.Site) bool {
			return !slices.Contains([]string{"sortelha", "imlil", "tafraoute", "jiri", "chilas"}, s.ID)
		})
	}
	p := newProgramme(t, 1, clock(t, "2027-12-01T00:00Z"), end, clock(t, "2028-02-17T10:23Z"), clock(t, "2028-03-02T09:41Z"), sites)
	one, other := openStore(t, db), openStore(t, db)
	p.store(t, one, 7, 4)
	p.store(t, other, 8, 3)
	all := know(p, append(sites, sim.Villages()...))
	hashes := map[string]bool{}
	for _, q := range questions() {
		zone, _ := time.LoadLocation(q.zone)
		begun := time.Now()
		r, chosen := p.ask(t, one, q, end)
		took := time.Since(begun)
		n := check(t, r, clock(t, q.from), clock(t, q.to), clock(t, q.before), clock(t, q.from), zone, all, chosen)
		t.Logf("%-34s %-20s %2d sites, %6d figures held against the truth; made in %v", q.period, q.zone, len(r.Sites), n, took.Round(time.Millisecond))
		want, err := r.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if old, now, err := report.Differs(t.Context(), other, want, nil); err != nil || !bytes.Equal(old, want) || !bytes.Equal(now, want) {
			t.Errorf("%s: the same lines in another order give other bytes (%v): %s", q.period, err, difference(now, want))
		}
		hashes[report.Hash(want)] = true
	}
	// Batches that are sent again, months later, change nothing.
	q := questions()[0]
	before, _ := p.ask(t, one, q, end)
	p.store(t, one, 9, 1)
	after, _ := p.ask(t, one, q, end)
	a, _ := before.Canonical()
	if b, err := after.Canonical(); err != nil || !bytes.Equal(a, b) {
		t.Errorf("the same lines once more give other bytes (%v): %s", err, difference(a, b))
	}
	if len(hashes) != len(questions()) {
		t.Errorf("%d different reports", len(hashes))
	}
}

// difference is where two texts part.
func difference(a, b []byte) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("at byte %d: %.120s and %.120s", i, a[max(0, i-60):], b[max(0, i-60):])
}

// What an agent that is away has to say of its last hour it says when it is back, and of a boot without the time later still: a report that is
// made now counts what is told by now, and the same month later all of it.
func TestAProvisionalReportCountsWhatWasToldByThen(t *testing.T) {
	db := influxd.ForTest(t)
	begin, now := clock(t, "2028-02-01T00:00Z"), clock(t, "2028-02-25T19:50Z") // 01:35 in Jiri, where the kiosk is off
	var sites []sim.Site
	for _, s := range sim.Abroad() {
		if slices.Contains([]string{"jiri", "imlil", "chilas", "putre"}, s.ID) {
			sites = append(sites, s)
		}
	}
	p := newProgramme(t, 1, begin, now, clock(t, "2028-02-17T10:23Z"), clock(t, "2028-02-20T09:41Z"), sites)
	away := 0
	for _, v := range p.villages {
		for _, a := range v.agents {
			away += a.untold()
		}
	}
	if away < 2 { // the kiosk, and the one that is removed
		t.Fatalf("only %d agents are away at that moment", away)
	}
	s := openStore(t, db)
	p.store(t, s, 3, 2)
	q := question{"2028-02", "Europe/Lisbon", []string{"all"}, "2028-02-01T00:00Z", "2028-02-25T19:00Z", "2028-01-01T00:00Z"}
	r, chosen := p.ask(t, s, q, now)
	if !r.Provisional || r.Asked.AsOf == nil || !r.Asked.AsOf.Equal(clock(t, q.to)) {
		t.Fatalf("as of %v, provisional %v", r.Asked.AsOf, r.Provisional)
	}
	zone, _ := time.LoadLocation(q.zone)
	check(t, r, begin, clock(t, q.to), clock(t, q.before), begin, zone, know(p, append(sites, sim.Villages()...)), chosen)
}

// untold takes out of an agent's truth what it has not told by the end, and counts one where that is more than the last hour: when it went, it had told what
// had ended then, and of the last stretch what had ended with the last hour.
func (a *agent) untold() int {
	n := len(a.truth) - 1
	gap := func(s sim.True) bool { return s.State == "off" || s.State == sim.Unknown }
	if !gap(a.truth[n]) {
		return 0
	}
	for n > 0 && gap(a.truth[n-1]) {
		n--
	}
	went := a.truth[n].Start
	told := went.Truncate(time.Hour)
	if n > 0 && a.truth[n-1].Start.After(told) {
		told = a.truth[n-1].Start
	}
	if n > 0 {
		last := a.truth[n-1]
		if a.truth[n].State == sim.Unknown && a.truth[n].End.Equal(a.truth[len(a.truth)-1].End) { // taken away: it has said all
			told = last.End
		}
	}
	end := a.truth[len(a.truth)-1].End
	a.truth = a.truth[:n]
	if n > 0 && told.Before(went) {
		if a.truth[n-1].Start.Equal(told) {
			a.truth = a.truth[:n-1]
		} else {
			a.truth[n-1].End = told
		}
	}
	a.truth = append(a.truth, sim.True{Start: told, End: end, State: sim.Unknown})
	return 1
}
