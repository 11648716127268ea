package alert

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// groupKey is what sites share that may fail for all of them at once.
type groupKey struct {
	Upstream string `json:"upstream,omitempty"`
	Operator string `json:"operator,omitempty"`
	District string `json:"district,omitempty"`
}

// keyOf is the group of a site; zero: none.
func keyOf(s fleet.Site) groupKey {
	switch {
	case s.Upstream != "":
		return groupKey{Upstream: s.Upstream}
	case s.Operator != "" && s.District != "":
		return groupKey{Operator: s.Operator, District: s.District}
	}
	return groupKey{}
}

func (k groupKey) words() string {
	if k.Upstream != "" {
		return k.Upstream
	}
	return k.Operator + " in " + k.District
}

// window is within what time troubles of a kind have one cause.
func (e *Engine) window(k kind) time.Duration {
	if k.slow() {
		return max(slowWindow, e.c.GroupWindow)
	}
	return e.c.GroupWindow
}

// raise makes alerts of troubles that have lasted long enough, those of one group together.
func (e *Engine) raise(now time.Time) {
	for _, d := range e.due(now) {
		if d.t.Alert != "" { // a neighbour took it along
			continue
		}
		key := keyOf(e.sites[d.site].Site)
		if a := e.joinable(key, d.t); a != nil {
			e.join(a, d.site, d.t, now)
			continue
		}
		a := &record{Alert: Alert{Rule: d.t.Kind.rule(d.t.State), Began: d.t.Since, Raised: now}, Kind: d.t.Kind, Key: key}
		e.join(a, d.site, d.t, now)
		if key != (groupKey{}) && e.c.GroupWindow > 0 {
			for _, n := range e.neighbours(key, d.site, d.t, now) {
				e.join(a, n.site, n.t, now)
			}
		}
		first := e.sites[d.site].Site
		if a.District, a.Operator = first.District, first.Operator; len(a.Sites) == 1 {
			a.Site = d.site
		}
		a.Severity = a.Rule.severity()
		e.add(a)
		e.note(a, Raised)
	}
}

// candidate is a trouble at a site.
type candidate struct {
	site string
	t    *trouble
}

// due lists troubles without an alert that want one, the oldest first. What an alert that goes on can take in wants it sooner than one that would wake somebody.
func (e *Engine) due(now time.Time) (out []candidate) {
	for id, tr := range e.tracks {
		for _, t := range tr.Troubles {
			if t.Alert != "" || !t.Good.IsZero() || t.wait < 0 || !t.holds || e.lost.on && t.Kind == outage {
				continue
			}
			at := latest(t.Since.Add(t.wait), e.calmFor(t))
			if t.State == fleet.Unreachable {
				at = latest(at, t.Seen.Add(settle))
			}
			if t.Kind == outage && tr.alert(flapping) {
				at = latest(at, t.Since.Add(e.c.FlapAfter))
			}
			early := t.Kind == outage && now.Sub(t.Seen) >= settle && !now.Before(e.calmFor(t))
			if now.Before(at) && !(early && e.joinable(keyOf(e.sites[id].Site), t) != nil) || e.inMaintenance(id, now) {
				continue
			}
			out = append(out, candidate{id, t})
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		if c := a.t.Since.Compare(b.t.Since); c != 0 {
			return c
		}
		if a.site != b.site {
			return compare(a.site, b.site)
		}
		return compare(string(a.t.Kind), string(b.t.Kind))
	})
	return out
}

// calmFor is when a trouble may become an alert at the earliest: sites have to connect anew, and to say whether it is still so.
func (e *Engine) calmFor(t *trouble) time.Time { return latest(t.Quiet, e.calm) }

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// joinable is an alert that goes on and has probably the same cause.
func (e *Engine) joinable(key groupKey, t *trouble) *record {
	if key == (groupKey{}) || e.c.GroupWindow <= 0 {
		return nil
	}
	for _, a := range e.byKey[key] {
		if !a.Active() || a.Kind != t.Kind {
			continue
		}
		for _, m := range a.Starts {
			if near(m.Since, m.Seen, t.Since, t.Seen, e.window(t.Kind)) {
				return a
			}
		}
	}
	return nil
}

// neighbours are the troubles of the same kind in the group that began with it, and with those.
func (e *Engine) neighbours(key groupKey, site string, t *trouble, now time.Time) (out []candidate) {
	var left []candidate
	for _, id := range e.members[key] {
		tr := e.tracks[id]
		if id == site || tr == nil {
			continue
		}
		n := tr.of(t.Kind)
		if n == nil || n.Alert != "" || !n.Good.IsZero() || n.wait < 0 || !n.holds || now.Sub(n.Seen) < min(settle, n.wait) || now.Before(n.Quiet) || e.inMaintenance(id, now) {
			continue
		}
		left = append(left, candidate{id, n})
	}
	found := []*trouble{t}
	for more := true; more; {
		more = false
		left = slices.DeleteFunc(left, func(c candidate) bool {
			for _, f := range found {
				if near(f.Since, f.Seen, c.t.Since, c.t.Seen, e.window(t.Kind)) {
					found, out, more = append(found, c.t), append(out, c), true
					return true
				}
			}
			return false
		})
	}
	slices.SortFunc(out, func(a, b candidate) int { return compare(a.site, b.site) })
	return out
}

// join makes a trouble part of an alert.
func (e *Engine) join(a *record, site string, t *trouble, now time.Time) {
	if a.ID == "" {
		a.ID = a.Raised.UTC().Format("20060102-150405") + "-" + site + "-" + string(a.Rule)
	}
	t.Alert = a.ID
	t.Good = time.Time{}
	a.Over = slices.DeleteFunc(a.Over, func(id string) bool { return id == site })
	if !slices.Contains(a.Sites, site) {
		a.Sites = append(a.Sites, site)
	}
	a.Starts = append(a.Starts, start{t.Since, t.Seen})
	if t.Since.Before(a.Began) {
		a.Began = t.Since
	}
	if len(a.Sites) > 1 {
		a.Group = a.Key.words()
	}
	if tr := e.tracks[site]; t.Kind == outage && tr != nil { // it is out now, and that says more
		for _, k := range []kind{flapping, degraded} {
			if less := tr.of(k); less != nil && less.Alert != "" {
				e.leave(site, less, now, silently)
				tr.drop(k)
			}
		}
	}
	a.changed = true
}
