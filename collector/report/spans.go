package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

const hourMs = int64(time.Hour / time.Millisecond)

// told is what the spans of one site say of a stretch of time.
type told struct {
	agents []string
	times  Times // of [from, to), silence not counted
	// notUp is what was not up, from an hour before the stretch on.
	notUp timeline.Timeline
	// gaps tells that there is silence in the stretch. Then notUp holds what was up around it, too; else what it does not cover was up.
	gaps bool
	// twice tells that the hours at the ends are told of twice.
	twice bool
}

// spans reads [from, to) of some sites. A month of a site is 750 spans, nearly all of them up and an hour long, so those are summed where
// they lie, and only the others are read. Where that does not give the whole truth the spans of the site are all read: where several
// agents tell of it, where two machines worked as one agent, and where one tells of more time than there was since it was first heard. Another agent that tells of the same time twice in other words, as after a wrong
// clock, is not noticed where as much of the stretch is silent: reading all spans of all sites that have silence would take twice the time. lean leaves out what only outages need.
func (m *maker) spans(ctx context.Context, sites []string, from, to int64, heard map[string]int64, lean bool) (map[string]*told, error) {
	out := make(map[string]*told, len(sites))
	for _, id := range sites {
		out[id] = &told{}
	}
	a, b := ceilHour(from), floorHour(to)
	if err := m.sums(ctx, sites, out, a, b); err != nil {
		return nil, err
	}
	if a < b {
		if err := m.edges(ctx, sites, out, from, a, b, to); err != nil {
			return nil, err
		}
	}
	segs := map[string][]timeline.Segment{}
	if !lean {
		if err := m.notUp(ctx, sites, out, segs, heard, from, to); err != nil {
			return nil, err
		}
	}
	twice, err := m.toldTwice(ctx, segs, from)
	if err != nil {
		return nil, err
	}
	twins, err := m.twins(ctx, sites, from, to)
	if err != nil {
		return nil, err
	}
	var raw []string
	for id, o := range out {
		switch {
		case len(o.agents) > 1, o.twice, twins[id], twice[id], o.times.told() > to-max(from, heard[id]), a >= b, overlap(segs[id]), o.gaps && unclear(segs[id], to):
			raw = append(raw, id)
		default:
			for _, s := range segs[id] {
				o.notUp.Insert(s)
			}
		}
	}
	return out, m.whole(ctx, raw, out, from, to)
}

// whole reads all spans of some sites, in the place of what was summed.
func (m *maker) whole(ctx context.Context, sites []string, out map[string]*told, from, to int64) error {
	slices.Sort(sites)
	if len(sites) == 0 {
		return nil
	}
	lines, err := Timelines(ctx, m.q, time.UnixMilli(from-hourMs), time.UnixMilli(to), sites)
	if err != nil {
		return err
	}
	for _, id := range sites {
		o := out[id]
		o.notUp, o.gaps = *lines[id], true
		o.times = timesOf(o.notUp.Clip(from, to), from, to)
		o.times.SilentMs = 0
	}
	return nil
}

// notUp reads the spans that are not up, and of sites that do not tell of all the time those that are up for less than an hour: they tell
// what came after an outage.
func (m *maker) notUp(ctx context.Context, sites []string, out map[string]*told, segs map[string][]timeline.Segment, heard map[string]int64, from, to int64) error {
	found, err := m.segments(ctx, sites, from-hourMs, to, `"ms", "err_ms"`, `AND "state" != 'up'`)
	if err != nil {
		return err
	}
	var some []string
	for _, id := range sites {
		segs[id] = found[id]
		if out[id].times.told() < to-max(from, heard[id]) {
			out[id].gaps = true
			some = append(some, id)
		}
	}
	if len(some) == 0 {
		return nil
	}
	if found, err = m.segments(ctx, some, from-hourMs, to, `"ms"`, `AND "state" = 'up' AND "ms" < 3600000`); err != nil {
		return err
	}
	for _, id := range some {
		segs[id] = append(segs[id], found[id]...)
		slices.SortFunc(segs[id], compareSegments)
	}
	return nil
}

// toldTwice finds the sites with an outage over the beginning of the stretch, of whose hours before there is more than one word: by another one
// the link may have been up until then.
func (m *maker) toldTwice(ctx context.Context, segs map[string][]timeline.Segment, from int64) (map[string]bool, error) {
	twice := map[string]bool{}
	var over []string
	for id, all := range segs {
		if slices.ContainsFunc(all, func(s timeline.Segment) bool { return isOutage(s) && s.Start < from && s.End >= from }) {
			over = append(over, id)
		}
	}
	if len(over) == 0 {
		return twice, nil
	}
	slices.Sort(over)
	before, err := m.segments(ctx, over, from-2*hourMs, from, `"ms"`, "")
	for id, all := range before {
		twice[id] = overlap(all)
	}
	return twice, err
}

