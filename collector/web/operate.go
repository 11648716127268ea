package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/telemetry"
)

// typed is a form as somebody has sent it, with what is wrong with it.
type typed struct {
	Form   string // which of the page's forms
	Values url.Values
	Faults map[string]string // by field; "" is of the whole
}

// Is is for the template: whether it is that form that came back.
func (t typed) Is(form string) bool { return t.Form == form }

// Of is what was typed into a field of that form; the other where the form was not sent.
func (t typed) Of(form, field, other string) string {
	if t.Form != form {
		return other
	}
	return t.Values.Get(field)
}

// Fault is what is wrong with a field of that form.
func (t typed) Fault(form, field string) string {
	if t.Form != form {
		return ""
	}
	return t.Faults[field]
}

// dict hands several values to a template by name; a name without a value is a fault of the template.
func dict(pairs ...any) (map[string]any, error) {
	out := map[string]any{"Value": "", "List": ""}
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict: a name has no value")
	}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// operating is what a page shows of operators' work on a site.
type operating struct {
	May, Journal bool // who asks may write; there is a journal
	Typed        typed
	Said         string // what was done just now
	Query        string // of the page, with its "?", so that a form comes back to it
	Troubled     bool   // there is something to acknowledge
	Ack          *note
	Notes        []note
	MoreNotes    int // that the page leaves out
	Running      *windowRow
	Windows      []windowRow // planned for this site
	Asked        []asked
	Askable      []string // agents that can be asked for something now
	NotNow       string   // why none can
}

// note is one entry of the journal, in words.
type note struct{ At, Machine, Who, What, Text, Kind string }

// asked is one command, in words.
type asked struct{ At, Machine, Who, Agent, What, State, Text, Data string }

// maxNotes and maxAsked bound what a page shows.
const (
	maxNotes = 50
	maxAsked = 10
)

// maxWritten bounds what a form of an operator's may bring, in bytes: the longest text in any script, as browsers write it.
const maxWritten = 64 << 10

// deeds are what a page says after something was done, by the word in its address.
var deeds = map[string]string{
	"comment": "Your comment is kept.", "acknowledge": "It is acknowledged: others see that you take care of it.", "plan": "The maintenance window is planned.",
	"cancel": "The maintenance window is cancelled.", "speedtest": "A speed test is asked for. What becomes of it is shown below.",
	"diagnostics": "Diagnostics are asked for. What the agent says is shown below.",
}

// mayOperate tells whether who asks may change something.
func mayOperate(r *http.Request) bool { return visitorOf(r).Role.Allows(people.Operator) }

// operatingOf gathers it.
func (s *server) operatingOf(r *http.Request, st *fleet.Status, ack *journal.Entry, t typed) operating {
	o := operating{May: mayOperate(r), Journal: s.Journal != nil, Typed: t, Said: deeds[r.URL.Query().Get("said")], Troubled: troubled(st.State), Query: queryOf(r)}
	if o.Journal {
		if ack != nil {
			n := newNote(*ack, st.Now)
			o.Ack = &n
		}
		all := s.Journal.Of(st.Site.ID)
		o.MoreNotes = max(0, len(all)-maxNotes)
		for _, e := range all[:min(len(all), maxNotes)] {
			o.Notes = append(o.Notes, newNote(e, st.Now))
		}
		for _, w := range s.Journal.Windows() {
			if w.Scope.Has(st.Site) {
				row := newWindowRow(w, st.Now)
				o.Windows = append(o.Windows, row)
			}
		}
		sortWindows(o.Windows)
		if w, ok := s.Journal.Maintenance(st.Site, st.Now); ok {
			row := newWindowRow(w, st.Now)
			if until, ok := w.Running(st.Now); ok {
				row.Until = moment(until, st.Now) // by the clock of the site, as all else on its page
			}
			o.Running = &row
		}
	}
	s.askable(&o, st)
	return o
}

