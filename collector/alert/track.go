package alert

import (
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// track is what is held of a site that is or was lately in trouble.
type track struct {
	Troubles []*trouble  `json:"troubles,omitempty"`
	Outages  []time.Time `json:"outages,omitempty"` // when each of the last hour was seen

	planned      bool // it is in maintenance
	plannedAsked time.Time
}

func (t *track) of(k kind) *trouble {
	for _, x := range t.Troubles {
		if x.Kind == k {
			return x
		}
	}
	return nil
}

// alert tells whether a trouble of that kind is part of an alert.
func (t *track) alert(k kind) bool {
	x := t.of(k)
	return x != nil && x.Alert != ""
}

func (t *track) drop(k kind) {
	t.Troubles = slices.DeleteFunc(t.Troubles, func(x *trouble) bool { return x.Kind == k })
}

// flaps tells whether there were so many outages within the last hour.
func (t *track) flaps(now time.Time, outages int) bool {
	t.Outages = slices.DeleteFunc(t.Outages, func(at time.Time) bool { return now.Sub(at) > flapWithin })
	return outages > 0 && len(t.Outages) >= outages
}

// evaluate looks at one site: what is wrong there, and what is no more.
func (e *Engine) evaluate(id string, now time.Time) {
	st, tr := e.sites[id], e.tracks[id]
	if st == nil || len(st.Agents) == 0 { // taken out of the files, or all its agents are revoked
		if tr != nil {
			for _, t := range tr.Troubles {
				e.leave(id, t, now, silently)
			}
			delete(e.tracks, id)
		}
		return
	}
	if tr == nil {
		tr = &track{}
	}
	for _, k := range siteKinds() {
		e.observe(tr, st, k, now)
	}
	e.flap(tr, id, now)
	if e.inMaintenanceOf(tr, st.Site, now) {
		e.rest(tr, id, now)
	}
	e.recover(tr, id, now)
	if len(tr.Troubles) == 0 && !tr.flaps(now, 1) {
		delete(e.tracks, id)
		return
	}
	e.tracks[id] = tr
}

// observe takes in what a look says of one kind of trouble.
func (e *Engine) observe(tr *track, st *fleet.Status, k kind, now time.Time) {
	v, t := e.c.look(k, st, e.month, now), tr.of(k)
	if t != nil {
		t.holds = v.is == bad
	}
	switch {
	case v.is == bad:
		fell := t == nil || !t.Good.IsZero()
		if t == nil {
			t = &trouble{Kind: k, Since: v.since, Seen: now, holds: true}
			tr.Troubles = append(tr.Troubles, t)
		}
		if fell && k == outage && !e.lost.on && !now.Before(e.calm) { // else it says nothing of the site
			tr.Outages = append(tr.Outages, now)
		}
		if fell || t.Detail != v.detail || t.State != st.State {
			e.lazy = true
			if a := e.active[t.Alert]; a != nil {
				a.changed = true
			}
		}
		t.Good, t.wait, t.Detail, t.State, t.Cause = time.Time{}, v.after, v.detail, st.State, st.Cause
		if t.Cause == "" && st.Told.State == telemetry.StateDown {
			t.Cause = st.Told.Cause
		}
		if v.since.Before(t.Since) {
			t.Since = v.since
		}
		t.Told = latest(t.Told, v.told)
	case v.is == good && t != nil && v.told.After(t.Told):
		if t.Alert == "" {
			tr.drop(k)
			e.lazy = true
		} else if t.Good.IsZero() {
			t.Good, e.lazy = now, true
		}
	}
}

// flap sees whether the site goes out and comes back again and again.
func (e *Engine) flap(tr *track, id string, now time.Time) {
	f, many := tr.of(flapping), tr.flaps(now, e.c.FlapOutages)
	out := tr.of(outage)
	switch {
	case f == nil && many && !tr.alert(outage):
		f = &trouble{Kind: flapping, Since: tr.Outages[0], Seen: now}
		tr.Troubles = append(tr.Troubles, f)
		e.lazy = true
		fallthrough
	case f != nil && many:
		f.Detail, f.State = fmt.Sprintf("%d outages within an hour", len(tr.Outages)), fleet.Up
	}
	if f == nil {
		return
	}
	f.holds = many
	last := f.Seen
	if n := len(tr.Outages); n > 0 {
		last = tr.Outages[n-1]
	}
	if out != nil && out.Good.IsZero() || now.Sub(last) < e.c.FlapQuiet {
		return
	}
	if f.Good = latest(last, f.Seen); f.Alert != "" {
		e.leave(id, f, now, told)
	}
	tr.drop(flapping)
}

// rest keeps quiet of a site in maintenance, and for a while after it.
func (e *Engine) rest(tr *track, id string, now time.Time) {
	for _, t := range tr.Troubles {
		if a := e.active[t.Alert]; a != nil {
			if e.leave(id, t, now, told); !a.Active() {
				a.Title += " (in maintenance now)" // it may be as ill as ever
			}
		}
		if t.Kind == flapping {
			t.Quiet = now.Add(flapWithin)
			continue
		}
		t.Quiet = now.Add(max(t.wait, settle))
	}
}

// recover ends what has been well for long enough.
func (e *Engine) recover(tr *track, id string, now time.Time) {
	for _, t := range slices.Clone(tr.Troubles) {
		enough := e.c.RecoverAfter
		if t.Kind == outage && tr.flaps(now, e.c.FlapOutages) {
			enough = max(enough, e.c.FlapQuiet)
		}
		if t.Alert != "" && !t.Good.IsZero() && now.Sub(t.Good) >= enough {
			e.leave(id, t, now, told)
			tr.drop(t.Kind)
		}
	}
}

// inMaintenance asks the journal, for each site every few seconds at most: a window may follow the clock of some zone.
func (e *Engine) inMaintenance(id string, now time.Time) bool {
	tr, st := e.tracks[id], e.sites[id]
	return tr != nil && st != nil && e.inMaintenanceOf(tr, st.Site, now)
}

const askJournal = 5 * time.Second

func (e *Engine) inMaintenanceOf(tr *track, site fleet.Site, now time.Time) bool {
	if e.c.Journal == nil || len(tr.Troubles) == 0 {
		return false
	}
	if age := now.Sub(tr.plannedAsked); age >= askJournal || age < 0 {
		_, tr.planned = e.c.Journal.Maintenance(site, now)
		tr.plannedAsked = now
	}
	return tr.planned
}

// How a trouble leaves its alert.
const (
	told     = false
	silently = true // something else is told in its place, or there is nobody to tell of
)

// leave takes a trouble out of its alert, which is over with its last one.
func (e *Engine) leave(site string, t *trouble, now time.Time, silent bool) {
	a := e.active[t.Alert]
	t.Alert = ""
	if a == nil {
		return
	}
	if !slices.Contains(a.Over, site) {
		a.Over = append(a.Over, site)
	}
	a.changed = true
	a.Well = a.Well || !silent
	if len(a.Over) < len(a.Sites) {
		return
	}
	ended := t.Good
	if ended.IsZero() {
		ended = now
	}
	e.end(a, latest(ended, a.Began), !a.Well)
}
