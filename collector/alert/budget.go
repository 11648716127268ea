package alert

import (
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// monthly is what each agent had on the wire in the current calendar month (UTC). Agents count since their own start; what they counted while the collector
// did not run is in their next word, so it is counted too.
type monthly map[telemetry.Address]*wired

type wired struct {
	Month string `json:"month"` // 2026-11
	Used  int64  `json:"used"`  // bytes in it
	Last  int64  `json:"last"`  // what the agent said last
}

// take counts what a site's agents say, and tells whether anything is new.
func (m monthly) take(st *fleet.Status) (news bool) {
	for i := range st.Agents {
		a := &st.Agents[i]
		if a.WireBytes <= 0 {
			continue
		}
		at := telemetry.Address{Site: st.Site.ID, Agent: a.Agent}
		w := m[at]
		if w == nil { // what it used before this collector heard of it first cannot be dated
			w = &wired{Last: a.WireBytes}
			m[at] = w
		}
		if month := a.Told.At.UTC().Format("2006-01"); month > w.Month {
			w.Month, w.Used, news = month, 0, true
		}
		switch {
		case a.WireBytes < w.Last: // it has started anew
			w.Used += a.WireBytes
		default:
			w.Used += a.WireBytes - w.Last
		}
		news = news || a.WireBytes != w.Last
		w.Last = a.WireBytes
	}
	return news
}

// used is what an agent had in the month that it is now.
func (m monthly) used(a telemetry.Address, now time.Time) int64 {
	if w := m[a]; w != nil && w.Month == now.UTC().Format("2006-01") {
		return w.Used
	}
	return 0
}

// forget drops agents that have said nothing this month or the one before.
func (m monthly) forget(now time.Time) {
	oldest := now.UTC().AddDate(0, -1, -now.UTC().Day()+1).Format("2006-01")
	for a, w := range m {
		if w.Month < oldest {
			delete(m, a)
		}
	}
}
