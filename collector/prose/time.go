package prose

import (
	"math"
	"time"

	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	hourMs   = float64(time.Hour / time.Millisecond)
	minuteMs = float64(time.Minute / time.Millisecond)
	manyDays = 62 // beyond which days are summed to months
)

// cause is why a link was down or off.
func (w *writer) cause(c telemetry.Cause) string {
	switch c {
	case telemetry.CauseLocal:
		return w.Say("equipment at the site (local)")
	case telemetry.CauseBackhaul:
		return w.Say("the way to the internet (backhaul)")
	case telemetry.CauseDNS:
		return w.Say("name resolution (DNS)")
	case telemetry.CausePower:
		return w.Say("power cut")
	}
	return w.Say("all causes")
}

// causeShort is a cause below a column of a chart.
func (w *writer) causeShort(c telemetry.Cause) string {
	switch c {
	case telemetry.CauseLocal:
		return w.Say("site")
	case telemetry.CauseBackhaul:
		return w.Say("backhaul")
	case telemetry.CauseDNS:
		return w.Say("DNS")
	}
	return w.Say("power")
}

// spent says how the time was spent.
func (w *writer) spent() {
	w.heading(w.Say("How the time was spent"))
	p, t := w.r.Programme.Time, w.r.Programme.Time.Times
	behind := w.behind(w.sitesOf(w.r.Programme.Sites), w.Say("{time} of site time", "time", w.Duration(p.PeriodMs)))
	rows := []press.StackRow{w.stackRow(w.short(w.r.Asked.Period, w.Say("this period")), p)}
	if b := w.r.Before; b.Time.ObservedMs > 0 {
		rows = append(rows, w.stackRow(w.short(b.Period, w.Say("period before")), b.Time))
	}
	w.add(press.Chart{Caption: w.Say("All sites together"), Plot: press.Stack{Rows: rows}, Behind: behind,
		Description: w.Say("Bars of the time that all sites were up, degraded, down, without power, or not known of; the table below has the figures.")})
	table := press.Table{Caption: w.Say("Time by state"), Behind: behind, Columns: []press.Column{{Name: w.Say("State")}, {Name: w.Say("Share of the time"), Kind: press.ColumnBar}, {Name: w.Say("Site time"), Kind: press.ColumnNumber}}}
	row := func(name, what string, ms int64) {
		cell := press.Cell{Text: w.Say("none of it"), Bar: -1}
		if p.ServiceMs > 0 {
			part := float64(ms) / float64(p.ServiceMs)
			cell = press.Cell{Text: w.Percent(part, language.Nearest), Bar: part}
		}
		table.Rows = append(table.Rows, []press.Cell{{Text: name, Detail: what}, cell, {Text: w.Duration(ms)}})
	}
	row(w.Say("Up"), "", t.UpMs)
	row(w.Say("Degraded"), w.Say("up, but with heavy loss or long round trips"), t.DegradedMs)
	row(w.Say("Down: equipment at the site (local)"), "", t.DownLocalMs)
	row(w.Say("Down: the way to the internet (backhaul)"), "", t.DownBackhaulMs)
	row(w.Say("Down: name resolution (DNS)"), "", t.DownDNSMs)
	row(w.Say("No power"), "", t.OffPowerMs)
	row(w.Say("Unknown"), w.Say("nobody has told; never counted as up"), p.UnknownMs)
	w.add(table)
	if t.OffShutdownMs > 0 {
		w.small(w.Say("Sites were switched off by choice for {time}; that is taken out of the time.", "time", w.Duration(t.OffShutdownMs)))
	}
}

func (w *writer) stackRow(label string, f report.Figures) press.StackRow {
	t, text := f.Times, w.citable(f).Text
	if text == "" {
		text = w.share(f.Availability, w.unobserved())
	}
	return press.StackRow{Label: label, Text: text, Parts: []press.Part{
		{Tone: press.ToneUp, Text: w.Say("Up"), Value: float64(t.UpMs)}, {Tone: press.ToneDegraded, Text: w.Say("Degraded"), Value: float64(t.DegradedMs)},
		{Tone: press.ToneDown, Text: w.Say("Down"), Value: float64(t.DownMs())}, {Tone: press.ToneOff, Text: w.Say("No power"), Value: float64(t.OffPowerMs)},
		{Tone: press.ToneUnknown, Text: w.Say("Unknown"), Value: float64(f.UnknownMs)}}}
}

