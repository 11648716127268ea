package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// Querier is what a report needs of the store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// ErrPeriod is in the error of a period that has no length.
var ErrPeriod = errors.New("a period must end after it begins")

// sitesAtOnce bounds one query's answer: a month of so many sites is about 150,000 spans.
const sitesAtOnce = 200

// Report is a value: the same ledger, period, sites and definition give the same JSON.
type Report struct {
	Definition string       `json:"definition"`
	From       time.Time    `json:"from"`
	To         time.Time    `json:"to"` // exclusive
	TimeZone   string       `json:"time_zone"`
	Programme  Figures      `json:"programme"` // all sites, weighted by site-time
	Sites      []SiteReport `json:"sites"`     // by id
}

// SiteReport is one site's figures.
type SiteReport struct {
	Site string `json:"site"`
	Figures
}

// Availability computes the figures of each site over [from, to), and of all of them together. A site that the
// ledger does not know is unknown all the time. Times are cut to milliseconds.
func Availability(ctx context.Context, q Querier, from, to time.Time, sites []string) (Report, error) {
	from, to = from.UTC().Truncate(time.Millisecond), to.UTC().Truncate(time.Millisecond)
	r := Report{Definition: Definition, From: from, To: to, TimeZone: "UTC", Sites: []SiteReport{}}
	sites = slices.Compact(slices.Sorted(slices.Values(sites)))
	period, total := to.UnixMilli()-from.UnixMilli(), Times{}
	for some := range slices.Chunk(sites, sitesAtOnce) {
		lines, err := Timelines(ctx, q, from, to, some)
		if err != nil {
			return Report{}, err
		}
		for _, id := range some {
			f := Of(lines[id], from.UnixMilli(), to.UnixMilli())
			total.add(f.Times)
			r.Sites = append(r.Sites, SiteReport{Site: id, Figures: f})
		}
	}
	r.Programme = figures(period*int64(len(sites)), total)
	return r, nil
}

// Timelines reads the spans of these sites that touch [from, to) and unites the agents of each. There is a
// timeline for every id that was asked for.
func Timelines(ctx context.Context, q Querier, from, to time.Time, sites []string) (map[string]*timeline.Timeline, error) {
	if !from.Before(to) {
		return nil, fmt.Errorf("period from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), ErrPeriod)
	}
	out := make(map[string]*timeline.Timeline, len(sites))
	if len(sites) == 0 {
		return out, nil
	}
	which := make([]string, len(sites))
	for i, id := range sites {
		if err := telemetry.CheckID("site", id); err != nil {
			return nil, err
		}
		which[i] = `"site" = '` + id + `'`
		out[id] = &timeline.Timeline{}
	}
	series, err := q.Query(ctx, telemetry.Ledger, fmt.Sprintf( // no span is longer than an hour
		`SELECT "ms", "err_ms" FROM "span" WHERE time >= %dms AND time < %dms AND (%s) GROUP BY "site", "agent", "state", "cause"`,
		from.Add(-time.Hour).UnixMilli(), to.UnixMilli(), strings.Join(which, " OR ")))
	if err != nil {
		return nil, fmt.Errorf("read spans from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), err)
	}
	found := map[string][]timeline.Segment{}
	for _, s := range series {
		id := s.Tags["site"]
		for _, row := range s.Values {
			seg, err := segment(s, row)
			if err != nil {
				return nil, fmt.Errorf("read spans of %s: %w", id, err)
			}
			found[id] = append(found[id], seg)
		}
	}
	for id, segs := range found {
		slices.SortFunc(segs, compareSegments) // one order, whatever the database's: quick, and the same bytes
		for _, s := range segs {
			out[id].Insert(s)
		}
	}
	return out, nil
}

func segment(s store.Series, row []any) (seg timeline.Segment, err error) {
	var n [3]int64
	for i := range n {
		v, ok := row[i].(json.Number)
		if !ok {
			return seg, fmt.Errorf("column %s holds %v, not a number", s.Columns[i], row[i])
		}
		if n[i], err = v.Int64(); err != nil {
			return seg, fmt.Errorf("column %s: %w", s.Columns[i], err)
		}
	}
	return timeline.Segment{Start: n[0], End: n[0] + n[1], ErrMs: n[2],
		State: telemetry.State(s.Tags["state"]), Cause: telemetry.Cause(s.Tags["cause"])}, nil
}

func compareSegments(a, b timeline.Segment) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End),
		cmp.Compare(timeline.Rank(a.State, a.Cause), timeline.Rank(b.State, b.Cause)), cmp.Compare(a.ErrMs, b.ErrMs))
}
