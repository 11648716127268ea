package benchmark

import "slices"

// Benchmark is a set of criteria from one source. It is part of a report's JSON, all defaults filled in, so that the report can be
// recomputed from what it says; who reads one from elsewhere than Parse calls Check.
type Benchmark struct {
	ID           string      `toml:"id" json:"id"`                                  // as a site's: a-z, 0-9 and "-"
	Name         string      `toml:"name" json:"name"`                              // for people, on one line
	Note         string      `toml:"note,omitempty" json:"note,omitempty"`          // how nabz's measure departs from the source's method
	ShareOfSites float64     `toml:"share_of_sites,omitzero" json:"share_of_sites"` // of all sites that must pass, above 0, at most 1. Default 1
	Source       Source      `toml:"source" json:"source"`                          // who asks for it
	Criteria     []Criterion `toml:"criterion" json:"criteria"`                     // 1 to 50
}

// Source is where the limits come from.
type Source struct {
	Title     string `toml:"title" json:"title"`                 // of the text in which it stands
	Publisher string `toml:"publisher" json:"publisher"`         // of that text
	Date      string `toml:"date" json:"date"`                   // 2022, 2022-09 or 2022-09-27
	URL       string `toml:"url,omitempty" json:"url,omitempty"` // http or https; "": nowhere on the web
	Checked   string `toml:"checked" json:"checked"`             // against which text the limits were checked, and what could not be
}

// Criterion is one thing that is asked of each site.
type Criterion struct {
	ID        string `toml:"id" json:"id"`                                   // unique in its benchmark
	Name      string `toml:"name" json:"name"`                               // for people, on one line
	Measure   string `toml:"measure" json:"measure"`                         // what is measured
	Statistic string `toml:"statistic,omitempty" json:"statistic,omitempty"` // of what is many: "median", "p1" to "p99" by nearest rank, or "share"
	Window    string `toml:"window,omitempty" json:"window"`                 // of speed tests: "all" (default) or "peak", the peak hours by the site's clock

	// What the value must reach, in its unit; of several the highest counts. All above 0.
	AtLeast         float64 `toml:"at_least,omitzero" json:"at_least,omitempty"`
	AtLeastOfTarget float64 `toml:"at_least_of_target,omitzero" json:"at_least_of_target,omitempty"` // times the site's contracted rate
	AtLeastAStudent float64 `toml:"at_least_a_student,omitzero" json:"at_least_a_student,omitempty"` // times the students of the site's school, bit/s
	AtMost          float64 `toml:"at_most,omitzero" json:"at_most,omitempty"`                       // what it must not exceed

	Share      float64 `toml:"share,omitzero" json:"share,omitempty"`             // with statistic "share": how many of all must reach the limit, above 0, at most 1
	LeastTests int64   `toml:"least_tests,omitzero" json:"least_tests,omitempty"` // of what is measured by tests: fewer are not enough data. Default 5
	LeastHours int64   `toml:"least_hours,omitzero" json:"least_hours,omitempty"` // of what is counted by the hour, and of availability: fewer are not enough data. Default 24
}

// What a measure is made from.
type origin int

const (
	fromTests   origin = iota // each speed test has a value
	fromAnswers               // round trips, counted in the bands of a histogram
	fromLoss                  // what was sent and lost
	fromLedger                // a figure of the whole period
	fromLast                  // the time of the last speed test
	fromDetail                // not in the ledger
)

// Measure is a word of the vocabulary of criteria.
type Measure struct {
	Name   string
	Unit   string // "bit/s", "ms", "fraction" (0 to 1) or "days"
	Fewer  bool   // the less the better: a criterion says at_most; otherwise at_least
	origin origin
}

// Measured is the vocabulary: whatever a criterion can ask for.
func Measured() []Measure {
	return []Measure{
		{"down_bps", "bit/s", false, fromTests},
		{"up_bps", "bit/s", false, fromTests},
		{"test_rtt_ms", "ms", true, fromTests}, // the least round trip of each speed test, to its server
		{"rtt_ms", "ms", true, fromAnswers},    // round trips to the anchors, known by the edges of the ledger's histogram
		{"loss", "fraction", true, fromLoss},
		{"jitter_ms", "ms", true, fromDetail}, // the ledger has none, so it is never enough data
		{"availability", "fraction", false, fromLedger},
		{"availability_without_power", "fraction", false, fromLedger}, // power cuts left out of the time observed
		{"completeness", "fraction", false, fromLedger},
		{"days_since_test", "days", true, fromLast}, // from the last speed test to the end of the period
	}
}

// byHour tells whether fewer hours than LeastHours are not enough for the measure.
func (m Measure) byHour() bool {
	return m.origin == fromAnswers || m.origin == fromLoss || m.origin == fromLedger && m.Name != "completeness"
}

func measureOf(name string) (Measure, bool) {
	all := Measured()
	if i := slices.IndexFunc(all, func(m Measure) bool { return m.Name == name }); i >= 0 {
		return all[i], true
	}
	return Measure{}, false
}

// Unit is that of the value and the limit of a result: "bit/s", "ms", "fraction" or "days".
func (c *Criterion) Unit() string {
	if c.Statistic == statShare {
		return "fraction"
	}
	m, _ := measureOf(c.Measure)
	return m.Unit
}
