package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// seriesDoc is the data of a site's charts, in columns. A value is null where nothing was measured. All is of one agent.
type seriesDoc struct {
	Site      string         `json:"site"`
	Range     string         `json:"range"` // "" where from and to were asked for
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	StepMs    int64          `json:"step_ms"`
	TimeZone  string         `json:"time_zone"` // of the site; the times below are in UTC
	Agent     string         `json:"agent"`     // that all is of; "" where none told anything
	Agents    []string       `json:"agents"`    // that told something
	Interface string         `json:"interface"` // that the traffic is of
	Target    string         `json:"target"`    // internet or collector: what the round trips and the loss are of
	TimeUnit  string         `json:"time_unit"`
	Time      []int64        `json:"time"` // where each step begins
	Series    []seriesColumn `json:"series"`
	Hours     hoursDoc       `json:"hours"`
	Tests     testsDoc       `json:"speed_tests"`
}

type seriesColumn struct {
	Name   string     `json:"name"`
	Unit   string     `json:"unit"`
	Help   string     `json:"help"`
	Values []*float64 `json:"values"`
}

// chartAsk is one question for charts: the site, the period, and of which agent; "" is the one that tells most.
type chartAsk struct {
	site   fleet.Site
	period period
	agent  string
	again  bool // the step was chosen by how often the agent measures
}

// chart asks for one site's steps. A line says what came before its timestamp, so a step takes in its end and not its beginning.
func (s *server) chart(ctx context.Context, a chartAsk) (seriesDoc, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	p := a.period
	from, step := p.From.UnixMilli(), p.Step.Milliseconds()
	n := int((p.To.UnixMilli() - from + step - 1) / step)
	doc := seriesDoc{Site: a.site.ID, Range: p.Name, From: p.From, To: p.To, StepMs: step, TimeZone: siteZone(a.site).String(), Agents: []string{},
		TimeUnit: "ms since 1970-01-01T00:00:00Z", Time: make([]int64, n)}
	for i := range doc.Time {
		doc.Time[i] = from + int64(i)*step
	}
	ask := func(fields, measurement, where, group string) ([]store.Series, error) {
		first, last := from+1, p.To.UnixMilli()+1
		series, err := s.Store.Query(ctx, telemetry.Detail, fmt.Sprintf(
			`SELECT %s FROM "%s" WHERE "site" = '%s'%s AND time >= %dms AND time < %dms GROUP BY time(%dms, %dms), "agent"%s fill(none)`,
			fields, measurement, a.site.ID, where, first, last, step, first%step, group))
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", measurement, a.site.ID, err)
		}
		return series, nil
	}
	link, err := ask(`min("rtt_min_ms"), mean("rtt_avg_ms"), max("rtt_max_ms"), sum("sent"), sum("lost")`, "link", ` AND ("target" = 'internet' OR "target" = 'collector')`, `, "target"`)
	if err != nil {
		return doc, err
	}
	traffic, err := ask(`sum("rx_bytes"), sum("tx_bytes"), max("rx_peak_bps"), max("tx_peak_bps"), count("rx_bytes")`, "traffic", "", `, "iface"`)
	if err != nil {
		return doc, err
	}
	host, err := ask(`mean("cpu_pct"), mean("mem_pct"), max("disk_pct"), max("temp_c"), count("cpu_pct")`, "host", "", "")
	if err != nil {
		return doc, err
	}
	power, err := ask(`min("battery_pct"), min("volts")`, "power", "", "")
	if err != nil {
		return doc, err
	}
	ledger, err := s.ledger(ctx, a)
	if err != nil {
		return doc, err
	}
	doc.Agents, doc.Agent = speakers(a.agent, link, traffic, host, power, ledger.hours, ledger.tests)
	link, traffic, host, power = of(doc.Agent, link), of(doc.Agent, traffic), of(doc.Agent, host), of(doc.Agent, power)
	if coarser := stepFor(p.Step, cadence(step, append(slices.Clone(host), traffic...), 5)); coarser > p.Step && !a.again {
		a.period.Step, a.again = coarser, true
		return s.chart(ctx, a)
	}
	column := func(of *store.Series, i int, name, unit, help string, scale float64) {
		doc.Series = append(doc.Series, seriesColumn{name, unit, help, lay(of, i, scale, from, step, n)})
	}

	one := steadiest(link)
	doc.Target = "internet"
	if one != nil {
		doc.Target = one.Tags["target"]
	}
	column(one, 1, "latency_min", "ms", "shortest round trip to the "+doc.Target+" in the step", 1)
	column(one, 2, "latency_avg", "ms", "mean of the minutes' means", 1)
	column(one, 3, "latency_max", "ms", "longest round trip", 1)
	sent, lost := lay(one, 4, 1, from, step, n), lay(one, 5, 100, from, step, n)
	doc.Series = append(doc.Series, seriesColumn{"loss", "%", "probes without an answer, of those sent", ratio(lost, sent)})

	one = most(traffic, 1)
	if one != nil {
		doc.Interface = one.Tags["iface"]
	}
	rate := 8000 / float64(step)
	column(one, 1, "down", "bit/s", "bytes received in the step over its length", rate)
	column(one, 2, "up", "bit/s", "bytes sent in the step over its length", rate)
	column(one, 3, "down_peak", "bit/s", "fastest moment in the step", 1)
	column(one, 4, "up_peak", "bit/s", "fastest moment in the step", 1)

	one = most(host, 5)
	column(one, 1, "cpu", "%", "processor in use, mean", 1)
	column(one, 2, "mem", "%", "memory in use, mean", 1)
	column(one, 3, "disk", "%", "disk of the spool in use, highest", 1)
	column(one, 4, "temp", "°C", "temperature of the machine, highest", 1)
	one = most(power, 1)
	column(one, 1, "battery", "%", "charge of the battery, lowest", 1)
	column(one, 2, "volts", "V", "voltage of the battery, lowest", 1)
	doc.Hours = hoursOf(of(doc.Agent, ledger.hours), p, s.Now())
	doc.Tests = testsOf(of(doc.Agent, ledger.tests), a.site)
	return doc, nil
}

