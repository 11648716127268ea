package prose

import (
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// Package is the report as tables for spreadsheets and programs, in English: what is in a cell is what is in the report.
func Package(r *report.Report, h Header) press.Package {
	p := press.Package{Name: r.ID(), Title: strings.TrimSpace(r.Asked.Programme + " " + r.Asked.Period), Report: h.SHA256,
		Description: "Tables of one report of definition " + r.Definition + ", period " + r.Asked.Period + " by the calendar of " + r.Asked.TimeZone +
			". Fractions are 0 to 1, times are milliseconds, rates bit/s. docs/figures.md of nabz says what each figure means."}
	p.Tables = []press.Data{programmeTable(r), sitesTable(r), outagesTable(r), longestTable(r), daysTable(r), testsTable(r), latencyTable(r), servicesTable(r), bandsTable(r), benchmarksTable(r), verdictsTable(r), leftOutTable(r), rosterTable(r)}
	return p
}

// table grows column by column, so that a value stands beside its name.
type table struct {
	press.Data
	row []any
	n   int // rows that are whole
}

func newTable(id, title, description string) *table {
	return &table{Data: press.Data{ID: id, Title: title, Description: description, Rows: [][]any{}}}
}

// put adds a cell to the row; in the first row it makes the column.
func (t *table) put(name string, kind press.Type, unit, description string, value any) {
	if t.n == 0 {
		t.Fields = append(t.Fields, press.Field{Name: name, Type: kind, Unit: unit, Description: description})
	}
	t.row = append(t.row, value)
}

// end ends a row. keep is false for one that only makes the columns, of a table that is empty.
func (t *table) end(keep bool) {
	if keep {
		t.Rows = append(t.Rows, t.row)
	}
	t.row, t.n = nil, t.n+1
}

func (t *table) text(name, description, v string) {
	if v == "" {
		t.put(name, press.String, "", description, nil)
		return
	}
	t.put(name, press.String, "", description, v)
}
func (t *table) count(name, description string, v int) {
	t.put(name, press.Integer, "", description, int64(v))
}
func (t *table) whole(name, unit, description string, v int64) {
	t.put(name, press.Integer, unit, description, v)
}
func (t *table) maybe(name, unit, description string, v *int64) {
	if v == nil {
		t.put(name, press.Integer, unit, description, nil)
		return
	}
	t.put(name, press.Integer, unit, description, *v)
}
func (t *table) fraction(name, description string, v *float64) {
	t.number(name, "fraction", description, v)
}
func (t *table) number(name, unit, description string, v *float64) {
	if v == nil {
		t.put(name, press.Number, unit, description, nil)
		return
	}
	t.put(name, press.Number, unit, description, *v)
}
func (t *table) moment(name, description string, v *time.Time) {
	if v == nil {
		t.put(name, press.Datetime, "", description, nil)
		return
	}
	t.put(name, press.Datetime, "", description, *v)
}
func (t *table) yes(name, description string, v bool) {
	t.put(name, press.Boolean, "", description, v)
}

// rows writes one row of each, and the columns where there is none.
func rows[T any](t *table, all []T, write func(T)) press.Data {
	if len(all) == 0 {
		var none T
		write(none)
		t.end(false)
	}
	for _, one := range all {
		write(one)
		t.end(true)
	}
	return t.Data
}

func (t *table) time(f report.Figures) {
	t.whole("period_ms", "ms", "Time that is counted, of several sites together", f.PeriodMs)
	t.whole("service_ms", "ms", "The same without time out of service by choice", f.ServiceMs)
	t.whole("observed_ms", "ms", "Time up, down or without power", f.ObservedMs)
	t.whole("unknown_ms", "ms", "Time of which nobody knows what it was", f.UnknownMs)
	t.fraction("availability", "Time up over time observed: as the village felt it", f.Availability)
	t.fraction("availability_without_power", "Time up over time observed without power cuts: of the link while powered", f.WithoutPower)
	t.fraction("completeness", "Time observed over time in service", f.Completeness)
	t.fraction("lower", "Availability if all that is unknown was down", f.Lower)
	t.fraction("upper", "Availability if all that is unknown was up", f.Upper)
	t.yes("citable", "Complete enough to be cited", f.Citable)
	t.text("not_citable_because", "Why it is not", f.Why)
	x := f.Times
	for _, c := range []struct {
		name, description string
		ms                int64
	}{{"up_ms", "Time up, without degraded", x.UpMs}, {"degraded_ms", "Time up with much loss or latency", x.DegradedMs}, {"down_local_ms", "Time down, on the router's own side", x.DownLocalMs},
		{"down_backhaul_ms", "Time down, on the way to the internet", x.DownBackhaulMs}, {"down_dns_ms", "Time down, names", x.DownDNSMs}, {"off_power_ms", "Time without power", x.OffPowerMs},
		{"off_shutdown_ms", "Time switched off by choice: not in service", x.OffShutdownMs}, {"off_agent_ms", "Time without nabz: unknown", x.OffAgentMs}, {"silent_ms", "Time of which nobody told: unknown", x.SilentMs}} {
		t.whole(c.name, "ms", c.description, c.ms)
	}
}

func (t *table) outages(o report.OutageCount) {
	t.count("outages", "Outages that began in the period", o.Count)
	t.count("outages_five_min", "Of those, at least five minutes long within it", o.FiveMin)
	t.whole("outage_ms", "ms", "Time in outages within the period", o.Ms)
	t.count("outages_carried_in", "Outages that had begun before the period", o.CarriedIn)
	t.count("outages_go_on", "Outages that had not ended with the period", o.GoOn)
	t.count("outages_restored", "Outages that began in the period and were followed by up or degraded in it", o.Restored)
	t.maybe("mean_restore_ms", "ms", "Mean length of those", o.MeanMs)
	t.whole("longest_ms", "ms", "Longest within the period", o.LongestMs)
	t.whole("outage_err_ms", "ms", "Uncertainties of their ends added up", o.ErrMs)
}

func (t *table) quality(f report.Findings) {
	t.whole("watched_ms", "ms", "Time that latency, loss, volume and clients stand on", f.WatchedMs)
	t.whole("answers", "", "Round trips counted", f.Latency.Answers)
	q := func(name, what string, v *report.Quantile) {
		var over, most *int64
		if v != nil {
			over, most = &v.OverMs, v.AtMostMs
		}
		t.maybe(name+"_over_ms", "ms", what+" is more than this", over)
		t.maybe(name+"_at_most_ms", "ms", what+" is at most this; empty where it is over the last edge", most)
	}
	q("rtt_median", "Median round trip", f.Latency.Median)
	q("rtt_p95", "95th percentile of round trips", f.Latency.P95)
	t.whole("sent", "", "Questions sent", f.Loss.Sent)
	t.whole("lost", "", "Of those without an answer", f.Loss.Lost)
	t.fraction("loss", "Lost over sent", f.Loss.Share)
	t.whole("rx_bytes", "B", "Bytes received through the link", f.Volume.RxBytes)
	t.whole("tx_bytes", "B", "Bytes sent through the link", f.Volume.TxBytes)
	t.maybe("clients_most", "", "Most clients at once; of several sites the sum", f.Clients.Most)
	t.number("clients_mean_hour_peak", "", "Mean over hours of the most in each; of several sites the sum", f.Clients.MeanPeak)
}

func programmeTable(r *report.Report) press.Data {
	t := newTable("programme", "All sites together", "One row: all sites, weighted by their time.")
	f := r.Programme
	t.text("period", "Period as it was asked for", r.Asked.Period)
	t.moment("from", "Begin of the period, UTC", &r.From)
	t.moment("to", "End of the period, exclusive, UTC; of a provisional report as far as it has come", &r.To)
	t.text("time_zone", "Whose calendar the period follows", r.Asked.TimeZone)
	t.yes("provisional", "The period was not over", r.Provisional)
	t.count("sites", "Sites that are counted", f.Sites)
	t.time(f.Time)
	t.outages(f.Outages.All)
	t.quality(f)
	t.end(true)
	return t.Data
}

func sitesTable(r *report.Report) press.Data {
	t := newTable("sites", "Each site", "One row for each site.")
	return rows(t, r.Sites, func(s report.SiteReport) {
		t.text("site", "Id of the site", s.Site)
		t.text("agents", "Agents heard in the period", strings.Join(s.Agents, " "))
		t.moment("counted_from", "The site counts from then on, as nobody had heard of it before, UTC; empty: all the period", s.CountedFrom)
		t.time(s.Time)
		t.fraction("availability_before", "Availability in the period before", s.Before)
		t.outages(s.Outages.All)
		t.count("tests", "Speed tests", s.Throughput.All.Tests)
		t.maybe("down_median_bps", "bit/s", "Median download", s.Throughput.All.Down.MedianBps)
		t.maybe("up_median_bps", "bit/s", "Median upload", s.Throughput.All.Up.MedianBps)
		t.fraction("down_on_target", "Share of tests that reach the download target", s.Throughput.All.Down.Share)
		t.fraction("up_on_target", "Share of tests that reach the upload target", s.Throughput.All.Up.Share)
		t.quality(s.Findings)
	})
}

// everywhere is the programme, as site "", and each site.
func everywhere(r *report.Report) []report.SiteReport {
	return append([]report.SiteReport{{Findings: r.Programme}}, r.Sites...)
}

const whichSite = "Id of the site; empty: all together"

func outagesTable(r *report.Report) press.Data {
	t := newTable("outages", "Outages by cause", "One row for each cause, of all sites together and of each.")
	type row struct {
		site string
		o    report.OutageCount
	}
	var all []row
	for _, s := range everywhere(r) {
		for _, o := range s.Outages.Causes {
			all = append(all, row{s.Site, o})
		}
	}
	return rows(t, all, func(x row) {
		t.text("site", whichSite, x.site)
		t.text("state", "down, or off", string(x.o.State))
		t.text("cause", "local, backhaul, dns or power", string(x.o.Cause))
		t.outages(x.o)
	})
}

func longestTable(r *report.Report) press.Data {
	t := newTable("longest-outages", "The longest outages", "The longest outages of all sites together, the longest first.")
	return rows(t, r.Programme.Outages.Longest, func(o report.LongOutage) {
		var causes []string
		for _, c := range o.Causes {
			causes = append(causes, string(c))
		}
		t.text("site", "Id of the site", o.Site)
		t.moment("from", "Begin within the period, UTC", &o.From)
		t.whole("ms", "ms", "Length within the period", o.Ms)
		t.text("causes", "Its causes in order", strings.Join(causes, " "))
		t.yes("began_before_period", "It had begun before", o.Early)
		t.yes("at_end_of_period", "It had not ended with the period", o.Goes)
	})
}

func daysTable(r *report.Report) press.Data {
	t := newTable("days", "Time lost a day", "One row for each day by the calendar of the report, all sites together.")
	return rows(t, r.Days, func(d report.Day) {
		t.text("day", "Day by the calendar of the report's time zone", d.Day)
		t.whole("down_local_ms", "ms", "Time down, on the router's own side", d.DownLocalMs)
		t.whole("down_backhaul_ms", "ms", "Time down, on the way to the internet", d.DownBackhaulMs)
		t.whole("down_dns_ms", "ms", "Time down, names", d.DownDNSMs)
		t.whole("off_power_ms", "ms", "Time without power", d.OffPowerMs)
	})
}

func testsTable(r *report.Report) press.Data {
	t := newTable("throughput", "Throughput", "Speed tests of all sites together and of each, in all hours, in peak hours, and in the others.")
	type row struct {
		site, hours, way string
		tests            int
		x                report.Rate
	}
	var all []row
	for _, s := range everywhere(r) {
		for _, w := range []struct {
			hours string
			x     report.Tests
		}{{"all", s.Throughput.All}, {"peak", s.Throughput.Peak}, {"off_peak", s.Throughput.OffPeak}} {
			all = append(all, row{s.Site, w.hours, "down", w.x.Tests, w.x.Down}, row{s.Site, w.hours, "up", w.x.Tests, w.x.Up})
		}
	}
	return rows(t, all, func(x row) {
		t.text("site", whichSite, x.site)
		t.text("hours", "all, peak or off_peak", x.hours)
		t.text("direction", "down or up", x.way)
		t.count("tests", "Tests that measured this direction", x.x.Tests)
		t.maybe("median_bps", "bit/s", "Median", x.x.MedianBps)
		t.maybe("p5_bps", "bit/s", "5th percentile", x.x.P5Bps)
		t.maybe("p95_bps", "bit/s", "95th percentile", x.x.P95Bps)
		t.count("with_target", "Tests at sites with a target", x.x.WithTarget)
		t.count("on_target", "Of those, tests that reach it", x.x.OnTarget)
		t.fraction("share_on_target", "On target over with target", x.x.Share)
	})
}

func latencyTable(r *report.Report) press.Data {
	t := newTable("latency", "Round trips", "Cumulative counts of answers within each edge, of all sites together and of each.")
	type row struct {
		site string
		b    report.Bucket
	}
	var all []row
	for _, s := range everywhere(r) {
		for _, b := range s.Latency.Within {
			all = append(all, row{s.Site, b})
		}
	}
	return rows(t, all, func(x row) {
		t.text("site", whichSite, x.site)
		t.whole("le_ms", "ms", "Edge", x.b.LeMs)
		t.whole("answers", "", "Answers that took at most so long", x.b.Answers)
		t.fraction("share", "Those over all answers", x.b.Share)
	})
}

func servicesTable(r *report.Report) press.Data {
	t := newTable("services", "Services", "How long each service could have been used in its own opening hours, of all sites together and of each.")
	type row struct {
		site string
		s    report.Service
	}
	var all []row
	for _, s := range everywhere(r) {
		for _, v := range s.Services {
			all = append(all, row{s.Site, v})
		}
	}
	return rows(t, all, func(x row) {
		t.text("site", whichSite, x.site)
		t.text("service", "Name of the service", x.s.Service)
		t.count("sites", "Sites behind it", x.s.Sites)
		t.whole("ready_ms", "ms", "Time ready in opening hours", x.s.ReadyMs)
		t.whole("window_ms", "ms", "Time watched in opening hours", x.s.WindowMs)
		t.fraction("share", "Ready over watched", x.s.Share)
	})
}

func bandsTable(r *report.Report) press.Data {
	t := newTable("distribution", "Sites by availability", "How many citable sites have an availability from so much on, and below the row before.")
	type row struct {
		figure string
		b      report.Band
	}
	var all []row
	for _, b := range r.Distribution.Availability.Bands {
		all = append(all, row{"availability", b})
	}
	for _, b := range r.Distribution.WithoutPower.Bands {
		all = append(all, row{"availability_without_power", b})
	}
	return rows(t, all, func(x row) {
		t.text("figure", "availability or availability_without_power", x.figure)
		t.number("from", "fraction", "Lower edge", &x.b.From)
		t.count("sites", "Sites in the band", x.b.Sites)
	})
}

func benchmarksTable(r *report.Report) press.Data {
	t := newTable("benchmarks", "Benchmarks", "One row for each criterion, over all sites.")
	type row struct {
		id, source, date, criterion, name, verdict string
		pass, fail, none                           int
		needed                                     float64
	}
	var all []row
	for i, j := range r.Benchmarks {
		b := r.Asked.Benchmarks[i]
		for k, o := range j.Criteria {
			all = append(all, row{b.ID, b.Source.Title, b.Source.Date, o.Criterion, b.Criteria[k].Name, string(o.Verdict), o.Pass, o.Fail, o.NotEnoughData, o.Needed})
		}
	}
	return rows(t, all, func(x row) {
		t.text("benchmark", "Id of the benchmark", x.id)
		t.text("source", "Where it comes from", x.source)
		t.text("source_date", "Date of the source", x.date)
		t.text("criterion", "Id of the criterion", x.criterion)
		t.text("name", "The criterion in words", x.name)
		t.text("verdict", "pass, fail or not_enough_data", x.verdict)
		t.count("sites_pass", "Sites that pass", x.pass)
		t.count("sites_fail", "Sites that fail", x.fail)
		t.count("sites_not_enough_data", "Sites of which not enough is known", x.none)
		t.number("needed_share", "fraction", "Share of sites that must pass", &x.needed)
	})
}

func verdictsTable(r *report.Report) press.Data {
	t := newTable("benchmark-sites", "Benchmarks at each site", "One row for each criterion at each site.")
	type row struct {
		benchmark, site, criterion, verdict, reason, unit string
		value, limit                                      *float64
		tests, hours                                      int64
	}
	var all []row
	for _, j := range r.Benchmarks {
		for _, s := range j.Sites {
			for _, v := range s.Results {
				all = append(all, row{j.Benchmark, s.Site, v.Criterion, string(v.Verdict), string(v.Reason), v.Unit, v.Value, v.Limit, v.Tests, v.Hours})
			}
		}
	}
	return rows(t, all, func(x row) {
		t.text("benchmark", "Id of the benchmark", x.benchmark)
		t.text("site", "Id of the site", x.site)
		t.text("criterion", "Id of the criterion", x.criterion)
		t.text("verdict", "pass, fail or not_enough_data", x.verdict)
		t.text("reason", "Why, as a word for programs", x.reason)
		t.number("value", "", "What was measured, in the unit of the row", x.value)
		t.number("limit", "", "What had to be reached, or not exceeded", x.limit)
		t.text("unit", "Unit of value and limit", x.unit)
		t.whole("tests", "", "Speed tests behind it", x.tests)
		t.whole("hours", "h", "Hours behind it", x.hours)
	})
}

func leftOutTable(r *report.Report) press.Data {
	t := newTable("left-out", "Sites left out", "Sites that are in no figure, and why.")
	return rows(t, r.LeftOut, func(l report.LeftOut) {
		t.text("site", "Id of the site", l.Site)
		t.text("reason", "never_heard: no agent had told anything; not_listed: not in the sites file", l.Reason)
		t.whole("told_ms", "ms", "Time that the ledger has of it in the period", l.ToldMs)
	})
}

func rosterTable(r *report.Report) press.Data {
	t := newTable("roster", "What the sites file said", "One row for each chosen site, those left out too.")
	return rows(t, r.Asked.Roster, func(e report.Entry) {
		t.text("site", "Id of the site", e.Site)
		t.text("name", "Name", e.Name)
		t.text("district", "District", e.District)
		t.text("operator", "Operator", e.Operator)
		t.text("technology", "Technology", e.Technology)
		t.text("time_zone", "Time zone; empty: that of the report", e.TimeZone)
		t.count("population", "People served; 0: not known", e.Population)
		t.count("students", "Students of its school; 0: not known", e.Students)
		t.whole("target_down_bps", "bit/s", "Contracted download; 0: none", e.TargetDownBps)
		t.whole("target_up_bps", "bit/s", "Contracted upload; 0: none", e.TargetUpBps)
	})
}
