package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// ownTrouble is something wrong at the NOC itself.
type ownTrouble struct {
	Rule  Rule      `json:"rule"`
	Since time.Time `json:"since"`
	Good  time.Time `json:"good,omitzero"`
	Text  string    `json:"text"`
	Alert string    `json:"alert,omitempty"`
}

// lookOwn looks at what the NOC depends on, and tells whether it is at fault. After a fault sites are given as long again as it took, and as long as the grace time at most.
func (e *Engine) lookOwn(checks []Check, now time.Time) (fault bool) {
	seen := map[string]bool{}
	for _, c := range checks {
		key := "check " + c.Name
		seen[key] = true
		rule := Collector
		if c.Name == "InfluxDB" {
			rule = InfluxDB
		}
		text := ""
		if c.Err != nil {
			text, fault = c.Err.Error(), true
		}
		e.observeOwn(key, rule, c.Err != nil, text, now, e.c.OwnAfter)
	}
	for key, o := range e.own { // a check that is not made any more
		if (o.Rule == Collector || o.Rule == InfluxDB) && !seen[key] && key != lostKey {
			e.observeOwn(key, o.Rule, false, "", now, 0)
		}
	}
	e.lookCertificates(now)
	switch {
	case fault && e.faulty.IsZero():
		e.faulty = now
	case !fault && !e.faulty.IsZero():
		e.calm = latest(e.calm, now.Add(min(e.c.Grace, now.Sub(e.faulty))))
		e.faulty, e.known = time.Time{}, false
	}
	return fault
}

const certificateEnded = " ended"

func (e *Engine) lookCertificates(now time.Time) {
	all, seen := []Expiry(nil), map[string]bool{}
	if e.c.Certificates != nil {
		all = e.c.Certificates()
	}
	for _, c := range all {
		left := c.End.Sub(now)
		soon := e.c.CertificateWithin > 0 && left < e.c.CertificateWithin
		text := fmt.Sprintf("%s ends on %s, in %d days, and then %s; %s", c.Name, e.clock(c.End), int(left.Hours()/24), c.Then, c.Next)
		if left <= 0 {
			text = fmt.Sprintf("%s%s on %s, so %s; %s", c.Name, certificateEnded, e.clock(c.End), c.Then, c.Next)
		}
		key := "certificate " + c.Name
		seen[key] = true
		e.observeOwn(key, Certificate, soon, text, now, 0)
	}
	for key, o := range e.own { // one that is not in use any more
		if o.Rule == Certificate && !seen[key] {
			e.observeOwn(key, Certificate, false, "", now, 0)
		}
	}
}

// observeOwn takes in what is known of one thing of the NOC's own. It is an alert when it lasts, and over when it has been well as long.
func (e *Engine) observeOwn(key string, rule Rule, bad bool, text string, now time.Time, lasting time.Duration) {
	o := e.own[key]
	switch {
	case bad && o == nil:
		o = &ownTrouble{Rule: rule, Since: now}
		e.own[key] = o
		fallthrough
	case bad:
		o.Good, o.Text = time.Time{}, text
	case o == nil:
		return
	case o.Good.IsZero():
		o.Good = now
	}
	a := e.active[o.Alert]
	switch {
	case bad && o.Alert == "" && now.Sub(o.Since) >= lasting:
		if e.c.OwnAfter <= 0 && rule != Certificate { // switched off
			return
		}
		a = &record{Alert: Alert{ID: now.UTC().Format("20060102-150405") + "-" + slug(key), Rule: rule, Severity: rule.severity(), Began: o.Since, Raised: now}, Own: key}
		o.Alert = a.ID
		e.ownWords(a, o)
		e.add(a)
		e.note(a, Raised)
	case !bad && o.Alert == "":
		delete(e.own, key)
	case !bad && now.Sub(o.Good) >= lasting:
		delete(e.own, key)
		if a != nil {
			e.end(a, latest(o.Good, a.Began), told)
		}
	case a != nil && bad && o.Text != a.Text:
		e.ownWords(a, o)
		e.lazy = true
	}
}

