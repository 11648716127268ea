package report_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/smartvillage/nabz/internal/sim"
)

// What follows computes a report's figures from the simulator's truth in the plainest way there is, and shares no code with the product.

// stretch is a time in one state, in ms since the epoch.
type stretch struct {
	from, to     int64
	state, cause string
}

func (s stretch) is(state, cause string) bool { return s.state == state && s.cause == cause }
func (s stretch) up() bool                    { return s.state == "up" || s.state == "degraded" }

// out: the village is without its link, and somebody knows it.
func (s stretch) out() bool { return s.state == "down" || s.is("off", "power") }

// ranks are all that can be known of an instant, the best informed first.
func ranks() []stretch {
	return []stretch{{state: "up"}, {state: "degraded"}, {state: "down", cause: "dns"}, {state: "down", cause: "backhaul"}, {state: "down", cause: "local"},
		{state: "off", cause: "power"}, {state: "off", cause: "shutdown"}, {state: "off", cause: "agent"}, {state: "unknown"}}
}

// unite is what is true of a site: between any two instants at which an agent's state changes, the best informed of its agents'.
func (v *village) unite() (out []stretch) {
	var cuts []int64
	for _, a := range v.agents {
		for _, s := range a.truth {
			cuts = append(cuts, s.Start.UnixMilli(), s.End.UnixMilli())
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	next := make([]int, len(v.agents))
	for i := range len(cuts) - 1 {
		best := len(ranks()) - 1
		for n, a := range v.agents {
			for a.truth[next[n]].End.UnixMilli() <= cuts[i] {
				next[n]++
			}
			s := a.truth[next[n]]
			best = min(best, slices.IndexFunc(ranks(), func(r stretch) bool { return r.is(string(s.State), string(s.Cause)) }))
		}
		s := ranks()[best]
		s.from, s.to = cuts[i], cuts[i+1]
		if n := len(out); n > 0 && out[n-1].is(s.state, s.cause) {
			out[n-1].to = s.to
		} else {
			out = append(out, s)
		}
	}
	return out
}

// heard is the hour in which the first agent told something, 0 for never.
func heard(all []stretch) int64 {
	for _, s := range all {
		if s.state != "unknown" {
			return s.from - s.from%3600_000
		}
	}
	return 0
}

// within is how much of a stretch lies in a period.
func (s stretch) within(from, to int64) int64 { return max(0, min(s.to, to)-max(s.from, from)) }

// spent is how long each state lasted in a period, by "state cause".
func spent(all []stretch, from, to int64) map[string]int64 {
	sums := map[string]int64{}
	for _, s := range all {
		if ms := s.within(from, to); ms > 0 {
			sums[s.state+" "+s.cause] += ms
		}
	}
	return sums
}

// counted is what is to be said of outages of one kind in a period.
type counted struct {
	began, fiveMinutes, before, goOn, restored int
	ms, restoreMs, longest                     int64
}

// count looks at stretches of one kind. After is what follows a stretch.
func (c *counted) count(s stretch, after stretch, from, to int64) {
	ms := s.within(from, to)
	if ms == 0 {
		return
	}
	c.ms += ms
	c.longest = max(c.longest, ms)
	if s.to >= to { // it had not ended before the period did
		c.goOn++
	}
	if s.from < from {
		c.before++
		return
	}
	c.began++
	if ms >= 5*60_000 {
		c.fiveMinutes++
	}
	if s.to < to && after.up() {
		c.restored++
		c.restoreMs += ms
	}
}

// outages counts those of all causes ("") and of each.
func outages(all []stretch, from, to int64) map[string]counted {
	out := map[string]counted{}
	for i := 0; i < len(all); i++ {
		if !all[i].out() {
			continue
		}
		whole := all[i]
		j := i
		for ; j < len(all) && all[j].out(); j++ {
			whole.to = all[j].to
			c := out[all[j].state+" "+all[j].cause]
			c.count(all[j], at(all, j+1), from, to)
			out[all[j].state+" "+all[j].cause] = c
		}
		c := out[""]
		c.count(whole, at(all, j), from, to)
		out[""] = c
		i = j - 1
	}
	return out
}

func at(all []stretch, i int) stretch {
	if i < len(all) {
		return all[i]
	}
	return stretch{}
}

func (c counted) plus(o counted) counted {
	return counted{c.began + o.began, c.fiveMinutes + o.fiveMinutes, c.before + o.before, c.goOn + o.goOn, c.restored + o.restored,
		c.ms + o.ms, c.restoreMs + o.restoreMs, max(c.longest, o.longest)}
}

// openings are what a simulated site is open for, in hours of its own clock; beyond 24 on the next day.
func openings(s sim.Site) map[string][2]int {
	out := map[string][2]int{}
	if s.Clinic {
		out["clinic"] = [2]int{9, 16}
	}
	if s.School {
		out["school"] = [2]int{8, 14}
	}
	if s.NightWatch {
		out["night"] = [2]int{22, 28}
	}
	return out
}

// watched is what an agent knows of a service in one hour, or in the part of it in which it ran.
type watched struct {
	from          int64 // of that part
	service       string
	ready, window int64
}

// watch goes through an agent's truth minute by minute with an eye on the clock on the wall. What was only guessed has no sums.
func (a *agent) watch(s sim.Site) (out []watched) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		panic(err)
	}
	guessed := func(t time.Time) bool {
		return slices.ContainsFunc(a.guesses, func(g sim.Guess) bool { return !t.Before(g.Start) && t.Before(g.End) })
	}
	open := func(o [2]int, hour int) bool { return hour >= o[0] && hour < o[1] || hour+24 < o[1] }
	running := false
	var part map[string]*watched
	for _, t := range a.truth {
		if t.State == "off" || t.State == sim.Unknown || guessed(t.Start) {
			running = false
			continue
		}
		for m := t.Start; m.Before(t.End); {
			if !running || m.UnixMilli()%3600_000 == 0 {
				running, part = true, map[string]*watched{}
				for name := range openings(s) {
					out = append(out, watched{from: m.UnixMilli(), service: name})
				}
				for i := range out[len(out)-len(openings(s)):] {
					w := &out[len(out)-1-i]
					part[w.service] = w
				}
			}
			end := m.Truncate(time.Minute).Add(time.Minute)
			if end.After(t.End) {
				end = t.End
			}
			hour := m.In(zone).Hour()
			for name, o := range openings(s) {
				if open(o, hour) {
					part[name].window += end.Sub(m).Milliseconds()
					if t.State == "up" {
						part[name].ready += end.Sub(m).Milliseconds()
					}
				}
			}
			m = end
		}
	}
	return slices.DeleteFunc(out, func(w watched) bool { return w.window == 0 })
}

