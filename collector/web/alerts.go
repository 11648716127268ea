package web

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/journal"
)

const (
	recentAlerts  = 100 // that are over, on the page
	recentTold    = 100 // deliveries on the page
	sitesOfAlert  = 30  // named on the page; the JSON has all
	maxAPIAlerts  = 1000
	maxDeliveries = 1000
)

type alertsTop struct {
	head
	List template.HTML // as a stream sends it
	None bool          // this collector has no alerts
	Said string        // what was done
}

// alertRow is one alert in words.
type alertRow struct {
	ID, Rule, Title, Text, Group, Cause string
	Severity                            alert.Severity
	Word                                string // of the severity
	Began, Raised, Ended                *instant
	Lasted                              string
	Sites                               []lostSite
	More                                int
	Over                                int
	Acknowledged, Done                  string // by whom and when, and what is done about it
	Open                                bool   // nobody has, and who looks may
}

type deliveryRow struct{ At, Machine, Alert, Channel, What, Attempt, Err, Next string }

// alertLists is what the page of alerts shows, drawn anew when it changes.
type alertLists struct {
	Calm           string // until when no outage is told
	Active, Recent []alertRow
	Deliveries     []deliveryRow
}

// alertCount is how many alerts go on; -1 where this collector has none to tell of.
func (s *server) alertCount() int {
	if s.Alerts == nil {
		return -1
	}
	return len(s.Alerts.Active())
}

func alertsTitle(n int) string {
	if n <= 0 {
		return "nabz: alerts"
	}
	return fmt.Sprintf("(%d) nabz: alerts", n)
}

// alertsPage shows what goes on, what is over, and who was told.
func (s *server) alertsPage(w http.ResponseWriter, r *http.Request) {
	n := s.look()
	top := alertsTop{head: s.head(alertsTitle(n.alerts), "alerts", s.Now()), None: s.Alerts == nil}
	top.Said = deeds[r.URL.Query().Get("said")]
	top.Who, top.Alerts, top.Old, top.Events = visitorOf(r), n.alerts, n.old, "/events?show=alerts"
	if !top.None {
		top.List = template.HTML(s.alertList(n, mayOperate(r))) //nolint:gosec // made by a template
	}
	s.page(w, r, http.StatusOK, "alerts", top)
}

// alertList is the lists of the page: one for all who may acknowledge, one for all others.
func (s *server) alertList(n *snapshot, acts bool) string {
	if s.Alerts == nil {
		return ""
	}
	var l alertLists
	names := map[string]string{}
	for i := range n.sites {
		names[n.sites[i].Site.ID] = n.sites[i].Site.Title()
	}
	now := s.Now()
	if calm := s.Alerts.Calm(); !calm.IsZero() {
		l.Calm = calm.In(now.Location()).Format(time.TimeOnly)
	}
	active := s.Alerts.Active()
	row := func(a *alert.Alert) alertRow {
		r := newAlertRow(a, names, now, acts)
		if r.Acknowledged != "" {
			r.Done = s.doneAbout(a.ID)
		}
		return r
	}
	for i := range active {
		l.Active = append(l.Active, row(&active[i]))
	}
	for _, a := range s.Alerts.Recent(recentAlerts) {
		l.Recent = append(l.Recent, row(&a))
	}
	for _, d := range s.Alerts.Deliveries(recentTold) {
		l.Deliveries = append(l.Deliveries, newDeliveryRow(d, now))
	}
	return s.fragment("alert-list", l)
}

func newAlertRow(a *alert.Alert, names map[string]string, now time.Time, acts bool) alertRow {
	r := alertRow{ID: a.ID, Rule: string(a.Rule), Title: a.Title, Text: a.Text, Group: a.Group, Cause: a.Cause, Severity: a.Severity,
		Word: strings.ToUpper(string(a.Severity[:1])) + string(a.Severity[1:]), Began: newInstant(a.Began, now), Raised: newInstant(a.Raised, now), Over: len(a.Over)}
	if !a.Active() {
		r.Ended, r.Lasted = newInstant(a.Ended, now), length(a.Ended.Sub(a.Began))
	}
	for i, id := range a.Sites {
		if i == sitesOfAlert {
			r.More = len(a.Sites) - i
			break
		}
		name := names[id]
		if name == "" {
			name = id
		}
		r.Sites = append(r.Sites, lostSite{id, name})
	}
	if !a.Acknowledged.IsZero() {
		r.Acknowledged = "by " + a.AcknowledgedBy + " at " + moment(a.Acknowledged, now)
	} else {
		r.Open = acts && a.Active()
	}
	return r
}

