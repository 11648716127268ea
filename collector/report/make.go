package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// Querier is what a report needs of the store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// ErrNoData is of a report about which the ledger says nothing at all.
var ErrNoData = errors.New("the ledger has nothing of these sites in this period")

// PeakHours are those of the FCC's Measuring Broadband America reports, 19:00 to 23:00 by the clock of the site, every day.
const PeakHours = "19:00-23:00"

const (
	chunk   = 40_000           // hours of sites in one query, so that there is work for all processors and progress to tell: a month of 55 sites, a year of 5
	workers = 3                // queries at once
	settle  = 30 * time.Minute // that agents have to tell of an hour before a provisional report counts it
)

// Ask is what a person asks for.
type Ask struct {
	Programme  string                // its name; may be empty
	Period     Period                // of ParsePeriod
	Terms      []string              // of Select
	Sites      []fleet.Site          // of Select
	PeakHours  string                // "" is PeakHours
	Benchmarks []benchmark.Benchmark // to be measured against; may be none
	Now        time.Time
}

// asked is the question as a report keeps it. The error is of a period that has only just begun, and of peak hours that are none.
func (a Ask) asked() (Asked, error) {
	out := Asked{Programme: a.Programme, Period: a.Period.Text, TimeZone: a.Period.Zone.String(), Sites: a.Terms, PeakHours: a.PeakHours, Benchmarks: append([]benchmark.Benchmark{}, a.Benchmarks...), Roster: entries(a.Sites)}
	if out.PeakHours == "" {
		out.PeakHours = PeakHours
	}
	if a.Now.Before(a.Period.To) {
		asOf := a.Now.Add(-settle).UTC().Truncate(time.Hour)
		if !asOf.After(a.Period.From) {
			return out, faultf(ErrPeriod, "the period %s has only just begun and has no whole hour yet; ask again in two hours", a.Period.Text)
		}
		out.AsOf = &asOf
	}
	return out, nil
}

// entries is the sites file's say of some sites, by id.
func entries(sites []fleet.Site) []Entry {
	out := []Entry{}
	for _, s := range sites {
		out = append(out, Entry{Site: s.ID, Name: s.Name, District: s.District, Operator: s.Operator, Technology: s.Technology, TimeZone: s.TimeZone,
			Population: s.Population, Students: s.Students, TargetDownBps: bps(s.TargetDownMbps), TargetUpBps: bps(s.TargetUpMbps)})
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Site, b.Site) })
	return out
}

func bps(mbps float64) int64 { return int64(mbps*1e6 + 0.5) }

// Make computes a report. It tells how far it is in parts of 1, from one goroutine at a time; tell may be nil.
func Make(ctx context.Context, q Querier, a Ask, tell func(done float64)) (Report, error) {
	asked, err := a.asked()
	if err != nil {
		return Report{}, err
	}
	return Again(ctx, q, asked, tell)
}

// Again computes the report that was asked for, as Make does.
func Again(ctx context.Context, q Querier, asked Asked, tell func(done float64)) (_ Report, err error) {
	m, err := newMaker(q, asked)
	if err != nil {
		return Report{}, err
	}
	defer guard(&err)
	return m.make(ctx, tell)
}

// guard makes an error of a mistake of ours: a report that cannot be made must not take along a collector that takes in what villages tell.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("a fault of nabz itself, to be reported with what was asked: %v", p)
	}
}

// maker makes one report.
type maker struct {
	q        Querier
	asked    Asked
	period   Period
	before   Period
	from, to int64 // of the figures: to may be before the period ends
	peak     hours.Week
	zones    map[string]*time.Location // of sites that have one
	entries  map[string]Entry

	mu   sync.Mutex
	done int // queries' worth of sites
}

