package sim

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Unknown is the truth of a time of which the agent lost its records: no line ever tells of it.
const Unknown telemetry.State = "unknown"

// All times inside this package are milliseconds since the epoch.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// fault is one thing that is not well. Where two overlap the one of higher rank shows.
type fault struct {
	start, end int64
	state      telemetry.State
	cause      telemetry.Cause
	firm       bool // shows whatever else there is; a tile is never marked so
}

func (f fault) rank() int {
	if f.firm {
		return 9
	}
	switch f.cause {
	case telemetry.CausePower:
		return 7
	case telemetry.CauseShutdown:
		return 6
	case telemetry.CauseAgent:
		return 5
	case telemetry.CauseLocal:
		return 4
	case telemetry.CauseBackhaul:
		return 3
	case telemetry.CauseDNS:
		return 2
	}
	if f.state == Unknown {
		return 8
	}
	return 1
}

// Forced is an outage for show: the site loses its backhaul for Down at the start of every Every, between From
// and To (zero: without end). It is part of the truth.
type Forced struct {
	Site     string        `json:"site"`
	Down     time.Duration `json:"down"`
	Every    time.Duration `json:"every"`
	From, To time.Time
}

func (f Forced) faults(from, to int64) (out []fault) {
	from = max(from, f.From.UnixMilli())
	if !f.To.IsZero() {
		to = min(to, f.To.UnixMilli())
	}
	every, down := f.Every.Milliseconds(), f.Down.Milliseconds()
	for at := from - from%every; at < to; at += every {
		if s, e := max(at, from), min(at+down, to); s < e {
			out = append(out, fault{start: s, end: e, state: telemetry.StateDown, cause: telemetry.CauseBackhaul})
		}
	}
	return out
}

// weather draws the faults of one agent that begin on one local day, numbered from the epoch. None is longer
// than a day.
type weather struct {
	seed uint64
	site *Site
	who  uint64 // key of the agent: what is its own is drawn by it
	zone *zone
	day  int64 // the local one
	out  []fault
}

func localDayFaults(seed uint64, s *Site, z *zone, localDay int64) []fault {
	w := weather{seed: seed, site: s, who: key(s.ID), zone: z, day: localDay}
	w.regional(localDay)
	w.power(localDay)
	w.link(localDay)
	w.machine(localDay)
	return w.out
}

// besideFaults are those of the second agent, behind the first one's router: where the router has no power, the kiosk has no way out.
func besideFaults(seed uint64, s *Site, z *zone, localDay int64) []fault {
	w := weather{seed: seed, site: s, who: key(s.ID + "/kiosk"), zone: z, day: localDay}
	router := localDayFaults(seed, s, z, localDay)
	if b, ok := blackoutOn(seed, s, z, localDay); ok {
		router = append(router, b.spans(b.boot, b.lost)...)
		w.out = append(w.out, fault{start: b.boot, end: b.lost, state: telemetry.StateDown, cause: telemetry.CauseBackhaul})
	}
	for _, f := range router {
		if f.state == telemetry.StateOff && f.cause != telemetry.CauseAgent {
			w.out = append(w.out, fault{start: f.start, end: f.end, state: telemetry.StateDown, cause: telemetry.CauseLocal})
		}
	}
	w.regional(localDay)
	w.power(localDay)
	w.link(localDay)
	w.machine(localDay)
	w.night(localDay)
	return w.out
}

// add puts a fault at a local hour of the day.
func (w *weather) add(hourOfDay, minutes float64, s telemetry.State, c telemetry.Cause) {
	start := w.zone.wall(w.day, int64(hourOfDay*float64(hour)))
	length := min(max(int64(minutes*float64(minute)), second), day)
	w.out = append(w.out, fault{start: start, end: start + length, state: s, cause: c})
}

func (w *weather) draw(what string, localDay int64, extra ...uint64) random {
	return randomOf(append([]uint64{w.seed, key(what), uint64(localDay)}, extra...)...)
}

