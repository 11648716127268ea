package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// rttEdges are the bounds of the histogram of round trips, in ms; what is above the last is in rtt_le_inf.
func rttEdges() []int { return []int{25, 50, 100, 150, 300, 600, 1200} }

// bandEdges are those that the chart of latency draws, and beyond.
func bandEdges() []int { return []int{50, 150, 300, 600} }

// hoursDoc is what agents' own sums of each hour say, in columns; kept for ever, where the rest is kept 90 days.
type hoursDoc struct {
	StepMs  int64          `json:"step_ms"` // an hour, or several
	Time    []int64        `json:"time"`
	Series  []seriesColumn `json:"series"`
	Latency latencyDoc     `json:"latency"`
}

// latencyDoc is the histogram of the whole period. A quantile is told as the edge below which it lies: the histogram knows no more.
type latencyDoc struct {
	Answers int64            `json:"answers"`
	Within  map[string]int64 `json:"within_ms"` // cumulative counts by edge; "inf" is all
	P50     *int             `json:"p50_within_ms"`
	P95     *int             `json:"p95_within_ms"` // null where it is above the last edge, or there was no answer
	Sent    int64            `json:"sent"`
	Lost    int64            `json:"lost"`
	Known   *float64         `json:"known"` // share of the period up to now that hours were told of
}

// testsDoc are the speed tests themselves.
type testsDoc struct {
	TargetDown *float64    `json:"target_down_bps"` // null where the site has none
	TargetUp   *float64    `json:"target_up_bps"`
	Tests      []speedTest `json:"tests"`
}

type speedTest struct {
	At     int64    `json:"at"` // ms
	Server string   `json:"server"`
	Down   *float64 `json:"down_bps"`
	Up     *float64 `json:"up_bps"`
	RTT    *float64 `json:"min_rtt_ms"`
}

// maxTests bounds the tests of one answer; agents make a few a day.
const maxTests = 2000

// told is what the ledger holds for charts, by agent.
type told struct{ hours, tests []store.Series }

func (s *server) ledger(ctx context.Context, a chartAsk) (told, error) {
	p := a.period
	fields := `sum("ms")`
	for _, edge := range rttEdges() {
		fields += fmt.Sprintf(`, sum("rtt_le_%d")`, edge)
	}
	fields += `, sum("rtt_le_inf"), sum("sent"), sum("lost"), sum("rx_bytes"), sum("tx_bytes"), max("rx_peak_bps"), max("tx_peak_bps"), max("clients_max")`
	step := hourStep(p.Step)
	first := p.From.Truncate(step)
	hours, err := s.Store.Query(ctx, telemetry.Ledger, fmt.Sprintf(`SELECT %s FROM "hour" WHERE "site" = '%s' AND time >= %dms AND time < %dms GROUP BY time(%dms), "agent" fill(none)`,
		fields, a.site.ID, first.UnixMilli(), p.To.UnixMilli(), step.Milliseconds()))
	if err != nil {
		return told{}, fmt.Errorf("read hours of %s: %w", a.site.ID, err)
	}
	tests, err := s.Store.Query(ctx, telemetry.Ledger, fmt.Sprintf(`SELECT "down_bps", "up_bps", "min_rtt_ms" FROM "speedtest" WHERE "site" = '%s' AND time >= %dms AND time < %dms GROUP BY "agent", "server" ORDER BY time DESC LIMIT %d`,
		a.site.ID, p.From.UnixMilli(), p.To.UnixMilli(), maxTests))
	if err != nil {
		return told{}, fmt.Errorf("read speed tests of %s: %w", a.site.ID, err)
	}
	return told{hours, tests}, nil
}

// hourStep is a step of whole hours. All of them divide a day, and so begin with hours of UTC.
func hourStep(step time.Duration) time.Duration { return max(step, time.Hour) }