func newMaker(q Querier, asked Asked) (*maker, error) {
	zone, err := LoadZone(asked.TimeZone)
	if err != nil {
		return nil, err
	}
	m := &maker{q: q, asked: asked, zones: map[string]*time.Location{}, entries: map[string]Entry{}}
	if m.period, err = parsePeriod(asked.Period, zone, time.Time{}); err != nil {
		return nil, err
	}
	if err := m.period.check(asked.Period); err != nil {
		return nil, err
	}
	m.before = m.period.Before()
	m.from, m.to = m.period.From.UnixMilli(), m.period.To.UnixMilli()
	if asked.AsOf != nil {
		m.to = min(m.to, asked.AsOf.UnixMilli())
	}
	if m.from >= m.to {
		return nil, faultf(ErrPeriod, "the period %s begins after the hour %s up to which it was asked for", asked.Period, asked.AsOf.Format(time.RFC3339))
	}
	if m.peak, err = parsePeak(asked.PeakHours); err != nil {
		return nil, err
	}
	for _, e := range asked.Roster {
		if err := telemetry.CheckID("site", e.Site); err != nil {
			return nil, err
		}
		if _, ok := m.entries[e.Site]; ok {
			return nil, fmt.Errorf("%w: it asks for site %s twice; whoever made it has changed it", ErrNotReport, e.Site)
		}
		if e.TimeZone != "" {
			if m.zones[e.Site], err = LoadZone(e.TimeZone); err != nil {
				return nil, fmt.Errorf("site %s: %w", e.Site, err)
			}
		}
		m.entries[e.Site] = e
	}
	for i, b := range asked.Benchmarks {
		if err := b.Check(); err != nil {
			return nil, fmt.Errorf("%w: its benchmark %q: %w", ErrNotReport, b.ID, err)
		}
		if slices.ContainsFunc(asked.Benchmarks[:i], func(o benchmark.Benchmark) bool { return o.ID == b.ID }) {
			return nil, fmt.Errorf("%w: it asks for benchmark %s twice; whoever made it has changed it", ErrNotReport, b.ID)
		}
	}
	return m, nil
}

// atOnce is how many sites one query is of.
func (m *maker) atOnce() int { return int(min(max(chunk*hourMs/(m.to-m.from), 1), 200)) }

// piece is what one query's sites come to.
type piece struct {
	sites    []SiteReport
	leftOut  []LeftOut
	days     []Day
	tests    samples
	before   samples
	past     Times
	pastMs   int64
	pastN    int
	measures []benchmark.Measures
}

