package prose_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/telemetry"
)

const hour = int64(time.Hour / time.Millisecond)

func to[T any](v T) *T { return &v }

// figures are those of so many hours in each state, of which the rest is silence.
func figures(hours int64, t report.Times) report.Figures {
	t.SilentMs = hours*hour - t.UpMs - t.DegradedMs - t.DownMs() - t.OffPowerMs - t.OffShutdownMs - t.OffAgentMs
	return report.Together(report.Figures{PeriodMs: hours * hour, Times: t})
}

func outages(backhaul, power report.OutageCount) report.Outages {
	o := report.Outages{Causes: []report.OutageCount{{State: telemetry.StateDown, Cause: telemetry.CauseLocal}, backhaul, {State: telemetry.StateDown, Cause: telemetry.CauseDNS}, power}, Longest: []report.LongOutage{}}
	for _, c := range []report.OutageCount{backhaul, power} {
		o.All.Count, o.All.FiveMin, o.All.Ms, o.All.Restored = o.All.Count+c.Count, o.All.FiveMin+c.FiveMin, o.All.Ms+c.Ms, o.All.Restored+c.Restored
		o.All.CarriedIn, o.All.GoOn, o.All.RestoreMs, o.All.ErrMs = o.All.CarriedIn+c.CarriedIn, o.All.GoOn+c.GoOn, o.All.RestoreMs+c.RestoreMs, o.All.ErrMs+c.ErrMs
		o.All.LongestMs = max(o.All.LongestMs, c.LongestMs)
	}
	if o.All.Restored > 0 {
		o.All.MeanMs = to(o.All.RestoreMs / int64(o.All.Restored))
	}
	return o
}

func rate(tests int, median, p5, p95 int64, on int) report.Rate {
	return report.Rate{Tests: tests, MedianBps: &median, P5Bps: &p5, P95Bps: &p95, WithTarget: tests, OnTarget: on, Share: to(float64(on) / float64(tests))}
}

func latency(within ...int64) report.Latency {
	all := within[len(within)-1]
	l := report.Latency{Sites: 1, Answers: all, Median: &report.Quantile{OverMs: 50, AtMostMs: to(int64(100))}, P95: &report.Quantile{OverMs: 1200}}
	for i, e := range telemetry.HistogramEdgesMs() {
		l.Within = append(l.Within, report.Bucket{LeMs: int64(e), Answers: within[i], Share: to(float64(within[i]) / float64(all))})
	}
	return l
}

