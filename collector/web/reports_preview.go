package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

// pageWaits is how long a page waits for a report before it says how far it is.
const pageWaits = time.Second

// makingPage is shown while a report is made, or checked. Without scripts the browser asks again each second.
type makingPage struct {
	head
	progress
	What string
	Back string
}

// previewPage is a report that is not published.
type previewPage struct {
	head
	May       bool
	Article   template.HTML
	Text      *language.Text
	Languages []languageLink
	Forms     []formLink
	Question  string // the address of the form with this question in it
	Values    url.Values
	SHA256    string
	ID        string
	Before    *publishedRow // the newest revision of that report
	Same      bool          // as this
	Changes   archive.Changes
	Differs   []change
	Fault     string // it was not published
}

// languageLink is the same in another language.
type languageLink struct {
	Code, Name, URL string
	RTL, Here       bool
}

// asked reads the question of an address and answers itself where it cannot be made.
func (s *server) asked(w http.ResponseWriter, r *http.Request, values url.Values) (a report.Ask, in *language.Text, ok bool) {
	if s.noReports(w) {
		return a, nil, false
	}
	q := questionOf(values)
	faults := map[string]string{}
	if values.Has("choose") {
		q, faults = questionOfForm(values)
	} else {
		values = formOf(q)
	}
	a, err := s.Reports.Desk.Ask(q.Question)
	if err != nil {
		for field, what := range faultsOfQuestion(err) {
			if faults[field] == "" {
				faults[field] = what
			}
		}
	}
	in = s.Reports.text(q.Language)
	if q.Language != "" && in.Code() != q.Language {
		faults["lang"] = fmt.Sprintf("There is no language %q here.", q.Language)
	}
	if len(faults) > 0 {
		s.showReports(w, r, http.StatusUnprocessableEntity, typed{"make", values, faults})
		return a, in, false
	}
	return a, in, true
}

// preview makes a report and shows it. What a form sent, or last-month, leads to the one address of what it means now.
func (s *server) preview(w http.ResponseWriter, r *http.Request) {
	a, in, ok := s.asked(w, r, r.URL.Query())
	if !ok {
		return
	}
	here := questionAddress(a, in.Code())
	if r.URL.RawQuery != here.Encode() {
		seeOther(w, r, "/reports/preview?"+here.Encode())
		return
	}
	s.showPreview(w, r, a, in, http.StatusOK, "")
}

func (s *server) showPreview(w http.ResponseWriter, r *http.Request, a report.Ask, in *language.Text, status int, fault string) {
	here := questionAddress(a, in.Code())
	m, done, err := s.Reports.make(r.Context(), a, pageWaits)
	if err != nil {
		s.cannotMake(w, r, err)
		return
	}
	if m == nil {
		s.making(w, r, done, "Report "+a.Period.Text, "/reports?"+here.Encode())
		return
	}
	p := previewPage{head: s.head("Report "+a.Period.Text+", not published – nabz", "report", s.Now()), May: mayOperate(r), Text: in, Question: "/reports?" + here.Encode(), Values: here,
		SHA256: m.sum, ID: m.report.ID(), Fault: fault, Forms: formLinks("/reports/preview/", "?"+here.Encode()), Languages: s.languageLinks(in, func(code string) string {
			other := questionAddress(a, code)
			return "/reports/preview?" + other.Encode()
		})}
	p.Who = visitorOf(r)
	switch rev, old, err := s.Reports.Archive.Get(p.ID, 0); {
	case err == nil:
		row := publishedRowOf(archive.Report{ID: p.ID, Revisions: []archive.Revision{rev}}, s.Now())
		p.Before, p.Same = &row, rev.SHA256 == m.sum
		if p.Same {
			shown := *m
			shown.as.Revision, shown.as.Published = rev.Number, rev.At
			m = &shown
		}
		if p.Changes, err = archive.Diff(old, m.doc, archive.MostChanges); err != nil {
			s.Log.Error("two reports cannot be compared", "report", p.ID, "error", err)
		}
		p.Differs = changesOf(p.Changes)
	case !errors.Is(err, archive.ErrNone):
		s.Log.Error("a published report cannot be read", "report", p.ID, "error", err)
	}
	if p.Article, _, err = article(m, in); err != nil {
		s.fault(w, r, err)
		return
	}
	s.page(w, r, status, "preview", p)
}

