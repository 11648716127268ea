package report

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/telemetry"
)

// hourSums are the sums of the hour lines of one site.
type hourSums struct {
	within     []int64 // cumulative, one for each edge and one for all
	probed     int64   // lines with round trips; of several agents the most
	sent, lost int64
	rx, tx     int64
	most       int64
	mean       float64 // of the most in each hour
	clients    bool    // somebody counted them
	agents     int
}

// hours reads the hour lines that begin in [from, to).
func (m *maker) hours(ctx context.Context, sites []string, from, to int64) (map[string]*hourSums, error) {
	edges := telemetry.HistogramEdgesMs()
	var sums strings.Builder
	for _, e := range edges {
		fmt.Fprintf(&sums, `sum("rtt_le_%d"), `, e)
	}
	counts := ""
	if m.countsHours() {
		counts = `, count("rtt_le_inf")`
	}
	series, err := m.query(ctx, fmt.Sprintf(`SELECT %ssum("rtt_le_inf"), sum("sent"), sum("lost"), sum("rx_bytes"), sum("tx_bytes"), max("clients_max"), mean("clients_max")%s `+
		`FROM "hour" WHERE %s GROUP BY "site", "agent"`, sums.String(), counts, where(sites, from, to)))
	if err != nil {
		return nil, err
	}
	out := map[string]*hourSums{}
	var several []string
	for _, s := range series {
		if len(s.Values) == 0 {
			continue
		}
		row, id := s.Values[0], s.Tags["site"]
		h := out[id]
		if h == nil {
			h = &hourSums{within: make([]int64, len(edges)+1)}
			out[id] = h
		}
		if h.agents++; h.agents == 2 {
			several = append(several, id)
		}
		var n [13]int64
		for i := range len(edges) + 6 {
			if n[i], err = integer(s, row, i+1); err != nil {
				return nil, err
			}
		}
		for i := range h.within {
			h.within[i] += n[i]
		}
		n2 := n[len(edges)+1:]
		h.sent, h.lost, h.rx, h.tx = h.sent+n2[0], h.lost+n2[1], h.rx+n2[2], h.tx+n2[3]
		if mean, ok := number(row, len(edges)+7); ok {
			h.clients = true
			h.most, h.mean = max(h.most, n2[4]), max(h.mean, mean)
		}
		if counts != "" {
			probed, err := integer(s, row, len(edges)+8)
			if err != nil {
				return nil, err
			}
			h.probed = max(h.probed, probed)
		}
	}
	return out, m.volumes(ctx, several, out, from, to)
}

// volumes counts, at sites with several agents, the one that saw more in each hour: a kiosk's bytes go through the router too.
func (m *maker) volumes(ctx context.Context, sites []string, out map[string]*hourSums, from, to int64) error {
	if len(sites) == 0 {
		return nil
	}
	series, err := m.query(ctx, fmt.Sprintf(`SELECT sum("rx_bytes"), sum("tx_bytes") FROM "hour" WHERE %s GROUP BY "site", "agent", time(1h) fill(none)`, where(sites, from, to)))
	if err != nil {
		return err
	}
	type hour struct {
		site string
		at   int64
	}
	best := map[hour][2]int64{}
	for _, s := range series {
		for _, row := range s.Values {
			var n [3]int64
			for i := range n {
				if n[i], err = integer(s, row, i); err != nil {
					return err
				}
			}
			key := hour{s.Tags["site"], n[0]}
			if old := best[key]; n[1]+n[2] > old[0]+old[1] || n[1]+n[2] == old[0]+old[1] && n[1] > old[0] {
				best[key] = [2]int64{n[1], n[2]}
			}
		}
	}
	for _, id := range sites {
		out[id].rx, out[id].tx = 0, 0
	}
	for key, v := range best {
		out[key.site].rx += v[0]
		out[key.site].tx += v[1]
	}
	return nil
}

// into writes a site's sums into its figures.
func (h *hourSums) into(f *Findings) {
	if h == nil {
		h = &hourSums{within: make([]int64, len(telemetry.HistogramEdgesMs())+1)}
	}
	f.Latency = latency(h.within)
	f.Loss = Loss{Sent: h.sent, Lost: h.lost}
	f.Loss.finish()
	f.Volume = Volume{RxBytes: h.rx, TxBytes: h.tx}
	f.Latency.Sites, f.Loss.Sites, f.Volume.Sites = one(f.Latency.Answers > 0), one(h.sent > 0), one(h.rx+h.tx > 0)
	if h.clients {
		most, mean := h.most, math.Round(100*h.mean)/100
		f.Clients = Clients{Sites: 1, Most: &most, MeanPeak: &mean}
	}
}

// countsHours tells whether a benchmark asks for how many hours round trips were counted in; a field more of each hour takes its time.
func (m *maker) countsHours() bool {
	return slices.ContainsFunc(m.asked.Benchmarks, func(b benchmark.Benchmark) bool {
		return slices.ContainsFunc(b.Criteria, func(c benchmark.Criterion) bool { return c.LeastHours > 0 })
	})
}

