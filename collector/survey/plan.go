package survey

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/fleet"
)

// Plan is what an import would do.
type Plan struct {
	Add, Update []fleet.Site // in the order of the table
	Changes     []Change     // one for each of Update
	Unchanged   int
	Warnings    []string
}

// Change is how one site changes.
type Change struct {
	Row    int
	Site   string
	Fields []string // `operator "A" → "B"`
}

// Plan compares the table with the sites that are there. What a row does not tell stays as it is. A site that differs is
// a fault unless update says that the table is right.
func (s *Survey) Plan(now []fleet.Site, update bool) (Plan, error) {
	byID := map[string]fleet.Site{}
	for _, site := range now {
		byID[site.ID] = site
	}
	var p Plan
	var faults []error
	rows, atZero := map[string]int{}, map[string]bool{}
	for i := range s.Sites {
		e := &s.Sites[i]
		rows[e.Site.ID] = e.Row
		atZero[e.Site.ID] = e.told["latitude"] && e.told["longitude"] && !e.Site.Located()
		was, there := byID[e.Site.ID]
		if !there {
			p.Add = append(p.Add, e.Site)
			byID[e.Site.ID] = e.Site
			continue
		}
		site := e.with(was)
		if site == was {
			p.Unchanged++
			continue
		}
		c := Change{Row: e.Row, Site: site.ID, Fields: differences(was, site)}
		if !update {
			faults = append(faults, fmt.Errorf("row %d: site %q is there and differs: %s; --update takes what the table says", e.Row, site.ID, strings.Join(c.Fields, ", ")))
			continue
		}
		p.Update, p.Changes = append(p.Update, site), append(p.Changes, c)
		byID[site.ID] = site
	}
	if len(faults) > 0 {
		return Plan{}, errors.Join(faults...)
	}
	p.Warnings = implausible(byID, rows, atZero)
	return p, nil
}

func differences(a, b fleet.Site) (out []string) {
	was := a.Fields()
	for i, f := range b.Fields() {
		if f != was[i] {
			out = append(out, fmt.Sprintf("%s %s → %s", f.Key, inWords(was[i].Value), inWords(f.Value)))
		}
	}
	return out
}

func inWords(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return "none"
		}
		return fmt.Sprintf("%q", short(v))
	case float64:
		if v == 0 {
			return "none"
		}
	}
	return fmt.Sprint(v)
}

// fence is the range beyond which a value is far from the others: the middle half of all values, and three times its
// width (one degree at least) to either side. A quarter of the sites would have to be wrong to move it far.
type fence struct{ low, high float64 }

func newFence(values []float64) fence {
	slices.Sort(values)
	n := len(values)
	low, high := values[(n-1)/4], values[n-1-(n-1)/4]
	room := max(1, 3*(high-low))
	return fence{low - room, high + room}
}

func (f fence) holds(v float64) bool { return v >= f.low && v <= f.high }

// fewest is how many sites must have a place before one of them can be far from the others.
const fewest = 5

// implausible names sites of the table whose data can be right but hardly are.
func implausible(all map[string]fleet.Site, rows map[string]int, atZero map[string]bool) []string {
	var north, east []float64
	for _, s := range all {
		if s.Located() {
			north, east = append(north, s.Latitude), append(east, s.Longitude)
		}
	}
	var n, e fence
	if len(north) >= fewest {
		n, e = newFence(north), newFence(east)
	}
	type warning struct {
		row  int
		text string
	}
	var found []warning
	for id, row := range rows {
		s := all[id]
		warn := func(format string, a ...any) {
			found = append(found, warning{row, fmt.Sprintf("row %d: site %q %s", row, id, fmt.Sprintf(format, a...))})
		}
		if s.TargetDownMbps > 1000 || s.TargetUpMbps > 1000 {
			warn("has a target of more than 1000 Mbit/s; is it in kbit/s?")
		}
		if s.Population > 1_000_000 {
			warn("serves %d people; is it the country's population?", s.Population)
		}
		if s.Population > 0 && s.Students > s.Population {
			warn("has %d students and serves %d people; is one the other?", s.Students, s.Population)
		}
		if atZero[id] {
			warn("lies at 0, 0, in the sea, which counts as no place; leave both cells empty where the place is not known")
		}
		if !s.Located() || len(north) < fewest {
			continue
		}
		switch {
		case n.holds(s.Latitude) && e.holds(s.Longitude):
		case math.Abs(s.Longitude) <= 90 && n.holds(s.Longitude) && e.holds(s.Latitude):
			warn("lies at %v, %v, far from the others; with latitude and longitude the other way round it would be among them", s.Latitude, s.Longitude)
		default:
			warn("lies at %v, %v, far from the others, most of which are between %.1f and %.1f north and %.1f and %.1f east", s.Latitude, s.Longitude, n.low, n.high, e.low, e.high)
		}
	}
	slices.SortFunc(found, func(a, b warning) int { return a.row - b.row })
	var out []string
	for _, w := range found {
		out = append(out, w.text)
	}
	return out
}
