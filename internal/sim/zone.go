package sim

import (
	"fmt"
	"time"
	_ "time/tzdata" // the same villages on a machine without the table
)

// zone is a site's clock on the wall. It keeps the offset that it last looked up, so it is for one goroutine.
type zone struct {
	loc      *time.Location
	from, to int64 // where offset holds
	offset   int64 // ms east of UTC
}

// zoneOf panics for a zone that does not exist: sites are written by programmers.
func zoneOf(name string) *zone {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic(fmt.Sprintf("sim: a site's time zone: %v", err))
	}
	return &zone{loc: l}
}

// local is what the clock shows at t, as ms since the epoch would be shown in UTC.
func (z *zone) local(t int64) int64 {
	if t < z.from || t >= z.to {
		at := time.UnixMilli(t).In(z.loc)
		_, seconds := at.Zone()
		z.offset = int64(seconds) * second
		z.from, z.to = floor(t, hour), floor(t, hour)+hour // not beyond: where no change is known there are no bounds
		if from, to := at.ZoneBounds(); !from.IsZero() && !to.IsZero() {
			z.from, z.to = from.UnixMilli(), to.UnixMilli()
		} else if !to.IsZero() {
			z.to = min(z.to, to.UnixMilli())
		} else if !from.IsZero() {
			z.from, z.to = from.UnixMilli(), never
		}
	}
	return t + z.offset
}

// hour is the hour of the day by the clock, with its fraction, 0 to 24.
func (z *zone) hour(t int64) float64 { return float64(floorMod(z.local(t), day)) / float64(hour) }

// dayOf is the day by the clock, numbered from the epoch.
func (z *zone) dayOf(t int64) int64 { return floor(z.local(t), day) / day }

// wall is when the clock shows an hour of a local day, given in ms from midnight and up to two days. Where it is set forward over
// that hour, it is one within an hour of it; where it is set back, one of the two.
func (z *zone) wall(localDay, ms int64) int64 {
	return time.Date(1970, 1, 1+int(localDay), 0, 0, int(ms/second), int(ms%second*int64(time.Millisecond)), z.loc).UnixMilli()
}