// cadence is how often an agent measures, as far as lines in steps tell it: the shortest of those of its series. Zero where nothing tells it. The column counts lines.
func cadence(step int64, all []store.Series, column int) (shortest time.Duration) {
	for _, one := range all {
		var gaps []int64 // steps from one with lines to the next
		var lines []float64
		last := int64(-1)
		for _, row := range one.Values {
			at, ok1 := numberAt(row, 0)
			n, ok2 := numberAt(row, column)
			if !ok1 || !ok2 || n == 0 {
				continue
			}
			if last >= 0 {
				gaps, lines = append(gaps, (int64(at)-last)/step), append(lines, n)
			}
			last = int64(at)
		}
		if len(gaps) < 3 {
			continue
		}
		typical := slices.Sorted(slices.Values(gaps))[len(gaps)/2]
		took, told := int64(0), 0.0
		for i, gap := range gaps {
			if gap <= 2*typical { // longer ones are holes
				took, told = took+gap*step, told+lines[i]
			}
		}
		if every := time.Duration(float64(took)/told) * time.Millisecond; shortest == 0 || every < shortest {
			shortest = every
		}
	}
	return shortest
}

// speakers are the agents that told anything, and the one to show: the one asked for, else the one with most to tell.
func speakers(wanted string, all ...[]store.Series) (names []string, shown string) {
	told := map[string]int{}
	for _, some := range all {
		for _, one := range some {
			told[one.Tags["agent"]] += len(one.Values)
		}
	}
	names = sortedKeys(told)
	if names == nil {
		names = []string{}
	}
	if wanted != "" {
		return names, wanted
	}
	for _, name := range names {
		if shown == "" || told[name] > told[shown] {
			shown = name
		}
	}
	return names, shown
}

// of are one agent's series.
func of(agent string, all []store.Series) []store.Series {
	return slices.DeleteFunc(slices.Clone(all), func(s store.Series) bool { return s.Tags["agent"] != agent })
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

// most is the series with the largest sum of a column: the interface that faces the internet. Nil when there is none.
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
