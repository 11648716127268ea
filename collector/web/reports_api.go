package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/report"
)

// The API's words of published reports.
type (
	apiReport struct {
		ID        string        `json:"id"`
		Title     string        `json:"title"`
		From      time.Time     `json:"from"`
		To        time.Time     `json:"to"`
		Link      string        `json:"link"`      // of the newest revision, on the board
		Revisions []apiRevision `json:"revisions"` // the newest first
		Damage    []string      `json:"damage,omitempty"`
	}
	apiRevision struct {
		Revision int              `json:"revision"`
		SHA256   string           `json:"sha256"` // of the bytes that are at link
		Bytes    int64            `json:"bytes"`
		Who      string           `json:"who"`
		At       time.Time        `json:"at"`
		Link     string           `json:"link"` // its JSON
		Changes  *archive.Changes `json:"changes,omitempty"`
		Note     string           `json:"note,omitempty"`
	}
)

func newAPIRevision(r archive.Revision, whole bool) apiRevision {
	out := apiRevision{Revision: r.Number, SHA256: r.SHA256, Bytes: r.Bytes, Who: r.Who, At: r.At.UTC(), Link: "/api/v1/reports/" + r.Permalink(), Note: r.Note}
	if whole {
		out.Changes = &r.Changes
	}
	return out
}

func newAPIReport(one archive.Report, whole bool) apiReport {
	n := one.Newest()
	out := apiReport{ID: one.ID, Title: n.Title, From: n.From, To: n.To, Link: "/reports/" + one.ID, Revisions: []apiRevision{}}
	for _, r := range one.Revisions {
		out.Revisions = append(out.Revisions, newAPIRevision(r, whole))
	}
	for _, d := range one.Damage {
		out.Damage = append(out.Damage, d.Error())
	}
	return out
}

// apiReports lists what is published.
func (s *server) apiReports(w http.ResponseWriter, _ *http.Request) {
	if s.apiNoReports(w) {
		return
	}
	all, err := s.Reports.Archive.List()
	if err != nil {
		s.apiFault(w, err)
		return
	}
	out := struct {
		Reports []apiReport `json:"reports"` // the one published last first
	}{[]apiReport{}}
	for _, one := range all {
		out.Reports = append(out.Reports, newAPIReport(one, false))
	}
	s.json(w, http.StatusOK, out)
}

// apiReport tells of one report, with what each revision changed.
func (s *server) apiReport(w http.ResponseWriter, r *http.Request) {
	if s.apiNoReports(w) {
		return
	}
	one, err := s.Reports.Archive.Report(r.PathValue("id"))
	if err != nil {
		s.apiFault(w, err)
		return
	}
	s.json(w, http.StatusOK, newAPIReport(one, true))
}

// apiRevision is the report itself, byte for byte as it was published.
func (s *server) apiRevision(w http.ResponseWriter, r *http.Request) {
	if _, doc, ok := s.apiKept(w, r); ok {
		s.canonical(w, http.StatusOK, doc)
	}
}

func (s *server) apiKept(w http.ResponseWriter, r *http.Request) (rev archive.Revision, doc []byte, ok bool) {
	if s.apiNoReports(w) {
		return rev, nil, false
	}
	n, err := number(r.PathValue("revision"))
	if err == nil {
		rev, doc, err = s.Reports.Archive.Get(r.PathValue("id"), n)
	}
	if err != nil {
		s.apiFault(w, err)
	}
	return rev, doc, err == nil
}

// canonical sends the bytes of a report as they are: without an end of line, so that their SHA-256 is that of the report.
func (s *server) canonical(w http.ResponseWriter, status int, doc []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(doc)
}

// apiPreview makes a report and publishes nothing.
func (s *server) apiPreview(w http.ResponseWriter, r *http.Request) {
	if s.apiNoReports(w) {
		return
	}
	if m, ok := s.apiMake(w, r, questionOf(r.URL.Query()).Question); ok {
		s.canonical(w, http.StatusOK, m.doc)
	}
}

func (s *server) apiMake(w http.ResponseWriter, r *http.Request, q report.Question) (*made, bool) {
	a, err := s.Reports.Desk.Ask(q)
	if err != nil {
		s.json(w, http.StatusUnprocessableEntity, apiError{err.Error(), "ask with period=2026-10, sites=all or sites=district=NAME, time_zone=, peak_hours=, benchmarks="})
		return nil, false
	}
	m, err := s.wait(w, r, a)
	if err != nil {
		s.apiFault(w, err)
	}
	return m, err == nil
}

// apiPublish makes a report and keeps it: a JSON object with period, sites, time_zone, peak_hours and benchmarks, each as the programme has it where it is left out.
func (s *server) apiPublish(w http.ResponseWriter, r *http.Request) {
	if s.apiNoReports(w) {
		return
	}
	var want struct {
		Period     string   `json:"period"`
		Sites      []string `json:"sites"`
		TimeZone   string   `json:"time_zone"`
		PeakHours  string   `json:"peak_hours"`
		Benchmarks []string `json:"benchmarks"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxWritten))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		s.json(w, http.StatusBadRequest, apiError{"the request cannot be read: " + err.Error(), `send such as {"period":"2026-10","sites":["district=Hunza"]}`})
		return
	}
	m, ok := s.apiMake(w, r, report.Question(want))
	if !ok {
		return
	}
	rev, fresh, err := s.publish(r, m)
	if err != nil {
		s.json(w, http.StatusServiceUnavailable, apiError{err.Error(), "see to the collector's disk, and publish again: it does no harm to do so twice"})
		return
	}
	status := http.StatusOK // nothing had changed
	if fresh {
		status = http.StatusCreated
		w.Header().Set("Location", "/api/v1/reports/"+rev.Permalink())
	}
	s.json(w, status, struct {
		ID    string `json:"id"`
		Fresh bool   `json:"fresh"` // there is a revision more
		Page  string `json:"page"`
		apiRevision
	}{rev.ID, fresh, "/reports/" + rev.Permalink(), newAPIRevision(rev, true)})
}

// apiCheck tells whether the ledger still says what a revision says, and what differs.
func (s *server) apiCheck(w http.ResponseWriter, r *http.Request) {
	rev, doc, ok := s.apiKept(w, r)
	if !ok {
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a recorder has none
	now, _, err := s.Reports.differs(r.Context(), readMade(rev, doc), 0)
	var changes archive.Changes
	if err == nil {
		changes, err = archive.Diff(doc, now.doc, archive.MostChanges)
	}
	if err != nil {
		s.apiFault(w, err)
		return
	}
	s.json(w, http.StatusOK, struct {
		Same    bool            `json:"same"`
		SHA256  string          `json:"sha256"`     // of the revision
		Now     string          `json:"now_sha256"` // of what the ledger says today
		Changes archive.Changes `json:"changes"`
	}{now.sum == rev.SHA256, rev.SHA256, now.sum, changes})
}

func (s *server) apiNoReports(w http.ResponseWriter) bool {
	if s.Reports == nil {
		s.json(w, http.StatusNotFound, apiError{"this collector makes no reports", "ask the one with the board"})
	}
	return s.Reports == nil
}

func (s *server) apiFault(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, archive.ErrNone):
		s.json(w, http.StatusNotFound, apiError{"there is no such report", "list those that are published with /api/v1/reports"})
	case errors.Is(err, archive.ErrDamaged):
		s.Log.Error("a published report is damaged", "error", err)
		s.json(w, http.StatusInternalServerError, apiError{err.Error(), "put the file back from a backup"})
	default:
		status, what, do := cannot(err)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "30")
		}
		s.json(w, status, apiError{what, do})
	}
}
