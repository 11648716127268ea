package prose

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/language"
)

// Period is a report's period, such as 2026-10, 2026-Q4, 2026 or 2026-10-01/2026-10-15, in words. What is none comes back as it is.
func Period(text string, t *language.Text) string {
	if a, b, ok := strings.Cut(text, "/"); ok {
		return t.Say("{from} to {to}", "from", instant(a, t), "to", instant(b, t))
	}
	year, rest, more := strings.Cut(text, "-")
	y, err := strconv.Atoi(year)
	if err != nil || len(year) != 4 {
		return text
	}
	if !more {
		return t.Year(y)
	}
	if m, err := time.Parse("01", rest); err == nil {
		return t.Month(y, m.Month())
	}
	switch rest {
	case "Q1":
		return t.Say("first quarter of {year}", "year", t.Year(y))
	case "Q2":
		return t.Say("second quarter of {year}", "year", t.Year(y))
	case "Q3":
		return t.Say("third quarter of {year}", "year", t.Year(y))
	case "Q4":
		return t.Say("fourth quarter of {year}", "year", t.Year(y))
	}
	return text
}

// instant is an end of a custom period.
func instant(text string, t *language.Text) string {
	if at, err := time.Parse("2006-01-02", text); err == nil {
		return t.Date(at)
	}
	if at, err := time.Parse("2006-01-02T15:04", text); err == nil {
		return t.DateTime(at)
	}
	return text
}

// during is the period at the beginning of a sentence.
func (w *writer) during() string {
	text := w.r.Asked.Period
	switch _, rest, _ := strings.Cut(text, "-"); {
	case strings.Contains(text, "/"):
		a, b, _ := strings.Cut(text, "/")
		return w.Say("From {from} to {to}", "from", instant(a, w.Text), "to", instant(b, w.Text))
	case strings.HasPrefix(rest, "Q"):
		return w.Say("In the {quarter}", "quarter", Period(text, w.Text))
	}
	return w.Say("In {period}", "period", Period(w.r.Asked.Period, w.Text))
}

// short is a period beside a bar: its name, or what it is where that is long.
func (w *writer) short(text, otherwise string) string {
	if strings.Contains(text, "/") {
		return otherwise
	}
	return Period(text, w.Text)
}

// day is a day of the report as a time.
func day(text string) time.Time {
	at, _ := time.Parse("2006-01-02", text) // the report has written it
	return at
}

// local is a time by the clock of the report.
func (w *writer) local(at time.Time) string { return w.DateTime(at.In(w.zone)) }

// zoneName is the zone with its distance to UTC, where that is the same from beginning to end.
func (w *writer) zoneName() string {
	from := w.r.From.In(w.zone)
	_, a := from.Zone()
	if _, until := from.ZoneBounds(); !until.IsZero() && until.Before(w.r.To) {
		return w.r.Asked.TimeZone
	}
	sign := '+'
	if a < 0 {
		sign, a = '−', -a
	}
	return fmt.Sprintf("%s (UTC%c%02d:%02d)", w.r.Asked.TimeZone, sign, a/3600, a/60%60)
}
