package prose

import (
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
)

// Package is the tables of the report with their dictionary, in English and for programs: whole numbers in ms, bit/s and bytes, fractions of 1, times in UTC, exactly
// as the report has them. What nothing stands behind is empty.
func Package(r *report.Report, h Header) press.Package {
	return press.Package{Name: "nabz-report-" + id(r.Asked.Period), Title: strings.TrimSpace(r.Asked.Programme + " " + r.Asked.Period + ", " + strings.Join(r.Asked.Sites, ", ")),
		Description: "Figures of definition " + r.Definition + ". A fraction is 0 to 1 with six decimals; an empty value means that nothing stands behind it. " + h.origin(),
		Report:      h.SHA256, Tables: Tables(r)}
}

// origin says where tables can be found again.
func (h Header) origin() string {
	if h.Revision == 0 {
		return "Not published: these figures are kept nowhere, so cite a published report."
	}
	text := "Revision " + strconv.Itoa(h.Revision) + ", published " + h.Published.UTC().Format(time.RFC3339)
	if h.Link != "" {
		text += ", " + h.Link
	}
	return text + "."
}

// id is a text in lower case with hyphens.
func id(text string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", ":", "-").Replace(text))
}

// Tables are all tables of the report.
func Tables(r *report.Report) []press.Data {
	t := tables{r: r, roster: map[string]report.Entry{}}
	for _, e := range r.Asked.Roster {
		t.roster[e.Site] = e
	}
	return []press.Data{t.asked(), t.programme(), t.sites(), t.outages(), t.longest(), t.days(), t.throughput(), t.latency(), t.use(), t.services(),
		t.benchmarks(), t.benchmarkSites(), t.distribution(), t.bands(), t.leftOut()}
}

type tables struct {
	r      *report.Report
	roster map[string]report.Entry
}

// column is one field of a table whose rows are made of T.
type column[T any] struct {
	press.Field
	value func(T) any
}

func text[T any](name, description string, value func(T) string) column[T] {
	return column[T]{press.Field{Name: name, Type: press.String, Description: description}, func(t T) any {
		if s := value(t); s != "" {
			return s
		}
		return nil
	}}
}

func count[T any](name, unit, description string, value func(T) int64) column[T] {
	return column[T]{press.Field{Name: name, Type: press.Integer, Unit: unit, Description: description}, func(t T) any { return value(t) }}
}

func fraction[T any](name, description string, value func(T) *float64) column[T] {
	return number(name, "fraction", description, value)
}

func number[T any](name, unit, description string, value func(T) *float64) column[T] {
	return column[T]{press.Field{Name: name, Type: press.Number, Unit: unit, Description: description}, func(t T) any { return given(value(t)) }}
}

func perhaps[T any](name, unit, description string, value func(T) *int64) column[T] {
	return column[T]{press.Field{Name: name, Type: press.Integer, Unit: unit, Description: description}, func(t T) any { return given(value(t)) }}
}

func moment[T any](name, description string, value func(T) *time.Time) column[T] {
	return column[T]{press.Field{Name: name, Type: press.Datetime, Description: description}, func(t T) any { return given(value(t)) }}
}

func truth[T any](name, description string, value func(T) bool) column[T] {
	return column[T]{press.Field{Name: name, Type: press.Boolean, Description: description}, func(t T) any { return value(t) }}
}

