package prose

import (
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// trend holds the period against the one before.
func (w *writer) trend() {
	w.heading(w.Say("Against the period before"))
	b, now := w.r.Before, w.r.Programme
	table := press.Table{Caption: w.Say("{now} and {before}", "now", Period(w.r.Asked.Period, w.Text), "before", Period(b.Period, w.Text)),
		Empty: w.Say("The ledger has nothing of these sites in the period before, so there is no trend to tell."),
		Behind: w.behind(w.Say("now {what}", "what", w.List(w.sitesOf(now.Sites), w.testsOf(int64(now.Throughput.All.Tests)))),
			w.Say("before {what}", "what", w.List(w.sitesOf(b.Sites), w.testsOf(int64(b.Throughput.All.Tests))))),
		Columns: []press.Column{{Name: w.Say("Figure")}, {Name: w.Say("Before"), Kind: press.ColumnNumber}, {Name: w.Say("Now"), Kind: press.ColumnNumber}, {Name: w.Say("Change"), Kind: press.ColumnNumber}}}
	if b.Time.ObservedMs > 0 {
		table.Rows = [][]press.Cell{
			w.trendRow(w.Say("Availability as the village felt it"), b.Time.Availability, now.Time.Availability, b.Time, now.Time),
			w.trendRow(w.Say("Availability of the link while powered"), b.Time.WithoutPower, now.Time.WithoutPower, b.Time, now.Time),
			w.trendRow(w.Say("Completeness"), b.Time.Completeness, now.Time.Completeness, b.Time, now.Time),
			w.rateTrend(w.Say("Median download"), b.Throughput.All.Down, now.Throughput.All.Down),
			w.rateTrend(w.Say("Median upload"), b.Throughput.All.Up, now.Throughput.All.Up),
			w.trendRow(w.Say("Downloads that reached the target"), b.Throughput.All.Down.Share, now.Throughput.All.Down.Share, report.Figures{Citable: true}, report.Figures{Citable: true}),
		}
		last := table.Rows[len(table.Rows)-1]
		last[1].Detail, last[2].Detail = w.tests(b.Throughput.All.Down.WithTarget), w.tests(now.Throughput.All.Down.WithTarget)
	}
	w.add(table)
	if b.Time.ObservedMs > 0 && b.Sites != now.Sites {
		w.small(w.Say("The sites of the two periods are not the same in number: a site counts from when it was first heard."))
	}
	if w.r.Provisional && b.Time.ObservedMs > 0 {
		w.small(w.Say("The period is not over, so a part is held against a whole."))
	}
}

func (w *writer) trendRow(name string, before, now *float64, b, n report.Figures) []press.Cell {
	row := []press.Cell{{Text: name}, {Text: w.share(before, w.Say("not known")), Mark: w.citable(b)}, {Text: w.share(now, w.Say("not known")), Mark: w.citable(n)}, {Text: w.Say("cannot be told")}}
	if before != nil && now != nil { // of the figures as they are printed, so that a reader gets the same
		points := language.Rounded(100**now, 2, language.Down) - language.Rounded(100**before, 2, language.Down)
		row[3] = press.Cell{Text: w.Say("{n} points", "n", w.Points(points)), Mark: w.citable(report.Figures{Citable: b.Citable && n.Citable})}
	}
	return row
}

func (w *writer) rateTrend(name string, before, now report.Rate) []press.Cell {
	row := []press.Cell{{Text: name}, {Text: w.rate(before.MedianBps), Detail: w.tests(before.Tests)}, {Text: w.rate(now.MedianBps), Detail: w.tests(now.Tests)}, {Text: w.Say("cannot be told")}}
	if a, b := before.MedianBps, now.MedianBps; a != nil && b != nil {
		switch d := *b - *a; {
		case d > 0:
			row[3].Text = w.Say("{rate} more", "rate", w.Rate(float64(d)))
		case d < 0:
			row[3].Text = w.Say("{rate} less", "rate", w.Rate(float64(-d)))
		default:
			row[3].Text = w.Say("the same")
		}
	}
	return row
}

func (w *writer) distribution() {
	w.heading(w.Say("How sites differ"))
	d := w.r.Distribution
	behind := w.behind(w.Count(int64(d.Sites), "{n} site with a citable figure", "{n} sites with a citable figure"), w.Count(int64(d.NotCitable), "{n} not citable, left out here", "{n} not citable, left out here"))
	if d.Sites == 0 {
		w.add(press.Paragraph{Text: w.Say("No site has a figure that can be cited, so there is no distribution and no ranking.")})
		return
	}
	w.add(w.bands(d, behind))
	if d.Sites > 1 {
		w.quantiles(d, behind)
	}
	if d.Sites <= len(d.Best) {
		w.ranking(w.Say("Sites from the best to the worst"), d.Best, behind)
		return
	}
	w.ranking(w.Say("Best sites"), d.Best, behind)
	w.ranking(w.Say("Worst sites"), d.Worst, behind)
}

func (w *writer) quantiles(d report.Distribution, behind string) {
	table := press.Table{Caption: w.Say("Availability over sites"), Behind: behind, Columns: []press.Column{{Name: w.Say("Of all sites")}, {Name: w.Say("As the village felt it"), Kind: press.ColumnNumber}, {Name: w.Say("While powered"), Kind: press.ColumnNumber}}}
	row := func(name string, a, b *float64) {
		table.Rows = append(table.Rows, []press.Cell{{Text: name}, {Text: w.share(a, w.unobserved())}, {Text: w.share(b, w.Say("never with power"))}})
	}
	a, p := d.Availability, d.WithoutPower
	row(w.Say("best"), a.Max, p.Max)
	row(w.Say("95th percentile"), a.P95, p.P95)
	row(w.Say("75th percentile"), a.P75, p.P75)
	row(w.Say("median"), a.Median, p.Median)
	row(w.Say("25th percentile"), a.P25, p.P25)
	row(w.Say("5th percentile"), a.P5, p.P5)
	row(w.Say("worst"), a.Min, p.Min)
	w.add(table)
}

func (w *writer) bands(d report.Distribution, behind string) press.Chart {
	g := press.Graph{}
	most := 0.
	a, b := press.Series{Name: w.Say("As the village felt it"), Tone: press.ToneA}, press.Series{Name: w.Say("While powered"), Tone: press.ToneASoft}
	all, powered := d.Availability.Bands, d.WithoutPower.Bands
	for i := len(all) - 1; i >= 0; i-- {
		g.Labels = append(g.Labels, w.band(all, i))
		for _, s := range []struct {
			into  *press.Series
			bands []report.Band
		}{{&a, all}, {&b, powered}} {
			n := 0
			if i < len(s.bands) {
				n = s.bands[i].Sites
			}
			most = max(most, float64(n))
			s.into.Values, s.into.Texts = append(s.into.Values, float64(n)), append(s.into.Texts, w.Number(int64(n)))
		}
	}
	g.Series = []press.Series{a, b}
	g.Axis = press.Axis{Max: max(most, 1)}
	for _, v := range press.Steps(0, max(most, 4)) {
		if v == float64(int64(v)) && v <= g.Axis.Max {
			g.Axis.Ticks = append(g.Axis.Ticks, press.Tick{Value: v, Text: w.Number(int64(v))})
		}
	}
	return press.Chart{Caption: w.Say("Sites by availability"), Plot: g, Behind: behind, Description: w.Say("Columns of the number of sites in each band of availability.")}
}

// band names the i-th of bands that go down: from its own lower edge to below that of the one before.
func (w *writer) band(all []report.Band, i int) string {
	switch {
	case i == 0:
		return w.LTR("≥ " + w.PercentOf(all[0].From))
	case all[i].From == 0:
		return w.LTR("< " + w.PercentOf(all[i-1].From))
	}
	return w.PercentBand(all[i].From, all[i-1].From)
}

func (w *writer) ranking(caption string, places []report.Place, behind string) {
	table := press.Table{Caption: caption, Behind: behind, Columns: []press.Column{{Name: w.Say("Site")}, {Name: w.Say("As the village felt it"), Kind: press.ColumnBar}, {Name: w.Say("While powered"), Kind: press.ColumnBar}}}
	for _, p := range places {
		s := w.figures[p.Site]
		table.Rows = append(table.Rows, []press.Cell{w.siteCell(p.Site, w.since(s)), w.shareCell(p.Availability, w.unobserved(), s.Time), w.shareCell(p.WithoutPower, w.powered(s.Time), s.Time)})
	}
	w.add(table)
}