// hoursOf puts an agent's hours into columns.
func hoursOf(all []store.Series, p period, now time.Time) hoursDoc {
	step := hourStep(p.Step)
	first := p.From.Truncate(step).UnixMilli()
	ms := step.Milliseconds()
	n := int((p.To.UnixMilli() - first + ms - 1) / ms)
	doc := hoursDoc{StepMs: ms, Time: make([]int64, n), Latency: latencyDoc{Within: map[string]int64{}}}
	for i := range doc.Time {
		doc.Time[i] = first + int64(i)*ms
	}
	var of *store.Series
	if len(all) > 0 {
		of = &all[0]
	}
	columnAt := map[string]int{"ms": 1, "inf": len(rttEdges()) + 2}
	for i, edge := range rttEdges() {
		columnAt[fmt.Sprint(edge)] = i + 2
	}
	inf := columnAt["inf"]
	lay := func(i int, scale float64) []*float64 { return lay(of, i, scale, first, ms, n) }
	add := func(name, unit, help string, values []*float64) {
		doc.Series = append(doc.Series, seriesColumn{name, unit, help, values})
	}
	add("known", "%", "share of the step that the agent told of", lay(1, 100/float64(ms)))
	answers := lay(inf, 1)
	for _, edge := range bandEdges() {
		add(fmt.Sprintf("within_%d", edge), "%", fmt.Sprintf("round trips of at most %d ms, of all that were answered", edge), ratio(lay(columnAt[fmt.Sprint(edge)], 100), answers))
	}
	add("within_inf", "%", "all that were answered", ratio(lay(inf, 100), answers))
	add("loss", "%", "probes without an answer, of those sent", ratio(lay(inf+2, 100), lay(inf+1, 1)))
	covered := lay(1, 1)
	add("down", "bit/s", "bytes received over the time that was told of", ratio(lay(inf+3, 8000), covered))
	add("up", "bit/s", "bytes sent over the time that was told of", ratio(lay(inf+4, 8000), covered))
	add("down_peak", "bit/s", "fastest moment in the step", lay(inf+5, 1))
	add("up_peak", "bit/s", "fastest moment in the step", lay(inf+6, 1))
	add("clients", "", "most devices that used the link at once", lay(inf+7, 1))
	doc.Latency.sum(of, columnAt, inf)
	sum := 0.0
	for _, v := range covered {
		if v != nil {
			sum += *v
		}
	}
	if length := p.until(now).UnixMilli() - first; length > 0 {
		v := math.Round(1e4*min(1, sum/float64(length))) / 1e4
		doc.Latency.Known = &v
	}
	return doc
}

// sum is the histogram of the period, with its quantiles.
func (l *latencyDoc) sum(of *store.Series, columnAt map[string]int, inf int) {
	total := func(i int) (sum int64) {
		if of == nil {
			return 0
		}
		for _, row := range of.Values {
			if v, ok := numberAt(row, i); ok {
				sum += int64(v)
			}
		}
		return sum
	}
	l.Answers, l.Sent, l.Lost = total(inf), total(inf+1), total(inf+2)
	l.Within["inf"] = l.Answers
	for _, edge := range rttEdges() {
		n := total(columnAt[fmt.Sprint(edge)])
		l.Within[fmt.Sprint(edge)] = n
		if l.Answers == 0 {
			continue
		}
		if l.P50 == nil && 2*n >= l.Answers {
			l.P50 = &edge
		}
		if l.P95 == nil && 100*n >= 95*l.Answers {
			l.P95 = &edge
		}
	}
}

// testsOf are an agent's tests, in the order of time, with what the site should reach.
func testsOf(all []store.Series, site fleet.Site) testsDoc {
	doc := testsDoc{Tests: []speedTest{}, TargetDown: target(site.TargetDownMbps), TargetUp: target(site.TargetUpMbps)}
	for _, one := range all {
		for _, row := range one.Values {
			at, ok := numberAt(row, 0)
			if !ok {
				continue
			}
			t := speedTest{At: int64(at), Server: one.Tags["server"]}
			for i, into := range []**float64{&t.Down, &t.Up, &t.RTT} {
				if v, ok := numberAt(row, i+1); ok {
					*into = &v
				}
			}
			doc.Tests = append(doc.Tests, t)
		}
	}
	slices.SortFunc(doc.Tests, func(a, b speedTest) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Server, b.Server)) })
	doc.Tests = doc.Tests[max(0, len(doc.Tests)-maxTests):]
	return doc
}

func target(mbps float64) *float64 {
	if mbps <= 0 {
		return nil
	}
	v := math.Round(mbps * 1e6)
	return &v
}
