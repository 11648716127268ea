package alert

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// add makes an alert one that goes on.
func (e *Engine) add(a *record) {
	e.active[a.ID] = a
	if a.Key != (groupKey{}) {
		e.byKey[a.Key] = append(e.byKey[a.Key], a)
	}
	a.changed, e.now = true, true
	e.counts.raised[a.Rule]++
}

// end makes an alert one that is over.
func (e *Engine) end(a *record, at time.Time, silent bool) {
	a.Ended, a.Silent, a.changed = at, silent, true
	delete(e.active, a.ID)
	if e.byKey[a.Key] = slices.DeleteFunc(e.byKey[a.Key], func(x *record) bool { return x == a }); len(e.byKey[a.Key]) == 0 {
		delete(e.byKey, a.Key)
	}
	e.describeOne(a)
	e.ended = append(e.ended, a)
	e.now = true
	e.note(a, Recovered)
	e.forget()
}

// forget drops the oldest of those that are over, but none of which a channel has still to hear.
func (e *Engine) forget() {
	n := len(e.ended) - keepEnded
	if n <= 0 {
		return
	}
	waits := make(map[string]bool, len(e.outbox))
	for _, i := range e.outbox {
		waits[i.Alert] = true
	}
	e.ended = slices.DeleteFunc(e.ended, func(a *record) bool {
		if n <= 0 || waits[a.ID] {
			return false
		}
		n--
		return true
	})
}

// settle puts what has changed into words, and tells again what nobody has taken care of. While the NOC is at fault what is known of sites is old.
func (e *Engine) settle(now time.Time) {
	for _, a := range e.active {
		if a.changed {
			title, group := a.Title, a.Group
			e.describeOne(a)
			if a.changed = false; title != "" && (title != a.Title || group != a.Group) {
				e.note(a, Changed)
				e.now = true
			}
		}
		if e.c.Repeat > 0 && a.Severity == Critical && a.Acknowledged.IsZero() && (a.Rule.Own() || e.faulty.IsZero()) {
			for _, ch := range e.c.Channels {
				if at, ok := a.Told[ch.Name()]; ok && !keepsState(ch) && now.Sub(at) >= e.c.Repeat && !e.waits(ch.Name(), a.ID) {
					e.put(ch, a, Repeated)
				}
			}
		}
	}
}

// describeOne puts an alert into words, with the troubles that are part of it now.
func (e *Engine) describeOne(a *record) {
	if a.Rule.Own() {
		return
	}
	members := map[string]*trouble{}
	for _, id := range a.Sites {
		if tr := e.tracks[id]; tr != nil {
			if t := tr.of(a.Kind); t != nil && t.Alert == a.ID {
				members[id] = t
			}
		}
	}
	of := 0
	for _, id := range e.members[a.Key] {
		if st := e.sites[id]; st != nil && st.State != fleet.NeverSeen {
			of++
		}
	}
	e.describe(a, members, of)
}

// lookAcknowledged asks the journal who takes care of what.
func (e *Engine) lookAcknowledged(now time.Time) {
	if e.c.Journal == nil || now.Sub(e.asked) < askJournal && !now.Before(e.asked) {
		return
	}
	e.asked = now
	for _, a := range e.active {
		by, at, ok := e.acknowledged(a)
		if !ok {
			by, at = "", time.Time{}
		}
		if by != a.AcknowledgedBy || !at.Equal(a.Acknowledged) {
			a.AcknowledgedBy, a.Acknowledged = by, at
			e.now = true
			e.note(a, Changed)
		}
	}
}

// acknowledged is who takes care of an alert: of itself, or of each of its sites that is not well yet.
func (e *Engine) acknowledged(a *record) (by string, at time.Time, ok bool) {
	if entry, ok := e.c.Journal.AcknowledgedAlert(a.ID); ok {
		return entry.Who, entry.At, true
	}
	for _, id := range a.Sites {
		if slices.Contains(a.Over, id) {
			continue
		}
		entry, yes := e.c.Journal.Acknowledged(id, a.Began)
		if !yes {
			return "", time.Time{}, false
		}
		if entry.At.After(at) {
			by, at = entry.Who, entry.At
		}
		ok = true
	}
	return by, at, ok
}

// copied is an alert for those outside.
func (a *record) copied() Alert {
	out := a.Alert
	out.Sites, out.Over = slices.Clone(a.Sites), slices.Clone(a.Over)
	return out
}

// Calm is until when no outage is told, since sites have to come back after a start or a fault of the NOC; zero when that is over.
func (e *Engine) Calm() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.c.Now().Before(e.calm) {
		return time.Time{}
	}
	return e.calm
}

// Active returns the alerts that go on, the newest first.
func (e *Engine) Active() []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Alert, 0, len(e.active))
	for _, a := range e.active {
		out = append(out, a.copied())
	}
	slices.SortFunc(out, func(a, b Alert) int {
		if c := b.Raised.Compare(a.Raised); c != 0 {
			return c
		}
		return compare(a.ID, b.ID)
	})
	return out
}

// Recent returns alerts that are over, the newest end first, at most so many of the last 200.
func (e *Engine) Recent(max int) []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []Alert{}
	for _, a := range slices.Backward(e.ended) {
		if len(out) >= max {
			break
		}
		out = append(out, a.copied())
	}
	return out
}

// Deliveries returns the last attempts to tell somebody, the newest first, at most so many of the last 200.
func (e *Engine) Deliveries(max int) []Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []Delivery{}
	for _, d := range slices.Backward(e.tries) {
		if len(out) >= max {
			break
		}
		out = append(out, d)
	}
	return out
}

// Subscribe returns a channel that gets a value when alerts or deliveries have changed; a value unread stands for all changes since. Cancel may be called
// more than once.
func (e *Engine) Subscribe() (ch <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.subs[c] = struct{}{}
	return c, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.subs, c)
	}
}

// tell tells subscribers. The mutex is held.
func (e *Engine) tell() {
	for c := range e.subs {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
