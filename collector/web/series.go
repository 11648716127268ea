package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// span of a chart, and how wide one of its steps is.
type chartRange struct {
	Name, Words  string
	Length, Step time.Duration
}

func chartRanges() []chartRange {
	return []chartRange{
		{"1h", "1 hour", time.Hour, 2 * time.Minute},
		{"24h", "24 hours", 24 * time.Hour, 5 * time.Minute},
		{"7d", "7 days", 7 * 24 * time.Hour, 30 * time.Minute},
		{"30d", "30 days", 30 * 24 * time.Hour, 2 * time.Hour},
	}
}

// rangeOf finds a range by name; "" is 24 hours.
func rangeOf(name string) (chartRange, bool) {
	if name == "" {
		name = "24h"
	}
	for _, r := range chartRanges() {
		if name == r.Name {
			return r, true
		}
	}
	return chartRange{}, false
}

// seriesDoc is a chart's data, in columns. A value is null where nothing was measured.
type seriesDoc struct {
	Site      string         `json:"site"`
	Range     string         `json:"range"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	StepMs    int64          `json:"step_ms"`
	TimeZone  string         `json:"time_zone"` // of the site; the times below are in UTC
	Interface string         `json:"interface"` // agent and interface that the traffic is of
	Target    string         `json:"target"`    // internet or collector: what the round trips and the loss are of
	TimeUnit  string         `json:"time_unit"`
	Time      []int64        `json:"time"` // where each step begins
	Series    []seriesColumn `json:"series"`
}

type seriesColumn struct {
	Name   string     `json:"name"`
	Unit   string     `json:"unit"`
	Help   string     `json:"help"`
	Values []*float64 `json:"values"`
}

// chart asks for one site's steps up to now. Steps end at now, so that the last one is whole. A line says
// what came before its timestamp, so a step takes in its end and not its beginning.
func (s *server) chart(ctx context.Context, site, zone string, r chartRange) (seriesDoc, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	to := s.Now().UTC().Truncate(time.Minute)
	from, step := to.Add(-r.Length), r.Step.Milliseconds()
	n := int(r.Length / r.Step)
	doc := seriesDoc{Site: site, Range: r.Name, From: from, To: to, StepMs: step, TimeZone: zone, TimeUnit: "ms since 1970-01-01T00:00:00Z", Time: make([]int64, n)}
	for i := range doc.Time {
		doc.Time[i] = from.UnixMilli() + int64(i)*step
	}
	ask := func(fields, measurement, where, group string) ([]store.Series, error) {
		first, last := from.UnixMilli()+1, to.UnixMilli()+1
		series, err := s.Store.Query(ctx, telemetry.Detail, fmt.Sprintf(
			`SELECT %s FROM "%s" WHERE "site" = '%s'%s AND time >= %dms AND time < %dms GROUP BY time(%dms, %dms)%s fill(null)`,
			fields, measurement, site, where, first, last, step, first%step, group))
		if err != nil {
			return nil, fmt.Errorf("read %s of %s for %s: %w", measurement, site, r.Words, err)
		}
		return series, nil
	}
	column := func(of *store.Series, i int, name, unit, help string, scale float64) {
		doc.Series = append(doc.Series, seriesColumn{name, unit, help, lay(of, i, scale, from.UnixMilli(), step, n)})
	}

	link, err := ask(`min("rtt_min_ms"), mean("rtt_avg_ms"), max("rtt_max_ms"), sum("sent"), sum("lost")`, "link", ` AND ("target" = 'internet' OR "target" = 'collector')`, `, "target"`)
	if err != nil {
		return doc, err
	}
	of := steadiest(link)
	doc.Target = "internet"
	if of != nil {
		doc.Target = of.Tags["target"]
	}
	column(of, 1, "latency_min", "ms", "shortest round trip to the "+doc.Target+" in the step", 1)
	column(of, 2, "latency_avg", "ms", "mean of the minutes' means", 1)
	column(of, 3, "latency_max", "ms", "longest round trip", 1)
	sent, lost := lay(of, 4, 1, from.UnixMilli(), step, n), lay(of, 5, 100, from.UnixMilli(), step, n)
	doc.Series = append(doc.Series, seriesColumn{"loss", "%", "probes without an answer, of those sent", ratio(lost, sent)})

	traffic, err := ask(`sum("rx_bytes"), sum("tx_bytes"), max("rx_peak_bps"), max("tx_peak_bps")`, "traffic", "", `, "agent", "iface"`)
	if err != nil {
		return doc, err
	}
	of = most(traffic, 1)
	if of != nil {
		doc.Interface = of.Tags["agent"] + " " + of.Tags["iface"]
	}
	rate := 8000 / float64(step)
	column(of, 1, "down", "bit/s", "bytes received in the step over its length", rate)
	column(of, 2, "up", "bit/s", "bytes sent in the step over its length", rate)
	column(of, 3, "down_peak", "bit/s", "fastest moment in the step", 1)
	column(of, 4, "up_peak", "bit/s", "fastest moment in the step", 1)

	host, err := ask(`mean("cpu_pct"), mean("mem_pct"), count("cpu_pct")`, "host", "", `, "agent"`)
	if err != nil {
		return doc, err
	}
	of = most(host, 3)
	column(of, 1, "cpu", "%", "processor in use, mean", 1)
	column(of, 2, "mem", "%", "memory in use, mean", 1)
	return doc, nil
}

// steadiest is the way to the internet, or where that was asked in fewer than half as many steps the way to the collector, which
// agents measure on the bytes that they send anyway. Nil when there is neither.
func steadiest(ways []store.Series) (best *store.Series) {
	steps := func(s *store.Series) (n int) {
		for _, row := range s.Values {
			if sent, ok := numberAt(row, 4); ok && sent > 0 {
				n++
			}
		}
		return n
	}
	for i := range ways {
		s := &ways[i]
		if best == nil || s.Tags["target"] == "internet" && 2*steps(s) >= steps(best) || best.Tags["target"] == "internet" && steps(s) > 2*steps(best) {
			best = s
		}
	}
	return best
}

// most is the series with the largest sum of a column: the interface that faces the internet, the agent that
// says most. Nil when there is none.
func most(all []store.Series, column int) (best *store.Series) {
	top := -1.0
	for i := range all {
		sum := 0.0
		for _, row := range all[i].Values {
			if v, ok := numberAt(row, column); ok {
				sum += v
			}
		}
		if sum > top {
			top, best = sum, &all[i]
		}
	}
	return best
}

// lay puts one column at its steps.
func lay(of *store.Series, column int, scale float64, from, step int64, n int) []*float64 {
	out := make([]*float64, n)
	if of == nil {
		return out
	}
	for _, row := range of.Values {
		at, ok := numberAt(row, 0)
		i := (int64(at) - from) / step
		if !ok || int64(at) < from || i >= int64(n) {
			continue
		}
		if v, ok := numberAt(row, column); ok {
			v = math.Round(v*scale*1000) / 1000
			out[i] = &v
		}
	}
	return out
}

func ratio(part, whole []*float64) []*float64 {
	out := make([]*float64, len(part))
	for i := range part {
		if part[i] != nil && whole[i] != nil && *whole[i] > 0 {
			v := math.Round(1000**part[i] / *whole[i]) / 1000
			out[i] = &v
		}
	}
	return out
}

func numberAt(row []any, i int) (float64, bool) {
	if i >= len(row) {
		return 0, false
	}
	n, ok := row[i].(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	return v, err == nil
}
