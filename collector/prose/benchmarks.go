package prose

import (
	"cmp"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
)

const mostFailing = 15 // sites that are named under a benchmark

func (w *writer) benchmarks() {
	w.heading(w.Say("Measured against benchmarks"))
	if len(w.r.Benchmarks) == 0 {
		w.add(press.Paragraph{Text: w.Say("No benchmark was asked for.")})
		return
	}
	for _, j := range w.r.Benchmarks {
		i := slices.IndexFunc(w.r.Asked.Benchmarks, func(b benchmark.Benchmark) bool { return b.ID == j.Benchmark })
		if i < 0 {
			w.add(press.Paragraph{Text: w.Say("The report does not hold the benchmark {name}, so its verdicts cannot be told.", "name", j.Benchmark)})
			continue
		}
		w.benchmark(&w.r.Asked.Benchmarks[i], j)
	}
}

func (w *writer) verdict(v benchmark.Verdict) press.Mark {
	switch v {
	case benchmark.Pass:
		return press.Mark{Kind: press.MarkGood, Text: w.Say("pass")}
	case benchmark.Fail:
		return press.Mark{Kind: press.MarkBad, Text: w.Say("fail")}
	}
	return press.Mark{Kind: press.MarkUnsure, Text: w.Say("not enough data")}
}

func (w *writer) benchmark(b *benchmark.Benchmark, j benchmark.Judgement) {
	w.add(press.Heading{Level: 2, Text: w.Say("{benchmark}: {verdict}", "benchmark", b.Name, "verdict", w.verdict(j.Verdict).Text)})
	s := b.Source
	source := press.Facts{Rows: []press.Fact{{Name: w.Say("Source"), Value: strings.Join([]string{s.Title, s.Publisher, s.Date}, ", ")}}} // as its file has it, in whatever language
	for _, f := range []press.Fact{{Name: w.Say("Address"), Value: s.URL, Code: true, Link: s.URL}, {Name: w.Say("How nabz measures it"), Value: paragraph(b.Note)}, {Name: w.Say("How the limits were checked"), Value: paragraph(s.Checked)}} {
		if f.Value != "" {
			source.Rows = append(source.Rows, f)
		}
	}
	table := press.Table{Caption: w.Say("Criteria, over all sites"), Behind: w.behind(w.Count(int64(len(j.Sites)), "{n} site judged", "{n} sites judged")),
		Columns: []press.Column{{Name: w.Say("Criterion")}, {Name: w.Say("Verdict")}, {Name: w.Say("Sites that pass"), Kind: press.ColumnNumber}, {Name: w.Say("Sites that fail"), Kind: press.ColumnNumber},
			{Name: w.Say("Not enough data"), Kind: press.ColumnNumber}, {Name: w.Say("Share that passes"), Kind: press.ColumnNumber}}}
	for n, o := range j.Criteria {
		share := w.Say("no site")
		if o.Least != nil && o.Most != nil {
			if share = w.share(o.Least, ""); *o.Least != *o.Most {
				share = w.PercentRange(*o.Least, *o.Most)
			}
		}
		table.Rows = append(table.Rows, []press.Cell{{Text: b.Criteria[n].Name}, {Mark: w.verdict(o.Verdict)}, {Text: w.Number(int64(o.Pass))}, {Text: w.Number(int64(o.Fail))},
			{Text: w.Number(int64(o.NotEnoughData))}, {Text: share, Detail: w.Say("{needed} asked", "needed", w.atLeast(w.PercentOf(o.Needed)))}})
	}
	w.add(table)
	w.reasons(b, j)
	w.failing(b, j)
	w.add(source)
}

// paragraph is a text of several lines as one.
func paragraph(text string) string { return strings.Join(strings.Fields(text), " ") }

// reasons counts why there is no verdict.
func (w *writer) reasons(b *benchmark.Benchmark, j benchmark.Judgement) {
	type key struct {
		criterion int
		reason    benchmark.Reason
	}
	count := map[key]int{}
	for _, s := range j.Sites {
		for n, r := range s.Results {
			if r.Verdict == benchmark.NotEnoughData {
				count[key{n, r.Reason}]++
			}
		}
	}
	if len(count) == 0 {
		return
	}
	var keys []key
	for k := range count {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.criterion, b.criterion), cmp.Compare(count[b], count[a]), cmp.Compare(a.reason, b.reason))
	})
	table := press.Table{Caption: w.Say("Why there is no verdict"), Behind: w.behind(w.Count(int64(len(j.Sites)), "{n} site judged", "{n} sites judged")),
		Columns: []press.Column{{Name: w.Say("Criterion")}, {Name: w.Say("Reason")}, {Name: w.Say("Sites"), Kind: press.ColumnNumber}}}
	for _, k := range keys {
		table.Rows = append(table.Rows, []press.Cell{{Text: b.Criteria[k.criterion].Name}, {Text: w.reason(k.reason)}, {Text: w.Number(int64(count[k]))}})
	}
	w.add(table)
}

