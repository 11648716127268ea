package web

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/prose"
)

// formLink is a form in which a report can be had.
type formLink struct{ Word, URL, What string }

// form is one of them, by the name of its file.
type form struct {
	file, word, mime, what string
	spoken                 bool // it is in a language
	draw                   drawing
}

// drawing writes a report in a form. The note is for people, and stands in what they read.
type drawing func(b *bytes.Buffer, m *made, in *language.Text) error

func forms() []form {
	type buffer = *bytes.Buffer
	tables := func(write func(press.Package, buffer) error) drawing {
		return func(b buffer, m *made, _ *language.Text) error {
			return write(prose.Package(m.report, m.as), b)
		}
	}
	text := func(write func(buffer, press.Document) error) drawing {
		return func(b buffer, m *made, in *language.Text) error {
			return write(b, prose.Document(m.report, m.as, in))
		}
	}
	return []form{
		{"report.pdf", "PDF", "application/pdf", "to print and to send", true, text(func(b buffer, d press.Document) error { return press.PDF(b, d) })},
		{"report.xlsx", "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "all tables as a workbook", false, tables(func(t press.Package, b buffer) error { return t.XLSX(b) })},
		{"report.zip", "CSV", "application/zip", "all tables with their dictionary, zipped", false, tables(func(t press.Package, b buffer) error { return t.Bundle(b) })},
		{"report.json", "JSON", "application/json", "the figures themselves, of which the SHA-256 is", false, func(b buffer, m *made, _ *language.Text) error {
			_, err := b.Write(m.doc)
			return err
		}},
		{"report.html", "HTML", "text/html; charset=utf-8", "this page as one file", true, text(func(b buffer, d press.Document) error { return press.Page(b, d) })},
	}
}

func formLinks(before, after string) (all []formLink) {
	for _, f := range forms() {
		all = append(all, formLink{f.word, before + f.file + after, f.what})
	}
	return all
}

// drawForm makes a form. Few are drawn at once, and the others wait for as long as somebody wants them.
func (p *Reports) drawForm(ctx context.Context, f form, m *made, in *language.Text) ([]byte, error) {
	select {
	case p.draws <- struct{}{}:
		defer func() { <-p.draws }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var b bytes.Buffer
	err := f.draw(&b, m, in)
	return b.Bytes(), err
}

// errNoForm is the error of a form that there is not.
var errNoForm = errors.New("a report has no such form")

// sheet is a form that is ready to be sent.
type sheet struct {
	mime, name string
	data       []byte
}

// sheet draws the form that the last part of the path names; name is the file's, without what it ends with.
func (s *server) sheet(r *http.Request, m *made, in *language.Text, name string) (sheet, error) {
	file := path.Base(r.URL.Path)
	i := slices.IndexFunc(forms(), func(f form) bool { return f.file == file })
	if i < 0 {
		return sheet{}, errNoForm
	}
	f := forms()[i]
	data, err := s.Reports.drawForm(r.Context(), f, m, in)
	if f.spoken {
		name += "-" + in.Code()
	}
	return sheet{f.mime, name + path.Ext(file), data}, err
}

func (f sheet) send(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	h.Set("Content-Length", strconv.Itoa(len(f.data)))
	patiently(w, len(f.data))
	_, _ = w.Write(f.data)
}

// patiently leaves who waits behind a slow link time for what is ready now: a minute, and a second for each 8 kB.
func patiently(w http.ResponseWriter, bytes int) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute + time.Duration(bytes/8000)*time.Second)) // deadlines are in real time; a recorder has none
}

// form answers with one, or says to a person why not.
func (s *server) form(w http.ResponseWriter, r *http.Request, m *made, in *language.Text, name string) {
	switch f, err := s.sheet(r, m, in, name); {
	case r.Context().Err() != nil: // nobody reads it
	case err == nil:
		f.send(w)
	case errors.Is(err, errNoForm):
		s.failed(w, http.StatusNotFound, "A report has no such form", "There are report.pdf, report.xlsx, report.zip, report.json and report.html.")
	default:
		s.fault(w, r, err)
	}
}

// previewForm is a form of a report that is not published.
func (s *server) previewForm(w http.ResponseWriter, r *http.Request) {
	a, in, ok := s.asked(w, r, r.URL.Query())
	if !ok {
		return
	}
	m, err := s.wait(w, r, a)
	if err != nil {
		s.cannotMake(w, r, err)
		return
	}
	s.form(w, r, m, in, m.report.ID()+"-not-published")
}
