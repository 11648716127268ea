package report

import (
	"fmt"
	"math"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// CitableFrom is the completeness below which a figure is not to be cited.
const CitableFrom = 0.9

// Times is how long a site was in each state, in milliseconds. They add up to the period.
type Times struct {
	UpMs           int64 `json:"up_ms"` // without degraded
	DegradedMs     int64 `json:"degraded_ms"`
	DownLocalMs    int64 `json:"down_local_ms"`
	DownBackhaulMs int64 `json:"down_backhaul_ms"`
	DownDNSMs      int64 `json:"down_dns_ms"`
	OffPowerMs     int64 `json:"off_power_ms"`
	OffShutdownMs  int64 `json:"off_shutdown_ms"` // out of service by choice: taken out of the period
	OffAgentMs     int64 `json:"off_agent_ms"`    // counts as unknown
	SilentMs       int64 `json:"silent_ms"`       // no span covers it: unknown
}

// Figures are what can be said of a site, or of several, over a period. A fraction is 0 to 1, rounded to six
// decimals; nil where there is nothing to divide by.
type Figures struct {
	PeriodMs     int64    `json:"period_ms"`  // all of it; for several sites the sum
	ServiceMs    int64    `json:"service_ms"` // without off(shutdown)
	ObservedMs   int64    `json:"observed_ms"`
	UnknownMs    int64    `json:"unknown_ms"`
	Times        Times    `json:"times"`
	Availability *float64 `json:"availability"`               // (up + degraded) / observed
	WithoutPower *float64 `json:"availability_without_power"` // the same, off(power) left out of observed
	Completeness *float64 `json:"completeness"`               // observed / service
	Lower        *float64 `json:"lower"`                      // if all that is unknown was down
	Upper        *float64 `json:"upper"`                      // if all that is unknown was up
	Citable      bool     `json:"citable"`
	Why          string   `json:"why,omitempty"` // it is not citable
}

// DownMs is the time down, for whatever cause.
func (t Times) DownMs() int64 { return t.DownLocalMs + t.DownBackhaulMs + t.DownDNSMs }

func (t *Times) add(o Times) {
	t.UpMs += o.UpMs
	t.DegradedMs += o.DegradedMs
	t.DownLocalMs += o.DownLocalMs
	t.DownBackhaulMs += o.DownBackhaulMs
	t.DownDNSMs += o.DownDNSMs
	t.OffPowerMs += o.OffPowerMs
	t.OffShutdownMs += o.OffShutdownMs
	t.OffAgentMs += o.OffAgentMs
	t.SilentMs += o.SilentMs
}

// told is all that spans cover.
func (t Times) told() int64 {
	return t.UpMs + t.DegradedMs + t.DownMs() + t.OffPowerMs + t.OffShutdownMs + t.OffAgentMs
}

// of is where the time of a state and cause goes. A cause that does not go with the state, which the schema lets through, says as much as off(agent).
func (t *Times) of(state telemetry.State, cause telemetry.Cause) *int64 {
	switch state {
	case telemetry.StateUp:
		return &t.UpMs
	case telemetry.StateDegraded:
		return &t.DegradedMs
	case telemetry.StateDown:
		switch cause {
		case telemetry.CauseLocal:
			return &t.DownLocalMs
		case telemetry.CauseBackhaul:
			return &t.DownBackhaulMs
		case telemetry.CauseDNS:
			return &t.DownDNSMs
		}
	case telemetry.StateOff:
		switch cause {
		case telemetry.CausePower:
			return &t.OffPowerMs
		case telemetry.CauseShutdown:
			return &t.OffShutdownMs
		}
	}
	return &t.OffAgentMs
}

// timesOf sums segments that do not overlap and lie within [from, to).
func timesOf(segs []timeline.Segment, from, to int64) (t Times) {
	t.SilentMs = to - from
	for _, s := range segs {
		*t.of(s.State, s.Cause) += s.Ms()
		t.SilentMs -= s.Ms()
	}
	return t
}

// Of computes the figures of one site from its timeline over [from, to), in milliseconds since the epoch.
func Of(tl *timeline.Timeline, from, to int64) Figures {
	return figures(to-from, timesOf(tl.Clip(from, to), from, to))
}

// Together are the figures of several sites, weighted by their time.
func Together(all ...Figures) Figures {
	t, period := Times{}, int64(0)
	for _, f := range all {
		t.add(f.Times)
		period += f.PeriodMs
	}
	return figures(period, t)
}

// figures are the design's formulas, and nothing else is.
func figures(period int64, t Times) Figures {
	up := t.UpMs + t.DegradedMs
	f := Figures{PeriodMs: period, Times: t, ServiceMs: period - t.OffShutdownMs,
		ObservedMs: up + t.DownMs() + t.OffPowerMs, UnknownMs: t.OffAgentMs + t.SilentMs}
	f.Availability = fraction(up, f.ObservedMs)
	f.WithoutPower = fraction(up, f.ObservedMs-t.OffPowerMs)
	f.Completeness = fraction(f.ObservedMs, f.ServiceMs)
	f.Lower = fraction(up, f.ServiceMs)
	f.Upper = fraction(up+f.UnknownMs, f.ServiceMs)
	switch {
	case f.ServiceMs <= 0:
		f.Why = "switched off by choice for the whole period"
	case float64(f.ObservedMs) < CitableFrom*float64(f.ServiceMs):
		f.Why = fmt.Sprintf("%.1f %% of the time was observed, %.0f %% is needed", math.Floor(1000*float64(f.ObservedMs)/float64(f.ServiceMs))/10, 100*CitableFrom)
	default:
		f.Citable = true
	}
	return f
}

func fraction(part, whole int64) *float64 {
	if whole <= 0 {
		return nil
	}
	v := math.Round(1e6*float64(part)/float64(whole)) / 1e6
	return &v
}
