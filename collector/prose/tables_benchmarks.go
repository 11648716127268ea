package prose

import (
	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// asking is a benchmark of the report; one that the report does not hold has its id alone.
func (t tables) asking(id string) benchmark.Benchmark {
	for _, b := range t.r.Asked.Benchmarks {
		if b.ID == id {
			return b
		}
	}
	return benchmark.Benchmark{ID: id}
}

// outcome is one criterion over all sites.
type outcome struct {
	b benchmark.Benchmark
	n int
	benchmark.Outcome
}

func (o outcome) name() string {
	if o.n < len(o.b.Criteria) {
		return o.b.Criteria[o.n].Name
	}
	return ""
}

func (t tables) benchmarks() press.Data {
	var rows []outcome
	for _, j := range t.r.Benchmarks {
		b := t.asking(j.Benchmark)
		for n, o := range j.Criteria {
			rows = append(rows, outcome{b, n, o})
		}
	}
	type o = outcome
	return table("benchmarks", "Benchmarks over all sites", "Each criterion of each benchmark, and its source.", rows,
		text("benchmark", "The benchmark's id", func(v o) string { return v.b.ID }), text("benchmark_name", "Its name", func(v o) string { return v.b.Name }),
		text("criterion", "The criterion's id", func(v o) string { return v.Criterion }), text("criterion_name", "Its name", func(v o) string { return v.name() }),
		text("verdict", "pass, fail or not_enough_data", func(v o) string { return string(v.Verdict) }),
		count("sites_pass", "", "Sites that pass", func(v o) int64 { return int64(v.Pass) }), count("sites_fail", "", "Sites that fail", func(v o) int64 { return int64(v.Fail) }),
		count("sites_not_enough_data", "", "Sites without a verdict", func(v o) int64 { return int64(v.NotEnoughData) }),
		fraction("least_share", "Share of sites that pass, if none of those without a verdict would", func(v o) *float64 { return v.Least }),
		fraction("most_share", "The same, if all of them would", func(v o) *float64 { return v.Most }),
		fraction("needed_share", "Share of sites that must pass", func(v o) *float64 { return &v.Needed }),
		text("source", "Where the limits come from", func(v o) string { return v.b.Source.Title }), text("publisher", "Who published it", func(v o) string { return v.b.Source.Publisher }),
		text("source_date", "When", func(v o) string { return v.b.Source.Date }), text("source_url", "Where it is on the web", func(v o) string { return v.b.Source.URL }))
}

// result is one criterion at one site.
type result struct {
	benchmark, site string
	benchmark.Result
}

func (t tables) benchmarkSites() press.Data {
	var rows []result
	for _, j := range t.r.Benchmarks {
		for _, s := range j.Sites {
			for _, one := range s.Results {
				rows = append(rows, result{j.Benchmark, s.Site, one})
			}
		}
	}
	type r = result
	return table("benchmark-sites", "Benchmarks at each site", "Each criterion of each benchmark at each site. The unit of value, over, up_to and limit is in the column unit.", rows,
		text("benchmark", "The benchmark's id", func(v r) string { return v.benchmark }), text("criterion", "The criterion's id", func(v r) string { return v.Criterion }), text("site", "The site's id", func(v r) string { return v.site }),
		text("verdict", "pass, fail or not_enough_data", func(v r) string { return string(v.Verdict) }), text("reason", "Why; docs/figures.md lists the reasons", func(v r) string { return string(v.Reason) }),
		text("unit", "bit/s, ms, fraction or days", func(v r) string { return v.Unit }), number("value", "", "What was found; empty: nothing, or a range", func(v r) *float64 { return v.Value }),
		number("over", "", "Of a range: more than this; of a share: this at least", func(v r) *float64 { return v.Over }), number("up_to", "", "Of a range: and at most this", func(v r) *float64 { return v.UpTo }),
		number("limit", "", "What the value had to reach, or not to exceed", func(v r) *float64 { return v.Limit }), number("test_limit", "", "Of a share: what each test or answer had to reach, in the unit of the measure", func(v r) *float64 { return v.TestLimit }),
		count("tests", "", "Tests behind it", func(v r) int64 { return v.Tests }), count("hours", "", "Hours behind it", func(v r) int64 { return v.Hours }),
		perhaps("least", "", "Tests or hours that are needed", func(v r) *int64 { return positive(v.Least) }), fraction("completeness", "Of the site's period, with availability", func(v r) *float64 { return v.Complete }))
}

// spreadOf is one figure over sites.
type spreadOf struct {
	figure string
	report.Spread
}

func (t tables) spreads() []spreadOf {
	d := t.r.Distribution
	return []spreadOf{{"availability", d.Availability}, {"availability_without_power", d.WithoutPower}}
}

func (t tables) distribution() press.Data {
	type s = spreadOf
	return table("distribution", "Availability over sites", "Nearest-rank quantiles over the sites whose figure is citable.", t.spreads(),
		text("figure", "Which", func(v s) string { return v.figure }), count("sites", "", "Sites behind it", func(v s) int64 { return int64(v.Sites) }),
		fraction("min", "Worst", func(v s) *float64 { return v.Min }), fraction("p5", "5th percentile", func(v s) *float64 { return v.P5 }), fraction("p25", "25th percentile", func(v s) *float64 { return v.P25 }),
		fraction("median", "Median", func(v s) *float64 { return v.Median }), fraction("p75", "75th percentile", func(v s) *float64 { return v.P75 }), fraction("p95", "95th percentile", func(v s) *float64 { return v.P95 }),
		fraction("max", "Best", func(v s) *float64 { return v.Max }))
}

func (t tables) bands() press.Data {
	type b struct {
		figure string
		report.Band
	}
	var rows []b
	for _, s := range t.spreads() {
		for _, one := range s.Bands {
			rows = append(rows, b{s.figure, one})
		}
	}
	return table("bands", "Sites by availability", "How many sites lie from a fraction on and below the next higher row's.", rows, text("figure", "Which", func(v b) string { return v.figure }),
		fraction("from", "From this on", func(v b) *float64 { return &v.From }), count("sites", "", "Sites in the band", func(v b) int64 { return int64(v.Sites) }))
}
