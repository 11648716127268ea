package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/telemetry"
)

// ranked is how many sites a ranking names.
const ranked = 10

// sum makes the figures of all sites of what each came to.
func (m *maker) sum(r *Report, pieces []piece) {
	var all, before samples
	past, pastMs := Times{}, int64(0)
	for _, p := range pieces {
		r.Sites = append(r.Sites, p.sites...)
		r.LeftOut = append(r.LeftOut, p.leftOut...)
		for i := range r.Days {
			r.Days[i].add(p.days[i])
		}
		all.add(p.tests)
		before.add(p.before)
		past.add(p.past)
		pastMs += p.pastMs
		r.Before.Sites += p.pastN
	}
	r.Before.Period, r.Before.From, r.Before.To = m.before.Text, m.before.From.UTC(), m.before.To.UTC()
	r.Before.Time, r.Before.Throughput = figures(pastMs, past), before.throughput()
	f := &r.Programme
	f.Services = []Service{}
	f.Outages.add(Outages{Causes: outageKinds()})
	f.Latency = latency(make([]int64, len(telemetry.HistogramEdgesMs())+1))
	times := make([]Figures, len(r.Sites))
	for i := range r.Sites {
		s := &r.Sites[i]
		f.Sites++
		times[i] = s.Time
		f.WatchedMs += s.WatchedMs
		f.Outages.add(s.Outages)
		s.Outages.Longest = s.Outages.Longest[:min(len(s.Outages.Longest), longestOfSite)]
		f.Latency.add(s.Latency)
		f.Loss.add(s.Loss)
		f.Volume.add(s.Volume)
		f.Clients.add(s.Clients)
		f.Services = addServices(f.Services, s.Services)
	}
	f.Time = Together(times...)
	f.Throughput = all.throughput()
	r.Distribution = distribution(r.Sites)
	r.Benchmarks = []benchmark.Judgement{}
	var measures []benchmark.Measures
	for _, p := range pieces {
		measures = append(measures, p.measures...)
	}
	for _, b := range m.asked.Benchmarks {
		r.Benchmarks = append(r.Benchmarks, b.Judge(measures))
	}
}

// measures are what a benchmark looks at. tests are those of the period, last the newest ever.
func (m *maker) measures(s *SiteReport, tests []test, last int64, h *hourSums) benchmark.Measures {
	e := m.entries[s.Site]
	out := benchmark.Measures{Site: s.Site, End: time.UnixMilli(m.to).UTC(), Sent: s.Loss.Sent, Lost: s.Loss.Lost, Hours: min(h.counted(), s.WatchedMs/hourMs),
		Availability: s.Time.Availability, WithoutPower: s.Time.WithoutPower, Completeness: s.Time.Completeness, Citable: s.Time.Citable, ObservedHours: s.Time.ObservedMs / hourMs, PoweredHours: s.WatchedMs / hourMs,
		TargetDownBps: e.TargetDownBps, TargetUpBps: e.TargetUpBps, Students: e.Students}
	if s.Latency.Answers > 0 {
		for _, b := range s.Latency.Within {
			out.AnswersLE = append(out.AnswersLE, b.Answers)
		}
		out.AnswersLE = append(out.AnswersLE, s.Latency.Answers)
	}
	if last > 0 {
		out.LastTest = time.UnixMilli(last).UTC()
	}
	for _, t := range tests {
		one := benchmark.Test{MinRTTMs: t.rtt, Peak: t.peak}
		if t.down >= 0 {
			one.DownBps = &t.down
		}
		if t.up >= 0 {
			one.UpBps = &t.up
		}
		out.Tests = append(out.Tests, one)
	}
	return out
}

func (d *Day) add(o Day) {
	d.DownLocalMs += o.DownLocalMs
	d.DownBackhaulMs += o.DownBackhaulMs
	d.DownDNSMs += o.DownDNSMs
	d.OffPowerMs += o.OffPowerMs
}

func (s *samples) add(o samples) {
	s.sites += o.sites
	for _, r := range [][2]*rates{{&s.all, &o.all}, {&s.peak, &o.peak}, {&s.offPk, &o.offPk}} {
		r[0].tests += r[1].tests
		for _, w := range [][2]*way{{&r[0].down, &r[1].down}, {&r[0].up, &r[1].up}} {
			w[0].bps = append(w[0].bps, w[1].bps...)
			w[0].withTarget += w[1].withTarget
			w[0].onTarget += w[1].onTarget
		}
	}
}

// bands are the fractions from which sites are counted.
func bands() []Band {
	return []Band{{From: 0.999}, {From: 0.99}, {From: 0.95}, {From: 0.9}, {From: 0.5}, {From: 0}}
}

func distribution(sites []SiteReport) Distribution {
	d := Distribution{Best: []Place{}, Worst: []Place{}}
	var with, without []float64
	var places []Place
	for _, s := range sites {
		t := s.Time
		if !t.Citable {
			d.NotCitable++
			continue
		}
		d.Sites++
		with = append(with, *t.Availability)
		if t.WithoutPower != nil {
			without = append(without, *t.WithoutPower)
		}
		places = append(places, Place{s.Site, t.Availability, t.WithoutPower})
	}
	d.Availability, d.WithoutPower = spread(with), spread(without)
	slices.SortFunc(places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(*b.Availability, *a.Availability), strings.Compare(a.Site, b.Site))
	})
	d.Best = append(d.Best, places[:min(len(places), ranked)]...)
	slices.SortFunc(places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(*a.Availability, *b.Availability), strings.Compare(a.Site, b.Site))
	})
	d.Worst = append(d.Worst, places[:min(len(places), ranked)]...)
	return d
}

func spread(values []float64) Spread {
	s := Spread{Sites: len(values), Bands: bands()}
	for _, v := range values {
		i := slices.IndexFunc(s.Bands, func(b Band) bool { return v >= b.From })
		s.Bands[i].Sites++
	}
	if len(values) == 0 {
		return s
	}
	slices.Sort(values)
	at := func(percent int64) *float64 { return &values[nearestRank(int64(len(values)), percent)-1] }
	s.Min, s.P5, s.P25, s.Median, s.P75, s.P95, s.Max = &values[0], at(5), at(25), at(50), at(75), at(95), &values[len(values)-1]
	return s
}