func newDeliveryRow(d alert.Delivery, now time.Time) deliveryRow {
	r := deliveryRow{At: moment(d.At, now), Machine: d.At.UTC().Format(time.RFC3339), Alert: d.Alert, Channel: d.Channel, What: d.What, Err: d.Err}
	if d.What == alert.Noticed { // no alert, so there is nothing to lead to
		r.What, r.Alert = d.What+" "+d.Alert, ""
	}
	if d.Attempt > 1 {
		r.Attempt = fmt.Sprintf("attempt %d", d.Attempt)
	}
	if !d.Next.IsZero() {
		r.Next = "again at " + d.Next.In(now.Location()).Format(time.TimeOnly)
	}
	return r
}

// acknowledgeAlert writes down that somebody takes care of an alert that goes on.
func (s *server) acknowledgeAlert(w http.ResponseWriter, r *http.Request) {
	if !s.posted(w, r) {
		return
	}
	id := r.PathValue("id")
	if s.Alerts == nil || !slices.ContainsFunc(s.Alerts.Active(), func(a alert.Alert) bool { return a.ID == id }) {
		s.failed(w, http.StatusConflict, "This alert does not go on any more", "There is nothing to acknowledge. The list of alerts has what became of it.")
		return
	}
	again := func(status int, faults map[string]string) {
		var what []string
		for _, field := range sortedKeys(faults) {
			if field == "" {
				what = append(what, faults[field]+".")
				continue
			}
			what = append(what, "The "+field+" "+faults[field]+".")
		}
		s.failed(w, status, "It is not acknowledged", strings.Join(what, " "))
	}
	s.write(w, r, "acknowledge", "alert "+id, "/alerts?said=acknowledge", func(who string) (journal.Entry, error) {
		return s.Journal.Acknowledge(who, "", id, r.PostForm.Get("text"))
	}, again)
}

type apiAlert struct {
	ID             string         `json:"id"`
	Rule           alert.Rule     `json:"rule"`
	Severity       alert.Severity `json:"severity"`
	Title          string         `json:"title"`
	Text           string         `json:"text"`
	Group          string         `json:"group"`
	Cause          string         `json:"cause"`
	Sites          []string       `json:"sites"`
	Over           []string       `json:"over"` // of these, well again
	Began          *time.Time     `json:"began"`
	Raised         *time.Time     `json:"raised"`
	Ended          *time.Time     `json:"ended"` // null: it goes on
	Acknowledged   *time.Time     `json:"acknowledged"`
	AcknowledgedBy string         `json:"acknowledged_by"`
}

type apiDelivery struct {
	At      time.Time  `json:"at"`
	Alert   string     `json:"alert"`
	Channel string     `json:"channel"`
	What    string     `json:"what"`
	Attempt int        `json:"attempt"`
	Error   string     `json:"error"`
	Next    *time.Time `json:"next"`
}

// apiAlerts is what the page of alerts shows, for programs.
func (s *server) apiAlerts(w http.ResponseWriter, _ *http.Request) {
	if s.Alerts == nil {
		s.json(w, http.StatusNotFound, apiError{"this collector has no alerts", "ask the one with the board that raises them"})
		return
	}
	out := struct {
		At         time.Time     `json:"at"`
		Active     []apiAlert    `json:"active"`
		Recent     []apiAlert    `json:"recent"` // over, the newest end first
		Deliveries []apiDelivery `json:"deliveries"`
	}{s.Now().UTC(), apiAlertsOf(s.Alerts.Active()), apiAlertsOf(s.Alerts.Recent(maxAPIAlerts)), []apiDelivery{}}
	for _, d := range s.Alerts.Deliveries(maxDeliveries) {
		out.Deliveries = append(out.Deliveries, apiDelivery{d.At.UTC(), d.Alert, d.Channel, d.What, d.Attempt, d.Err, instantOrNull(d.Next)})
	}
	s.json(w, http.StatusOK, out)
}

func apiAlertsOf(all []alert.Alert) []apiAlert {
	out := make([]apiAlert, len(all))
	for i, a := range all {
		out[i] = apiAlert{a.ID, a.Rule, a.Severity, a.Title, a.Text, a.Group, a.Cause, listed(a.Sites), listed(a.Over), instantOrNull(a.Began),
			instantOrNull(a.Raised), instantOrNull(a.Ended), instantOrNull(a.Acknowledged), a.AcknowledgedBy}
	}
	return out
}

// listed is never null.
func listed(ids []string) []string {
	if ids == nil {
		return []string{}
	}
	return ids
}