func (m *maker) make(ctx context.Context, tell func(float64)) (Report, error) {
	r := Report{Definition: Definition, Asked: m.asked, From: time.UnixMilli(m.from).UTC(), To: time.UnixMilli(m.to).UTC(), Provisional: m.asked.AsOf != nil,
		Sites: []SiteReport{}, LeftOut: []LeftOut{}}
	ids := make([]string, len(m.asked.Roster))
	for i, e := range m.asked.Roster {
		ids[i] = e.Site
	}
	edges, days := m.midnights()
	chunks := slices.Collect(slices.Chunk(ids, m.atOnce()))
	pieces := make([]piece, len(chunks))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i, some := range chunks {
		g.Go(func() (err error) {
			defer guard(&err)
			if pieces[i], err = m.piece(gctx, some, edges, slices.Clone(days)); err != nil {
				return err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.done++; tell != nil {
				tell(float64(m.done) / float64(len(chunks)))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Report{}, err
	}
	r.Days = days
	m.sum(&r, pieces)
	if err := m.notListed(ctx, &r, ids); err != nil {
		return Report{}, err
	}
	if r.Programme.Time.Times.told() == 0 {
		return Report{}, faultf(ErrNoData, "the ledger has nothing of these sites in %s; the board and nabz-collector agent list show what was heard of their agents", m.asked.Period)
	}
	return r, nil
}

// piece works on the sites of one query.
func (m *maker) piece(ctx context.Context, sites []string, edges []int64, days []Day) (p piece, err error) {
	p.days = days
	pastFrom, pastTo := m.before.From.UnixMilli(), m.before.To.UnixMilli()
	past, err := m.spans(ctx, sites, pastFrom, pastTo, nil, true)
	if err != nil {
		return p, err
	}
	var asks []string // whose first word is not known to be older
	for _, id := range sites {
		if past[id].times.told() < pastTo-pastFrom {
			asks = append(asks, id)
		}
	}
	heard, err := m.firstHeard(ctx, asks)
	if err != nil {
		return p, err
	}
	var twice []string // told of more time than there was since they were first heard
	for id, at := range heard {
		if past[id].times.told() > max(pastTo-max(pastFrom, at), 0) {
			twice = append(twice, id)
		}
	}
	if err := m.whole(ctx, twice, past, pastFrom, pastTo); err != nil {
		return p, err
	}
	var counted []string
	for _, id := range sites {
		if at, ok := heard[id]; !ok && slices.Contains(asks, id) {
			p.leftOut = append(p.leftOut, LeftOut{Site: id, Reason: NeverHeard})
			continue
		} else if at < pastTo {
			ms := pastTo - max(pastFrom, at)
			t := past[id].times
			t.SilentMs = ms - t.told()
			p.past.add(t)
			p.pastMs += ms
			p.pastN++
		}
		counted = append(counted, id)
	}
	if len(counted) == 0 {
		return p, nil
	}
	return p, m.counted(ctx, &p, counted, past, heard, edges)
}

// counted works out the sites that the ledger has heard.
func (m *maker) counted(ctx context.Context, p *piece, sites []string, past map[string]*told, heard map[string]int64, edges []int64) error {
	spans, err := m.spans(ctx, sites, m.from, m.to, heard, false)
	if err != nil {
		return err
	}
	sums, err := m.hours(ctx, sites, m.from, m.to)
	if err != nil {
		return err
	}
	var several []string
	for _, id := range sites {
		if len(spans[id].agents) > 1 || sums[id] != nil && sums[id].agents > 1 {
			several = append(several, id)
		}
	}
	services, err := m.services(ctx, sites, several, m.from, m.to)
	if err != nil {
		return err
	}
	pastFrom, pastTo := m.before.From.UnixMilli(), m.before.To.UnixMilli()
	tests, err := m.tests(ctx, sites, pastFrom, m.to)
	if err != nil {
		return err
	}
	last, err := m.lastTests(ctx, sites, tests, pastFrom)
	if err != nil {
		return err
	}
	for _, id := range sites {
		o := spans[id]
		r := SiteReport{Site: id, Agents: append([]string{}, o.agents...), Findings: Findings{Sites: 1, Services: append([]Service{}, services[id]...)}}
		from := max(m.from, heard[id])
		if from > m.from {
			at := time.UnixMilli(from).UTC()
			r.CountedFrom = &at
		}
		t := o.times
		t.SilentMs = m.to - from - t.told()
		r.Time = figures(m.to-from, t)
		r.WatchedMs = t.UpMs + t.DegradedMs + t.DownMs()
		r.Outages = o.outages(id, m.from, m.to)
		o.lost(p.days, edges)
		sums[id].into(&r.Findings)
		var own samples
		now := between(tests[id], m.from, m.to)
		own.take(now, m.entries[id])
		p.tests.take(now, m.entries[id])
		p.before.take(between(tests[id], pastFrom, pastTo), m.entries[id])
		r.Throughput = own.throughput()
		if old := past[id].times; heard[id] < pastTo && old.told() > 0 {
			r.Before = figures(pastTo-max(pastFrom, heard[id]), old).Availability
		}
		p.measures = append(p.measures, m.measures(&r, now, last[id], sums[id]))
		p.sites = append(p.sites, r)
	}
	return nil
}

// firstHeard tells the hour in which the ledger first heard of each site, in ms; it has no entry for one that it has not heard up to the end.
func (m *maker) firstHeard(ctx context.Context, sites []string) (map[string]int64, error) {
	out := map[string]int64{}
	if len(sites) == 0 {
		return out, nil
	}
	series, err := m.query(ctx, fmt.Sprintf(`SELECT first("ms") FROM "span" WHERE time < %dms AND (%s) GROUP BY "site"`, m.to, which(sites)))
	if err != nil {
		return nil, err
	}
	for _, s := range series {
		for _, row := range s.Values {
			at, err := integer(s, row, 0)
			if err != nil {
				return nil, err
			}
			out[s.Tags["site"]] = floorHour(at)
		}
	}
	return out, nil
}

// notListed finds the sites that the ledger has and the sites file has not.
func (m *maker) notListed(ctx context.Context, r *Report, ids []string) error {
	if !slices.Equal(m.asked.Sites, []string{AllSites}) {
		return nil
	}
	series, err := m.query(ctx, `SHOW TAG VALUES FROM "span" WITH KEY = "site"`)
	if err != nil {
		return err
	}
	var others []string
	for _, s := range series {
		for _, row := range s.Values {
			if id, _ := row[len(row)-1].(string); telemetry.CheckID("site", id) == nil && m.entries[id].Site == "" {
				others = append(others, id)
			}
		}
	}
	slices.Sort(others)
	for some := range slices.Chunk(slices.Compact(others), m.atOnce()) {
		spans, err := m.spans(ctx, some, m.from, m.to, nil, true)
		if err != nil {
			return err
		}
		for _, id := range some {
			if ms := spans[id].times.told(); ms > 0 {
				r.LeftOut = append(r.LeftOut, LeftOut{Site: id, Reason: NotListed, ToldMs: ms})
			}
		}
	}
	slices.SortFunc(r.LeftOut, func(a, b LeftOut) int { return strings.Compare(a.Site, b.Site) })
	return nil
}

// midnights are the edges of the days of the report, by the clock of its zone, and the days.
func (m *maker) midnights() (edges []int64, days []Day) {
	for y, mo, d := m.period.From.Date(); ; d++ {
		at, next := dayBegins(y, int(mo), d, m.period.Zone), dayBegins(y, int(mo), d+1, m.period.Zone)
		if at.UnixMilli() >= m.to {
			return append(edges, m.to), days
		}
		if !at.Before(next) { // a day that the calendar left out
			continue
		}
		edges = append(edges, max(at.UnixMilli(), m.from))
		days = append(days, Day{Day: at.Format(dayForm)})
	}
}
