package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// Querier is what Restore needs of the store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

const (
	headsRecent = 2 * time.Hour       // most agents are found here, at little cost
	headsOldest = 30 * 24 * time.Hour // how far back the last word of the others is looked for
	sitesAtOnce = 200                 // bounds one question about the others
)

// Restore reads back, after a restart, the spans of the last 24 hours and the last batch of every agent. The
// time since anything at all was stored counts as deaf: nobody is unreachable for the collector's own absence.
// It may run while batches come in.
func (l *Live) Restore(ctx context.Context, q Querier) error {
	now := l.o.Now()
	spans, err := spansSince(ctx, q, now.Add(-ribbonFor-time.Hour))
	if err != nil {
		return err
	}
	heads, err := lastHeads(ctx, q, now.Add(-headsRecent), "")
	if err != nil {
		return err
	}
	for some := range slices.Chunk(l.without(heads), sitesAtOnce) {
		older, err := lastHeads(ctx, q, now.Add(-headsOldest), ` AND ("site" = '`+strings.Join(some, `' OR "site" = '`)+`')`)
		if err != nil {
			return err
		}
		heads = append(heads, older...)
	}
	machines, err := machinesSince(ctx, q, now.Add(-headsRecent))
	if err != nil {
		return err
	}
	boots, err := LastBoots(ctx, q, now)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = l.o.Now()
	l.takeSeries(machines)
	l.takeBoots(boots)
	l.takeSpans(spans, now)
	newest := time.Time{}
	for _, s := range heads {
		for _, row := range s.Values {
			h := headOf(row)
			l.agent(telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]}).takeHeader(h, now, false)
			newest = later(newest, h.At)
		}
	}
	// What came in while this waited may be newer than the beginning of the wait, which then covers it.
	if !newest.IsZero() && newest.Before(now) && (len(l.deaf) == 0 || newest.Before(l.deaf[0].from)) {
		l.deaf = append([]deafness{{from: newest, to: now}}, l.deaf...)
	}
	return nil
}

// spansSince asks for all spans that began since.
func spansSince(ctx context.Context, q Querier, from time.Time) ([]store.Series, error) {
	series, err := q.Query(ctx, telemetry.Ledger, fmt.Sprintf(
		`SELECT "ms", "err_ms" FROM "span" WHERE time >= %dms GROUP BY "site", "agent", "state", "cause"`, from.UnixMilli()))
	if err != nil {
		return nil, fmt.Errorf("restore the last day's spans: %w", err)
	}
	return series, nil
}

// lastHeads asks for the newest batch line of each agent. Where is a further condition.
func lastHeads(ctx context.Context, q Querier, from time.Time, where string) ([]store.Series, error) {
	series, err := q.Query(ctx, telemetry.Detail, fmt.Sprintf(
		`SELECT "seq", "boot", "open_state", "open_cause", "open_ms", "spool_bytes", "spool_lines", "wire_bytes", "clock", "next_s" FROM "batch" WHERE time >= %dms%s GROUP BY "site", "agent" ORDER BY time DESC LIMIT 1`,
		from.UnixMilli(), where))
	if err != nil {
		return nil, fmt.Errorf("restore the last batch of each agent: %w", err)
	}
	return series, nil
}

// without lists the sites of registered agents that are not among the heads, sorted.
func (l *Live) without(heads []store.Series) (sites []string) {
	found := map[telemetry.Address]bool{}
	for _, s := range heads {
		found[telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]}] = true
	}
	for _, a := range l.roster.Agents() {
		if !found[a] {
			sites = append(sites, a.Site)
		}
	}
	slices.Sort(sites)
	return slices.Compact(sites)
}

// takeSpans lays the spans of the ledger into the agents' past. The mutex is held.
func (l *Live) takeSpans(spans []store.Series, now time.Time) {
	for _, s := range spans {
		ag := l.agent(telemetry.Address{Site: s.Tags["site"], Agent: s.Tags["agent"]})
		for _, row := range s.Values {
			start, ms, errMs := number(row, 0), number(row, 1), number(row, 2)
			ag.past.Insert(timeline.Segment{Start: start, End: start + ms, ErrMs: errMs,
				State: telemetry.State(s.Tags["state"]), Cause: telemetry.Cause(s.Tags["cause"])})
		}
		ag.past.Forget(now.Add(-ribbonFor).UnixMilli(), maxSegments)
	}
}

// headOf reads one row of the query above. What is missing stays zero.
func headOf(row []any) telemetry.Header {
	h := telemetry.Header{At: time.UnixMilli(number(row, 0)).UTC(), Seq: uint64(number(row, 1)), Boot: text(row, 2),
		SpoolBytes: number(row, 6), SpoolLines: number(row, 7), WireBytes: number(row, 8), Clock: telemetry.Clock(text(row, 9)),
		Next: time.Duration(number(row, 10)) * time.Second}
	h.Open = telemetry.OpenSpan{State: telemetry.State(text(row, 3)), Cause: telemetry.Cause(text(row, 4)),
		Length: time.Duration(number(row, 5)) * time.Millisecond}
	if h.Open.Check() != nil {
		h.Open = telemetry.OpenSpan{}
	}
	return h
}

func number(row []any, i int) int64 {
	if i >= len(row) {
		return 0
	}
	n, ok := row[i].(json.Number)
	if !ok {
		return 0
	}
	if v, err := n.Int64(); err == nil {
		return v
	}
	f, _ := strconv.ParseFloat(n.String(), 64)
	return int64(f)
}

func text(row []any, i int) string {
	if i >= len(row) {
		return ""
	}
	s, _ := row[i].(string)
	return s
}

// Restored tells whether Restore has brought the past back: before it nobody knows that a site was never seen.
func (l *Live) Restored() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.back.IsZero()
}
