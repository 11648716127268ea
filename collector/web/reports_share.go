package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/audit"
)

// shareRow is a link to share in words; the link itself nobody can tell any more.
type shareRow struct {
	ID, Label, Who, At, Until, Used, Over string
	Open                                  bool
}

// madeShare is a link that was made just now: it is shown this once.
type madeShare struct{ Link, Label, Until string }

// sharesOf lists the links to a report, those that work first.
func (s *server) sharesOf(id string, now time.Time) (open []shareRow) {
	all, err := s.Reports.Archive.Shares()
	if err != nil { // of damaged ones; the others are there
		s.Log.Error("a share cannot be read", "error", err)
	}
	var over []shareRow
	for _, one := range all {
		if one.Report != id {
			continue
		}
		row := shareRow{ID: one.ID, Label: one.Label, Who: one.Who, At: moment(one.At, now), Open: one.Open(now)}
		if until := one.Until.In(now.Location()); !one.Until.IsZero() {
			row.Until = moment(until, now)
			if until.Format(time.TimeOnly) == "00:00:00" {
				row.Until = "the end of " + until.AddDate(0, 0, -1).Format("2 Jan 2006")
			}
		}
		if !one.Used.IsZero() {
			row.Used = moment(one.Used, now)
		}
		switch {
		case row.Open:
			open = append(open, row)
			continue
		case !one.Revoked.IsZero():
			row.Over = "revoked " + moment(one.Revoked, now) + " by " + one.RevokedBy
		default:
			row.Over = "over since " + row.Until
		}
		over = append(over, row)
	}
	return append(open, over...)
}

// share makes a link by which anybody can read one report.
func (s *server) share(w http.ResponseWriter, r *http.Request) {
	if s.noReports(w) || !s.parsed(w, r) {
		return
	}
	id, now := r.PathValue("id"), s.Now()
	if _, _, err := s.kept(w, id, ""); err != nil { // the page that shows the link could not be drawn
		return
	}
	t := typed{"share", r.PostForm, map[string]string{}}
	label := oneLine(r.PostForm.Get("label"))
	switch {
	case label == "":
		t.Faults["label"] = "Say for whom the link is, so that others know what to revoke."
	case len(label) > archive.MaxText:
		t.Faults["label"] = fmt.Sprintf("It is too long: %d bytes, and %d are the most; a letter of Urdu takes two.", len(label), archive.MaxText)
	}
	var until time.Time
	if text := strings.TrimSpace(r.PostForm.Get("until")); text != "" {
		day, err := time.ParseInLocation(time.DateOnly, text, now.Location())
		y, m, d := day.Date()
		switch until = time.Date(y, m, d+1, 0, 0, 0, 0, now.Location()); {
		case err != nil:
			t.Faults["until"] = "This is no day; write it as 2026-12-31."
		case !until.After(now):
			t.Faults["until"] = "This day is over; choose a later one, or none."
		}
	}
	if len(t.Faults) > 0 {
		s.showPublished(w, r, http.StatusUnprocessableEntity, func(p *publishedPage) { p.Share = t })
		return
	}
	v := visitorOf(r)
	token, one, err := s.Reports.Archive.Share(id, label, v.Name, until)
	if err != nil {
		s.Log.Error("a report could not be shared", "report", id, "error", err)
		_ = s.record(r, v, audit.Entry{What: "share report", On: id, Outcome: audit.Failed, Detail: err.Error()}) // was logged
		t.Faults[""] = sentence(err.Error())
		s.showPublished(w, r, http.StatusServiceUnavailable, func(p *publishedPage) { p.Share = t })
		return
	}
	if s.record(r, v, audit.Entry{What: "share report", On: id, Outcome: audit.Done, Detail: "link " + one.ID + " for " + label}) != nil {
		_, _ = s.Reports.Archive.Revoke(one.ID, v.Name) // nobody has it
		s.failed(w, http.StatusInternalServerError, "The audit log could not be written", "No link was made. See to the disk of the collector.")
		return
	}
	shown := madeShare{Link: s.boardAddress(r) + sharedPath + token, Label: label}
	if !until.IsZero() {
		shown.Until = until.AddDate(0, 0, -1).Format("2 January 2006")
	}
	s.showPublished(w, r, http.StatusOK, func(p *publishedPage) { p.Made = &shown })
}

// revoke ends a link.
func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	if s.noReports(w) || !s.parsed(w, r) {
		return
	}
	id, share, v := r.PathValue("id"), r.PathValue("share"), visitorOf(r)
	var mine *archive.Share
	all, _ := s.Reports.Archive.Shares() // one that is damaged works for nobody
	for _, one := range all {
		if one.ID == share && one.Report == id {
			mine = &one
		}
	}
	if mine == nil {
		s.failed(w, http.StatusNotFound, "There is no such link", "The page of the report lists those that there are.")
		return
	}
	if _, err := s.Reports.Archive.Revoke(share, v.Name); err != nil {
		s.Log.Error("a link to a report could not be revoked", "report", id, "link", share, "error", err)
		_ = s.record(r, v, audit.Entry{What: "revoke link", On: id, Outcome: audit.Failed, Detail: err.Error()}) // was logged
		s.failed(w, http.StatusServiceUnavailable, "The link is not revoked", sentence(err.Error()))
		return
	}
	if s.record(r, v, audit.Entry{What: "revoke link", On: id, Outcome: audit.Done, Detail: "link " + share + " for " + mine.Label}) != nil {
		s.failed(w, http.StatusInternalServerError, "It is revoked, and the audit log could not be written", "See to the disk of the collector.")
		return
	}
	seeOther(w, r, "/reports/"+id+"?"+url.Values{"said": {"revoked"}}.Encode()+"#shares")
}

// oneLine is a text with single spaces for all that is none of its letters.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
}

// parsed reads a form.
func (s *server) parsed(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxWritten)
	if err := r.ParseForm(); err != nil {
		s.failed(w, http.StatusBadRequest, "The form could not be read", "Nothing has been done. Go back and send it again.")
		return false
	}
	return true
}