// october is the example of docs/figures.md at one site, a second one that is not citable, and one that is left out.
func october() *report.Report {
	zone := time.FixedZone("", 5*3600)
	from, end := time.Date(2026, 10, 1, 0, 0, 0, 0, zone).UTC(), time.Date(2026, 11, 1, 0, 0, 0, 0, zone).UTC()
	cut := report.OutageCount{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Count: 2, FiveMin: 2, Ms: 10 * hour, Restored: 2, RestoreMs: 10 * hour, MeanMs: to(5 * hour), LongestMs: 8 * hour, ErrMs: 4200}
	dark := report.OutageCount{State: telemetry.StateOff, Cause: telemetry.CausePower, Count: 1, FiveMin: 1, Ms: 20 * hour, CarriedIn: 1, LongestMs: 15 * hour, ErrMs: 90_000, GoOn: 1}
	long := []report.LongOutage{{Site: "sihala-bhu", From: from.Add(9 * 24 * time.Hour), Ms: 15 * hour, Causes: []telemetry.Cause{telemetry.CausePower}, Goes: true},
		{Site: "sihala-bhu", From: from, Ms: 5 * hour, Causes: []telemetry.Cause{telemetry.CausePower, telemetry.CauseBackhaul}, Early: true}}
	sihala := report.SiteReport{Site: "sihala-bhu", Agents: []string{"kiosk", "router"}, Before: to(0.961234), Findings: report.Findings{Sites: 1, WatchedMs: 700 * hour,
		Time:       figures(744, report.Times{UpMs: 690 * hour, DegradedMs: 10 * hour, DownBackhaulMs: 10 * hour, OffPowerMs: 20 * hour}),
		Outages:    outages(cut, dark),
		Throughput: report.Throughput{Sites: 1, All: report.Tests{Tests: 30, Down: rate(30, 4_199_999, 900_000, 12_340_000, 17), Up: rate(29, 1_180_000, 205_000, 2_790_000, 5)}, Peak: report.Tests{Tests: 0}, OffPeak: report.Tests{Tests: 30, Down: rate(30, 4_199_999, 900_000, 12_340_000, 17), Up: rate(29, 1_180_000, 205_000, 2_790_000, 5)}},
		Latency:    latency(100, 300, 600, 700, 800, 900, 940, 1000), Loss: report.Loss{Sites: 1, Sent: 1031, Lost: 31, Share: to(0.030068)},
		Volume: report.Volume{Sites: 1, RxBytes: 445_456_347_584, TxBytes: 45_058_883_065}, Clients: report.Clients{Sites: 1, Most: to(int64(34)), MeanPeak: to(12.25)},
		Services: []report.Service{{Service: "clinic", Sites: 1, ReadyMs: 150 * hour, WindowMs: 200 * hour, Share: to(0.75)}}}}
	sihala.Outages.Longest = long
	rawat := report.SiteReport{Site: "rawat-post", Agents: []string{"router"}, CountedFrom: to(end.Add(-100 * time.Hour)), Findings: report.Findings{Sites: 1, Time: figures(100, report.Times{UpMs: 50 * hour}), Outages: outages(kind(cut), kind(dark)),
		Latency: report.Latency{Within: latency(0, 0, 0, 0, 0, 0, 0, 1).Within}, Services: []report.Service{}}}
	r := &report.Report{Definition: report.Definition, From: from, To: end,
		Asked: report.Asked{Programme: "Smart Village", Period: "2026-10", TimeZone: "Asia/Karachi", Sites: []string{"district=Islamabad", "nilore"}, PeakHours: "19:00-23:00",
			Roster: []report.Entry{{Site: "nilore", Name: "Nilore"}, {Site: "rawat-post", Name: "روات ڈاک خانہ", District: "Islamabad"},
				{Site: "sihala-bhu", Name: "Sihala basic health unit", District: "Islamabad", Operator: "PTCL", Population: 1840, TargetDownBps: 4_000_000, TargetUpBps: 2_000_000}}},
		LeftOut: []report.LeftOut{{Site: "nilore", Reason: report.NeverHeard}, {Site: "old-mill", Reason: report.NotListed, ToldMs: 30 * hour}}}
	for i := range 31 {
		d := report.Day{Day: from.In(zone).AddDate(0, 0, i).Format("2006-01-02")}
		if i == 4 {
			d.DownBackhaulMs, d.OffPowerMs = 10*hour, 15*hour
		}
		r.Days = append(r.Days, d)
	}
	r.Before = report.Before{Period: "2026-09", From: from.AddDate(0, -1, 0), To: from, Sites: 1, Time: figures(720, report.Times{UpMs: 700 * hour, DownLocalMs: 8 * hour}),
		Throughput: report.Throughput{Sites: 1, All: report.Tests{Tests: 28, Down: rate(28, 5_000_000, 1_000_000, 11_000_000, 20), Up: report.Rate{}}}}
	one := benchmark.Benchmark{ID: "ours", Name: "Contract with the operator", Note: "Measured at the router.\nThe free line.", ShareOfSites: 0.5, Source: benchmark.Source{Title: "Service agreement", Publisher: "The programme", Date: "2026-03-01", URL: "https://example.org/agreement", Checked: "By both sides."},
		Criteria: []benchmark.Criterion{{ID: "down", Name: "Median download of 4.2 Mbit/s", Measure: "down_bps", Statistic: "median", AtLeast: 4_200_000, LeastTests: 5}, {ID: "loss", Name: "Loss of 2 % at most", Measure: "loss", AtMost: 0.02, LeastHours: 24}}}
	r.Asked.Benchmarks = []benchmark.Benchmark{one}
	down := int64(4_199_999)
	measured := benchmark.Measures{Site: "sihala-bhu", End: end, Sent: 1031, Lost: 31, Hours: 700}
	for range 30 {
		measured.Tests = append(measured.Tests, benchmark.Test{DownBps: &down})
	}
	r.Benchmarks = []benchmark.Judgement{one.Judge([]benchmark.Measures{measured, {Site: "rawat-post", End: end}})}
	return finish(r, rawat, sihala)
}

