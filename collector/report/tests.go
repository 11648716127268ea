package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/internal/hours"
)

// test is one speed test.
type test struct {
	at       int64
	down, up int64    // bit/s; -1: not measured
	rtt      *float64 // ms
	peak     bool
}

// tests reads the speed tests that began in [from, to), oldest first.
func (m *maker) tests(ctx context.Context, sites []string, from, to int64) (map[string][]test, error) {
	series, err := m.query(ctx, fmt.Sprintf(`SELECT "down_bps", "up_bps", "min_rtt_ms" FROM "speedtest" WHERE %s GROUP BY "site", "agent", "server"`, where(sites, from, to)))
	if err != nil {
		return nil, err
	}
	out := map[string][]test{}
	for _, s := range series {
		id := s.Tags["site"]
		for _, row := range s.Values {
			t := test{down: -1, up: -1}
			if t.at, err = integer(s, row, 0); err != nil {
				return nil, err
			}
			for i, into := range []*int64{&t.down, &t.up} {
				if row[i+1] == nil {
					continue
				}
				if *into, err = integer(s, row, i+1); err != nil {
					return nil, err
				}
			}
			if ms, ok := number(row, 3); ok {
				t.rtt = &ms
			}
			t.peak = m.isPeak(id, t.at)
			out[id] = append(out[id], t)
		}
	}
	for _, all := range out {
		slices.SortFunc(all, func(a, b test) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.down, b.down), cmp.Compare(a.up, b.up))
		})
	}
	return out, nil
}

// lastTests tells when each site had its newest speed test up to the end, in ms: of the tests that were read, or where there are none, of those before, if a
// benchmark may ask for it. It has no entry for a site that never had one.
func (m *maker) lastTests(ctx context.Context, sites []string, read map[string][]test, from int64) (map[string]int64, error) {
	out := map[string]int64{}
	var older []string
	for _, id := range sites {
		if all := read[id]; len(all) > 0 {
			out[id] = all[len(all)-1].at
		} else {
			older = append(older, id)
		}
	}
	if len(older) == 0 || len(m.asked.Benchmarks) == 0 {
		return out, nil
	}
	series, err := m.query(ctx, fmt.Sprintf(`SELECT "down_bps", "up_bps", "min_rtt_ms" FROM "speedtest" WHERE time < %dms AND (%s) GROUP BY "site" ORDER BY time DESC LIMIT 1`, from, which(older)))
	if err != nil {
		return nil, err
	}
	for _, s := range series {
		for _, row := range s.Values {
			if out[s.Tags["site"]], err = integer(s, row, 0); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (m *maker) isPeak(site string, at int64) bool {
	zone := m.zones[site]
	if zone == nil {
		zone = m.period.Zone
	}
	open, _ := m.peak.State(time.UnixMilli(at), zone)
	return open
}

// between is the part of a list in order of time.
func between(all []test, from, to int64) []test {
	i, _ := slices.BinarySearchFunc(all, from, func(t test, at int64) int { return cmp.Compare(t.at, at) })
	j, _ := slices.BinarySearchFunc(all, to, func(t test, at int64) int { return cmp.Compare(t.at, at) })
	return all[i:j]
}

// samples are tests of which quantiles are wanted later, of one site or of several.
type samples struct {
	sites            int
	all, peak, offPk rates
}

// rates are what tests in one window measured, both ways.
type rates struct {
	tests    int
	down, up way
}

type way struct {
	bps                  []int64
	withTarget, onTarget int
}

func (w *way) take(bps, target int64) {
	if bps < 0 {
		return
	}
	w.bps = append(w.bps, bps)
	if target > 0 {
		w.withTarget++
		w.onTarget += one(bps >= target)
	}
}

// take adds the tests of a site.
func (s *samples) take(all []test, e Entry) {
	s.sites += one(len(all) > 0)
	for _, t := range all {
		into := &s.offPk
		if t.peak {
			into = &s.peak
		}
		for _, r := range []*rates{&s.all, into} {
			r.tests++
			r.down.take(t.down, e.TargetDownBps)
			r.up.take(t.up, e.TargetUpBps)
		}
	}
}

func (s *samples) throughput() Throughput {
	return Throughput{Sites: s.sites, All: s.all.figures(), Peak: s.peak.figures(), OffPeak: s.offPk.figures()}
}

func (r *rates) figures() Tests {
	return Tests{Tests: r.tests, Down: r.down.figures(), Up: r.up.figures()}
}

func (w *way) figures() Rate {
	sorted := slices.Sorted(slices.Values(w.bps))
	at := func(percent int64) *int64 {
		if len(sorted) == 0 {
			return nil
		}
		v := sorted[nearestRank(int64(len(sorted)), percent)-1]
		return &v
	}
	return Rate{Tests: len(sorted), MedianBps: at(50), P5Bps: at(5), P95Bps: at(95),
		WithTarget: w.withTarget, OnTarget: w.onTarget, Share: fraction(int64(w.onTarget), int64(w.withTarget))}
}

// parsePeak reads peak hours.
func parsePeak(text string) (hours.Week, error) {
	w, err := hours.Parse(text)
	if err != nil {
		return w, faultf(ErrPeakHours, "peak hours: %v", err)
	}
	return w, nil
}