// lost is the time lost in a place of the chart.
type lost struct {
	label       string
	down, power int64
}

// places are the days of the report, or its months where they are many.
func (w *writer) places() (all []lost, months bool) {
	months = len(w.r.Days) > manyDays
	at := time.Time{}
	for _, d := range w.r.Days {
		on := day(d.Day)
		if months && (len(all) == 0 || on.Month() != at.Month()) {
			label := w.MonthShort(on.Month())
			if len(all) == 0 || on.Month() == time.January {
				label = w.Say("{month} {year}", "month", label, "year", w.Year(on.Year()))
			}
			all = append(all, lost{label: label})
		} else if !months {
			label := w.Number(int64(on.Day()))
			if len(all) == 0 || on.Month() != at.Month() {
				label = w.Say("{day} {month}", "day", label, "month", w.MonthShort(on.Month()))
			}
			all = append(all, lost{label: label})
		}
		at = on
		p := &all[len(all)-1]
		p.down += d.DownLocalMs + d.DownBackhaulMs + d.DownDNSMs
		p.power += d.OffPowerMs
	}
	return all, months
}

// days is the chart of the time lost day by day.
func (w *writer) days() {
	places, months := w.places()
	caption := w.Say("Time lost a day, all sites together")
	if months {
		caption = w.Say("Time lost a month, all sites together")
	}
	most := int64(0)
	g := press.Graph{Series: []press.Series{{Name: w.Say("Down"), Tone: press.ToneDown}, {Name: w.Say("No power"), Tone: press.ToneOff}}}
	for _, p := range places {
		most = max(most, p.down, p.power)
	}
	if most == 0 {
		w.small(w.Say("No time was lost on any day, as far as is known."))
		return
	}
	scale := w.hourScale(float64(most))
	for _, p := range places {
		g.Labels = append(g.Labels, p.label)
		g.Series[0].Values = append(g.Series[0].Values, float64(p.down)/scale.unit)
		g.Series[1].Values = append(g.Series[1].Values, float64(p.power)/scale.unit)
	}
	g.Axis = scale.axis
	unknown := ""
	if ms := w.r.Programme.Time.UnknownMs; ms > 0 {
		unknown = w.Say("{time} of site time unknown", "time", w.Duration(ms))
	}
	w.add(press.Chart{Caption: caption, Plot: g, Behind: w.behind(w.sitesOf(w.r.Programme.Sites), w.Count(int64(len(w.r.Days)), "{n} day", "{n} days"), unknown),
		Description: w.Say("Columns of the time that links were down, and were without power; the table of days in the CSV and XLSX files has the figures.")})
}

// scale is an axis of time.
type scale struct {
	unit float64 // in ms
	axis press.Axis
}

// hourScale is an axis from nothing to at least most ms, in minutes or hours.
func (w *writer) hourScale(most float64) scale {
	s := scale{unit: hourMs}
	if most < 2*hourMs {
		s.unit = minuteMs
	}
	s.axis = axis(most/s.unit, func(v float64) string {
		if v != math.Trunc(v) || most < minuteMs {
			return w.Duration(int64(v * s.unit))
		}
		if s.unit == minuteMs {
			return w.Count(int64(v), "{n} min", "{n} min")
		}
		return w.Count(int64(v), "{n} h", "{n} h")
	})
	return s
}

// axis goes from nothing to a round value that is not below most.
func axis(most float64, text func(float64) string) press.Axis {
	steps := press.Steps(0, most)
	a := press.Axis{Max: most}
	if n := len(steps); n > 1 {
		if step := steps[1] - steps[0]; steps[n-1] < most {
			steps = append(steps, steps[n-1]+step)
		}
		a.Max = steps[len(steps)-1]
	}
	for _, v := range steps {
		a.Ticks = append(a.Ticks, press.Tick{Value: v, Text: text(v)})
	}
	return a
}
