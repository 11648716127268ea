package sim

import (
	"math"
	"sort"

	"github.com/smartvillage/nabz/telemetry"
)

// probesEach is how many probes of each target an agent sends in a minute, evenly spaced: enough that one lost is not yet the 20 % of a degraded minute.
const probesEach = 10

// answers sums the probes of one target.
type answers struct {
	sent, lost                   int64
	min, max, total, jitter, was float64
}

func (a *answers) answered(rtt float64) {
	if a.got() == 0 {
		a.min, a.was = rtt, rtt
	}
	a.sent++
	a.min, a.max, a.total = min(a.min, rtt), max(a.max, rtt), a.total+rtt
	a.jitter += math.Abs(rtt - a.was)
	a.was = rtt
}

func (a *answers) silent() { a.sent++; a.lost++ }

func (a *answers) got() int64 { return a.sent - a.lost }

// sums is what the agent has measured over some stretch.
type sums struct {
	gateway, internet, dns answers
	rx, tx                 int64 // bytes
	rxPeak, txPeak         int64 // bit/s
	clients                int64
	histogram              []int64 // counts at or below each edge, last: all
}

// profile is what a technology can do.
type profile struct {
	rtt, spread float64 // ms in quiet hours; deviation as a share of it
	busy        float64 // how much the evening peak adds, as a share
	loss        float64
	down, up    float64 // bit/s
}

func (t Technology) profile() profile {
	switch t {
	case Fibre:
		return profile{15, 0.06, 0.3, 0.0005, 60e6, 30e6}
	case Microwave:
		return profile{30, 0.1, 0.6, 0.004, 30e6, 12e6}
	case Satellite:
		return profile{600, 0.04, 0.15, 0.01, 12e6, 3e6}
	}
	return profile{50, 0.2, 1.1, 0.006, 18e6, 6e6}
}

// use is how busy a village is at a local hour, 0 to 1: little before dawn, school and clinic by day, and the
// peak in the evening.
func use(localHour float64) float64 {
	hump := func(at, width float64) float64 {
		d := math.Remainder(localHour-at, 24) / width
		return math.Exp(-d * d)
	}
	return min(1, 0.04+0.38*hump(11, 3.2)+0.3*hump(16, 2.5)+0.85*hump(20.7, 2))
}

func floorMod(t, unit int64) int64 { return t - floor(t, unit) }

// measure adds up what the agent saw in [from, to), which lies in one run. Minutes that are cut in two add up
// to what they are whole.
func (k *Track) measure(from, to int64) *sums {
	s := &sums{histogram: make([]int64, len(telemetry.HistogramEdgesMs())+1)}
	for m := floor(from, minute); m < to; m += minute {
		k.minute(s, m, max(m, from), min(m+minute, to))
	}
	return s
}

func (k *Track) minute(s *sums, m, from, to int64) {
	p := k.site.Technology.profile()
	r := randomOf(k.world.Seed, k.id, uint64(m))
	weekend := 1.0
	if (m/day+4+1)%7 == 0 { // Friday evening in Pakistan is free; a little more of everything
		weekend = 1.15
	}
	busy := use(k.zone.hour(m)) * weekend
	level := busy * math.Exp(0.45*r.bell())
	people := float64(k.site.Population)
	if k.beside { // a room of them
		people /= 20
	}
	down := min(0.92*p.down, people*level*(900+600*r.unit())) // bit/s
	up := min(0.92*p.up, down*r.between(0.08, 0.22))
	whole := k.at(m)
	single := whole.end >= m+minute
	full := func(rate float64) int64 { return int64(rate / 8 * 60) }
	through := func(bytes, t int64) int64 { return share(bytes, whole, m, t) }
	if !single {
		through = func(bytes, t int64) int64 { return k.shares(bytes, m, t) }
	}
	rx := through(full(down), to) - through(full(down), from)
	s.rx += rx
	s.tx += through(full(up), to) - through(full(up), from)
	if rx > 0 {
		peak := r.between(1.3, 2.6)
		s.rxPeak = max(s.rxPeak, int64(min(p.down, down*peak)))
		s.txPeak = max(s.txPeak, int64(min(p.up, up*peak)))
	}
	s.clients = max(s.clients, int64(1+people/90*busy*r.between(0.6, 1.2)))
	phase := int64(k.id % uint64(minute/probesEach))
	for i := range int64(probesEach) {
		at := m + i*minute/probesEach + phase
		draw := [4]float64{r.bell(), r.unit(), r.unit(), r.unit()} // the same number of draws whatever is cut off
		if at < from || at >= to {
			continue
		}
		f := whole
		if !single {
			f = k.at(at)
		}
		s.probe(f, p, busy, draw)
	}
}

