package prose

import (
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// sites is the table of every site.
func (w *writer) sites() {
	w.add(press.PageBreak{})
	w.heading(w.Say("Every site"))
	table := press.Table{Caption: w.Say("Figures of each site"), Empty: w.Say("No site is counted."),
		Behind: w.behind(w.sitesOf(w.r.Programme.Sites), w.testsOf(int64(w.r.Programme.Throughput.All.Tests)), w.Count(int64(w.notCitable()), "{n} not citable", "{n} not citable")),
		Columns: []press.Column{{Name: w.Say("Site")}, {Name: w.Say("As the village felt it"), Kind: press.ColumnBar}, {Name: w.Say("While powered"), Kind: press.ColumnNumber}, {Name: w.Say("Completeness"), Kind: press.ColumnNumber},
			{Name: w.Say("Outages"), Kind: press.ColumnNumber}, {Name: w.Say("Mean time to restore"), Kind: press.ColumnNumber}, {Name: w.Say("Download"), Kind: press.ColumnNumber}, {Name: w.Say("Loss"), Kind: press.ColumnNumber}}}
	for _, s := range w.r.Sites {
		table.Rows = append(table.Rows, w.siteRow(s))
	}
	w.add(table)
}

// since says from when a site counts, where that is within the period.
func (w *writer) since(s report.SiteReport) string {
	if s.CountedFrom == nil {
		return ""
	}
	return w.Say("counted from {date}", "date", w.Date(s.CountedFrom.In(w.zone)))
}

func (w *writer) siteRow(s report.SiteReport) []press.Cell {
	mark := w.citable(s.Time)
	felt := w.shareCell(s.Time.Availability, w.unobserved(), s.Time)
	lost := ""
	if s.Outages.All.Ms > 0 {
		lost = w.Duration(s.Outages.All.Ms)
	}
	return []press.Cell{w.siteCell(s.Site, w.since(s)), felt, {Text: w.share(s.Time.WithoutPower, w.powered(s.Time)), Mark: mark}, {Text: w.share(s.Time.Completeness, w.Say("switched off"))},
		{Text: w.Number(int64(s.Outages.All.Count)), Detail: lost, Mark: mark}, {Text: w.mean(s.Outages.All), Mark: mark}, {Text: w.rate(s.Throughput.All.Down.MedianBps), Detail: w.tests(s.Throughput.All.Down.Tests)}, {Text: w.lossShare(s.Loss)}}
}

// lossShare is rounded up: it is not to look better than it is.
func (w *writer) lossShare(l report.Loss) string {
	if l.Share == nil {
		return w.Say("not measured")
	}
	return w.Percent(*l.Share, language.Up)
}

func (w *writer) leftOut() {
	w.heading(w.Say("Sites left out"))
	table := press.Table{Caption: w.Say("Sites that are in no figure"), Empty: w.Say("No site was left out."), Behind: w.behind(w.Count(int64(len(w.r.LeftOut)), "{n} left out", "{n} left out")),
		Columns: []press.Column{{Name: w.Say("Site")}, {Name: w.Say("Why")}, {Name: w.Say("Told in the period"), Kind: press.ColumnNumber}}}
	for _, l := range w.r.LeftOut {
		why := w.Say("nothing had been heard of it up to the end of the period")
		if l.Reason == report.NotListed {
			why = w.Say("the ledger has data of it, the sites file does not name it")
		}
		told := w.Say("nothing")
		if l.ToldMs > 0 {
			told = w.Duration(l.ToldMs)
		}
		table.Rows = append(table.Rows, []press.Cell{w.siteCell(l.Site), {Text: why}, {Text: told}})
	}
	w.add(table)
}

// reading says what the words mean and how to check the figures.
func (w *writer) reading() {
	w.heading(w.Say("How to read the figures"))
	for _, text := range []string{
		w.Say("Availability as the village felt it: time up, degraded included, over time observed. Time down and power cuts count against it."),
		w.Say("Availability of the link while powered: the same, with power cuts left out of the time observed. It says how well the operator kept the link up."),
		w.Say("Unknown: time of which nobody has told anything. It counts neither as up nor as down. Completeness is the time observed over all time; below {needed} a figure is marked not citable.", "needed", w.PercentOf(report.CitableFrom)),
		w.Say("Bounds: what availability would be if all that is unknown had been down, and if all of it had been up."),
		w.Say("Several sites: their times are added up and divided once; a mean of percentages is never taken. Several agents at a site are united: at each moment the best informed counts."),
		w.Say("A site counts from the hour in which it was first heard. Time in which a site was switched off by choice is taken out."),
		w.Say("Mean time to restore: of the outages that began in the period and ended in it with the link up."),
		w.Say("Availability and throughput are rounded down and loss up, so that no figure looks better than it is. The JSON file has six decimals."),
	} {
		w.small(text)
	}
	w.heading(w.Say("How to check the figures"))
	w.add(press.Paragraph{Text: w.Say("This document was made from one JSON file. Whoever has the file and may read the ledger can make the report again and compare.")})
	f := press.Facts{Rows: []press.Fact{
		{Name: w.Say("The file is the one of this document if this prints the SHA-256 above"), Value: "sha256sum report.json", Code: true},
		{Name: w.Say("The figures are those of the ledger if this finds no difference"), Value: "nabz-collector report verify report.json", Code: true},
	}}
	if w.h.SHA256 != "" {
		f.Rows = append(f.Rows, press.Fact{Name: w.Say("SHA-256 of the report"), Value: w.h.SHA256, Code: true})
	}
	w.add(f)
}
