package report

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

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
	for _, id := range sites {
		if err := telemetry.CheckID("site", id); err != nil {
			return nil, err
		}
		out[id] = &timeline.Timeline{}
	}
	series, err := q.Query(ctx, telemetry.Ledger, fmt.Sprintf( // no span is longer than an hour
		`SELECT "ms", "err_ms" FROM "span" WHERE %s GROUP BY "site", "agent", "state", "cause"`, where(sites, from.Add(-time.Hour).UnixMilli(), to.UnixMilli())))
	if err != nil {
		return nil, fmt.Errorf("read spans from %s to %s: %w", from.Format(time.RFC3339), to.Format(time.RFC3339), err)
	}
	found, err := segmentsOf(series)
	if err != nil {
		return nil, err
	}
	for id, segs := range found {
		for _, s := range segs {
			out[id].Insert(s)
		}
	}
	return out, nil
}

func segment(s store.Series, row []any) (seg timeline.Segment, err error) {
	var n [3]int64 // the uncertainty is not read where nobody asks for it
	for i := range row {
		if n[i], err = integer(s, row, i); err != nil {
			return seg, err
		}
	}
	return timeline.Segment{Start: n[0], End: n[0] + n[1], ErrMs: n[2],
		State: telemetry.State(s.Tags["state"]), Cause: telemetry.Cause(s.Tags["cause"])}, nil
}

func compareSegments(a, b timeline.Segment) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End),
		cmp.Compare(timeline.Rank(a.State, a.Cause), timeline.Rank(b.State, b.Cause)), cmp.Compare(a.ErrMs, b.ErrMs))
}
