package benchmark

import "time"

// Measures is what is known of one site over a period. Zero values and nil are "not known".
type Measures struct {
	Site string
	End  time.Time // of the period, exclusive; of one that is not over, as far as it has come

	Tests    []Test    // of the period, in any order, those of all agents of the site
	LastTest time.Time // of the last speed test ever before End, in the period or before it

	AnswersLE []int64 // round trips within each edge of telemetry.HistogramEdgesMs, each with those below, then all; sums of `hour` lines
	Sent      int64   // probes
	Lost      int64   // of those sent
	Hours     int64   // with `hour` lines that counted round trips, and as many whole hours watched

	Availability  *float64 // 0 to 1, as the report prints it
	WithoutPower  *float64 // the same, power cuts left out of the time observed
	Completeness  *float64 // 0 to 1
	Citable       bool     // completeness is high enough
	ObservedHours int64    // whole hours of which the state is known
	PoweredHours  int64    // of those, with power

	TargetDownBps int64 // contracted rate, bit/s; 0: none
	TargetUpBps   int64
	Students      int // of the site's school; 0: not known, or no school
}

// Test is one speed test; nil is what it did not measure.
type Test struct {
	DownBps  *int64
	UpBps    *int64
	MinRTTMs *float64
	Peak     bool // it was in the peak hours, by the site's clock
}

// values are those of the tests in the window that have one.
func (m *Measures) values(c *Criterion) []float64 {
	var out []float64
	for _, t := range m.Tests {
		if c.Window == windowPeak && !t.Peak {
			continue
		}
		switch {
		case c.Measure == "down_bps" && t.DownBps != nil:
			out = append(out, float64(*t.DownBps))
		case c.Measure == "up_bps" && t.UpBps != nil:
			out = append(out, float64(*t.UpBps))
		case c.Measure == "test_rtt_ms" && t.MinRTTMs != nil:
			out = append(out, six(*t.MinRTTMs))
		}
	}
	return out
}

// target is the contracted rate that goes with a measure, bit/s.
func (m *Measures) target(measure string) int64 {
	if measure == "up_bps" {
		return m.TargetUpBps
	}
	return m.TargetDownBps
}
