package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// World is all that decides the truth. The zero seed is a world too.
type World struct {
	Seed   uint64
	Forced []Forced
}

// True is a stretch of one site's true state. State is one of telemetry's, or Unknown.
type True struct {
	Site  string          `json:"site"`
	Start time.Time       `json:"start"`
	End   time.Time       `json:"end"`
	State telemetry.State `json:"state"`
	Cause telemetry.Cause `json:"cause"`
}

// Track is one agent's way through time. It keeps the days it has worked out, so it is for one goroutine.
type Track struct {
	world  World
	site   Site
	id     uint64
	beside bool
	zone   *zone
	begin  int64 // what was before is unknown
	end    int64 // what comes then is unknown
	days   map[int64][]fault
	last   run
}

// Track follows a site's agent, of two the router's.
func (w World) Track(s Site) *Track {
	return &Track{world: w, site: s, id: key(s.ID), zone: zoneOf(s.TimeZone), end: never, days: map[int64][]fault{}}
}

// Beside follows a site's second agent: a kiosk behind the router, on the same link and the same mains, with faults of its own, and
// switched off at night.
func (w World) Beside(s Site) *Track {
	k := w.Track(s)
	k.beside, k.id = true, key(s.ID+"/kiosk")
	return k
}

// Since sets the instant at which the agent was installed: what was before is unknown, and never told. The
// zero Track has been there for ever.
func (k *Track) Since(t time.Time) *Track {
	k.begin = t.UnixMilli()
	clear(k.days)
	return k
}

// Until takes the agent away for good, in good order, at that instant, or where it is not running then, when it last ran: all that it had to
// say it has said, and what comes then is unknown.
func (k *Track) Until(t time.Time) *Track {
	k.end = t.UnixMilli()
	if k.at(k.end - 1).gap() {
		k.end = k.back(k.end-1, on)
	}
	clear(k.days)
	return k
}

// Truth is what was true at the site from one instant up to another: spans without gap or overlap, neighbours
// different. Times are cut to milliseconds.
func (k *Track) Truth(from, to time.Time) []True {
	var out []True
	for _, f := range k.spans(from.UnixMilli(), to.UnixMilli()) {
		out = append(out, True{k.site.ID, time.UnixMilli(f.start).UTC(), time.UnixMilli(f.end).UTC(), f.state, f.cause})
	}
	return out
}

// day tiles one UTC day. Any fault that touches it began on that local day, the one before or the one after:
// no fault is longer than a day, and no time zone is further than a day from UTC.
func (k *Track) day(d int64) []fault {
	if tiles, ok := k.days[d]; ok {
		return tiles
	}
	var fs []fault
	if k.begin > d*day {
		fs = append(fs, fault{d * day, min(k.begin, (d+1)*day), Unknown, telemetry.CauseNone, true})
	}
	if k.end < (d+1)*day {
		fs = append(fs, fault{max(d*day, k.end), (d + 1) * day, Unknown, telemetry.CauseNone, true})
	}
	draw := localDayFaults
	if k.beside {
		draw = besideFaults
	}
	for local := d - 2; local <= d+1 && k.begin < (d+1)*day && k.end > d*day; local++ {
		fs = append(fs, draw(k.world.Seed, &k.site, k.zone, local)...)
		if b, ok := k.blackoutOn(local); ok && !k.beside {
			fs = append(fs, b.faults()...)
		}
	}
	for _, f := range k.world.Forced {
		if f.Site == k.site.ID {
			fs = append(fs, f.faults(d*day, (d+1)*day)...)
		}
	}
	if len(k.days) > 100 {
		clear(k.days)
	}
	k.days[d] = tile(fs, d*day, (d+1)*day)
	return k.days[d]
}

// tile cuts [from, to) at every start and end, and gives each piece to the fault of highest rank.
func tile(fs []fault, from, to int64) []fault {
	edges := []int64{from, to}
	for _, f := range fs {
		for _, e := range []int64{f.start, f.end} {
			if e > from && e < to {
				edges = append(edges, e)
			}
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out []fault
	for i := range len(edges) - 1 {
		p := fault{start: edges[i], end: edges[i+1], state: telemetry.StateUp}
		rank := 0
		for _, f := range fs {
			if f.start <= p.start && f.end >= p.end && f.rank() > rank {
				p.state, p.cause, rank = f.state, f.cause, f.rank()
			}
		}
		out = extend(out, p)
	}
	return out
}

// extend appends a piece, or lengthens the one before when the state goes on.
func extend(out []fault, p fault) []fault {
	if n := len(out); n > 0 && out[n-1].end == p.start && out[n-1].state == p.state && out[n-1].cause == p.cause {
		out[n-1].end = p.end
		return out
	}
	return append(out, p)
}

// spans is the truth in [from, to), merged across midnight.
func (k *Track) spans(from, to int64) (out []fault) {
	for d := floor(from, day) / day; d*day < to; d++ {
		for _, f := range k.day(d) {
			f.start, f.end = max(f.start, from), min(f.end, to)
			if f.start < f.end {
				out = extend(out, f)
			}
		}
	}
	return out
}

// at is the tile that holds an instant, within its day.
func (k *Track) at(t int64) fault {
	tiles := k.day(floor(t, day) / day)
	i, ok := slices.BinarySearchFunc(tiles, t, func(f fault, t int64) int { return cmp.Compare(f.start, t) })
	if !ok {
		i--
	}
	return tiles[i]
}

// gap tells whether the agent measures nothing: off, or its records lost.
func (f fault) gap() bool { return f.state == telemetry.StateOff || f.state == Unknown }

// linked tells whether the agent's connection to the collector stands. It outlives a name server that fails.
func (f fault) linked() bool {
	return f.state == telemetry.StateUp || f.state == telemetry.StateDegraded || f.cause == telemetry.CauseDNS
}

// run is a stretch without gap. Boot is when the machine had last booted; an agent that only restarts stays in
// the same boot.
type run struct{ start, end, boot int64 }

// lookBack bounds every search: each month begins with a reboot.
const lookBack = 70 * day

// runAt is the run that holds an instant, false in a gap.
func (k *Track) runAt(t int64) (run, bool) {
	if k.last.start <= t && t < k.last.end {
		return k.last, true
	}
	if k.at(t).gap() {
		return run{}, false
	}
	r := run{start: k.back(t, fault.gap), end: k.ahead(t, fault.gap)}
	r.boot = k.back(t, func(f fault) bool { return f.gap() && f.cause != telemetry.CauseAgent })
	k.last = r
	return r, true
}

// back is the end of the last tile before t for which stop holds; ahead the start of the next.
func (k *Track) back(t int64, stop func(fault) bool) int64 {
	at := t
	for f := k.at(t); !stop(f) && t-at < lookBack; f = k.at(at - 1) {
		at = f.start
	}
	return at
}

func (k *Track) ahead(t int64, stop func(fault) bool) int64 {
	at := t
	for f := k.at(t); !stop(f) && at-t < lookBack; f = k.at(at) {
		at = f.end
	}
	return at
}

func on(f fault) bool { return !f.gap() }

// boot names a boot as the first eight digits of the kernel's boot id would.
func (k *Track) boot(at int64) string {
	r := randomOf(k.world.Seed, k.id, key("boot"), uint64(at))
	return fmt.Sprintf("%08x", uint32(r.next()))
}

// floor is the last multiple of unit at or before t.
func floor(t, unit int64) int64 {
	m := t % unit
	if m < 0 {
		m += unit
	}
	return t - m
}
