package prose

import (
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

func (w *writer) throughput() {
	w.heading(w.Say("Throughput"))
	p := w.r.Programme.Throughput
	table := press.Table{Caption: w.Say("Speed tests in and outside peak hours"), Empty: w.Say("No speed test ran in this period."),
		Behind: w.behind(w.testsOf(int64(p.All.Tests)), w.Count(int64(p.Sites), "at {n} site", "at {n} sites"), w.Say("peak hours {hours}", "hours", w.peak())),
		Columns: []press.Column{{Name: w.Say("Direction and time")}, {Name: w.Say("Tests"), Kind: press.ColumnNumber}, {Name: w.Say("Median"), Kind: press.ColumnNumber},
			{Name: w.Say("5th percentile"), Kind: press.ColumnNumber}, {Name: w.Say("95th percentile"), Kind: press.ColumnNumber}, {Name: w.Say("Reached the target"), Kind: press.ColumnBar}}}
	if p.All.Tests > 0 {
		table.Rows = [][]press.Cell{
			w.rateRow(w.Say("Download, at all times"), p.All.Down), w.rateRow(w.Say("Download in peak hours"), p.Peak.Down), w.rateRow(w.Say("Download outside peak hours"), p.OffPeak.Down),
			w.rateRow(w.Say("Upload, at all times"), p.All.Up), w.rateRow(w.Say("Upload in peak hours"), p.Peak.Up), w.rateRow(w.Say("Upload outside peak hours"), p.OffPeak.Up)}
	}
	w.add(table)
	if p.All.Tests == 0 {
		return
	}
	w.small(w.Say("Percentiles are values that were measured (nearest rank): 95 of 100 tests were at least as fast as the 5th percentile. Tests run while villagers do not use the link, so they tell of the free line. The target is that of each site in the sites file."))
	w.rateChart(p)
}

func (w *writer) peak() string { return w.LTR(w.r.Asked.PeakHours) }

func (w *writer) rateRow(name string, r report.Rate) []press.Cell {
	row := []press.Cell{{Text: name}, {Text: w.Number(int64(r.Tests))}}
	for _, v := range []*int64{r.MedianBps, r.P5Bps, r.P95Bps} {
		row = append(row, press.Cell{Text: w.rate(v)})
	}
	target := press.Cell{Text: w.Say("no target set"), Bar: -1}
	switch {
	case r.Tests == 0:
		target.Text = w.Say("no test")
	case r.Share != nil:
		target = press.Cell{Text: w.share(r.Share, ""), Bar: *r.Share, Detail: w.Count(int64(r.WithTarget), "{some} of {n} test", "{some} of {n} tests", "some", w.Number(int64(r.OnTarget)))}
	}
	return append(row, target)
}

func (w *writer) rate(bps *int64) string {
	if bps == nil {
		return w.Say("no test")
	}
	return w.Rate(float64(*bps))
}

// rateChart shows medians, of peak hours beside the others.
func (w *writer) rateChart(p report.Throughput) {
	g := press.Graph{Labels: []string{w.Say("Download"), w.Say("Upload")}}
	most := 0.
	for _, s := range []struct {
		name string
		tone press.Tone
		of   report.Tests
	}{{w.Say("In peak hours"), press.ToneA, p.Peak}, {w.Say("Outside peak hours"), press.ToneASoft, p.OffPeak}} {
		one := press.Series{Name: s.name, Tone: s.tone}
		for _, r := range []report.Rate{s.of.Down, s.of.Up} {
			v := 0.
			if r.MedianBps != nil {
				v = float64(*r.MedianBps)
			}
			most = max(most, v)
			one.Values, one.Texts = append(one.Values, v), append(one.Texts, w.rate(r.MedianBps))
		}
		g.Series = append(g.Series, one)
	}
	if most == 0 {
		return
	}
	g.Axis = axis(most, w.Rate)
	w.add(press.Chart{Caption: w.Say("Median throughput"), Plot: g, Description: w.Say("Columns of the median download and upload in peak hours and outside them; the table above has the figures."),
		Behind: w.behind(w.testsOf(int64(p.All.Tests)), w.Count(int64(p.Sites), "at {n} site", "at {n} sites"))})
}

func (w *writer) latency() {
	w.heading(w.Say("Latency and loss"))
	l, loss := w.r.Programme.Latency, w.r.Programme.Loss
	table := press.Table{Caption: w.Say("Round-trip times to the internet"), Empty: w.Say("No round trip was counted in this period."),
		Behind:  w.behind(w.sitesOf(l.Sites), w.Count(l.Answers, "{n} answer", "{n} answers"), w.Say("{time} watched", "time", w.Duration(w.r.Programme.WatchedMs))),
		Columns: []press.Column{{Name: w.Say("Round-trip time")}, {Name: w.Say("Answers"), Kind: press.ColumnNumber}, {Name: w.Say("Share of all answers"), Kind: press.ColumnBar}}}
	if l.Answers > 0 {
		w.add(press.Paragraph{Text: w.Say("The median of round trips is {median}; their 95th percentile is {p95}.", "median", w.quantile(l.Median), "p95", w.quantile(l.P95))})
		for _, b := range l.Within {
			table.Rows = append(table.Rows, []press.Cell{{Text: w.Say("at most {time}", "time", w.Millis(float64(b.LeMs)))}, {Text: w.Number(b.Answers)}, {Text: w.share(b.Share, ""), Bar: *orNought(b.Share)}})
		}
		table.Rows = append(table.Rows, []press.Cell{{Text: w.Say("all answers")}, {Text: w.Number(l.Answers)}, {Text: w.PercentOf(1), Bar: 1}})
	}
	w.add(table)
	if loss.Share == nil {
		w.add(press.Paragraph{Text: w.Say("Loss: no probe was sent in this period, so nothing is known of it.")})
		return
	}
	w.add(press.Paragraph{Text: w.Say("Loss: of {sent} probes {lost} had no answer, which is {share} (at {sites}).",
		"sent", w.Number(loss.Sent), "lost", w.Number(loss.Lost), "share", w.lossShare(loss), "sites", w.sitesOf(loss.Sites))})
}

func orNought(v *float64) *float64 {
	if v == nil {
		return new(float64)
	}
	return v
}

// quantile is what is known of one: that it lies within a band.
func (w *writer) quantile(q *report.Quantile) string {
	switch {
	case q == nil:
		return w.Say("no time that is known")
	case q.AtMostMs == nil:
		return w.Say("more than {time}", "time", w.Millis(float64(q.OverMs)))
	}
	over := ""
	if q.OverMs > 0 {
		over = w.Say("more than {time}", "time", w.Millis(float64(q.OverMs)))
	}
	return w.List(over, w.Say("at most {time}", "time", w.Millis(float64(*q.AtMostMs))))
}

// use is volume and clients.
func (w *writer) use() {
	w.heading(w.Say("Use of the links"))
	v, c := w.r.Programme.Volume, w.r.Programme.Clients
	table := press.Table{Caption: w.Say("Data volume and clients"), Columns: []press.Column{{Name: w.Say("What")}, {Name: w.Say("Figure"), Kind: press.ColumnNumber}, {Name: w.Say("Behind it")}},
		Behind: w.behind(w.sitesOf(w.r.Programme.Sites), w.Say("{time} watched", "time", w.Duration(w.r.Programme.WatchedMs)))}
	none := w.Say("not measured")
	rx, tx, most, mean, counted := none, none, none, none, w.Say("no site counted its clients")
	volume := w.Say("no site measured its volume")
	if v.Sites > 0 {
		rx, tx, volume = w.Bytes(v.RxBytes), w.Bytes(v.TxBytes), w.sitesOf(v.Sites)
	}
	if c.Most != nil && c.MeanPeak != nil {
		most, mean, counted = w.Number(*c.Most), w.Decimal(*c.MeanPeak, 2), w.sitesOf(c.Sites)
	}
	row := func(what, more, value, behind string) {
		table.Rows = append(table.Rows, []press.Cell{{Text: what, Detail: more}, {Text: value}, {Text: behind}})
	}
	row(w.Say("Data received"), "", rx, volume)
	row(w.Say("Data sent"), "", tx, volume)
	row(w.Say("Most clients at once"), w.Say("of each site its own most, added up"), most, counted)
	row(w.Say("Clients in a usual hour"), w.Say("mean over hours of the most in each, added up over sites"), mean, counted)
	w.add(table)
}

func (w *writer) services() {
	w.heading(w.Say("Services in their own hours"))
	table := press.Table{Caption: w.Say("How long each service could have been used"), Empty: w.Say("No site has told of a service in this period."),
		Columns: []press.Column{{Name: w.Say("Service")}, {Name: w.Say("Ready"), Kind: press.ColumnBar}, {Name: w.Say("Time ready"), Kind: press.ColumnNumber}, {Name: w.Say("Open and watched"), Kind: press.ColumnNumber}, {Name: w.Say("Sites"), Kind: press.ColumnNumber}}}
	sites := 0
	for _, s := range w.r.Sites {
		if len(s.Services) > 0 {
			sites++
		}
	}
	table.Behind = w.behind(w.sitesOf(sites))
	for _, s := range w.r.Programme.Services {
		ready := press.Cell{Text: w.Say("not watched in its hours"), Bar: -1}
		if s.Share != nil {
			ready = press.Cell{Text: w.share(s.Share, ""), Bar: *s.Share}
		}
		table.Rows = append(table.Rows, []press.Cell{{Text: s.Service}, ready, {Text: w.Duration(s.ReadyMs)}, {Text: w.Duration(s.WindowMs)}, {Text: w.Number(int64(s.Sites))}})
	}
	w.add(table)
	if len(table.Rows) > 0 {
		w.small(w.Say("A service is ready while the link is good enough for it. Power cuts are not in this figure, because nobody watched; they are in availability."))
	}
}
