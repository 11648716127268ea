package web

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// The ribbon's drawing area: a minute is one unit wide. A state has its own height besides its colour; where
// nothing is known, only the base line shows.
const (
	ribbonWidth  = 1440
	ribbonHeight = 24
	ribbonLeast  = 7 // units: about a pixel on a board, so that the shortest outage can be seen
)

// ribbon draws what happened in [from, to) as an SVG with words for each part, and says all of it in one
// sentence for those who cannot see it. Everything in it is a number or one of our own words.
func ribbon(segs []timeline.Segment, from, to time.Time) template.HTML {
	return ribbonOf(fmt.Sprintf("Last %d hours", (to.UnixMilli()-from.UnixMilli())/3_600_000), "15:04", segs, from, to)
}

// ribbonOf is ribbon for any stretch of time, with its name and the form of its times.
func ribbonOf(name, clock string, segs []timeline.Segment, from, to time.Time) template.HTML {
	a, b := from.UnixMilli(), to.UnixMilli()
	var svg strings.Builder
	svg.Grow(512 + 160*len(segs))
	svg.WriteString(`<svg class="ribbon" viewBox="0 0 1440 24" preserveAspectRatio="none" role="img" aria-label="`)
	svg.WriteString(template.HTMLEscapeString(ribbonWords(name, segs, a, b)))
	svg.WriteString(`"><rect class="r-base" x="0" y="21" width="1440" height="3"/>`)
	for _, over := range []telemetry.State{telemetry.StateUp, telemetry.StateDegraded, telemetry.StateOff, telemetry.StateDown} {
		for _, s := range segs {
			if s.State == over {
				drawSegment(&svg, s, a, b, clock, from.Location())
			}
		}
	}
	svg.WriteString(`</svg>`)
	return template.HTML(svg.String()) //nolint:gosec // numbers and own words only
}

func drawSegment(svg *strings.Builder, s timeline.Segment, a, b int64, form string, zone *time.Location) {
	scale := func(at int64) float64 { return float64(at-a) * ribbonWidth / float64(b-a) }
	x, width := scale(s.Start), scale(s.End)-scale(s.Start)
	class, y := "r-up", 8
	switch s.State {
	case telemetry.StateDegraded:
		class, y = "r-degraded", 4
	case telemetry.StateDown:
		class, y = "r-down", 0
	case telemetry.StateOff:
		class, y = "r-off", 14
	}
	if s.State != telemetry.StateUp && width < ribbonLeast {
		x, width = min(x, ribbonWidth-ribbonLeast), ribbonLeast
	}
	svg.WriteString(`<rect class="` + class + `" x="` + strconv.FormatFloat(x, 'f', 1, 64) + `" y="` + strconv.Itoa(y) +
		`" width="` + strconv.FormatFloat(width, 'f', 1, 64) + `" height="` + strconv.Itoa(ribbonHeight-y) + `"><title>`)
	svg.WriteString(segmentWords(s))
	clock := func(at int64) string { return time.UnixMilli(at).In(zone).Format(form) }
	svg.WriteString(", " + clock(s.Start) + "–" + clock(s.End) + ", " + length(time.Duration(s.Ms())*time.Millisecond) + `</title></rect>`)
}

func segmentWords(s timeline.Segment) string {
	if c := causeWord(s.Cause); c != "" {
		return stateWord(string(s.State)) + ", " + c
	}
	return stateWord(string(s.State))
}

// ribbonWords sums the ribbon up: "Last 24 hours: up 22 h 10 min; down, backhaul 50 min; unknown 1 h".
func ribbonWords(name string, segs []timeline.Segment, a, b int64) string {
	sum, unknown := map[string]int64{}, b-a
	rank := map[string]int{}
	for _, s := range segs {
		words := strings.ToLower(segmentWords(s))
		sum[words] += s.Ms()
		rank[words] = -timeline.Rank(s.State, s.Cause)
		unknown -= s.Ms()
	}
	names := slices.SortedFunc(maps.Keys(sum), func(x, y string) int { return rank[x] - rank[y] })
	parts := make([]string, 0, len(names)+1)
	for _, w := range names {
		parts = append(parts, w+" "+span(time.Duration(sum[w])*time.Millisecond))
	}
	if unknown >= 60_000 {
		parts = append(parts, "unknown "+span(time.Duration(unknown)*time.Millisecond))
	}
	return name + ": " + strings.Join(parts, "; ")
}
