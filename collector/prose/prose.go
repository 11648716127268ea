package prose

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// Header is what a document says of a report that is not in it. What is "" or zero is not said.
type Header struct {
	SHA256    string    // of the canonical JSON
	Link      string    // where the report is kept
	Revision  int       // of a published report, from 1
	Published time.Time // when that was
}

// Document is the report in a language.
func Document(r *report.Report, h Header, t *language.Text) press.Document {
	w := newWriter(r, h, t)
	w.opening()
	w.spent()
	w.days()
	w.outages()
	w.throughput()
	w.latency()
	w.use()
	w.services()
	w.benchmarks()
	w.trend()
	w.distribution()
	w.sites()
	w.leftOut()
	w.reading()
	return press.Document{
		Title: w.title(), Language: t.Code(), RTL: t.RTL(), Foot: w.foot(), Blocks: w.blocks,
		PageOf: func(page, pages int) string {
			return t.Say("page {page} of {pages}", "page", t.Number(int64(page)), "pages", t.Number(int64(pages)))
		},
	}
}

// writer writes one document.
type writer struct {
	*language.Text
	r      *report.Report
	h      Header
	zone   *time.Location
	roster map[string]report.Entry
	blocks []press.Block

	figures map[string]report.SiteReport
}

func newWriter(r *report.Report, h Header, t *language.Text) *writer {
	w := &writer{Text: t, r: r, h: h, zone: zoneOf(r), roster: map[string]report.Entry{}, figures: map[string]report.SiteReport{}}
	for _, s := range r.Sites {
		w.figures[s.Site] = s
	}
	for _, e := range r.Asked.Roster {
		w.roster[e.Site] = e
	}
	return w
}

// zoneOf is the zone of the report; UTC where this machine does not know it.
func zoneOf(r *report.Report) *time.Location {
	zone, err := report.LoadZone(r.Asked.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

func (w *writer) add(b ...press.Block) { w.blocks = append(w.blocks, b...) }

func (w *writer) heading(text string) { w.add(press.Heading{Level: 1, Text: text}) }

func (w *writer) small(text string) { w.add(press.Paragraph{Text: text, Small: true}) }

// name is what people call a site.
func (w *writer) name(site string) string {
	if e := w.roster[site]; e.Name != "" {
		return e.Name
	}
	return site
}

// siteCell names a site, with its id and more below.
func (w *writer) siteCell(site string, more ...string) press.Cell {
	e := w.roster[site]
	below := []string{}
	if e.Name != "" && e.Name != site {
		below = append(below, w.LTR(site))
	}
	if e.District != "" {
		below = append(below, w.Isolate(e.District))
	}
	return press.Cell{Text: w.name(site), Detail: w.List(append(below, more...)...)}
}

// sentences puts sentences one after the other.
func sentences(parts ...string) string {
	kept := []string{}
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, " ")
}

// capital begins with a capital letter, where the script has such.
func capital(text string) string {
	r, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[size:]
}

func (w *writer) sitesOf(n int) string   { return w.Count(int64(n), "{n} site", "{n} sites") }
func (w *writer) testsOf(n int64) string { return w.Count(n, "{n} speed test", "{n} speed tests") }

// behind says what stands behind a table or a chart.
func (w *writer) behind(parts ...string) string {
	return w.Say("Behind this: {what}.", "what", w.List(parts...))
}

// tests is how many; "" where words say already that there is none.
func (w *writer) tests(n int) string {
	if n == 0 {
		return ""
	}
	return w.Count(int64(n), "{n} test", "{n} tests")
}

// share is a figure that somebody is held to: rounded down. none is said where there is none.
func (w *writer) share(f *float64, none string) string {
	if f == nil {
		return none
	}
	return w.Percent(*f, language.Down)
}

func (w *writer) unobserved() string { return w.Say("nothing observed") }

// citable marks a figure that is not to be cited.
func (w *writer) citable(f report.Figures) press.Mark {
	if f.Citable {
		return press.Mark{}
	}
	return press.Mark{Kind: press.MarkUnsure, Text: w.Say("not citable")}
}

// powered is what is said of the link while powered where that is no figure.
func (w *writer) powered(f report.Figures) string {
	if f.ObservedMs > 0 {
		return w.Say("never with power")
	}
	return w.unobserved()
}

// shareCell is an availability in a table. none is said where there is none.
func (w *writer) shareCell(f *float64, none string, of report.Figures) press.Cell {
	if f == nil {
		return press.Cell{Text: none, Bar: -1, Mark: w.citable(of)}
	}
	return press.Cell{Text: w.share(f, ""), Bar: *f, Mark: w.citable(of)}
}

// why says why figures are not citable; "" if they are. It is Figures.Why in the language.
func (w *writer) why(f report.Figures) string {
	switch {
	case f.Citable:
		return ""
	case f.Completeness == nil:
		return w.Say("switched off by choice for the whole time")
	}
	return w.Say("{share} of the time was observed, {needed} is needed", "share", w.share(f.Completeness, ""), "needed", w.PercentOf(report.CitableFrom))
}

func (w *writer) mean(c report.OutageCount) string {
	switch {
	case c.MeanMs != nil:
		return w.Duration(*c.MeanMs)
	case c.Count == 0:
		return w.Say("no outage began")
	}
	return w.Say("none was restored")
}