// askable tells what was asked of the site's agents and what can be.
func (s *server) askable(o *operating, st *fleet.Status) {
	if s.Commands == nil {
		o.NotNow = "Not available: this collector sends no commands to agents."
		return
	}
	if !o.May { // what agents answer is for operators
		return
	}
	all := s.Commands.Of(st.Site.ID)
	for _, c := range all[:min(len(all), maxAsked)] {
		o.Asked = append(o.Asked, asked{At: moment(c.Asked, st.Now), Machine: c.Asked.Format(time.RFC3339), Who: c.Who, Agent: c.Agent, What: commandWord(c.Kind),
			State: string(c.State), Text: c.Text, Data: c.Data})
	}
	for _, a := range st.Agents {
		if a.Connected {
			o.Askable = append(o.Askable, a.Agent)
		}
	}
	if len(o.Askable) == 0 {
		o.NotNow = "Not now: no agent of this site is connected."
	}
}

func commandWord(k command.Kind) string {
	if k == telemetry.CommandSpeedtest {
		return "speed test"
	}
	return string(k)
}

func newNote(e journal.Entry, now time.Time) note {
	n := note{At: moment(e.At, now), Machine: e.At.Format(time.RFC3339), Who: e.Who, Text: e.Text, Kind: string(e.Kind)}
	switch e.Kind {
	case journal.Comment:
		n.What = "wrote"
	case journal.Acknowledge:
		n.What = "acknowledged"
	case journal.Maintenance:
		w := newWindowRow(*e.Window, now)
		n.What, n.Text = "planned maintenance, "+w.When, e.Window.Reason
		if e.Window.Zone != now.Location().String() {
			n.What += " (" + w.Zone + ")"
		}
	case journal.Cancel:
		n.What = "cancelled maintenance"
	case journal.Command:
		n.What = "asked"
	}
	return n
}

