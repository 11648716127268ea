package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	fiveMin       = int64(5 * time.Minute / time.Millisecond)
	longestOfSite = 3
	longestOfAll  = 20
)

// outageKinds are what is counted apart, in the order of the tables.
func outageKinds() []OutageCount {
	return []OutageCount{
		{State: telemetry.StateDown, Cause: telemetry.CauseLocal}, {State: telemetry.StateDown, Cause: telemetry.CauseBackhaul},
		{State: telemetry.StateDown, Cause: telemetry.CauseDNS}, {State: telemetry.StateOff, Cause: telemetry.CausePower},
	}
}

// isOutage tells whether a village is without its link: down, or without power. What is off by choice is none, and what is
// not known is none.
func isOutage(s timeline.Segment) bool {
	if s.State == telemetry.StateDown {
		return s.Cause == telemetry.CauseLocal || s.Cause == telemetry.CauseBackhaul || s.Cause == telemetry.CauseDNS
	}
	return s.State == telemetry.StateOff && s.Cause == telemetry.CausePower
}

func isUp(s timeline.Segment) bool {
	return s.State == telemetry.StateUp || s.State == telemetry.StateDegraded
}

// stretch is an outage, or the part of one that has one cause.
type stretch struct {
	start, end int64
	errMs      int64
	causes     []telemetry.Cause
	state      telemetry.State
	restored   bool // what follows is up or degraded
}

// outages counts what lies in [from, to) of a site.
func (o *told) outages(site string, from, to int64) Outages {
	out := Outages{Causes: outageKinds(), Longest: []LongOutage{}}
	segs := o.notUp.Segments()
	var all []stretch
	for i, s := range segs {
		if !isOutage(s) {
			continue
		}
		one := stretch{s.Start, s.End, s.ErrMs, []telemetry.Cause{s.Cause}, s.State, !o.gaps}
		joined := i > 0 && isOutage(segs[i-1]) && segs[i-1].End == s.Start
		if i+1 < len(segs) && segs[i+1].Start == s.End {
			one.restored = isUp(segs[i+1])
		}
		for k := range out.Causes {
			if c := &out.Causes[k]; c.State == s.State && c.Cause == s.Cause {
				c.count(one, from, to)
			}
		}
		if joined {
			last := &all[len(all)-1]
			last.end, last.restored, last.errMs = s.End, one.restored, last.errMs+s.ErrMs
			if !slices.Contains(last.causes, s.Cause) {
				last.causes = append(last.causes, s.Cause)
			}
			continue
		}
		all = append(all, one)
	}
	for _, one := range all {
		out.All.count(one, from, to)
		if a, b := max(one.start, from), min(one.end, to); a < b {
			out.Longest = append(out.Longest, LongOutage{Site: site, From: time.UnixMilli(a).UTC(), Ms: b - a, Causes: one.causes, Early: one.start < from, Goes: one.end >= to})
		}
	}
	out.Longest = longest(out.Longest)
	out.All.mean()
	for k := range out.Causes {
		out.Causes[k].mean()
	}
	return out
}

// count takes in a stretch.
func (c *OutageCount) count(s stretch, from, to int64) {
	a, b := max(s.start, from), min(s.end, to)
	if a >= b {
		return
	}
	c.Ms += b - a
	c.ErrMs += s.errMs
	c.LongestMs = max(c.LongestMs, b-a)
	if s.end >= to {
		c.GoOn++
	}
	if s.start < from {
		c.CarriedIn++
		return
	}
	c.Count++
	if b-a >= fiveMin {
		c.FiveMin++
	}
	if s.end < to && s.restored {
		c.Restored++
		c.RestoreMs += s.end - s.start
	}
}

// mean is the mean time to restore, to the millisecond.
func (c *OutageCount) mean() {
	c.MeanMs = nil
	if c.Restored > 0 {
		ms := (c.RestoreMs + int64(c.Restored)/2) / int64(c.Restored)
		c.MeanMs = &ms
	}
}

func (c *OutageCount) add(o OutageCount) {
	c.Count += o.Count
	c.FiveMin += o.FiveMin
	c.Ms += o.Ms
	c.CarriedIn += o.CarriedIn
	c.GoOn += o.GoOn
	c.Restored += o.Restored
	c.RestoreMs += o.RestoreMs
	c.LongestMs = max(c.LongestMs, o.LongestMs)
	c.ErrMs += o.ErrMs
	c.mean()
}

func (o *Outages) add(other Outages) {
	if o.Causes == nil {
		o.Causes, o.Longest = outageKinds(), []LongOutage{}
	}
	o.All.add(other.All)
	for k := range o.Causes {
		o.Causes[k].add(other.Causes[k])
	}
	o.Longest = longest(append(o.Longest, other.Longest...))
}

// longest sorts and keeps the first.
func longest(all []LongOutage) []LongOutage {
	slices.SortStableFunc(all, func(a, b LongOutage) int {
		return cmp.Or(cmp.Compare(b.Ms, a.Ms), a.From.Compare(b.From), cmp.Compare(a.Site, b.Site))
	})
	return all[:min(len(all), longestOfAll)]
}

// lost adds what a site lost to the days of a report. edges are the midnights, first and last included.
func (o *told) lost(days []Day, edges []int64) {
	for _, s := range o.notUp.Clip(edges[0], edges[len(edges)-1]) {
		if !isOutage(s) {
			continue
		}
		i, _ := slices.BinarySearch(edges, s.Start)
		if i == len(edges) || edges[i] > s.Start {
			i--
		}
		for ; i < len(days) && edges[i] < s.End; i++ {
			ms := min(s.End, edges[i+1]) - max(s.Start, edges[i])
			switch d := &days[i]; s.Cause {
			case telemetry.CauseLocal:
				d.DownLocalMs += ms
			case telemetry.CauseBackhaul:
				d.DownBackhaulMs += ms
			case telemetry.CauseDNS:
				d.DownDNSMs += ms
			default:
				d.OffPowerMs += ms
			}
		}
	}
}
