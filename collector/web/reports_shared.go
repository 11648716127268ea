package web

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/language"
)

// sharedPath is where links to share lead. What stands behind it is a secret, and is written to no log.
const sharedPath = "/shared/"

// sharedPage is one report for whoever has the link, and nothing else of the board.
type sharedPage struct {
	Title     string
	Text      *language.Text // nil where there is no report
	Article   template.HTML
	Fault     string
	Languages []languageLink
	Forms     []formLink
	Revision  string // of it, and when it was published
	Words     sharedWords
	Newer     string         // the address of the newest revision, where this is an older one
	Others    []languageLink // the other revisions
	Wait      bool           // too many have asked
}

// sharedWords are the page's own.
type sharedWords struct{ Forms, Languages, Print, Newer, Others string }

func newSharedWords(in *language.Text) sharedWords {
	return sharedWords{Forms: in.Say("Forms of this report"), Languages: in.Say("Languages of this report"), Print: in.Say("Print"),
		Newer: in.Say("There is a newer revision of this report."), Others: in.Say("Other revisions:")}
}

// secretly sets what goes with an answer to a link that is a secret.
func secretly(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex, nofollow")
}

// loggable is the path of a request without what must not stand in a log.
func loggable(r *http.Request) string {
	if strings.Contains(r.URL.Path, sharedPath) { // "//shared/…" too, which leads there
		return sharedPath + "…"
	}
	return r.URL.Path
}

// shared shows the report of a link, in the form that the path names.
func (s *server) shared(w http.ResponseWriter, r *http.Request) {
	secretly(w)
	if s.Reports == nil {
		s.noShare(w)
		return
	}
	if wait := s.Reports.tries.Take(host(r), "", s.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(wait.Seconds()))))
		s.plain(w, http.StatusTooManyRequests, sharedPage{Title: "nabz", Wait: true})
		return
	}
	one, err := s.Reports.Archive.Follow(r.PathValue("token"))
	if errors.Is(err, archive.ErrShare) {
		s.noShare(w)
		return
	}
	if err != nil {
		s.notNow(w, one.Report, err)
		return
	}
	select {
	case s.Reports.reads <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	answer := func() func(http.ResponseWriter) {
		defer func() { <-s.Reports.reads }() // before it is sent, which takes as long as the link of who reads it
		return s.sharedAnswer(r, one)
	}()
	answer(w)
}

// sharedAnswer makes the answer to who has a link, ready to be sent.
func (s *server) sharedAnswer(r *http.Request, one archive.Share) func(w http.ResponseWriter) {
	notNow := func(err error) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { s.notNow(w, one.Report, err) }
	}
	n, err := number(r.URL.Query().Get("revision"))
	if err != nil {
		return s.noShare
	}
	rev, m, err := s.keptForShare(one.Report, n)
	if errors.Is(err, archive.ErrNone) {
		return s.noShare
	}
	if err != nil {
		return notNow(err)
	}
	in := s.Reports.text(r.URL.Query().Get("lang"))
	if r.PathValue("form") == "" {
		p, err := s.sharedPage(r, rev, m, in)
		if err != nil {
			return notNow(err)
		}
		return func(w http.ResponseWriter) { s.plain(w, http.StatusOK, p) }
	}
	if m.report == nil && r.PathValue("form") != "report.json" {
		return s.noShare
	}
	switch f, err := s.sheet(r, m, in, fileName(rev)); {
	case errors.Is(err, errNoForm):
		return s.noShare
	case r.Context().Err() != nil:
		return func(http.ResponseWriter) {} // nobody reads it
	case err != nil:
		return notNow(err)
	default:
		return f.send
	}
}

func (s *server) keptForShare(id string, n int) (archive.Revision, *made, error) {
	rev, doc, err := s.Reports.Archive.Get(id, n)
	if err != nil {
		return rev, nil, err
	}
	return rev, readMade(rev, doc), nil
}

// notNow says that a report is there and cannot be shown.
func (s *server) notNow(w http.ResponseWriter, id string, err error) {
	s.Log.Error("a shared report cannot be shown", "report", id, "error", err)
	http.Error(w, "This report cannot be shown just now. Ask whoever sent you the link.", http.StatusServiceUnavailable)
}

// sharedPage is the page of a revision.
func (s *server) sharedPage(r *http.Request, rev archive.Revision, m *made, in *language.Text) (sharedPage, error) {
	here := sharedPath + r.PathValue("token")
	at := func(base string, number int, newest bool, code string) string {
		q := url.Values{"lang": {code}}
		if !newest {
			q.Set("revision", strconv.Itoa(number))
		}
		return base + "?" + q.Encode()
	}
	all, err := s.Reports.Archive.Report(rev.ID)
	if err != nil {
		return sharedPage{}, err
	}
	newest := rev.Number >= all.Newest().Number
	p := sharedPage{Title: rev.Title, Text: in, Words: newSharedWords(in),
		Revision:  in.Say("Revision {number}, published {day}", "number", in.Number(int64(rev.Number)), "day", in.Date(rev.At.In(s.Now().Location()))),
		Languages: s.languageLinks(in, func(code string) string { return at(here, rev.Number, newest, code) })}
	if !newest {
		p.Newer = at(here, 0, true, in.Code())
	}
	for _, o := range all.Revisions {
		if o.Number != rev.Number {
			p.Others = append(p.Others, languageLink{Name: in.Number(int64(o.Number)), URL: at(here, o.Number, o.Number == all.Newest().Number, in.Code())})
		}
	}
	q := url.Values{"lang": {in.Code()}}
	if !newest {
		q.Set("revision", strconv.Itoa(rev.Number))
	}
	p.Forms = formLinks(here+"/", "?"+q.Encode())
	if m.report == nil {
		p.Fault, p.Forms = otherDefinition, p.Forms[3:4]
		return p, nil
	}
	p.Article, p.Title, err = article(m, in)
	return p, err
}

// noShare is the one answer to a link that is mistyped, revoked, over, or of nothing.
func (s *server) noShare(w http.ResponseWriter) {
	secretly(w)
	s.plain(w, http.StatusNotFound, sharedPage{Title: "nabz"})
}

// plain sends a page that shows nothing of the board.
func (s *server) plain(w http.ResponseWriter, status int, p sharedPage) {
	text, err := s.render("shared", p)
	if err != nil {
		s.Log.Error("the page of a shared report cannot be drawn", "error", err)
		http.Error(w, "This page could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	patiently(w, len(text))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// nothingShared answers addresses below sharedPath that no link has.
func (s *server) nothingShared(w http.ResponseWriter, _ *http.Request) { s.noShare(w) }