// queryOf is what of a page's address chooses what it shows.
func queryOf(r *http.Request) string {
	q := url.Values{}
	for _, k := range []string{"range", "from", "to", "agent"} {
		if v := r.URL.Query().Get(k); v != "" {
			q.Set(k, v)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// troubled tells whether a site is in a state that somebody has to take care of.
func troubled(state fleet.SiteState) bool {
	return state == fleet.Down || state == fleet.Unreachable || state == fleet.Off || state == fleet.Degraded
}

// troubleSince is when a site was up last, as far as is known: a trouble that turns from one cause into another, or into silence, is the same one.
func troubleSince(st *fleet.Status) time.Time {
	since := st.Since
	if t := st.Told.Since; troubled(fleet.SiteState(st.Told.State)) && t.Before(since) {
		since = t
	}
	for _, seg := range slices.Backward(st.Ribbon) {
		if seg.State == telemetry.StateUp {
			if end := time.UnixMilli(seg.End); end.Before(since) {
				return end
			}
			break
		}
	}
	return since
}

// acknowledged is who takes care of a site's trouble; nil where nobody does. Few sites have an acknowledgement, and only of these the last day is looked at.
func (s *server) acknowledged(st *fleet.Status) *journal.Entry {
	if s.Journal == nil || !troubled(st.State) {
		return nil
	}
	e, ok := s.Journal.Acknowledged(st.Site.ID, time.Time{}) // the newest, whatever it was of
	if !ok {
		return nil
	}
	if e.At.Before(st.Since) {
		one := []fleet.Status{*st}
		s.Live.Ribbons(one)
		if e.At.Before(troubleSince(&one[0]).Truncate(time.Millisecond)) {
			return nil
		}
	}
	return &e
}

// careOfAlerts is who takes care of the outages that alerts tell of, by each of their sites that is not well yet. Who looks after a battery or a disk takes care of no outage.
func (s *server) careOfAlerts() map[string]*journal.Entry {
	if s.Alerts == nil {
		return nil
	}
	care := map[string]*journal.Entry{}
	for _, a := range s.Alerts.Active() {
		if a.Acknowledged.IsZero() || !slices.Contains([]alert.Rule{alert.Unreachable, alert.Down, alert.Degraded, alert.Flapping}, a.Rule) {
			continue
		}
		over := make(map[string]bool, len(a.Over))
		for _, id := range a.Over {
			over[id] = true
		}
		one := journal.Entry{At: a.Acknowledged, Who: a.AcknowledgedBy, Kind: journal.Acknowledge, Alert: a.ID, Text: s.doneAbout(a.ID)}
		for _, id := range a.Sites {
			if !over[id] {
				care[id] = &one
			}
		}
	}
	return care
}

// doneAbout is what was written when an alert was acknowledged; "" where it was its sites that were.
func (s *server) doneAbout(id string) string {
	if s.Journal == nil {
		return ""
	}
	e, _ := s.Journal.AcknowledgedAlert(id)
	return e.Text
}

// faultsOf finds what is wrong with each field in an error of the journal; ok is false where it holds anything else.
func faultsOf(err error) (faults map[string]string, ok bool) {
	var one *journal.Fault
	if many, is := err.(interface{ Unwrap() []error }); is {
		faults, ok = map[string]string{}, true
		for _, e := range many.Unwrap() {
			more, fine := faultsOf(e)
			ok = ok && fine
			for k, v := range more {
				if _, there := faults[k]; !there {
					faults[k] = v
				}
			}
		}
		return faults, ok && len(faults) > 0
	}
	if errors.As(err, &one) {
		return map[string]string{one.Field: one.What}, true
	}
	return nil, false
}

// posted reads a form of a site's page and answers itself when that is not possible.
func (s *server) posted(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxWritten)
	if err := r.ParseForm(); err != nil {
		s.failed(w, http.StatusBadRequest, "The form could not be read", "Nothing has been done. Go back and send it again; a text has 1000 characters at most.")
		return false
	}
	if s.Journal == nil {
		s.failed(w, http.StatusServiceUnavailable, "Nothing can be written here", "This collector keeps no journal.")
		return false
	}
	return true
}

// write keeps an entry and goes on to where it is shown. What was typed wrongly comes back with what is wrong with it.
func (s *server) write(w http.ResponseWriter, r *http.Request, what, on, to string, do func(who string) (journal.Entry, error), again func(status int, faults map[string]string)) {
	v := visitorOf(r)
	e, err := do(v.Name)
	if faults, ok := faultsOf(err); ok {
		again(http.StatusUnprocessableEntity, faults)
		return
	}
	if err != nil {
		s.Log.Error("what an operator wrote could not be kept", "what", what, "error", err)
		_ = s.record(r, v, audit.Entry{What: what, On: on, Outcome: audit.Failed, Detail: err.Error()}) // was logged
		again(http.StatusServiceUnavailable, map[string]string{"": "It could not be kept: " + err.Error()})
		return
	}
	if s.record(r, v, audit.Entry{What: what, On: on, Outcome: audit.Done, Detail: "journal " + strconv.FormatUint(e.ID, 10)}) != nil {
		s.failed(w, http.StatusInternalServerError, "It is done, and the audit log could not be written", "The journal has who did it and when. See to the disk of the collector.")
		return
	}
	seeOther(w, r, to)
}

func seeOther(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// backTo is a site's page that says what was done.
func backTo(r *http.Request, id, said string) string {
	q := strings.TrimPrefix(queryOf(r), "?")
	if q != "" {
		q += "&"
	}
	return "/sites/" + id + "?" + q + "said=" + said + "#operate"
}

// onSite finds the site of a form.
func (s *server) onSite(w http.ResponseWriter, r *http.Request) (fleet.Status, bool) {
	st, ok := s.Live.Site(r.PathValue("id"))
	if !ok {
		s.noSite(w, r.PathValue("id"))
		return st, false
	}
	return st, s.posted(w, r)
}

func (s *server) comment(w http.ResponseWriter, r *http.Request) {
	s.writeOnSite(w, r, "comment", func(who, site, text string) (journal.Entry, error) { return s.Journal.Comment(who, site, text) })
}

func (s *server) acknowledge(w http.ResponseWriter, r *http.Request) {
	s.writeOnSite(w, r, "acknowledge", func(who, site, text string) (journal.Entry, error) { return s.Journal.Acknowledge(who, site, "", text) })
}

func (s *server) writeOnSite(w http.ResponseWriter, r *http.Request, form string, do func(who, site, text string) (journal.Entry, error)) {
	st, ok := s.onSite(w, r)
	if !ok {
		return
	}
	again := func(status int, faults map[string]string) { s.showSite(w, r, status, typed{form, r.PostForm, faults}) }
	if form == "acknowledge" && !troubled(st.State) {
		again(http.StatusConflict, map[string]string{"": "There is nothing to acknowledge: the site is " + strings.ToLower(stateWord(string(st.State))) + "."})
		return
	}
	s.write(w, r, form, st.Site.ID, backTo(r, st.Site.ID, form), func(who string) (journal.Entry, error) { return do(who, st.Site.ID, r.PostForm.Get("text")) }, again)
}
