package prose

import (
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

func (w *writer) outages() {
	w.heading(w.Say("Outages"))
	o := w.r.Programme.Outages
	behind := w.behind(w.sitesOf(w.r.Programme.Sites), w.Count(int64(o.All.Count), "{n} outage that began in the period", "{n} outages that began in the period"))
	table := press.Table{Caption: w.Say("Outages by cause"), Behind: behind, Columns: []press.Column{{Name: w.Say("Cause")}, {Name: w.Say("Outages"), Kind: press.ColumnNumber},
		{Name: w.Say("Time lost"), Kind: press.ColumnNumber}, {Name: w.Say("Mean time to restore"), Kind: press.ColumnNumber}, {Name: w.Say("Longest"), Kind: press.ColumnNumber},
		{Name: w.Say("Uncertainty"), Kind: press.ColumnNumber}}}
	for _, c := range o.Causes {
		table.Rows = append(table.Rows, w.outageRow(c))
	}
	table.Rows = append(table.Rows, w.outageRow(o.All))
	w.add(table)
	w.small(w.Say("An outage is an unbroken stretch without the link. If its cause changes on the way it counts once under each cause and once in all. Uncertainty is how well the beginnings and ends of all of them are known, added up."))
	if o.All.Ms > 0 {
		w.outageChart(o)
	}
	w.longest(o.Longest)
}

func (w *writer) outageRow(c report.OutageCount) []press.Cell {
	var more []string
	mark := w.citable(w.r.Programme.Time)
	if c.FiveMin > 0 || c.Count > 0 {
		more = append(more, w.Count(int64(c.FiveMin), "{n} of five minutes or more", "{n} of five minutes or more"))
	}
	if c.CarriedIn > 0 {
		more = append(more, w.Count(int64(c.CarriedIn), "{n} had begun before", "{n} had begun before"))
	}
	if c.GoOn > 0 {
		more = append(more, w.Count(int64(c.GoOn), "{n} was not over", "{n} were not over"))
	}
	restored, longest, err := "", w.Say("none"), w.Say("none")
	if c.Restored > 0 {
		restored = w.Count(int64(c.Restored), "of {n} restored", "of {n} restored")
	}
	if c.Ms > 0 {
		longest, err = w.Duration(c.LongestMs), w.Duration(c.ErrMs)
	}
	return []press.Cell{{Text: capital(w.cause(c.Cause))}, {Text: w.Number(int64(c.Count)), Detail: w.List(more...), Mark: mark}, {Text: w.Duration(c.Ms)},
		{Text: w.mean(c), Detail: restored, Mark: mark}, {Text: longest}, {Text: err}}
}

func (w *writer) outageChart(o report.Outages) {
	g := press.Graph{}
	most := 0.
	s := press.Series{Tone: press.ToneDown}
	for _, c := range o.Causes {
		most = max(most, float64(c.Ms))
	}
	scale := w.hourScale(most)
	for _, c := range o.Causes {
		g.Labels = append(g.Labels, w.causeShort(c.Cause))
		s.Values, s.Texts = append(s.Values, float64(c.Ms)/scale.unit), append(s.Texts, w.Duration(c.Ms))
	}
	g.Series, g.Axis = []press.Series{s}, scale.axis
	w.add(press.Chart{Caption: w.Say("Time lost by cause, all sites together"), Plot: g, Behind: w.behind(w.sitesOf(w.r.Programme.Sites)),
		Description: w.Say("One column for each cause; the table above has the figures.")})
}

func (w *writer) longest(all []report.LongOutage) {
	table := press.Table{Caption: w.Say("The longest outages"), Empty: w.noOutage(), Behind: w.behind(w.sitesOf(w.r.Programme.Sites)),
		Columns: []press.Column{{Name: w.Say("Site")}, {Name: w.Say("From")}, {Name: w.Say("Length"), Kind: press.ColumnNumber}, {Name: w.Say("Cause")}}}
	for _, o := range all[:min(len(all), 10)] {
		var causes []string
		for _, c := range o.Causes {
			causes = append(causes, w.cause(c))
		}
		early, goes := "", ""
		if o.Early {
			early = w.Say("had begun before the period")
		}
		if o.Goes {
			goes = w.Say("was not over at its end")
		}
		table.Rows = append(table.Rows, []press.Cell{w.siteCell(o.Site), {Text: w.local(o.From), Detail: early}, {Text: w.Duration(o.Ms), Detail: goes}, {Text: w.List(causes...)}})
	}
	w.add(table)
}
