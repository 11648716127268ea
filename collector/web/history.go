package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/timeline"
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
	Period     periodFigures   `json:"period"`   // of the range asked for
	Outages    []report.Outage `json:"outages"`  // of that range, the newest first
	Services   []readiness     `json:"services"` // of that range
	Events     []event         `json:"events"`   //
	segs       []timeline.Segment
}

// periodFigures are the figures of the period that a page shows.
type periodFigures struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	report.Figures
}

type event struct {
	At     time.Time `json:"at"`
	Agent  string    `json:"agent"`
	Kind   string    `json:"kind"`
	Detail string    `json:"detail"`
}

const maxEvents = 30

// history reads all that is needed once, 30 days at least, and cuts all ranges out of it.
func (s *server) history(ctx context.Context, st *fleet.Status, p period) (history, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	h := history{Definition: report.Definition}
	to := st.Now.UTC().Truncate(time.Millisecond)
	from := to.Add(-30 * 24 * time.Hour)
	events := from
	if p.From.Before(from) {
		from = p.From
	}
	lines, err := report.Timelines(ctx, s.Store, from, to, []string{st.Site.ID})
	if err != nil {
		return h, err
	}
	tl := lines[st.Site.ID]
	for _, seg := range st.Ribbon {
		tl.Insert(seg)
	}
	for _, one := range chartRanges() {
		if one.Card {
			h.Figures = append(h.Figures, rangeFigures{one.Name, one.Words, report.Of(tl, to.Add(-one.Length).UnixMilli(), to.UnixMilli())})
		}
	}
	first, last := p.From, p.until(to)
	if p.Name != "" { // it ends at this very moment, not at the minute
		last = to
	}
	h.Period = periodFigures{first, last, report.Of(tl, first.UnixMilli(), last.UnixMilli())}
	h.Outages = report.ListOutages(tl, first.UnixMilli(), last.UnixMilli())
	h.segs = tl.Clip(first.UnixMilli(), last.UnixMilli())
	if h.Services, err = s.services(ctx, st.Site.ID, p, last); err != nil {
		return h, err
	}
	h.Events, err = s.recent(ctx, st.Site.ID, events)
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
