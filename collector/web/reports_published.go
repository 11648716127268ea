package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

// publishedPage is one revision of a published report.
type publishedPage struct {
	head
	May       bool
	Said      string
	Article   template.HTML
	Fault     string // why there is none
	Text      *language.Text
	Languages []languageLink
	Forms     []formLink
	Link      string // permanent
	Revision  archive.Revision
	At        string
	Machine   string
	Newest    int
	Revisions []revisionLink // the newest first
	Changes   []change
	More      int
	Again     string // where the same question is asked of the ledger
	Checked   *checked
	Shares    []shareRow
	Share     typed
	Made      *madeShare
	Damage    []string
}

// change is one value that differs, for people.
type change struct{ Path, Old, New string }

// checked is what became of a look whether the ledger says the same.
type checked struct {
	Same    bool
	SHA256  string // of what it says now
	Changes []change
	More    int
}

var reportDeeds = map[string]string{
	"published": "It is published. This page is its permanent link.",
	"unchanged": "Nothing has changed: this revision says the same, so there is no new one.",
	"revoked":   "The link is revoked: it leads nowhere from now on.",
}

// published shows one revision for ever; without a number the newest, under an address that stays the same when there are more.
func (s *server) published(w http.ResponseWriter, r *http.Request) {
	s.showPublished(w, r, http.StatusOK, nil)
}

// kept reads a revision that is published, and answers itself where it cannot. made.report is nil where the bytes are there and are of a definition that this
// program does not know.
func (s *server) kept(w http.ResponseWriter, id, revision string) (rev archive.Revision, m *made, err error) {
	n, err := number(revision)
	if err == nil {
		var doc []byte
		if rev, doc, err = s.Reports.Archive.Get(id, n); err == nil {
			m = readMade(rev, doc)
			if s.Reports.Board != "" {
				m.as.Link = s.Reports.Board + "/reports/" + rev.Permalink()
			}
			return rev, m, nil
		}
	}
	switch {
	case errors.Is(err, archive.ErrNone):
		s.failed(w, http.StatusNotFound, "There is no such report", "The page of reports lists those that are published.")
	case errors.Is(err, archive.ErrDamaged):
		s.failed(w, http.StatusInternalServerError, "This report is damaged", sentence(err.Error())+" Nothing of it is shown, as nobody could vouch for it.")
	default:
		s.failed(w, http.StatusInternalServerError, "This report cannot be read", sentence(err.Error()))
	}
	if !errors.Is(err, archive.ErrNone) {
		s.Log.Error("a published report cannot be read", "report", id, "error", err)
	}
	return rev, nil, err
}

// readMade is a revision that is kept.
func readMade(rev archive.Revision, doc []byte) *made {
	m := &made{doc: doc, sum: rev.SHA256, as: prose.Header{SHA256: rev.SHA256, Revision: rev.Number, Published: rev.At}}
	if one, _, err := report.Parse(doc); err == nil {
		m.report = &one
	}
	return m
}

// otherDefinition is why bytes that are kept cannot be shown.
const otherDefinition = "This report was made by a release of nabz with other definitions than this one. Its figures are kept unchanged: take the JSON, or read it with the release that made it."

func (s *server) showPublished(w http.ResponseWriter, r *http.Request, status int, add func(p *publishedPage)) {
	if s.noReports(w) {
		return
	}
	rev, m, err := s.kept(w, r.PathValue("id"), r.PathValue("revision"))
	if err != nil {
		return
	}
	in, now := s.Reports.text(r.URL.Query().Get("lang")), s.Now()
	here := "/reports/" + rev.Permalink()
	p := publishedPage{head: s.head(rev.Title+" – nabz", "report", now), May: mayOperate(r), Said: reportDeeds[r.URL.Query().Get("said")], Text: in, Link: here, Revision: rev,
		At: moment(rev.At, now), Machine: rev.At.Format(time.RFC3339), Newest: rev.Number, Changes: changesOf(rev.Changes), More: rev.Changes.More,
		Forms:     formLinks(here+"/", "?"+url.Values{"lang": {in.Code()}}.Encode()),
		Languages: s.languageLinks(in, func(code string) string { return here + "?" + url.Values{"lang": {code}}.Encode() })}
	p.Who = visitorOf(r)
	all, err := s.Reports.Archive.Report(rev.ID)
	if err != nil {
		s.fault(w, r, err)
		return
	}
	p.Newest = max(rev.Number, all.Newest().Number)
	for _, one := range all.Revisions {
		p.Revisions = append(p.Revisions, revisionLink{one.Number, moment(one.At, now), one.Number == rev.Number})
	}
	for _, d := range all.Damage {
		p.Damage = append(p.Damage, d.Error())
	}
	if m.report == nil {
		p.Fault, p.Forms = otherDefinition, p.Forms[:0]
		for _, f := range formLinks(here+"/", "") {
			if f.Word == "JSON" {
				p.Forms = append(p.Forms, f)
			}
		}
	} else {
		p.Again = "/reports/preview?" + addressOfReport(m.report, in.Code()).Encode()
		if p.Article, _, err = article(m, in); err != nil {
			s.fault(w, r, err)
			return
		}
	}
	if p.May {
		p.Shares = s.sharesOf(rev.ID, now)
	}
	if add != nil {
		add(&p)
	}
	s.page(w, r, status, "published", p)
}

