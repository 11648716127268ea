package alert

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// judged is an alert of the month, as somebody who was told of all has it.
type judged struct {
	Alert
	recovered int
}

// Villages whose truth is known live through a month: power cuts, cut fibres of whole districts, links that flap, batches that are lost and come late, an InfluxDB that is
// gone, a NOC whose own line is cut, a collector that is killed. Who is told of alerts knows of each outage, and is woken for nothing else.
func TestInAMonthNoOutageIsMissedAlertsAreRightAndARegionalCutIsOneAlert(t *testing.T) {
	days, sites := 30, 44
	seeds := []uint64{1, 2, 3}
	if raceEnabled { // the whole month once, for fewer
		seeds, sites = seeds[:1], 28
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			m := newMonth(t, seed, sites, days)
			m.run()
			m.judge()
		})
	}
}

// alerts are those that were told, each with the last that was told of it.
func (m *month) alerts() (out []*judged) {
	by := map[string]*judged{}
	for _, n := range m.tape.news {
		switch n.What {
		case Raised:
			if by[n.Alert.ID] != nil {
				m.t.Errorf("told twice: %s", n.Alert.ID)
			}
			by[n.Alert.ID] = &judged{Alert: n.Alert}
			out = append(out, by[n.Alert.ID])
		case Recovered:
			a := by[n.Alert.ID]
			if a == nil { // it was over before it could be told
				a = &judged{}
				by[n.Alert.ID], out = a, append(out, a)
			}
			a.Alert = n.Alert
			a.recovered++
		}
	}
	for _, a := range append(m.engine.Active(), m.engine.Recent(keepEnded)...) {
		if j := by[a.ID]; j != nil && j.recovered == 0 { // it goes on, or something else was told in its place
			j.Alert = a
		}
	}
	return out
}