func (e *Engine) ownWords(a *record, o *ownTrouble) {
	a.Text = o.Text
	switch {
	case a.Own == lostKey:
		a.Title, a.Cause = "most sites were lost at once", "the NOC's own way to the internet, or something that all operators share"
	case o.Rule == InfluxDB:
		a.Title = "InfluxDB cannot be used: nothing is stored, and agents keep what they measure"
	case o.Rule == Certificate && strings.Contains(o.Text, certificateEnded):
		a.Title = "a certificate has ended"
	case o.Rule == Certificate:
		a.Title = "a certificate ends soon"
	default:
		a.Title = "the collector is in trouble: " + strings.TrimPrefix(a.Own, "check ")
	}
}

// slug makes text fit for a URL.
func slug(s string) string {
	out := []byte{}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			out = append(out, c)
		case len(out) > 0 && out[len(out)-1] != '-':
			out = append(out, '-')
		}
	}
	return string(out)
}

// nocCut is the state of losing most sites at once, which says something of the NOC and not of them.
type nocCut struct{ on bool }

const lostKey = "lost"

// lookLost sees whether most of the sites went out together, of several groups.
func (e *Engine) lookLost(now time.Time) {
	if e.c.LostPct <= 0 || e.c.OwnAfter <= 0 { // without an alert for it none for the sites may be held back
		e.lost.on = false
		e.observeOwn(lostKey, Collector, false, "", now, 0)
		return
	}
	there, out, groups := 0, 0, map[groupKey]bool{}
	var newest, silent time.Time // when the last one was seen to be gone, and when its last word came
	for _, tr := range e.tracks {
		if t := tr.of(outage); t != nil && t.Good.IsZero() && t.State == fleet.Unreachable {
			newest, silent = latest(newest, t.Seen), latest(silent, t.Told)
		}
	}
	if !newest.IsZero() {
		for id, st := range e.sites {
			tr := e.tracks[id]
			var t *trouble
			if tr != nil {
				t = tr.of(outage)
			}
			switch {
			case t != nil && t.Good.IsZero():
				recent := !t.Seen.Before(newest.Add(-2*e.c.GroupWindow - settle))
				if e.lost.on {
					recent = t.Alert == "" // what was told before was lost before
				}
				if recent && t.State == fleet.Unreachable {
					there, out = there+1, out+1
					groups[keyOf(st.Site)] = true
				}
			case st.Heard.After(silent): // those that have said nothing since, because they report rarely, prove nothing
				there++
			}
		}
	}
	share := 100 * float64(out)
	switch {
	case !e.lost.on && out >= lostLeast && len(groups) >= 2 && share >= e.c.LostPct*float64(there):
		e.lost.on = true
		e.uncount(newest, now)
	case e.lost.on && (there == 0 || share < 50*float64(there)):
		e.lost.on = false
		if o := e.own[lostKey]; o != nil && o.Alert != "" { // not for a moment in which the others had not spoken yet
			e.calm = latest(e.calm, now.Add(e.c.Grace))
		}
	}
	text := fmt.Sprintf("%d of %d sites are unreachable, of %d groups; no alert is raised for each of them", out, there, len(groups))
	e.observeOwn(lostKey, Collector, e.lost.on, text, now, e.c.OwnAfter)
}

// uncount takes what is the NOC's own cut out of what makes sites flap. Newest is when the last site of it was seen to be gone.
func (e *Engine) uncount(newest, now time.Time) {
	for _, tr := range e.tracks {
		t := tr.of(outage)
		if t == nil || t.Alert != "" || !t.Good.IsZero() || t.State != fleet.Unreachable || t.Seen.Before(newest.Add(-2*e.c.GroupWindow-settle)) {
			continue
		}
		tr.Outages = slices.DeleteFunc(tr.Outages, t.Seen.Equal)
		if f := tr.of(flapping); f != nil && f.Alert == "" && !tr.flaps(now, e.c.FlapOutages) {
			tr.drop(flapping)
		}
	}
}