func changesOf(c archive.Changes) (all []change) {
	for _, one := range c.List {
		ch := change{one.Path, plainJSON(one.Old), plainJSON(one.New)}
		if one.Order {
			ch.Old, ch.New = "", "in another order"
		}
		all = append(all, ch)
	}
	return all
}

// plainJSON is a value as people read it.
func plainJSON(raw json.RawMessage) string {
	var text string
	switch {
	case raw == nil:
		return "–"
	case json.Unmarshal(raw, &text) == nil && text != "":
		return text
	case len(raw) > 120:
		return string([]rune(string(raw))[:min(110, len([]rune(string(raw))))]) + "…"
	}
	return string(raw)
}

// publishedForm is a form of a published revision, made from the bytes that are kept.
func (s *server) publishedForm(w http.ResponseWriter, r *http.Request) {
	if s.noReports(w) {
		return
	}
	rev, m, err := s.kept(w, r.PathValue("id"), r.PathValue("revision"))
	if err != nil {
		return
	}
	if m.report == nil && r.PathValue("form") != "report.json" {
		s.failed(w, http.StatusUnprocessableEntity, "This report cannot be read", otherDefinition)
		return
	}
	s.form(w, r, m, s.Reports.text(r.URL.Query().Get("lang")), fileName(rev))
}

// fileName says which revision a file is of.
func fileName(rev archive.Revision) string { return fmt.Sprintf("%s-r%d", rev.ID, rev.Number) }

// differs makes the report anew from what its file says was asked. made.doc are the bytes of today.
func (p *Reports) differs(ctx context.Context, m *made, atMost time.Duration) (*made, progress, error) {
	return p.shop.ask(ctx, "check "+m.sum, atMost, func(ctx context.Context, tell func(float64)) (*made, error) {
		_, now, err := report.Differs(ctx, p.Desk.Querier, m.doc, tell)
		if err != nil {
			return nil, err
		}
		return &made{doc: now, sum: report.Hash(now)}, nil
	})
}

// check looks whether the ledger still says what a revision says.
func (s *server) check(w http.ResponseWriter, r *http.Request) {
	if s.noReports(w) {
		return
	}
	rev, m, err := s.kept(w, r.PathValue("id"), r.PathValue("revision"))
	if err != nil {
		return
	}
	now, done, err := s.Reports.differs(r.Context(), m, pageWaits)
	if err != nil {
		s.cannotMake(w, r, err)
		return
	}
	if now == nil {
		s.making(w, r, done, "Check of "+rev.Title, "/reports/"+rev.Permalink())
		return
	}
	c := checked{Same: now.sum == m.sum, SHA256: now.sum}
	if !c.Same {
		all, err := archive.Diff(m.doc, now.doc, archive.MostChanges)
		if err != nil {
			s.fault(w, r, err)
			return
		}
		c.Changes, c.More = changesOf(all), all.More
	}
	s.showPublished(w, r, http.StatusOK, func(p *publishedPage) { p.Checked = &c })
}

// boardAddress is where the board is, without a slash at its end.
func (s *server) boardAddress(r *http.Request) string {
	scheme := "http"
	if overTLS(r) {
		scheme = "https"
	}
	return cmp.Or(s.Reports.Board, scheme+"://"+r.Host)
}