// twinsLate is how long after they began, and before they ended, two machines may have told that they worked as one agent.
const twinsLate = 3 * hourMs

// twins finds the sites at which two machines worked as one agent: each told of its own time.
func (m *maker) twins(ctx context.Context, sites []string, from, to int64) (map[string]bool, error) {
	series, err := m.query(ctx, fmt.Sprintf(`SELECT count("detail") FROM "event" WHERE %s AND "kind" = 'twin' GROUP BY "site"`, where(sites, from-twinsLate, to+twinsLate)))
	found := map[string]bool{}
	for _, s := range series {
		found[s.Tags["site"]] = true
	}
	return found, err
}

// unclear tells whether an outage ends just on an hour, so that it may be followed by a whole hour up, which was not read, or by silence.
func unclear(segs []timeline.Segment, to int64) bool {
	for i, s := range segs {
		if isOutage(s) && s.End%hourMs == 0 && s.End < to && (i+1 == len(segs) || segs[i+1].Start != s.End) {
			return true
		}
	}
	return false
}

// sums adds up whole hours, and finds who has told of each site.
func (m *maker) sums(ctx context.Context, sites []string, out map[string]*told, a, b int64) error {
	if a >= b {
		return nil
	}
	series, err := m.query(ctx, fmt.Sprintf(`SELECT sum("ms") FROM "span" WHERE %s GROUP BY "site", "agent", "state", "cause"`, where(sites, a, b)))
	if err != nil {
		return err
	}
	for _, s := range series {
		o := out[s.Tags["site"]]
		if o == nil || len(s.Values) == 0 {
			continue
		}
		ms, err := integer(s, s.Values[0], 1)
		if err != nil {
			return err
		}
		if agent := s.Tags["agent"]; !slices.Contains(o.agents, agent) {
			o.agents = append(o.agents, agent)
			slices.Sort(o.agents)
		}
		*o.times.of(telemetry.State(s.Tags["state"]), telemetry.Cause(s.Tags["cause"])) += ms
	}
	return nil
}

// edges adds the parts of hours at the ends of a stretch that no whole hour covers, where a span may have to be cut.
func (m *maker) edges(ctx context.Context, sites []string, out map[string]*told, from, a, b, to int64) error {
	for _, e := range [][2]int64{{from, a}, {b, to}} {
		if e[0] == e[1] {
			continue
		}
		segs, err := m.segments(ctx, sites, floorHour(e[0]), e[1], `"ms"`, "")
		if err != nil {
			return err
		}
		for id, all := range segs {
			o := out[id]
			o.twice = o.twice || overlap(all)
			var tl timeline.Timeline
			for _, s := range all {
				tl.Insert(s)
			}
			t := timesOf(tl.Clip(e[0], e[1]), e[0], e[1])
			t.SilentMs = 0
			o.times.add(t)
		}
	}
	return nil
}

// segments reads these fields of spans that begin in [from, to), by site, in one order.
func (m *maker) segments(ctx context.Context, sites []string, from, to int64, fields, and string) (map[string][]timeline.Segment, error) {
	series, err := m.query(ctx, fmt.Sprintf(`SELECT %s FROM "span" WHERE %s %s GROUP BY "site", "agent", "state", "cause"`, fields, where(sites, from, to), and))
	if err != nil {
		return nil, err
	}
	return segmentsOf(series)
}

func segmentsOf(series []store.Series) (map[string][]timeline.Segment, error) {
	found := map[string][]timeline.Segment{}
	for _, s := range series {
		id := s.Tags["site"]
		for _, row := range s.Values {
			seg, err := segment(s, row)
			if err != nil {
				return nil, fmt.Errorf("read spans of %s: %w", id, err)
			}
			found[id] = append(found[id], seg)
		}
	}
	for _, segs := range found {
		slices.SortFunc(segs, compareSegments) // one order, whatever the database's: quick, and the same bytes
	}
	return found, nil
}

// overlap tells whether segments, sorted by start, tell of the same time twice.
func overlap(segs []timeline.Segment) bool {
	end := int64(0)
	for _, s := range segs {
		if s.Start < end {
			return true
		}
		end = max(end, s.End)
	}
	return false
}

func floorHour(ms int64) int64 { return ms - ms%hourMs }
func ceilHour(ms int64) int64  { return floorHour(ms + hourMs - 1) }
