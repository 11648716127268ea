package alert

import (
	"fmt"
	"math"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// kind is what a site can suffer from at most once at a time. An outage may be unreachable now and down later.
type kind string

const (
	outage   kind = "outage"
	degraded kind = "degraded"
	flapping kind = "flapping"
	battery  kind = "battery"
	disk     kind = "disk"
	spool    kind = "spool"
	clock    kind = "clock"
	budget   kind = "budget"
	twins    kind = "twins"
)

// slow tells whether it comes over hours, so that sites with one cause do not have it within minutes.
func (k kind) slow() bool { return k != outage && k != degraded && k != flapping }

// rule is what people call it, told by the state where it is an outage.
func (k kind) rule(state fleet.SiteState) Rule {
	if k == outage {
		if state == fleet.Unreachable {
			return Unreachable
		}
		return Down
	}
	return Rule(k)
}

// severity is that of a rule.
func (r Rule) severity() Severity {
	switch r {
	case Unreachable, Down, Collector, InfluxDB:
		return Critical
	}
	return Warning
}

// trouble is one thing that is wrong at one site.
type trouble struct {
	Kind   kind            `json:"kind"`
	Since  time.Time       `json:"since"`          // when it began, at the earliest
	Seen   time.Time       `json:"seen"`           // when it was first seen
	Told   time.Time       `json:"told"`           // the site's last word that it has it: only a later one can say that it has not
	Good   time.Time       `json:"good,omitzero"`  // since when it is over; zero: it is not
	State  fleet.SiteState `json:"state"`          // of an outage, the last
	Cause  telemetry.Cause `json:"cause"`          // as told
	Detail string          `json:"detail"`         // in words, the last
	Alert  string          `json:"alert"`          // that it is part of; "": none yet
	Quiet  time.Time       `json:"quiet,omitzero"` // no alert before: the site was in maintenance

	wait  time.Duration // how long it has to last to be an alert; below 0 for ever
	holds bool          // the last look found it; what was read back waits for one, and what no look finds now becomes no alert
}

// near tells whether two troubles may have begun within the window: each began between its Since and its Seen.
func near(aSince, aSeen, bSince, bSeen time.Time, window time.Duration) bool {
	return !aSince.After(bSeen.Add(window)) && !bSince.After(aSeen.Add(window))
}

// verdict is what a look at a site says of one kind of trouble.
type verdict struct {
	is     answer
	since  time.Time
	told   time.Time
	after  time.Duration // how long it has to last; 0 at once, below 0 never
	detail string
}

type answer int

const (
	unclear answer = iota // nothing changes
	bad
	good
)

// siteKinds are all kinds that a look can find, in the order in which they are told.
func siteKinds() []kind { return []kind{outage, degraded, battery, disk, spool, clock, budget, twins} }

// off is a setting of 0.
func after(d time.Duration) time.Duration {
	if d <= 0 {
		return -1
	}
	return d
}

// look says what a site's status means for one kind of trouble. Flapping is not among them: it is seen over time.
func (s *Settings) look(k kind, st *fleet.Status, month monthly, now time.Time) verdict {
	reached := st.State != fleet.Unreachable && st.State != fleet.NeverSeen
	switch k {
	case outage:
		return s.lookOutage(st)
	case degraded:
		v := verdict{since: st.Since, told: st.Told.At, after: after(s.DegradedAfter)}
		switch {
		case st.State == fleet.Degraded:
			v.is, v.detail = bad, quality(st)
		case st.State == fleet.Up:
			v.is = good
		}
		return v
	case battery:
		return s.lookBattery(st, now)
	case disk:
		return s.lookDisk(st, now)
	case spool:
		if !reached || s.SpoolAbovePct <= 0 || s.SpoolBytes <= 0 {
			return off(s.SpoolAbovePct <= 0)
		}
		v := verdict{is: good, since: st.Told.At, told: st.Told.At, after: after(s.SpoolAfter)}
		for i := range st.Agents {
			switch a := &st.Agents[i]; {
			case a.State != fleet.Unreachable && float64(a.BacklogBytes) >= s.SpoolAbovePct/100*float64(s.SpoolBytes):
				v.is, v.detail = bad, fmt.Sprintf("agent %s has %s waiting, of %s that it may keep", a.Agent, bytesText(a.BacklogBytes), bytesText(s.SpoolBytes))
			case v.is == good && float64(a.BacklogBytes) >= s.SpoolAbovePct/200*float64(s.SpoolBytes):
				v.is = unclear
			}
		}
		return v
	case clock:
		if !reached || s.ClockAfter <= 0 {
			return off(s.ClockAfter <= 0)
		}
		v := verdict{is: good, since: st.Told.At, told: st.Told.At, after: s.ClockAfter}
		for i := range st.Agents {
			if a := &st.Agents[i]; a.Clock == telemetry.ClockEstimated && a.State != fleet.Unreachable {
				v.is, v.detail = bad, fmt.Sprintf("agent %s does not know the time", a.Agent)
			}
		}
		return v
	case budget:
		return s.lookBudget(st, month, now)
	case twins:
		return lookTwins(st)
	}
	return verdict{}
}

// lookTwins sees whether two machines work as one of the site's agents. That was seen over a while, so it is told at once.
func lookTwins(st *fleet.Status) verdict {
	v := verdict{is: good, since: st.Told.At, told: st.Told.At}
	for i := range st.Agents {
		if a := &st.Agents[i]; a.Twins.Seen() {
			v.is, v.since, v.told = bad, a.Twins.Since, a.Twins.Last
			v.detail = fmt.Sprintf("boots %s and %s sign in as %s/%s with the same secret; stop one, or give it an agent of its own. Where nobody knows it: nabz-collector agent rotate %[3]s/%[4]s, and enrol on the right one",
				a.Twins.Boots[0], a.Twins.Boots[1], st.Site.ID, a.Agent)
		}
	}
	return v
}

// off is the verdict of a rule that is switched off, or of a site that says nothing at present.
func off(switched bool) verdict {
	if switched {
		return verdict{is: good, told: time.Unix(math.MaxInt32, 0)}
	}
	return verdict{}
}

func (s *Settings) lookOutage(st *fleet.Status) verdict {
	v := verdict{since: st.Since, told: st.Told.At}
	byChoice := st.Told.State == telemetry.StateOff && st.Told.Cause == telemetry.CauseShutdown
	switch st.State {
	case fleet.Up, fleet.Degraded:
		v.is = good
	case fleet.Down, fleet.Off:
		v.is, v.after, v.detail = bad, after(s.DownAfter), string(st.State)
		if st.Cause != "" {
			v.detail += ": " + string(st.Cause)
		}
		if byChoice {
			v.is = good
		}
	case fleet.Unreachable:
		switch {
		case byChoice:
			v.is = good
		case !st.CatchingUp: // else it is there, and its old words come before its new ones
			v.is, v.after, v.detail = bad, after(s.UnreachableAfter), "last told: "+lastTold(st)
			if t := st.Told; t.State == telemetry.StateDown && t.Since.Before(v.since) {
				v.since = t.Since // it was out before it was lost
			}
		}
	}
	return v
}

func (s *Settings) lookBattery(st *fleet.Status, now time.Time) verdict {
	if s.BatteryBelowPct <= 0 {
		return off(true)
	}
	return lookEach(st, now, func(a *fleet.AgentStatus) reading {
		charging := a.Charging != nil && *a.Charging
		return reading{a.BatteryPct, a.BatteryAt,
			func(pct float64) bool { return pct < s.BatteryBelowPct && !charging },
			func(pct float64) bool { return pct < min(s.BatteryBelowPct+10, 100) }, "battery of agent %s is at %.0f %%"}
	})
}

func (s *Settings) lookDisk(st *fleet.Status, now time.Time) verdict {
	if s.DiskAbovePct <= 0 {
		return off(true)
	}
	return lookEach(st, now, func(a *fleet.AgentStatus) reading {
		return reading{a.DiskPct, a.DiskAt,
			func(pct float64) bool { return pct >= s.DiskAbovePct },
			func(pct float64) bool { return pct >= s.DiskAbovePct-5 }, "disk of agent %s is %.0f %% full"}
	})
}

// reading is what an agent told of something that is bad, not well again yet, or good.
type reading struct {
	pct       *float64 // nil: nothing
	at        time.Time
	bad, near func(pct float64) bool
	words     string // with the agent and the percentage
}

// lookEach looks at all agents of a site: one that is bad is enough, and all that have told lately have to be good.
func lookEach(st *fleet.Status, now time.Time, read func(*fleet.AgentStatus) reading) verdict {
	v, near := verdict{}, false
	for i := range st.Agents {
		r := read(&st.Agents[i])
		if r.pct == nil || now.Sub(r.at) > fresh {
			continue
		}
		v.told = latest(v.told, r.at)
		switch {
		case r.bad(*r.pct):
			v.is, v.since, v.detail = bad, r.at, fmt.Sprintf(r.words, st.Agents[i].Agent, *r.pct)
		case r.near(*r.pct):
			near = true
		case v.is == unclear:
			v.is = good
		}
	}
	if v.is == good && near {
		v.is = unclear
	}
	return v
}

func (s *Settings) lookBudget(st *fleet.Status, month monthly, now time.Time) verdict {
	limit := s.budget(st.Site)
	if limit <= 0 || s.BudgetAbovePct <= 0 {
		return off(true)
	}
	v := verdict{is: good, told: time.Unix(math.MaxInt32, 0)}
	for i := range st.Agents {
		used := month.used(telemetry.Address{Site: st.Site.ID, Agent: st.Agents[i].Agent}, now)
		if float64(used) >= s.BudgetAbovePct/100*float64(limit) {
			v.is, v.since, v.told, v.detail = bad, st.Told.At, st.Told.At, fmt.Sprintf("agent %s has used %s of its %s this month", st.Agents[i].Agent, bytesText(used), bytesText(limit))
		}
	}
	return v
}

// budget is what each agent of a site may use in a month, in bytes; 0: no bound.
func (s *Settings) budget(site fleet.Site) int64 {
	if site.DataBudgetMB > 0 {
		return int64(site.DataBudgetMB) * 1e6
	}
	return s.BudgetMB * 1e6
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
