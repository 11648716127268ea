package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
)

// rates holds what comes through a collector against what a tight writer alone gets into the same InfluxDB. Both take turns, so that what else the
// machine does falls on both, and the median of the rounds counts.
func (n *noc) rates(ctx context.Context) (figures []Figure, err error) {
	plans := 0
	for _, c := range []struct {
		name   string
		agents int
		zstd   bool
	}{{"1000_plain", fewAgents, false}, {"1000_zstd", fewAgents, true}, {"10000_zstd", manyAgents, true}} {
		if err := n.open(ctx, n.influx.URL, c.agents, false); err != nil {
			return figures, err
		}
		var tight, ours, ratios []slice
		for round := range n.c.Rounds + 1 {
			p := load.Plan{Kind: "write", Addr: n.influx.URL, Agents: c.agents, Database: [2]string{"nabz_ledger", "nabz"},
				Batches: max(6, int(guess*n.c.For.Seconds())/load.Lines/c.agents), Window: max(1, 8*fewAgents/c.agents), Zstd: c.zstd}
			plans++
			p.Start, p.Boot = time.Now().Add(-80*24*time.Hour+time.Duration(plans)*24*time.Hour).UnixMilli(), fmt.Sprintf("%08x", plans)
			if round == 0 { // for InfluxDB to meet the series for the first time; nobody's figure
				p.Batches = 6
				if _, err := n.measure(ctx, p, 0); err != nil {
					return figures, err
				}
				continue
			}
			w, err := n.measure(ctx, p, 0)
			if err != nil {
				return figures, err
			}
			plans++
			p.Start, p.Boot = p.Start+24*3600_000, fmt.Sprintf("%08x", plans)
			p.Kind, p.Addr = "pour", n.mqtt
			o, err := n.measure(ctx, p, n.collector.pid())
			if err != nil {
				return figures, err
			}
			fmt.Fprintf(n.c.Log, "bench-collector: %s, round %d: tight writer %.0f points/s, %.2f CPU s/M; collector %.0f points/s, %.2f CPU s/M\n", c.name, round, w.points, w.cpu, o.points, o.cpu)
			tight, ours, ratios = append(tight, w), append(ours, o), append(ratios, slice{points: o.points / w.points})
			rows, err := n.query("nabz_ledger", fmt.Sprintf(`SELECT count("ms") FROM hour WHERE time >= %dms AND time < %dms`, p.Start, p.Start+24*3600_000))
			if err != nil {
				return figures, err
			}
			if got, want := total(rows), float64(p.Agents*p.Batches*load.Lines); got != want {
				return figures, fmt.Errorf("InfluxDB has %.0f points of %.0f that were acknowledged", got, want)
			}
		}
		u, err := readUsage(n.collector.pid())
		if err != nil {
			return figures, err
		}
		points := func(s slice) float64 { return s.points }
		memory := Figure{Name: "collector_rss_" + c.name, Value: round(float64(u.peak)/(1<<20), 0.1), Unit: "MiB", Limit: limitIntake}
		if c.agents == manyAgents {
			memory.Limit = limitFleet
		}
		figures = append(figures,
			Figure{Name: "writer_points_" + c.name, Value: round(median(tight, points), 1), Unit: "points/s"},
			Figure{Name: "collector_points_" + c.name, Value: round(median(ours, points), 1), Unit: "points/s"},
			Figure{Name: "collector_ratio_" + c.name, Value: round(median(ratios, points), 0.001), Unit: "of-writer", Limit: limitRatio, Least: true},
			Figure{Name: "collector_cpu_" + c.name, Value: round(median(ours, func(s slice) float64 { return s.cpu }), 0.01), Unit: "s/million", Limit: limitCPU},
			Figure{Name: "collector_allocs_" + c.name, Value: round(median(ours, func(s slice) float64 { return s.allocs }), 0.01), Unit: "/line"},
			memory)
		if err := n.shut(); err != nil {
			return figures, err
		}
	}
	return figures, nil
}

func total(rows map[string][]float64) (s float64) {
	for _, r := range rows {
		for _, v := range r {
			s += v
		}
	}
	return s
}

// sink starts what answers as an InfluxDB that takes everything at once and keeps nothing, and says where it is.
func (n *noc) sink() (*loader, string, error) {
	at, err := free()
	if err != nil {
		return nil, "", err
	}
	l, err := startLoader(n.c.Self, load.Plan{Kind: "sink", Addr: at}, n.c.Log)
	return l, "http://" + at, err
}

// null is what the collector gets through where InfluxDB takes everything at once and keeps nothing.
func (n *noc) null(ctx context.Context) (figures []Figure, err error) {
	sink, url, err := n.sink()
	if err != nil {
		return nil, err
	}
	defer sink.end()
	for _, c := range []struct {
		name string
		zstd bool
	}{{"plain", false}, {"zstd", true}} {
		if err := n.open(ctx, url, fewAgents, false); err != nil {
			return figures, err
		}
		var all []slice
		for range n.c.Rounds {
			p := load.Plan{Kind: "pour", Addr: n.mqtt, Agents: fewAgents, Batches: 20, Repeat: true, Window: 8, Zstd: c.zstd, Start: time.Now().Add(-time.Hour).UnixMilli(), Boot: fmt.Sprintf("%08x", 100+len(all))}
			s, err := n.measure(ctx, p, n.collector.pid())
			if err != nil {
				return figures, err
			}
			fmt.Fprintf(n.c.Log, "bench-collector: null sink, %s: %.0f points/s, %.2f CPU s/M\n", c.name, s.points, s.cpu)
			all = append(all, s)
		}
		u, err := readUsage(n.collector.pid())
		if err != nil {
			return figures, err
		}
		figures = append(figures,
			Figure{Name: "null_points_" + c.name, Value: round(median(all, func(s slice) float64 { return s.points }), 1), Unit: "points/s", Limit: limitPoints, Least: true},
			Figure{Name: "null_cpu_" + c.name, Value: round(median(all, func(s slice) float64 { return s.cpu }), 0.01), Unit: "s/million", Limit: limitCPU},
			Figure{Name: "null_allocs_" + c.name, Value: round(median(all, func(s slice) float64 { return s.allocs }), 0.01), Unit: "/line"},
			Figure{Name: "null_rss_" + c.name, Value: round(float64(u.peak)/(1<<20), 0.1), Unit: "MiB", Limit: limitIntake})
		if err := n.shut(); err != nil {
			return figures, err
		}
	}
	return figures, nil
}
