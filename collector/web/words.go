package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// stateWord is a state for people.
func stateWord(s string) string {
	switch s {
	case string(fleet.NeverSeen):
		return "Never heard"
	case "":
		return "Unknown"
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// causeWord is a cause for people.
func causeWord(c telemetry.Cause) string {
	switch c {
	case telemetry.CauseLocal:
		return "local network"
	case telemetry.CauseBackhaul:
		return "backhaul"
	case telemetry.CauseDNS:
		return "name resolution"
	case telemetry.CausePower:
		return "power cut"
	case telemetry.CauseShutdown:
		return "switched off"
	case telemetry.CauseAgent:
		return "agent stopped"
	}
	return ""
}

// span is a duration as a person says it, in at most two units: "45 s", "12 min", "2 h 14 min", "3 d 4 h".
// The script of the pages has the same rule.
func span(d time.Duration) string {
	d = max(d, 0)
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "min")
	}
	return two(s/86400, "d", s%86400/3600, "h")
}

func two(a int64, unitA string, b int64, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unitA)
	}
	return fmt.Sprintf("%d %s %d %s", a, unitA, b, unitB)
}

// length is span with seconds kept below an hour, for a table of outages.
func length(d time.Duration) string {
	if s := int64(d / time.Second); s >= 60 && s < 3600 {
		return two(s/60, "min", s%60, "s")
	}
	return span(d)
}

// moment is a time of the last day as a clock shows it, an older one with its date.
func moment(t, now time.Time) string {
	t = t.In(now.Location())
	if y, m, d := now.Date(); t.Year() == y && t.Month() == m && t.Day() == d {
		return t.Format("15:04")
	}
	if t.Year() == now.Year() {
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006 15:04")
}

// quantity is a measured value and its unit, apart so that a page can set them apart.
type quantity struct{ Value, Unit string }

// bitrate scales bit/s to three digits.
func bitrate(p *float64) *quantity {
	if p == nil {
		return nil
	}
	v, units := *p, []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	digits := 0
	if v < 9.95 && i > 0 {
		digits = 1
	}
	return &quantity{strconv.FormatFloat(v, 'f', digits, 64), units[i]}
}

func millis(p *float64) *quantity {
	if p == nil {
		return nil
	}
	digits := 0
	if *p < 9.95 {
		digits = 1
	}
	return &quantity{strconv.FormatFloat(*p, 'f', digits, 64), "ms"}
}

func percent(p *float64) *quantity {
	if p == nil {
		return nil
	}
	digits := 1
	if *p == 0 || *p >= 99.95 {
		digits = 0
	}
	return &quantity{strconv.FormatFloat(*p, 'f', digits, 64), "%"}
}

// share is a fraction in percent with that many decimals, never rounded up to 100 or to a better figure.
func share(p *float64, decimals int) string {
	if p == nil {
		return "–"
	}
	scale := map[int]float64{0: 100, 1: 1000, 2: 10000}[decimals]
	v := float64(int64(*p*scale+1e-6)) / scale * 100
	return strconv.FormatFloat(v, 'f', decimals, 64) + " %"
}

// zoneName names a location with its distance from UTC at that time.
func zoneName(now time.Time) string {
	name := now.Location().String()
	if name == "Local" {
		name, _ = now.Zone()
	}
	if _, offset := now.Zone(); offset != 0 {
		name += now.Format(" (UTC-07:00)")
	}
	return name
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