// given is what a pointer points to, or nothing.
func given[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// positive is n, or nothing where 0 says that it is not known.
func positive(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func table[T any](id, title, description string, rows []T, columns ...column[T]) press.Data {
	d := press.Data{ID: id, Title: title, Description: description}
	for _, c := range columns {
		d.Fields = append(d.Fields, c.Field)
	}
	for _, row := range rows {
		values := make([]any, len(columns))
		for i, c := range columns {
			values[i] = c.value(row)
		}
		d.Rows = append(d.Rows, values)
	}
	return d
}

// where is a value that something stands behind, or nothing.
func where[T any](behind int, v T) *T {
	if behind == 0 {
		return nil
	}
	return &v
}

// within lifts columns of a part to columns of the whole.
func within[T, P any](part func(T) P, columns ...column[P]) []column[T] {
	out := make([]column[T], len(columns))
	for i, c := range columns {
		out[i] = column[T]{c.Field, func(t T) any { return c.value(part(t)) }}
	}
	return out
}

type said struct{ key, value string }

func (t tables) asked() press.Data {
	a := t.r.Asked
	rows := []said{{"definition", t.r.Definition}, {"programme", a.Programme}, {"period", a.Period}, {"from", t.r.From.Format(time.RFC3339)}, {"to", t.r.To.Format(time.RFC3339)},
		{"time_zone", a.TimeZone}, {"sites", strings.Join(a.Sites, ", ")}, {"peak_hours", a.PeakHours}}
	if a.AsOf != nil {
		rows = append(rows, said{"provisional_as_of", a.AsOf.Format(time.RFC3339)})
	}
	return table("asked", "What was asked for", "What the report depends on beside the ledger. Times are UTC; \"to\" is exclusive.", rows,
		text("key", "What is said", func(s said) string { return s.key }), text("value", "What it is", func(s said) string { return s.value }))
}

// span is the figures of one period over all sites.
type span struct {
	which, period string
	from, to      time.Time
	sites         int
	time          report.Figures
	throughput    report.Throughput
}

func (t tables) programme() press.Data {
	b := t.r.Before
	rows := []span{{"now", t.r.Asked.Period, t.r.From, t.r.To, t.r.Programme.Sites, t.r.Programme.Time, t.r.Programme.Throughput},
		{"before", b.Period, b.From, b.To, b.Sites, b.Time, b.Throughput}}
	columns := []column[span]{
		text("which", "\"now\" is the period of the report, \"before\" the one before it", func(s span) string { return s.which }),
		text("period", "The period as it was asked for", func(s span) string { return s.period }),
		moment("from", "Begin of the period", func(s span) *time.Time { return &s.from }),
		moment("to", "End of the period, exclusive; of a provisional report as far as it goes", func(s span) *time.Time { return &s.to }),
		count("sites", "", "Sites that are counted", func(s span) int64 { return int64(s.sites) }),
	}
	columns = append(columns, within(func(s span) report.Figures { return s.time }, timeColumns()...)...)
	columns = append(columns, within(func(s span) report.Throughput { return s.throughput }, speedColumns()...)...)
	return table("programme", "All sites together", "Availability of all sites, weighted by site-time, in the period and in the one before.", rows, columns...)
}

// timeColumns are how the time was spent and what follows from it.
func timeColumns() []column[report.Figures] {
	ms := func(name, what string, of func(report.Figures) int64) column[report.Figures] {
		return count(name, "ms", what, of)
	}
	type f = report.Figures
	return []column[f]{
		ms("period_ms", "All time that is counted; of several sites the sum", func(v f) int64 { return v.PeriodMs }),
		ms("service_ms", "The same without time switched off by choice", func(v f) int64 { return v.ServiceMs }),
		ms("observed_ms", "Time of which the state is known: up, degraded, down, off by power", func(v f) int64 { return v.ObservedMs }),
		ms("unknown_ms", "Time of which it is not", func(v f) int64 { return v.UnknownMs }),
		ms("up_ms", "Up, without degraded", func(v f) int64 { return v.Times.UpMs }),
		ms("degraded_ms", "Up, with heavy loss or long round trips", func(v f) int64 { return v.Times.DegradedMs }),
		ms("down_local_ms", "Down: the gateway was silent or the interface down", func(v f) int64 { return v.Times.DownLocalMs }),
		ms("down_backhaul_ms", "Down: the gateway answered, no anchor did", func(v f) int64 { return v.Times.DownBackhaulMs }),
		ms("down_dns_ms", "Down: anchors answered by address, no name resolved", func(v f) int64 { return v.Times.DownDNSMs }),
		ms("off_power_ms", "Without power", func(v f) int64 { return v.Times.OffPowerMs }),
		ms("off_shutdown_ms", "Switched off by choice: taken out of the time", func(v f) int64 { return v.Times.OffShutdownMs }),
		ms("off_agent_ms", "The machine ran, the agent did not: unknown", func(v f) int64 { return v.Times.OffAgentMs }),
		ms("silent_ms", "Nobody has told anything: unknown", func(v f) int64 { return v.Times.SilentMs }),
		fraction("availability", "(up + degraded) / observed: as the village felt it", func(v f) *float64 { return v.Availability }),
		fraction("availability_without_power", "The same with off by power left out of observed: of the link while powered", func(v f) *float64 { return v.WithoutPower }),
		fraction("completeness", "observed / service", func(v f) *float64 { return v.Completeness }),
		fraction("lower", "Availability if all that is unknown was down", func(v f) *float64 { return v.Lower }),
		fraction("upper", "Availability if all that is unknown was up", func(v f) *float64 { return v.Upper }),
		truth("citable", "Completeness is high enough for availability to be cited", func(v f) bool { return v.Citable }),
		text("why_not_citable", "Why it is not", func(v f) string { return v.Why }),
	}
}

func speedColumns() []column[report.Throughput] {
	type th = report.Throughput
	return []column[th]{
		count("speed_tests", "", "Speed tests that began in the period", func(v th) int64 { return int64(v.All.Tests) }),
		perhaps("down_median_bps", "bit/s", "Median download of all tests", func(v th) *int64 { return v.All.Down.MedianBps }),
		perhaps("up_median_bps", "bit/s", "Median upload of all tests", func(v th) *int64 { return v.All.Up.MedianBps }),
		fraction("down_share_on_target", "Tests that reached the site's download target, of those at sites that have one", func(v th) *float64 { return v.All.Down.Share }),
		fraction("up_share_on_target", "The same of upload", func(v th) *float64 { return v.All.Up.Share }),
	}
}

func (t tables) days() press.Data {
	type d = report.Day
	return table("days", "Time lost a day", "Time that all sites together were down or without power, on each day by the clock of the report's zone.", t.r.Days,
		text("day", "The day", func(v d) string { return v.Day }),
		count("down_local_ms", "ms", "Down: at the site", func(v d) int64 { return v.DownLocalMs }),
		count("down_backhaul_ms", "ms", "Down: on the way to the internet", func(v d) int64 { return v.DownBackhaulMs }),
		count("down_dns_ms", "ms", "Down: name resolution", func(v d) int64 { return v.DownDNSMs }),
		count("off_power_ms", "ms", "Without power", func(v d) int64 { return v.OffPowerMs }))
}

func (t tables) leftOut() press.Data {
	type l = report.LeftOut
	return table("left-out", "Sites left out", "Sites that are in no figure.", t.r.LeftOut, text("site", "The site's id", func(v l) string { return v.Site }),
		text("reason", "never_heard: nothing of it in the ledger up to the end of the period; not_listed: the ledger has it, the sites file has not", func(v l) string { return v.Reason }),
		count("told_ms", "ms", "What the ledger has of it in the period", func(v l) int64 { return v.ToldMs }))
}