// kind is an outage count of a kind, with nothing in it.
func kind(c report.OutageCount) report.OutageCount {
	return report.OutageCount{State: c.State, Cause: c.Cause}
}

// finish adds the sites, and makes the programme's figures of them where a test looks: time, distribution; the rest is that of the last.
func finish(r *report.Report, sites ...report.SiteReport) *report.Report {
	r.Sites = sites
	r.Programme = sites[len(sites)-1].Findings
	r.Programme.Sites = len(sites)
	var times []report.Figures
	d := &r.Distribution
	for _, s := range sites {
		times = append(times, s.Time)
		if !s.Time.Citable {
			d.NotCitable++
			continue
		}
		d.Sites++
		p := report.Place{Site: s.Site, Availability: s.Time.Availability, WithoutPower: s.Time.WithoutPower}
		d.Best, d.Worst = append(d.Best, p), append(d.Worst, p)
	}
	if len(d.Best) > 10 {
		d.Best, d.Worst = d.Best[:10], d.Worst[:10]
	}
	if d.Sites > 0 {
		v, w := d.Best[0].Availability, d.Best[0].WithoutPower
		bands := []report.Band{{From: .999}, {From: .99}, {From: .95, Sites: d.Sites}, {From: .9}, {From: .5}, {}}
		d.Availability = report.Spread{Sites: d.Sites, Min: v, P5: v, P25: v, Median: v, P75: v, P95: v, Max: v, Bands: bands}
		d.WithoutPower = report.Spread{Sites: d.Sites, Min: w, P5: w, P25: w, Median: w, P75: w, P95: w, Max: w, Bands: bands}
	}
	r.Programme.Time = report.Together(times...)
	return r
}

// plain is all that a document says, line by line.
func plain(d press.Document) string {
	var b strings.Builder
	line := func(parts ...string) {
		kept := slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		fmt.Fprintln(&b, strings.Join(kept, " | "))
	}
	mark := func(m press.Mark) string {
		if m.Text == "" {
			return ""
		}
		return "[" + m.Text + "]"
	}
	line("# " + d.Title)
	for _, block := range d.Blocks {
		switch v := block.(type) {
		case press.Heading:
			line("\n" + strings.Repeat("#", v.Level+1) + " " + v.Text)
		case press.Paragraph:
			line(v.Text)
		case press.Note:
			line("! "+v.Title, v.Text)
		case press.Facts:
			for _, f := range v.Rows {
				line(f.Name, f.Value)
			}
		case press.Cards:
			for _, c := range v.Cards {
				line("* "+c.Label, c.Value, c.Detail, mark(c.Mark))
			}
		case press.Table:
			line("= " + v.Caption)
			var names []string
			for _, c := range v.Columns {
				names = append(names, c.Name)
			}
			line(names...)
			for _, row := range v.Rows {
				var cells []string
				for _, c := range row {
					text := c.Text
					if c.Detail != "" {
						text += " (" + c.Detail + ")"
					}
					cells = append(cells, strings.TrimSpace(text+" "+mark(c.Mark)))
				}
				fmt.Fprintln(&b, strings.Join(cells, " | "))
			}
			if len(v.Rows) == 0 {
				line(v.Empty)
			}
			line(v.Behind)
		case press.Chart:
			line("~ "+v.Caption, v.Description)
			switch p := v.Plot.(type) {
			case press.Stack:
				for _, r := range p.Rows {
					parts := []string{r.Label, r.Text}
					for _, part := range r.Parts {
						parts = append(parts, part.Text)
					}
					line(parts...)
				}
			case press.Graph:
				for _, s := range p.Series {
					line(append([]string{s.Name}, s.Texts...)...)
				}
				line(p.Labels...)
			}
			line(v.Behind)
		}
	}
	line("\n" + d.Foot)
	return b.String()
}

// bare is a text without what sets its parts apart.
func bare(text string) string {
	return strings.NewReplacer("\u2066", "", "\u2067", "", "\u2068", "", "\u2069", "", "\u200f", "", "\u00a0", " ").Replace(text)
}