// rank is the value of which at least so many percent are at or below it.
func rank(values []int64, percent int) int64 {
	slices.Sort(values)
	for i, v := range values {
		if 100*(i+1) >= percent*len(values) {
			return v
		}
	}
	return 0
}

// summed is what hour lines, tests and services of a site come to in a period.
type summed struct {
	within     []int64 // answers by edge, the last of all
	sent, lost int64
	rx, tx     int64
	most       int64
	meanPeak   float64
	services   map[string][2]int64 // ready, window
	tests      []test
}

type test struct {
	down, up int64
	peak     bool
}

var edges = []string{"25", "50", "100", "150", "300", "600", "1200", "inf"}

// sum adds up a site's lines that begin in a period, each kind by its rule for several agents.
func (v *village) sum(from, to int64, seen map[*agent][]watched) summed {
	out := summed{within: make([]int64, len(edges)), services: map[string][2]int64{}}
	zone, err := time.LoadLocation(v.TimeZone)
	if err != nil {
		panic(err)
	}
	bytes := map[int64]map[*agent][2]int64{}              // by hour
	service := map[int64]map[string]map[*agent][2]int64{} // by hour
	for _, a := range v.agents {
		hours, peaks := 0, int64(0)
		for _, m := range a.kept {
			if m.at < from || m.at >= to {
				continue
			}
			if m.measurement == "speedtest" {
				local := time.UnixMilli(m.at).In(zone).Hour()
				out.tests = append(out.tests, test{m.int("down_bps"), m.int("up_bps"), local >= 19 && local < 23})
				continue
			}
			for i, e := range edges {
				out.within[i] += m.int("rtt_le_" + e)
			}
			out.sent, out.lost = out.sent+m.int("sent"), out.lost+m.int("lost")
			out.most = max(out.most, m.int("clients_max"))
			hours, peaks = hours+1, peaks+m.int("clients_max")
			h := m.at / 3600_000
			if bytes[h] == nil {
				bytes[h] = map[*agent][2]int64{}
			}
			bytes[h][a] = [2]int64{bytes[h][a][0] + m.int("rx_bytes"), bytes[h][a][1] + m.int("tx_bytes")}
		}
		if hours > 0 {
			out.meanPeak = max(out.meanPeak, float64(peaks)/float64(hours))
		}
		for _, w := range seen[a] {
			if w.from < from || w.from >= to {
				continue
			}
			h := w.from / 3600_000
			if service[h] == nil {
				service[h] = map[string]map[*agent][2]int64{}
			}
			if service[h][w.service] == nil {
				service[h][w.service] = map[*agent][2]int64{}
			}
			old := service[h][w.service][a]
			service[h][w.service][a] = [2]int64{old[0] + w.ready, old[1] + w.window}
		}
	}
	for _, of := range bytes {
		var best [2]int64
		for _, b := range of {
			if b[0]+b[1] > best[0]+best[1] {
				best = b
			}
		}
		out.rx, out.tx = out.rx+best[0], out.tx+best[1]
	}
	for _, byName := range service {
		for name, of := range byName {
			var best [2]int64
			for _, w := range of {
				best = [2]int64{max(best[0], w[0]), max(best[1], w[1])}
			}
			out.services[name] = [2]int64{out.services[name][0] + best[0], out.services[name][1] + best[1]}
		}
	}
	slices.SortFunc(out.tests, func(a, b test) int { return cmp.Or(cmp.Compare(a.down, b.down), cmp.Compare(a.up, b.up)) })
	return out
}