// regional is what several sites share: load shedding by district, a cut fibre by operator and district.
func (w *weather) regional(localDay int64) {
	mine := w.draw("mine", localDay, key(w.site.ID))
	shed := w.draw("load shedding", localDay, key(w.site.District))
	if at, long, hit := shed.between(17.5, 20.5), shed.between(35, 110), shed.chance(0.4); hit && w.site.Supply == Mains {
		w.add(at+mine.between(0, 0.01), long+mine.between(0.6, 3), telemetry.StateOff, telemetry.CausePower)
	}
	cut := w.draw("fibre cut", localDay, key(w.site.District), key(w.site.Operator))
	if at, long, hit := cut.between(6, 22), cut.between(90, 600), cut.chance(0.035); hit && w.site.Technology != Satellite {
		w.add(at+mine.between(0, 0.004), long+mine.between(0, 4), telemetry.StateDown, telemetry.CauseBackhaul)
	}
}

// power is the site's own supply: a blown fuse, an empty battery before dawn, a kiosk switched off at night.
func (w *weather) power(localDay int64) {
	r := w.draw("power", localDay, w.who)
	if w.site.Supply == Mains && r.chance(0.08) {
		w.add(r.between(0, 24), r.between(3, 240), telemetry.StateOff, telemetry.CausePower)
	}
	if w.site.Supply == Solar && r.chance(0.09) {
		at := r.between(2, 5)
		w.add(at, (r.between(6.6, 7.8)-at)*60, telemetry.StateOff, telemetry.CausePower)
	}
	if w.site.Kiosk {
		at := 18 + r.between(0, 0.6)
		w.add(at, (31.3+r.between(0, 0.5)-at)*60, telemetry.StateOff, telemetry.CauseShutdown)
	}
}

// night switches the second agent off, as a school's kiosk is.
func (w *weather) night(localDay int64) {
	r := w.draw("night", localDay, w.who)
	at := 18 + r.between(0, 0.6)
	w.add(at, (31.3+r.between(0, 0.5)-at)*60, telemetry.StateOff, telemetry.CauseShutdown)
}

// link is the site's own way to the internet.
func (w *weather) link(localDay int64) {
	r := w.draw("link", localDay, key(w.site.ID))
	blips, outage, slow := 0.3, 0.1, 0.05
	switch w.site.Technology {
	case Satellite: // rain
		blips, outage, slow = 1.2, 0.3, 0.35
	case LTE: // a full cell
		blips, outage, slow = 0.9, 0.2, 0.45
	case Microwave:
		blips, outage, slow = 0.6, 0.15, 0.15
	}
	for ; r.chance(blips); blips -= 0.35 {
		w.add(r.between(0, 24), r.between(0.1, 1.5), telemetry.StateDown, telemetry.CauseBackhaul)
	}
	if r.chance(outage) {
		w.add(r.between(0, 24), r.between(4, 90), telemetry.StateDown, telemetry.CauseBackhaul)
	}
	if r.chance(slow) {
		w.add(r.between(18.5, 21), r.between(25, 160), telemetry.StateDegraded, telemetry.CauseNone)
	}
	if r.chance(0.05) {
		w.add(r.between(0, 24), r.between(3, 45), telemetry.StateDown, telemetry.CauseLocal)
	}
	if r.chance(0.06) {
		w.add(r.between(0, 24), r.between(2, 50), telemetry.StateDown, telemetry.CauseDNS)
	}
}

// machine is the agent and what it runs on. The reboot on the first of each month also bounds how far back one
// has to look for the last boot.
func (w *weather) machine(localDay int64) {
	r := w.draw("machine", localDay, w.who)
	if time.UnixMilli(localDay*day).UTC().Day() == 1 {
		w.add(r.between(3, 4), r.between(1, 2.5), telemetry.StateOff, telemetry.CauseShutdown)
	}
	if r.chance(0.025) {
		w.add(r.between(8, 18), r.between(0.2, 6), telemetry.StateOff, telemetry.CauseAgent)
	}
	if r.chance(0.006) {
		w.add(r.between(0, 24), r.between(20, 400), Unknown, telemetry.CauseNone)
	}
}