// probe asks the three targets once.
func (s *sums) probe(f fault, p profile, busy float64, draw [4]float64) {
	if f.cause == telemetry.CauseLocal {
		s.gateway.silent()
		s.internet.silent()
		s.dns.silent()
		return
	}
	s.gateway.answered(0.6 + 1.8*draw[1] + 2*busy*draw[2])
	if f.cause == telemetry.CauseBackhaul {
		s.internet.silent()
		s.dns.silent()
		return
	}
	rtt, loss := p.rtt*(1+p.busy*busy)*(1+p.spread*math.Abs(draw[0])), p.loss*(1+3*busy)
	if draw[3] > 0.985 { // a long tail, as on any shared link
		rtt *= 2.5
	}
	if f.state == telemetry.StateDegraded {
		rtt, loss = max(rtt*2.5, 430+300*draw[1]), 0.22
	}
	if draw[2] < loss {
		s.internet.silent()
	} else {
		s.internet.answered(rtt)
		edges := telemetry.HistogramEdgesMs()
		for i := sort.Search(len(edges), func(i int) bool { return rtt <= float64(edges[i]) }); i < len(s.histogram); i++ {
			s.histogram[i]++ // cumulative: every edge from here on
		}
	}
	if f.cause == telemetry.CauseDNS || draw[1] < loss {
		s.dns.silent()
	} else {
		s.dns.answered(rtt*0.9 + 4 + 8*draw[1])
	}
}

// weight is how much of the traffic gets through, in percent.
func (f fault) weight() int64 {
	switch {
	case f.state == telemetry.StateUp:
		return 100
	case f.state == telemetry.StateDegraded:
		return 55
	case f.cause == telemetry.CauseDNS:
		return 6
	}
	return 0
}

// share is what of a minute's bytes has come through from m to t, all in one state.
func share(bytes int64, f fault, m, t int64) int64 {
	return bytes * f.weight() * (t - m) / (100 * minute)
}

// shares is share across changes of state.
func (k *Track) shares(bytes, m, t int64) int64 {
	var weighted int64
	for _, f := range k.spans(m, t) {
		weighted += f.weight() * (f.end - f.start)
	}
	return bytes * weighted / (100 * minute)
}

// machine is the state of the router or kiosk at an instant.
type machine struct{ cpu, mem, disk, load, temp float64 }

func (k *Track) machine(t int64) machine {
	r := randomOf(k.world.Seed, k.id, key("machine"), uint64(t))
	h := k.zone.hour(t)
	busy := use(h)
	warm := 24 - 0.9*(k.site.Latitude-24) + 6*math.Cos((h-15)/24*2*math.Pi) // °C outside: cooler north, warmest at three
	cpu := 4 + 26*busy + 3*math.Abs(r.bell())
	return machine{
		cpu: cpu, mem: 47 + float64(k.id%18) + 6*busy + 0.8*r.bell(),
		disk: 31 + float64(k.id%23) + 9*float64(floorMod(t, 30*day))/float64(30*day),
		load: max(0, cpu/40+0.05*r.bell()), temp: warm + 16 + 0.18*cpu + 0.5*r.bell(),
	}
}

// battery is a solar site's battery in percent and volts: full by noon, lowest before dawn.
func (k *Track) battery(t int64) (pct, volts float64, charging bool) {
	r := randomOf(k.world.Seed, k.id, key("battery"), uint64(floor(t, 10*minute)))
	h := k.zone.hour(t)
	charging = h >= 7 && h < 17
	switch {
	case h >= 7 && h < 13:
		pct = 34 + (h-7)/6*64
	case h >= 13 && h < 17:
		pct = 98
	default:
		pct = 98 - math.Mod(h-17+24, 24)/14*64
	}
	pct = min(100, max(5, pct+0.6*r.bell()))
	volts = 11.6 + pct*0.012
	if charging {
		volts += 0.9
	}
	return pct, volts, charging
}