// counted is how many hours round trips were counted in, or somewhat more where an agent began anew within one.
func (h *hourSums) counted() int64 {
	if h == nil {
		return 0
	}
	return h.probed
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (l *Loss) finish() { l.Share = fraction(l.Lost, l.Sent) }

// latency makes a distribution of cumulative counts, the last of which is of all.
func latency(within []int64) Latency {
	edges := telemetry.HistogramEdgesMs()
	l := Latency{Answers: within[len(edges)], Within: make([]Bucket, len(edges))}
	for i, e := range edges {
		l.Within[i] = Bucket{LeMs: e, Answers: within[i], Share: fraction(within[i], l.Answers)}
	}
	l.Median, l.P95 = l.quantile(50), l.quantile(95)
	return l
}

// quantile is the interval in which the nearest rank of a percentile lies.
func (l *Latency) quantile(percent int64) *Quantile {
	if l.Answers <= 0 {
		return nil
	}
	rank, q := nearestRank(l.Answers, percent), Quantile{}
	for _, b := range l.Within {
		if b.Answers >= rank {
			edge := b.LeMs
			q.AtMostMs = &edge
			break
		}
		q.OverMs = b.LeMs
	}
	return &q
}

// nearestRank is the rank, from 1 to n, of a percentile: the least with at least so much of the whole at or below it.
func nearestRank(n, percent int64) int64 { return max((n*percent+99)/100, 1) }

func (l *Latency) add(o Latency) {
	edges := telemetry.HistogramEdgesMs()
	within := make([]int64, len(edges)+1)
	for i := range edges {
		if l.Within != nil {
			within[i] += l.Within[i].Answers
		}
		within[i] += o.Within[i].Answers
	}
	within[len(edges)] = l.Answers + o.Answers
	sites := l.Sites + o.Sites
	*l = latency(within)
	l.Sites = sites
}

func (l *Loss) add(o Loss) {
	l.Sites, l.Sent, l.Lost = l.Sites+o.Sites, l.Sent+o.Sent, l.Lost+o.Lost
	l.finish()
}

func (v *Volume) add(o Volume) {
	v.Sites, v.RxBytes, v.TxBytes = v.Sites+o.Sites, v.RxBytes+o.RxBytes, v.TxBytes+o.TxBytes
}

func (c *Clients) add(o Clients) {
	if o.Sites == 0 {
		return
	}
	most, mean := *o.Most, *o.MeanPeak
	if c.Sites > 0 {
		most, mean = most+*c.Most, math.Round(100*(mean+*c.MeanPeak))/100
	}
	c.Sites, c.Most, c.MeanPeak = c.Sites+o.Sites, &most, &mean
}

// services reads how long each service was ready in [from, to). Of several agents at a site the one that was ready longer in an hour counts.
func (m *maker) services(ctx context.Context, sites []string, several []string, from, to int64) (map[string][]Service, error) {
	out := map[string][]Service{}
	add := func(site, name string, ready, window int64) {
		i := slices.IndexFunc(out[site], func(s Service) bool { return s.Service == name })
		if i < 0 {
			out[site] = append(out[site], Service{Service: name, Sites: 1})
			i = len(out[site]) - 1
		}
		out[site][i].ReadyMs += ready
		out[site][i].WindowMs += window
	}
	single := slices.DeleteFunc(slices.Clone(sites), func(id string) bool { return slices.Contains(several, id) })
	if len(single) > 0 {
		series, err := m.query(ctx, fmt.Sprintf(`SELECT sum("ready_ms"), sum("window_ms") FROM "hour_service" WHERE %s GROUP BY "site", "agent", "service"`, where(single, from, to)))
		if err != nil {
			return nil, err
		}
		for _, s := range series {
			for _, row := range s.Values {
				ready, err := integer(s, row, 1)
				if err != nil {
					return nil, err
				}
				window, err := integer(s, row, 2)
				if err != nil {
					return nil, err
				}
				add(s.Tags["site"], s.Tags["service"], ready, window)
			}
		}
	}
	if len(several) > 0 {
		if err := m.bestServices(ctx, several, from, to, add); err != nil {
			return nil, err
		}
	}
	for _, all := range out {
		for i := range all {
			all[i].Share = fraction(all[i].ReadyMs, all[i].WindowMs)
		}
		slices.SortFunc(all, func(a, b Service) int { return strings.Compare(a.Service, b.Service) })
	}
	return out, nil
}

func (m *maker) bestServices(ctx context.Context, sites []string, from, to int64, add func(site, name string, ready, window int64)) error {
	series, err := m.query(ctx, fmt.Sprintf(`SELECT sum("ready_ms"), sum("window_ms") FROM "hour_service" WHERE %s GROUP BY "site", "agent", "service", time(1h) fill(none)`, where(sites, from, to)))
	if err != nil {
		return err
	}
	type hour struct {
		site, service string
		at            int64
	}
	best := map[hour][2]int64{}
	for _, s := range series {
		for _, row := range s.Values {
			var n [3]int64
			for i := range n {
				if n[i], err = integer(s, row, i); err != nil {
					return err
				}
			}
			key := hour{s.Tags["site"], s.Tags["service"], n[0]}
			old := best[key]
			best[key] = [2]int64{max(old[0], n[1]), max(old[1], n[2])}
		}
	}
	for key, v := range best {
		add(key.site, key.service, v[0], v[1])
	}
	return nil
}

func addServices(all []Service, more []Service) []Service {
	for _, s := range more {
		i, found := slices.BinarySearchFunc(all, s, func(a, b Service) int { return strings.Compare(a.Service, b.Service) })
		if !found {
			all = slices.Insert(all, i, Service{Service: s.Service})
		}
		t := &all[i]
		t.Sites, t.ReadyMs, t.WindowMs = t.Sites+s.Sites, t.ReadyMs+s.ReadyMs, t.WindowMs+s.WindowMs
		t.Share = fraction(t.ReadyMs, t.WindowMs)
	}
	return all
}
