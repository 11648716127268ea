package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/journal"
)

// apiWindow is a maintenance window as the API tells it.
type apiWindow struct {
	ID      uint64        `json:"id"`
	Scope   journal.Scope `json:"scope"`
	From    time.Time     `json:"from"`
	To      *time.Time    `json:"to"`     // null: until it is cancelled
	Weekly  string        `json:"weekly"` // "" is once
	Zone    string        `json:"zone"`
	Who     string        `json:"who"`
	Reason  string        `json:"reason"`
	Running bool          `json:"running"`
	Next    *time.Time    `json:"next"`  // when it runs next, now where it does; null: never again
	Until   *time.Time    `json:"until"` // and until when
}

func newAPIWindow(w journal.Window, now time.Time) apiWindow {
	out := apiWindow{ID: w.ID, Scope: w.Scope, From: w.From.UTC(), To: instantOrNull(w.To), Weekly: w.Weekly, Zone: w.Zone, Who: w.Who, Reason: w.Reason}
	_, out.Running = w.Running(now)
	if from, to, ok := w.Next(now); ok {
		out.Next, out.Until = instantOrNull(from), instantOrNull(to)
	}
	return out
}

// apiWindows lists what is planned and runs.
func (s *server) apiWindows(w http.ResponseWriter, _ *http.Request) {
	now := s.Now()
	out := struct {
		At      time.Time   `json:"at"`
		Windows []apiWindow `json:"windows"`
	}{now.UTC(), []apiWindow{}}
	if s.Journal != nil {
		for _, one := range s.Journal.Windows() {
			out.Windows = append(out.Windows, newAPIWindow(one, now))
		}
	}
	s.json(w, http.StatusOK, out)
}

// apiPlan plans a window: a JSON object with scope, from, to, weekly, zone and reason. Times have a zone of their own.
func (s *server) apiPlan(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Scope  journal.Scope `json:"scope"`
		From   time.Time     `json:"from"`
		To     time.Time     `json:"to"`
		Weekly string        `json:"weekly"`
		Zone   string        `json:"zone"`
		Reason string        `json:"reason"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWritten))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		s.json(w, http.StatusBadRequest, apiError{"the request cannot be read: " + err.Error(),
			`send such as {"scope":{"district":"Hunza"},"weekly":"Su 02:00-04:00","zone":"Asia/Karachi","reason":"upgrades"}, times as 2026-11-27T14:30:00+05:00`})
		return
	}
	win := journal.Window{Scope: want.Scope, From: want.From, To: want.To, Weekly: want.Weekly, Zone: want.Zone, Reason: want.Reason}
	if (win.Scope != journal.Scope{}) && !s.anySite(win.Scope) {
		s.json(w, http.StatusUnprocessableEntity, apiError{"scope: matches no site", "take district and operator as /api/v1/sites has them"})
		return
	}
	s.apiWrite(w, r, "plan maintenance", scopeWords(win.Scope), http.StatusCreated, func(who string) (journal.Entry, error) { return s.Journal.Plan(who, win) })
}

// apiCancel ends a window.
func (s *server) apiCancel(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("window"), 10, 64)
	if err != nil {
		s.json(w, http.StatusNotFound, apiError{"no such window", "list them with /api/v1/maintenance"})
		return
	}
	s.apiWrite(w, r, "cancel maintenance", "window "+strconv.FormatUint(id, 10), http.StatusOK, func(who string) (journal.Entry, error) { return s.Journal.Cancel(who, id) })
}

// apiWrite keeps an entry and answers with it.
func (s *server) apiWrite(w http.ResponseWriter, r *http.Request, what, on string, status int, do func(who string) (journal.Entry, error)) {
	if s.Journal == nil {
		s.json(w, http.StatusServiceUnavailable, apiError{"this collector keeps no journal", "ask the one with the board"})
		return
	}
	v := visitorOf(r)
	e, err := do(v.Name)
	var typo *journal.Fault
	switch {
	case errors.As(err, &typo):
		s.json(w, http.StatusUnprocessableEntity, apiError{err.Error(), "mend what is named, and send it again"})
	case err != nil:
		s.Log.Error("what an operator wrote could not be kept", "what", what, "error", err)
		_ = s.record(r, v, audit.Entry{What: what, On: on, Outcome: audit.Failed, Detail: err.Error()}) // was logged
		s.json(w, http.StatusServiceUnavailable, apiError{err.Error(), "see to the collector, and send it again"})
	case s.record(r, v, audit.Entry{What: what, On: on, Outcome: audit.Done, Detail: "journal " + strconv.FormatUint(e.ID, 10)}) != nil:
		s.json(w, http.StatusInternalServerError, apiError{"it is done, and the audit log could not be written", "see to the disk of the collector"})
	default:
		s.json(w, status, e)
	}
}
