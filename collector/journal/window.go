package journal

import (
	"errors"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// Window is a stretch of time in which sites may be down without anybody being woken: once, or each week.
type Window struct {
	ID     uint64    `json:"-"` // of the entry that planned it
	Scope  Scope     `json:"scope"`
	From   time.Time `json:"from"`             // a weekly one counts from here on
	To     time.Time `json:"to,omitzero"`      // exclusive; zero only for a weekly one, which then holds until it is cancelled
	Weekly string    `json:"weekly,omitempty"` // hours such as "Su 02:00-04:00" by the clock of Zone; "" is once, from From to To
	Zone   string    `json:"zone,omitempty"`   // IANA name, in which it was planned; "" is UTC
	Who    string    `json:"who"`              //
	Reason string    `json:"reason"`           //
}

// Scope is which sites a window is for: those that match all that is set. At least one is.
type Scope struct {
	Site     string `json:"site,omitempty"` // by id
	District string `json:"district,omitempty"`
	Operator string `json:"operator,omitempty"`
}

// Has tells whether a site is one of them.
func (s Scope) Has(site fleet.Site) bool {
	return s != Scope{} && (s.Site == "" || s.Site == site.ID) && (s.District == "" || s.District == site.District) && (s.Operator == "" || s.Operator == site.Operator)
}

const (
	maxLength = 366 * 24 * time.Hour // of a window that is not weekly
	farAway   = 5 * 366 * 24 * time.Hour
)

// check joins every fault of a window.
func (w Window) check() error {
	faults := []error{checkText("reason", w.Reason, maxText, true), checkText("who", w.Who, maxName, false),
		checkText("scope", w.Scope.District, maxName, false), checkText("scope", w.Scope.Operator, maxName, false)}
	add := func(field, format string, a ...any) { faults = append(faults, fault(field, format, a...)) }
	if w.Reason == "" {
		add("reason", "is empty; say what is done, so that others know")
	}
	if w.Scope == (Scope{}) {
		add("scope", "names no site, district or operator; name at least one")
	}
	if w.Scope.Site != "" && telemetry.CheckID("site", w.Scope.Site) != nil {
		add("scope", "%q is no id of a site", w.Scope.Site)
	}
	if _, err := time.LoadLocation(w.Zone); err != nil || w.Zone == "Local" {
		add("zone", "%.60q is no time zone; write an IANA name such as \"Africa/Kampala\"", w.Zone)
	}
	if w.From.IsZero() {
		add("from", "is not set")
	}
	if !w.To.IsZero() && !w.To.After(w.From) {
		add("to", "is not after the beginning")
	}
	if w.Weekly == "" {
		switch {
		case w.To.IsZero():
			add("to", "is not set; a window that is not weekly has an end")
		case w.To.Sub(w.From) > maxLength:
			add("to", "is more than a year after the beginning; plan a shorter window")
		}
		return errors.Join(faults...)
	}
	switch week, err := hours.Parse(w.Weekly); {
	case len(w.Weekly) > maxWeeks:
		add("weekly", "has %d bytes, at most %d are allowed", len(w.Weekly), maxWeeks)
	case err != nil:
		add("weekly", "%v", err)
	case week.Always():
		add("weekly", "%q would hide every outage; write hours such as \"Su 02:00-04:00\"", w.Weekly)
	}
	return errors.Join(faults...)
}

// plan is a window that can be asked quickly.
type plan struct {
	Window
	week hours.Week
	zone *time.Location
}

func newPlan(w Window) plan {
	p := plan{Window: w}
	p.zone, _ = time.LoadLocation(w.Zone) // both were checked
	if p.zone == nil {
		p.zone = time.UTC
	}
	if w.Weekly != "" {
		p.week, _ = hours.Parse(w.Weekly)
	}
	return p
}

// holds tells whether it runs at t.
func (p *plan) holds(t time.Time) bool {
	if t.Before(p.From) || !p.To.IsZero() && !t.Before(p.To) {
		return false
	}
	if p.Weekly == "" {
		return true
	}
	open, _ := p.week.State(t, p.zone)
	return open
}

// over tells whether it will never run again.
func (p *plan) over(t time.Time) bool { return !p.To.IsZero() && !t.Before(p.To) }

// Running tells whether the window runs at t, and until when.
func (w Window) Running(t time.Time) (until time.Time, ok bool) {
	p := newPlan(w)
	if !p.holds(t) {
		return time.Time{}, false
	}
	return p.change(t), true
}

// Began is when the window that runs at t began to run: of a weekly one this week's hours. Zero where it does not run.
func (w Window) Began(t time.Time) time.Time {
	p := newPlan(w)
	if !p.holds(t) {
		return time.Time{}
	}
	from := t.Add(-8 * 24 * time.Hour) // within a week each weekly window begins
	if p.Weekly == "" || from.Before(p.From) {
		from = p.From
	}
	for p.Weekly != "" {
		next := p.change(from)
		if next.After(t) {
			break
		}
		from = next
	}
	return from
}

// Next is when the window runs next, at t or later: the first instant and the end of that time. False when it will not within two weeks of t and of its beginning, and so never.
func (w Window) Next(t time.Time) (from, to time.Time, ok bool) {
	p := newPlan(w)
	if t.Before(p.From) {
		t = p.From
	}
	if p.over(t) {
		return from, to, false
	}
	if !p.holds(t) {
		if t = p.change(t); !p.holds(t) {
			return from, to, false
		}
	}
	return t, p.change(t), true
}

// change is when the window begins or ends to hold after t, two weeks on at most where it is weekly.
func (p *plan) change(t time.Time) time.Time {
	if p.Weekly == "" {
		if t.Before(p.From) {
			return p.From
		}
		return p.To
	}
	is, end := p.holds(t), t.Add(14*24*time.Hour)
	for t.Before(end) {
		_, until := p.week.State(t, p.zone)
		if t.Before(p.From) && p.From.Before(until) {
			until = p.From
		}
		if !p.To.IsZero() && t.Before(p.To) && p.To.Before(until) {
			until = p.To
		}
		if t = until; p.holds(t) != is {
			break
		}
	}
	return t
}