func (m *month) judge() {
	t := m.t
	all := m.alerts()
	// When the NOC could see nothing, and sites had to come back.
	var blind []stretch
	for _, f := range m.faults {
		blind = append(blind, stretch{f.from, f.to.Add(min(f.length(), m.settings.Grace))})
	}
	for _, c := range m.cuts {
		blind = append(blind, stretch{c.from, c.to.Add(m.settings.Grace + 3*time.Minute)})
	}
	for d := 8; d < int(m.end.Sub(m.begin).Hours()/24)-1; d += 9 { // of the restarts, as newMonth has drawn them
		day := m.begin.AddDate(0, 0, d)
		blind = append(blind, stretch{day, day.AddDate(0, 0, 1)})
	}
	blind = append(blind, stretch{m.begin, m.begin.Add(m.settings.Grace + time.Minute)})

	about := map[string][]*judged{} // by site
	right, outages, members, rightMembers := 0, 0, 0, 0
	for _, a := range all {
		if a.recovered > 1 || a.recovered == 0 && !a.Ended.IsZero() && a.Rule != Flapping && a.Rule != Degraded { // these two give way to an outage
			t.Errorf("%s: %d recoveries were told, want one", a.ID, a.recovered)
		}
		if a.Rule != Unreachable && a.Rule != Down {
			for _, id := range a.Sites {
				about[id] = append(about[id], a)
			}
			continue
		}
		outages++
		lasted := 2*time.Minute - 2*monthStep // or it is raised for what is no outage yet
		if a.Rule == Unreachable {            // it is due 5 minutes after the last word, which may be a minute and some seconds old then
			lasted = 3*time.Minute + 30*time.Second
		}
		is := false
		for _, id := range a.Sites {
			about[id] = append(about[id], a)
			members++
			v := m.village(id)
			if slices.ContainsFunc(v.outs, func(o stretch) bool {
				return !a.Raised.Before(o.from.Add(lasted)) && a.Raised.Before(o.to.Add(90*time.Second))
			}) {
				is = true
			}
			end := a.Ended
			if end.IsZero() {
				end = m.end
			}
			if slices.ContainsFunc(v.outs, func(o stretch) bool { return o.overlaps(a.Began, end) }) {
				rightMembers++
			}
		}
		if is {
			right++
		} else {
			t.Logf("raised for nothing: %s %s (began %s, raised %s)", a.ID, a.Title, a.Began.Format(time.DateTime), a.Raised.Format(time.DateTime))
		}
	}

	long, missed := 0, 0
	for _, v := range m.villages {
		for _, o := range v.outs {
			seen := o
			for _, b := range blind {
				if b.overlaps(seen.from, seen.to) && b.to.After(seen.from) {
					seen.from = b.to
				}
			}
			least := 5*time.Minute + 2*monthStep
			if v.metered { // its outages are seen after 8 minutes at worst
				least = 8*time.Minute + settle + 2*monthStep
			}
			if seen.length() <= least || !o.to.Before(m.end) {
				continue
			}
			long++
			if !slices.ContainsFunc(about[v.site.ID], func(a *judged) bool {
				return !a.Raised.After(o.to) && (a.Ended.IsZero() || !a.Ended.Before(o.from))
			}) {
				missed++
				t.Errorf("missed: %s out %s to %s (%v)", v.site.ID, o.from.Format(time.DateTime), o.to.Format(time.TimeOnly), o.length())
			}
		}
	}
	cuts := m.regional()
	for _, c := range cuts {
		if slices.ContainsFunc(blind, func(b stretch) bool { return b.overlaps(c.from, c.to) }) {
			continue
		}
		ids := map[string]bool{}
		for _, id := range c.sites {
			for _, a := range about[id] {
				if (a.Rule == Unreachable || a.Rule == Down) && !a.Raised.Before(c.from) && !a.Raised.After(c.to) && slices.Contains(a.Sites, id) {
					ids[a.ID] = true
				}
			}
		}
		if len(ids) != 1 {
			t.Errorf("regional cut of %v at %s to %s is %d alerts, want one: %v", c.sites, c.from.Format(time.DateTime), c.to.Format(time.TimeOnly), len(ids), ids)
		}
	}
	lost := 0
	for _, a := range all {
		if a.Rule == Collector {
			lost++
		}
	}
	t.Logf("%d outages of more than 5 min, %d missed; %d alerts, %d of outages: %d right; %d of %d sites of them right; %d regional cuts; %d of %d cuts of the NOC's own line were told as such",
		long, missed, len(all), outages, right, rightMembers, members, len(cuts), lost, len(m.cuts))
	if long < 150 || len(cuts) < 5 || len(m.cuts) == 0 {
		t.Errorf("the month is too quiet to prove anything")
	}
	if 100*right < 99*outages || 100*rightMembers < 99*members {
		t.Errorf("%d of %d alerts and %d of %d of their sites are right, want 99 %%", right, outages, rightMembers, members)
	}
	if lost != len(m.cuts) {
		t.Errorf("%d alerts for %d cuts of the NOC's own line", lost, len(m.cuts))
	}
}

func (m *month) village(id string) *village {
	return m.villages[slices.IndexFunc(m.villages, func(v *village) bool { return v.site.ID == id })]
}

// regionalCut is an outage of several sites of one operator in one district with one cause.
type regionalCut struct {
	stretch // from the first to go to the first to come back
	sites   []string
}

// regional finds them in the truth: three sites or more, and half of them or more, out within two minutes and for more than ten.
func (m *month) regional() (out []regionalCut) {
	groups := map[groupKey][]*village{}
	for _, s := range m.sites {
		groups[keyOf(s)] = append(groups[keyOf(s)], m.village(s.ID))
	}
	for _, all := range groups {
		for _, first := range all {
			for _, o := range first.outs {
				c := regionalCut{stretch: o}
				for _, v := range all {
					for _, x := range v.outs {
						if d := x.from.Sub(o.from); d >= 0 && d < 2*time.Minute && (d > 0 || v.site.ID >= first.site.ID) && x.length() > 10*time.Minute {
							c.sites = append(c.sites, v.site.ID)
							if x.to.Before(c.to) {
								c.to = x.to
							}
						}
					}
				}
				if len(c.sites) < 3 || 2*len(c.sites) < len(all) || c.length() < 10*time.Minute || slices.ContainsFunc(out, func(k regionalCut) bool {
					return k.overlaps(c.from, c.to) && slices.Contains(k.sites, c.sites[0])
				}) {
					continue
				}
				out = append(out, c)
			}
		}
	}
	return out
}
