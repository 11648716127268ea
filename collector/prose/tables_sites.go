package prose

import (
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// siteRow is a site with what the sites file says of it.
type siteRow struct {
	report.SiteReport
	entry report.Entry
}

func (t tables) sites() press.Data {
	var rows []siteRow
	for _, s := range t.r.Sites {
		rows = append(rows, siteRow{s, t.roster[s.Site]})
	}
	type s = siteRow
	columns := []column[s]{
		text("site", "The site's id", func(v s) string { return v.Site }),
		text("name", "Its name in the sites file, as are the next columns", func(v s) string { return v.entry.Name }),
		text("district", "Its district", func(v s) string { return v.entry.District }),
		text("operator", "Who runs its link", func(v s) string { return v.entry.Operator }),
		text("technology", "What kind of link it is", func(v s) string { return v.entry.Technology }),
		text("time_zone", "Its time zone; empty: that of the report", func(v s) string { return v.entry.TimeZone }),
		perhaps("population", "", "People who live there", func(v s) *int64 { return positive(int64(v.entry.Population)) }),
		perhaps("students", "", "Students of its school", func(v s) *int64 { return positive(int64(v.entry.Students)) }),
		perhaps("target_down_bps", "bit/s", "Contracted download", func(v s) *int64 { return positive(v.entry.TargetDownBps) }),
		perhaps("target_up_bps", "bit/s", "Contracted upload", func(v s) *int64 { return positive(v.entry.TargetUpBps) }),
		text("agents", "Agents that the ledger has heard in the period", func(v s) string { return strings.Join(v.Agents, " ") }),
		moment("counted_from", "The hour in which it was first heard, where that is within the period", func(v s) *time.Time { return v.CountedFrom }),
		fraction("availability_before", "Availability as the village felt it in the period before; how complete it is, is not known here, so it is not to be cited", func(v s) *float64 { return v.Before }),
	}
	columns = append(columns, within(func(v s) report.Figures { return v.Time }, timeColumns()...)...)
	columns = append(columns,
		count("outages", "", "Outages that began in the period", func(v s) int64 { return int64(v.Outages.All.Count) }),
		count("outage_ms", "ms", "Time of outages within the period", func(v s) int64 { return v.Outages.All.Ms }),
		perhaps("mean_restore_ms", "ms", "Mean time to restore of the outages that began and were restored in the period", func(v s) *int64 { return v.Outages.All.MeanMs }),
		count("longest_outage_ms", "ms", "The longest outage, within the period", func(v s) int64 { return v.Outages.All.LongestMs }))
	columns = append(columns, within(func(v s) report.Throughput { return v.Throughput }, speedColumns()...)...)
	columns = append(columns, within(func(v s) report.Findings { return v.Findings }, useColumns()...)...)
	return table("sites", "Each site", "One row for each site that is counted.", rows, columns...)
}

// of is something of one site, or of all together with site "".
type of[T any] struct {
	site string
	v    T
}

// each collects what a list has of all sites together and of each.
func each[T any](t tables, list func(report.Findings) []T) []of[T] {
	var out []of[T]
	for _, v := range list(t.r.Programme) {
		out = append(out, of[T]{"", v})
	}
	for _, s := range t.r.Sites {
		for _, v := range list(s.Findings) {
			out = append(out, of[T]{s.Site, v})
		}
	}
	return out
}

func siteColumn[T any]() column[of[T]] {
	return text("site", "The site's id; empty: all sites together", func(v of[T]) string { return v.site })
}

// kind is outages of one kind, with the sites behind them.
type kind struct {
	sites int
	report.OutageCount
}

func (t tables) outages() press.Data {
	type o = of[kind]
	rows := each(t, func(f report.Findings) (out []kind) {
		for _, c := range append([]report.OutageCount{f.Outages.All}, f.Outages.Causes...) {
			out = append(out, kind{f.Sites, c})
		}
		return out
	})
	n := func(name, what string, value func(o) int) column[o] {
		return count(name, "", what, func(v o) int64 { return int64(value(v)) })
	}
	return table("outages", "Outages by cause", "An outage is an unbroken stretch of down or off by power; by cause it is a stretch of one state and cause.", rows, siteColumn[kind](), n("sites", "Sites that are counted", func(v o) int { return v.v.sites }),
		text("state", "down or off; empty with an empty cause: all kinds together", func(v o) string { return string(v.v.State) }), text("cause", "local, backhaul, dns or power", func(v o) string { return string(v.v.Cause) }),
		n("outages", "That began in the period", func(v o) int { return v.v.Count }), n("five_minutes", "Of those, at least five minutes long within the period", func(v o) int { return v.v.FiveMin }),
		count("ms", "ms", "Time within the period", func(v o) int64 { return v.v.Ms }),
		n("carried_in", "That had begun before the period", func(v o) int { return v.v.CarriedIn }), n("go_on", "That had not ended when the period did", func(v o) int { return v.v.GoOn }),
		n("restored", "That began in the period and were followed by up or degraded in it", func(v o) int { return v.v.Restored }),
		count("restore_ms", "ms", "Length of those together", func(v o) int64 { return v.v.RestoreMs }),
		perhaps("mean_restore_ms", "ms", "restore_ms / restored", func(v o) *int64 { return v.v.MeanMs }),
		count("longest_ms", "ms", "The longest, within the period", func(v o) int64 { return v.v.LongestMs }),
		count("err_ms", "ms", "Uncertainties of all beginnings and ends, added up", func(v o) int64 { return v.v.ErrMs }))
}

func (t tables) longest() press.Data {
	type l = report.LongOutage
	return table("longest-outages", "The longest outages", "The longest outages of all sites, the longest first.", t.r.Programme.Outages.Longest,
		text("site", "The site's id", func(v l) string { return v.Site }), moment("from", "Begin within the period", func(v l) *time.Time { return &v.From }), count("ms", "ms", "Length within the period", func(v l) int64 { return v.Ms }),
		text("causes", "Its causes, in order of their first time", func(v l) string {
			var all []string
			for _, c := range v.Causes {
				all = append(all, string(c))
			}
			return strings.Join(all, " ")
		}), truth("began_before_period", "It had begun before", func(v l) bool { return v.Early }), truth("at_end_of_period", "It was not over when the period was", func(v l) bool { return v.Goes }))
}

// window is the tests of one direction at some time of the day.
type window struct {
	when, direction string
	sites           int
	report.Rate
}

func windows(f report.Findings) []window {
	t := f.Throughput
	n := t.Sites
	return []window{{"all", "down", n, t.All.Down}, {"all", "up", n, t.All.Up}, {"peak", "down", n, t.Peak.Down}, {"peak", "up", n, t.Peak.Up}, {"off_peak", "down", n, t.OffPeak.Down}, {"off_peak", "up", n, t.OffPeak.Up}}
}

func (t tables) throughput() press.Data {
	type w = of[window]
	return table("throughput", "Speed tests", "What speed tests found. Quantiles are nearest ranks: each is a value that was measured.", each(t, windows), siteColumn[window](),
		text("when", "all, peak or off_peak: by the clock of the site", func(v w) string { return v.v.when }), text("direction", "down or up", func(v w) string { return v.v.direction }),
		count("sites", "", "Sites with a test, at whatever time of the day", func(v w) int64 { return int64(v.v.sites) }), count("tests", "", "Tests that measured this direction", func(v w) int64 { return int64(v.v.Tests) }), perhaps("median_bps", "bit/s", "Median", func(v w) *int64 { return v.v.MedianBps }),
		perhaps("p5_bps", "bit/s", "5th percentile", func(v w) *int64 { return v.v.P5Bps }), perhaps("p95_bps", "bit/s", "95th percentile", func(v w) *int64 { return v.v.P95Bps }),
		count("with_target", "", "Tests at sites that have a target", func(v w) int64 { return int64(v.v.WithTarget) }), count("on_target", "", "Of those, the ones that reached it", func(v w) int64 { return int64(v.v.OnTarget) }),
		fraction("share_on_target", "on_target / with_target", func(v w) *float64 { return v.v.Share }))
}

func (t tables) latency() press.Data {
	type bucket struct {
		sites int
		report.Bucket
	}
	type b = of[bucket]
	return table("latency", "Round-trip times", "How many answers took at most so long, each with those of the rows above; what is missing to all took longer than the last edge.",
		each(t, func(f report.Findings) (out []bucket) {
			for _, one := range f.Latency.Within {
				out = append(out, bucket{f.Latency.Sites, one})
			}
			return out
		}), siteColumn[bucket](), count("sites", "", "Sites that counted round trips", func(v b) int64 { return int64(v.v.sites) }),
		count("le_ms", "ms", "At most this", func(v b) int64 { return v.v.LeMs }), count("answers", "", "Answers", func(v b) int64 { return v.v.Answers }), fraction("share", "Of all answers", func(v b) *float64 { return v.v.Share }))
}

func (t tables) services() press.Data {
	type s = of[report.Service]
	return table("services", "Services in their own hours", "How long each service could have been used in its own opening hours.", each(t, func(f report.Findings) []report.Service { return f.Services }), siteColumn[report.Service](),
		text("service", "Its name", func(v s) string { return v.v.Service }), count("sites", "", "Sites that told of it", func(v s) int64 { return int64(v.v.Sites) }),
		count("ready_ms", "ms", "Time ready", func(v s) int64 { return v.v.ReadyMs }), count("window_ms", "ms", "Time open and watched", func(v s) int64 { return v.v.WindowMs }),
		fraction("share", "ready_ms / window_ms", func(v s) *float64 { return v.v.Share }))
}
