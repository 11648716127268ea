package report

import (
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// Outage is a stretch of down or off time, over hour cuts. Start and end are known to within ErrMs.
type Outage struct {
	Start      time.Time       `json:"start"`
	Ms         int64           `json:"ms"`
	State      telemetry.State `json:"state"`
	Cause      telemetry.Cause `json:"cause"`
	ErrMs      int64           `json:"err_ms"`
	BeganEarly bool            `json:"began_before_period,omitempty"` // its true start is before the period
	Goes       bool            `json:"at_end_of_period,omitempty"`    // it was still so when the period ended
}

// ListOutages lists what was down or off in [from, to), the newest first.
func ListOutages(tl *timeline.Timeline, from, to int64) []Outage {
	out := []Outage{}
	segs := tl.Clip(from, to)
	for i := len(segs) - 1; i >= 0; i-- {
		s := segs[i]
		if s.State == telemetry.StateDown || s.State == telemetry.StateOff {
			out = append(out, Outage{Start: s.From(), Ms: s.Ms(), State: s.State, Cause: s.Cause, ErrMs: s.ErrMs,
				BeganEarly: s.Start == from, Goes: s.End == to})
		}
	}
	return out
}
