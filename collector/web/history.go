package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/telemetry"
)

// rangeFigures is one card: the figures of a range that ends now.
type rangeFigures struct {
	Range string `json:"range"`
	words string
	report.Figures
}

// history is what the ledger says of a site up to now, with what its agents have not closed yet.
type history struct {
	Definition string          `json:"definition"`
	Figures    []rangeFigures  `json:"availability"`
	Outages    []report.Outage `json:"outages"` // of the range asked for, the newest first
	Events     []event         `json:"events"`
}

type event struct {
	At     time.Time `json:"at"`
	Agent  string    `json:"agent"`
	Kind   string    `json:"kind"`
	Detail string    `json:"detail"`
}

const maxEvents = 30

// history reads 30 days once and cuts all ranges out of them.
func (s *server) history(ctx context.Context, st *fleet.Status, r chartRange) (history, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	h := history{Definition: report.Definition}
	to := st.Now.UTC().Truncate(time.Millisecond)
	ranges := chartRanges()
	from := to.Add(-ranges[len(ranges)-1].Length)
	lines, err := report.Timelines(ctx, s.Store, from, to, []string{st.Site.ID})
	if err != nil {
		return h, err
	}
	tl := lines[st.Site.ID]
	for _, seg := range st.Ribbon {
		tl.Insert(seg)
	}
	for _, one := range ranges {
		if one.Length < 24*time.Hour { // no figure to cite
			continue
		}
		h.Figures = append(h.Figures, rangeFigures{one.Name, one.Words, report.Of(tl, to.Add(-one.Length).UnixMilli(), to.UnixMilli())})
	}
	h.Outages = report.Outages(tl, to.Add(-r.Length).UnixMilli(), to.UnixMilli())
	h.Events, err = s.recent(ctx, st.Site.ID, from)
	return h, err
}

// recent lists the newest events.
func (s *server) recent(ctx context.Context, site string, from time.Time) ([]event, error) {
	series, err := s.Store.Query(ctx, telemetry.Ledger, fmt.Sprintf(
		`SELECT "detail" FROM "event" WHERE "site" = '%s' AND time >= %dms GROUP BY "agent", "kind" ORDER BY time DESC LIMIT %d`, site, from.UnixMilli(), maxEvents))
	if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", site, err)
	}
	out := []event{}
	for _, one := range series {
		for _, row := range one.Values {
			at, _ := numberAt(row, 0)
			detail, _ := row[1].(string)
			out = append(out, event{time.UnixMilli(int64(at)).UTC(), one.Tags["agent"], one.Tags["kind"], detail})
		}
	}
	slices.SortFunc(out, func(a, b event) int {
		if n := b.At.Compare(a.At); n != 0 {
			return n
		}
		return strings.Compare(a.Agent+a.Kind, b.Agent+b.Kind)
	})
	return out[:min(len(out), maxEvents)], nil
}
