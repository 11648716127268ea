package prose

import (
	"strings"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

func (w *writer) title() string {
	period := Period(w.r.Asked.Period, w.Text)
	if w.r.Asked.Programme == "" {
		return w.Say("Connectivity report, {period}", "period", period)
	}
	return w.Say("{programme}: connectivity report, {period}", "programme", w.r.Asked.Programme, "period", period)
}

// foot stands on every page, so that one that is torn out can be traced.
func (w *writer) foot() string {
	out := []string{w.LTR(w.r.Definition)}
	if w.r.Provisional {
		out = append(out, w.Say("provisional"))
	}
	if w.h.SHA256 != "" {
		out = append(out, w.Say("SHA-256 {hash}", "hash", w.LTR(w.h.SHA256)))
	}
	return w.List(out...)
}

func (w *writer) opening() {
	if w.h.Revision == 0 {
		w.add(press.Note{Kind: press.NoteProvisional, Title: w.Say("Not published."),
			Text: w.Say("These figures were made for a look and are kept nowhere: who is given them cannot find them again. Cite a published report, which has a link of its own.")})
	}
	w.add(w.facts())
	w.warnings()
	w.add(w.cards())
	if p := w.r.Programme.Time; p.Citable {
		w.add(press.Note{Title: w.Say("To cite it:"), Text: w.cite(true)})
	}
	w.add(press.Paragraph{Text: w.outageLine()})
}

func (w *writer) facts() press.Facts {
	a := w.r.Asked
	f := press.Facts{}
	say := func(name, value string, code bool) {
		if value != "" {
			f.Rows = append(f.Rows, press.Fact{Name: name, Value: value, Code: code})
		}
	}
	say(w.Say("Period"), w.Say("{period}: {from} to {to}", "period", Period(a.Period, w.Text), "from", w.local(w.r.From), "to", w.local(w.r.To)), false)
	say(w.Say("Time zone"), w.zoneName(), true)
	state := w.Say("the period is over; should late data change the figures, a new revision says what changed")
	if w.r.Provisional {
		state = w.Say("provisional, as of {time}", "time", w.local(w.r.To))
	}
	say(w.Say("Status"), state, false)
	say(w.Say("Sites"), w.selection(), false)
	say(w.Say("People at these sites"), w.people(), false)
	say(w.Say("Peak hours"), w.Say("{hours} by the clock of the site", "hours", w.LTR(strings.ReplaceAll(a.PeakHours, "-", "–"))), false)
	if w.h.Revision > 0 {
		say(w.Say("Revision"), w.Number(int64(w.h.Revision)), false)
	}
	if !w.h.Published.IsZero() {
		say(w.Say("Published"), w.local(w.h.Published), false)
	}
	if w.h.Link != "" {
		f.Rows = append(f.Rows, press.Fact{Name: w.Say("Permanent link"), Value: w.h.Link, Code: true, Link: w.h.Link})
	}
	say(w.Say("Definition of the figures"), w.r.Definition, true)
	say(w.Say("SHA-256 of the report"), w.h.SHA256, true)
	return f
}

// selection says which sites were asked for and how many count.
func (w *writer) selection() string {
	var terms []string
	for _, term := range w.r.Asked.Sites {
		terms = append(terms, w.term(term))
	}
	const most = 12
	if more := len(terms) - most; more > 1 {
		terms = append(terms[:most], w.Count(int64(more), "{n} more", "{n} more"))
	}
	out := w.Say("{which}: {counted} counted", "which", w.List(terms...), "counted", w.sitesOf(w.r.Programme.Sites))
	if n := len(w.r.LeftOut); n > 0 {
		out = w.List(out, w.Count(int64(n), "{n} left out", "{n} left out"))
	}
	return out
}

func (w *writer) term(term string) string {
	key, value, ok := strings.Cut(term, "=")
	switch {
	case term == report.AllSites:
		return w.Say("all sites of the programme")
	case !ok:
		return w.Isolate(w.name(term))
	case key == "district":
		return w.Say("district {name}", "name", value)
	case key == "operator":
		return w.Say("operator {name}", "name", value)
	case key == "technology":
		return w.Say("technology {name}", "name", value)
	case key == "upstream":
		return w.Say("behind the upstream {name}", "name", value)
	}
	return w.Isolate(w.name(value))
}

// people is how many live at the counted sites, as far as the sites file says.
func (w *writer) people() string {
	sum, known := int64(0), 0
	for _, s := range w.r.Sites {
		if p := w.roster[s.Site].Population; p > 0 {
			sum, known = sum+int64(p), known+1
		}
	}
	switch {
	case known == 0:
		return ""
	case known < len(w.r.Sites):
		return w.Say("{people}, known of {some} of {all}", "people", w.Number(sum), "some", w.Number(int64(known)), "all", w.sitesOf(len(w.r.Sites)))
	}
	return w.Number(sum)
}

func (w *writer) warnings() {
	p := w.r.Programme.Time
	switch {
	case p.Citable:
	case p.Completeness == nil:
		w.add(press.Note{Kind: press.NoteWarning, Title: w.Say("Not citable."), Text: w.Say("All sites were switched off by choice for the whole time, so there is no figure of availability.")})
	default:
		w.add(press.Note{Kind: press.NoteWarning, Title: w.Say("Not citable."),
			Text: w.Say("The state of the links is known for {share} of the time only; {needed} is needed. The figures below tell what was seen, and must not be cited as the availability of these sites.",
				"share", w.share(p.Completeness, ""), "needed", w.PercentOf(report.CitableFrom))})
	}
	if w.r.Provisional {
		w.add(press.Note{Kind: press.NoteProvisional, Title: w.Say("Provisional."),
			Text: w.Say("The period is not over. The figures end at {time} and will change.", "time", w.local(w.r.To))})
	}
	if n := w.notCitable(); n > 0 && w.r.Programme.Sites > 1 {
		w.add(press.Note{Title: w.Count(int64(n), "{n} site is not citable alone.", "{n} sites are not citable alone."),
			Text: w.Say("Less than {needed} of the time is known of them. They are marked wherever they stand, and left out of the ranking; their time counts in the figures of all sites.", "needed", w.PercentOf(report.CitableFrom))})
	}
}

func (w *writer) notCitable() (n int) {
	for _, s := range w.r.Sites {
		if !s.Time.Citable {
			n++
		}
	}
	return n
}

func (w *writer) cards() press.Cards {
	p := w.r.Programme
	mark := w.citable(p.Time)
	bounds := w.unobserved()
	if p.Time.Lower != nil && p.Time.Upper != nil {
		bounds = w.PercentRange(*p.Time.Lower, *p.Time.Upper)
	}
	all := p.Outages.All
	restored := w.Count(int64(all.Restored), "of {n} outage that was restored", "of {n} outages that were restored")
	if all.Restored == 0 {
		restored = ""
	}
	return press.Cards{Cards: []press.Card{
		{Label: w.Say("Availability as the village felt it"), Value: w.share(p.Time.Availability, w.unobserved()), Detail: w.Say("power cuts count as down"), Mark: mark},
		{Label: w.Say("Availability of the link while powered"), Value: w.share(p.Time.WithoutPower, w.powered(p.Time)), Detail: w.Say("power cuts are left out"), Mark: mark},
		{Label: w.Say("Completeness"), Value: w.share(p.Time.Completeness, w.Say("nothing to observe")), Detail: w.Say("of the time is known; {needed} is needed", "needed", w.PercentOf(report.CitableFrom)), Mark: mark},
		{Label: w.Say("Bounds of availability"), Value: bounds, Detail: w.Say("if all that is unknown was down, or was up"), Mark: mark},
		{Label: w.Say("Outages"), Value: w.Number(int64(all.Count)), Detail: w.Count(int64(all.FiveMin), "{n} of five minutes or more", "{n} of five minutes or more"), Mark: mark},
		{Label: w.Say("Mean time to restore"), Value: w.mean(all), Detail: restored, Mark: mark},
	}}
}

// cite is the sentence that can be used as it stands. Only for figures that are citable.
func (w *writer) cite(source bool) string {
	p := w.r.Programme.Time
	felt, sites, complete := w.share(p.Availability, w.unobserved()), w.sitesOf(w.r.Programme.Sites), w.share(p.Completeness, "")
	out := w.Say("{during} the link was available {felt} of the time observed at {sites}, power cuts included, and {link} of the time with power (completeness {completeness}).",
		"during", w.during(), "felt", felt, "sites", sites, "link", w.share(p.WithoutPower, ""), "completeness", complete)
	if p.WithoutPower == nil {
		out = w.Say("{during} the link was available {felt} of the time observed at {sites}, power cuts included (completeness {completeness}); there was no power in all that time.",
			"during", w.during(), "felt", felt, "sites", sites, "completeness", complete)
	}
	if w.r.Provisional {
		out = sentences(w.Say("Provisional, as of {time}:", "time", w.local(w.r.To)), out)
	}
	if source && w.h.SHA256 != "" {
		out = sentences(out, w.Say("Source: report of {period}, definition {definition}, SHA-256 {hash}.", "period", Period(w.r.Asked.Period, w.Text),
			"definition", w.LTR(w.r.Definition), "hash", w.LTR(w.h.SHA256[:min(16, len(w.h.SHA256))]+"…")))
	}
	return out
}

func (w *writer) noOutage() string {
	if w.r.Programme.Time.ObservedMs == 0 {
		return w.Say("Nothing was observed, so nothing is known of outages.")
	}
	return w.Say("No outage was seen.")
}

// outageLine is a sentence on outages.
func (w *writer) outageLine() string {
	o := w.r.Programme.Outages
	if o.All.Ms == 0 {
		return w.noOutage()
	}
	most := o.Causes[0]
	for _, c := range o.Causes {
		if c.Ms > most.Ms {
			most = c
		}
	}
	began := w.Count(int64(o.All.Count), "{n} outage began.", "{n} outages began.")
	if o.All.MeanMs != nil {
		began = w.Count(int64(o.All.Count), "{n} outage began; the mean time to restore was {mean}.", "{n} outages began; the mean time to restore was {mean}.", "mean", w.mean(o.All))
	}
	return sentences(began, w.Say("Most time was lost to this cause: {cause} ({time} of {all}, all sites together).",
		"cause", w.cause(most.Cause), "time", w.Duration(most.Ms), "all", w.Duration(o.All.Ms)))
}