// reason is why a verdict is what it is, of many sites.
func (w *writer) reason(r benchmark.Reason) string {
	switch r {
	case benchmark.Met:
		return w.Say("the limit is met")
	case benchmark.Missed:
		return w.Say("the limit is missed")
	case benchmark.NoTests:
		return w.Say("no speed test in the hours that count")
	case benchmark.FewTests:
		return w.Say("too few speed tests")
	case benchmark.NeverTested:
		return w.Say("never a speed test, as far as the ledger knows")
	case benchmark.NoHours:
		return w.Say("nothing was counted")
	case benchmark.FewHours:
		return w.Say("too few hours were counted")
	case benchmark.NoTarget:
		return w.Say("the sites file has no target speed")
	case benchmark.NoStudents:
		return w.Say("the sites file has no number of students")
	case benchmark.Between:
		return w.Say("the value is known as a range only, and the limit lies within it")
	case benchmark.NothingKnown:
		return w.Say("nothing was observed of the site")
	case benchmark.Incomplete:
		return w.Say("too little of the time is known for a figure to be cited")
	case benchmark.NotInTheLedger:
		return w.Say("it is not kept in the ledger")
	}
	return w.Say("reason {name}", "name", string(r))
}

// failing names the first sites that fail, with what was measured.
func (w *writer) failing(b *benchmark.Benchmark, j benchmark.Judgement) {
	table := press.Table{Caption: w.Say("Sites that fail"), Columns: []press.Column{{Name: w.Say("Site")}, {Name: w.Say("Criterion")}, {Name: w.Say("Measured"), Kind: press.ColumnNumber}, {Name: w.Say("Asked"), Kind: press.ColumnNumber}, {Name: w.Say("Behind it")}}}
	named := 0
	for _, s := range j.Sites {
		if s.Verdict != benchmark.Fail {
			continue
		}
		if named++; named > mostFailing {
			break
		}
		for n, r := range s.Results {
			if r.Verdict == benchmark.Fail {
				c := &b.Criteria[n]
				table.Rows = append(table.Rows, []press.Cell{w.siteCell(s.Site), {Text: c.Name}, {Text: w.measured(c, r)}, {Text: w.asked(c, r)}, {Text: w.resultBehind(r)}})
			}
		}
	}
	if len(table.Rows) == 0 {
		return
	}
	table.Behind = w.behind(w.Count(int64(j.Fail), "{n} site that fails", "{n} sites that fail"))
	if j.Fail > mostFailing {
		table.Behind = sentences(table.Behind, w.Say("The first {n} are named; the table benchmark-sites in the CSV and XLSX files has all.", "n", w.Number(mostFailing)))
	}
	w.add(table)
}

// fewer tells whether less is better.
func fewer(c *benchmark.Criterion) bool { return c.AtMost > 0 && c.Statistic != "share" }

// value is a number of a result with its unit, rounded to the side that looks worse.
func (w *writer) value(v float64, unit string, side language.Round) string {
	switch unit {
	case "bit/s":
		return w.Rate(v)
	case "fraction":
		return w.Percent(v, side)
	case "days":
		return w.Say("{n} days", "n", w.Decimal(language.Rounded(v, 1, side), 1))
	}
	return w.Millis(language.Rounded(v, 1, side))
}

func (w *writer) measured(c *benchmark.Criterion, r benchmark.Result) string {
	side := language.Down
	if fewer(c) {
		side = language.Up
	}
	switch {
	case r.Value != nil:
		return w.value(*r.Value, r.Unit, side)
	case r.Over == nil:
		return w.Say("nothing")
	case r.UpTo == nil:
		return w.Say("more than {time}", "time", w.value(*r.Over, r.Unit, language.Down))
	case r.Unit == "fraction":
		return w.PercentRange(*r.Over, *r.UpTo)
	}
	return w.LTR(w.value(*r.Over, r.Unit, language.Down) + " – " + w.value(*r.UpTo, r.Unit, language.Up))
}

func (w *writer) asked(c *benchmark.Criterion, r benchmark.Result) string {
	if r.Limit == nil {
		return w.Say("nothing")
	}
	if fewer(c) {
		return w.Say("at most {time}", "time", w.limit(*r.Limit, r.Unit))
	}
	text := w.atLeast(w.limit(*r.Limit, r.Unit))
	if r.TestLimit == nil {
		return text
	}
	each := w.limit(*r.TestLimit, measureUnit(c.Measure))
	if c.AtMost > 0 {
		return w.Say("{share} of tests with {each} at most", "share", text, "each", each)
	}
	return w.Say("{share} of tests with {each} at least", "share", text, "each", each)
}

func (w *writer) atLeast(what string) string { return w.Say("at least {what}", "what", what) }

// limit is what was asked, at which no value that misses it reads as one that meets it.
func (w *writer) limit(v float64, unit string) string {
	switch unit {
	case "fraction":
		return w.PercentOf(v)
	case "bit/s":
		return w.RateUp(v)
	}
	return w.value(v, unit, language.Nearest)
}

func measureUnit(name string) string {
	for _, m := range benchmark.Measured() {
		if m.Name == name {
			return m.Unit
		}
	}
	return ""
}

func (w *writer) resultBehind(r benchmark.Result) string {
	switch {
	case r.Tests > 0:
		return w.tests(int(r.Tests))
	case r.Unit == "days":
		return w.Say("the time of the last test")
	}
	return w.Count(r.Hours, "{n} hour", "{n} hours")
}