// making says how far it is.
func (s *server) making(w http.ResponseWriter, r *http.Request, done progress, what, back string) {
	p := makingPage{head: s.head(what+" is being made – nabz", "making", s.Now()), progress: done, What: what, Back: back}
	p.Who, p.Again = visitorOf(r), true
	s.page(w, r, http.StatusAccepted, "making", p)
}

func (s *server) languageLinks(in *language.Text, url func(code string) string) (all []languageLink) {
	for _, t := range s.Reports.Languages {
		all = append(all, languageLink{t.Code(), t.Name(), url(t.Code()), t.RTL(), t.Code() == in.Code()})
	}
	return all
}

// article is a report as a part of a page, and its title.
func article(m *made, in *language.Text) (article template.HTML, title string, err error) {
	d := prose.Document(m.report, m.as, in)
	var b bytes.Buffer
	err = press.HTML(&b, d)
	return template.HTML(b.String()), d.Title, err // it escapes what it is given
}

// publishForm keeps what somebody has looked at.
func (s *server) publishForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxWritten)
	if err := r.ParseForm(); err != nil {
		s.failed(w, http.StatusBadRequest, "The form could not be read", "Nothing has been published. Go back and send it again.")
		return
	}
	a, in, ok := s.asked(w, r, r.PostForm) // the question, as the page's address had it
	if !ok {
		return
	}
	looked := r.PostForm.Get("sha256")
	m := s.Reports.shop.seen(looked)
	if m == nil {
		var err error
		if m, err = s.wait(w, r, a); err != nil {
			s.cannotMake(w, r, err)
			return
		}
	}
	if m.sum != looked {
		s.showPreview(w, r, a, in, http.StatusConflict, "Nothing was published: the ledger, or the list of sites, has changed since you looked. This is the report as it is now. Look at it, and publish it if it is right.")
		return
	}
	rev, fresh, err := s.publish(r, m)
	if err != nil {
		s.showPreview(w, r, a, in, http.StatusServiceUnavailable, sentence(err.Error()))
		return
	}
	said := "published"
	if !fresh {
		said = "unchanged"
	}
	seeOther(w, r, "/reports/"+rev.Permalink()+"?"+url.Values{"lang": {in.Code()}, "said": {said}}.Encode())
}

// wait has a report made while the request waits, as long as that takes.
func (s *server) wait(w http.ResponseWriter, r *http.Request, a report.Ask) (*made, error) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a recorder has none
	m, _, err := s.Reports.make(r.Context(), a, 0)
	return m, err
}

// publish keeps a report for ever, and records who wanted it.
func (s *server) publish(r *http.Request, m *made) (rev archive.Revision, fresh bool, err error) {
	v := visitorOf(r)
	id := m.report.ID()
	title := prose.Listed(m.report, archive.MaxText)
	rev, fresh, err = s.Reports.Archive.Publish(m.doc, archive.Meta{ID: id, Title: title, From: m.report.From, To: m.report.To, Who: v.Name, At: s.Now()})
	if err != nil {
		s.Log.Error("a report could not be published", "report", id, "error", err)
		_ = s.record(r, v, audit.Entry{What: "publish report", On: id, Outcome: audit.Failed, Detail: err.Error()}) // was logged
		return rev, false, err
	}
	detail := "sha256 " + rev.SHA256
	if !fresh {
		detail = "nothing had changed, " + detail
	}
	if err := s.record(r, v, audit.Entry{What: "publish report", On: rev.Permalink(), Outcome: audit.Done, Detail: detail}); err != nil {
		return rev, fresh, fmt.Errorf("it is published as %s, and the audit log could not be written; see to the disk of the collector", rev.Permalink())
	}
	return rev, fresh, nil
}
