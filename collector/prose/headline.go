package prose

import (
	"strings"
	"unicode"

	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/report"
)

// Headline is what a notice says of a report, as a few lines of plain text: the figures or why they are not citable, outages, verdicts of benchmarks, sites that are missing.
func Headline(r *report.Report, t *language.Text) string {
	w := newWriter(r, Header{}, t)
	p := r.Programme.Time
	first := w.cite(false)
	if !p.Citable {
		first = sentences(w.Say("{period}: not citable ({why}).", "period", Period(r.Asked.Period, t), "why", w.why(p)))
		switch sites := w.sitesOf(r.Programme.Sites); {
		case p.Availability == nil:
		case p.WithoutPower == nil:
			first = sentences(first, w.Say("There was no power in all the time that was observed ({sites}).", "sites", sites))
		default:
			first = sentences(first, w.Say("Of what was observed the link was available {felt}, power cuts included, and {link} of the time with power ({sites}).",
				"felt", w.share(p.Availability, ""), "link", w.share(p.WithoutPower, ""), "sites", sites))
		}
		if r.Provisional {
			first = sentences(w.Say("Provisional, as of {time}:", "time", w.local(r.To)), first)
		}
	}
	lines := []string{first, w.outageLine()}
	for _, j := range r.Benchmarks {
		for _, b := range r.Asked.Benchmarks {
			if b.ID == j.Benchmark {
				lines = append(lines, w.Say("{benchmark}: {verdict}", "benchmark", b.Name, "verdict", w.verdict(j.Verdict).Text))
			}
		}
	}
	var missing []string
	if n := w.notCitable(); n > 0 && r.Programme.Sites > 1 {
		missing = append(missing, w.Count(int64(n), "{n} site is not citable alone.", "{n} sites are not citable alone."))
	}
	if n := len(r.LeftOut); n > 0 {
		missing = append(missing, w.Count(int64(n), "{n} site is left out of all figures.", "{n} sites are left out of all figures."))
	}
	if len(missing) > 0 {
		lines = append(lines, sentences(missing...))
	}
	return strings.Join(lines, "\n")
}

// Title is what a document or a notice of the report is called.
func Title(r *report.Report, t *language.Text) string { return newWriter(r, Header{}, t).title() }

// Listed is what lists call a report, in English, on one line of at most so many bytes: two of the same month are of other sites.
func Listed(r *report.Report, most int) string {
	var of []string
	for _, term := range r.Asked.Sites {
		if term == report.AllSites {
			term = "all sites"
		}
		of = append(of, strings.Replace(term, "=", " ", 1))
	}
	text := strings.ToValidUTF8(Title(r, language.Default())+" · "+strings.Join(of, ", "), "")
	text = strings.Join(strings.FieldsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most-len("…")], "") + "…"
	}
	return text
}
