package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrPeriod is in the error of a period that cannot be reported.
var ErrPeriod = errors.New("no such period")

// The kinds of a period, which say what the period before it is.
const (
	Month   = "month"
	Quarter = "quarter"
	Year    = "year"
	Custom  = "custom"
)

// Period is a stretch of time by the calendar of a zone.
type Period struct {
	Text string // as it is written in one way only: 2026-10, 2026-Q4, 2026, 2026-10-01/2026-10-15
	Kind string
	From time.Time
	To   time.Time // exclusive
	Zone *time.Location
}

const (
	dayForm     = "2006-01-02"
	minuteForm  = "2006-01-02T15:04"
	firstYear   = 2000 // there was no nabz before
	shortest    = time.Hour
	longestYear = 5
)

// LoadZone is time.LoadLocation with an error, ErrZone, that says what to write. "" is UTC.
func LoadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, faultf(ErrZone, "%q is no time zone; write an IANA name such as \"Asia/Karachi\"", name)
	}
	return zone, nil
}

// ParsePeriod reads a month (2026-10), a quarter (2026-Q4), a year (2026), whole days with both their ends
// (2026-10-01/2026-10-15), times with an exclusive end (2026-10-01T08:00/2026-10-15T17:30), or last-month,
// this-month, last-quarter, this-quarter, last-year, this-year. All are by the clock of the zone. The error, ErrPeriod,
// is of a text that is no period, one that ends before it begins, one of less than an hour or more than five years,
// and one that lies in the future.
func ParsePeriod(text string, zone *time.Location, now time.Time) (Period, error) {
	p, err := parsePeriod(strings.TrimSpace(text), zone, now)
	if err != nil {
		return Period{}, err
	}
	if err := p.check(text); err != nil {
		return Period{}, err
	}
	if !p.From.Before(now) {
		return Period{}, faultf(ErrPeriod, "the period %s lies in the future; choose one that has begun", text)
	}
	return p, nil
}

// check is what must hold of a period at any time; text is how it was written.
func (p Period) check(text string) error {
	switch {
	case !p.From.Before(p.To):
		return faultf(ErrPeriod, "the period %s ends before it begins; write the earlier end first", text)
	case p.To.Sub(p.From) < shortest:
		return faultf(ErrPeriod, "the period %s is shorter than an hour; choose a longer one", text)
	case p.To.After(p.From.AddDate(longestYear, 0, 0)):
		return faultf(ErrPeriod, "the period %s is longer than %d years; choose a shorter one", text, longestYear)
	case p.From.Year() < firstYear:
		return faultf(ErrPeriod, "the period %s begins before the year %d; choose a later one", text, firstYear)
	}
	return nil
}

func parsePeriod(text string, zone *time.Location, now time.Time) (Period, error) {
	local := now.In(zone)
	if which, kind, ok := strings.Cut(text, "-"); ok && (which == "last" || which == "this") {
		y, m, _ := local.Date()
		back := 0
		if which == "last" {
			back = 1
		}
		switch kind {
		case Month:
			return calendar(Month, y, int(m)-back, zone), nil
		case Quarter:
			return calendar(Quarter, y, (int(m)-1)/3*3+1-3*back, zone), nil
		case Year:
			return calendar(Year, y-back, 1, zone), nil
		}
	}
	if a, b, ok := strings.Cut(text, "/"); ok {
		return customPeriod(text, a, b, zone)
	}
	year, rest, more := strings.Cut(text, "-")
	y, err := strconv.Atoi(year)
	if err == nil && len(year) == 4 {
		n := 0
		switch {
		case !more:
			return calendar(Year, y, 1, zone), nil
		case len(rest) == 2 && rest[0] == 'Q' && rest[1] >= '1' && rest[1] <= '4':
			return calendar(Quarter, y, int(rest[1]-'1')*3+1, zone), nil
		case len(rest) == 2:
			if n, err = strconv.Atoi(rest); err == nil && n >= 1 && n <= 12 {
				return calendar(Month, y, n, zone), nil
			}
		}
	}
	return Period{}, faultf(ErrPeriod, "%q is no period; write a month as 2026-10, a quarter as 2026-Q4, a year as 2026, days as 2026-10-01/2026-10-15, or last-month", text)
}

// calendar is the month, quarter or year that begins with that month.
func calendar(kind string, year, month int, zone *time.Location) Period {
	first := time.Date(year, time.Month(month), 1, 12, 0, 0, 0, time.UTC)
	year, month = first.Year(), int(first.Month())
	p := Period{Kind: kind, From: dayBegins(year, month, 1, zone), Zone: zone}
	switch kind {
	case Month:
		p.Text, p.To = fmt.Sprintf("%04d-%02d", year, month), dayBegins(year, month+1, 1, zone)
	case Quarter:
		p.Text, p.To = fmt.Sprintf("%04d-Q%d", year, (month+2)/3), dayBegins(year, month+3, 1, zone)
	default:
		p.Text, p.To = fmt.Sprintf("%04d", year), dayBegins(year+1, 1, 1, zone)
	}
	return p
}

func customPeriod(text, a, b string, zone *time.Location) (Period, error) {
	p := Period{Text: text, Kind: Custom, Zone: zone}
	for i, one := range []struct {
		text string
		into *time.Time
	}{{a, &p.From}, {b, &p.To}} {
		if day, err := time.Parse(dayForm, one.text); err == nil {
			y, m, d := day.Date()
			*one.into = dayBegins(y, int(m), d+i, zone) // the whole of the last day
			continue
		}
		t, err := time.ParseInLocation(minuteForm, one.text, zone)
		if err != nil {
			return Period{}, faultf(ErrPeriod, "the period %s has an end %q that is no time; write a day as 2026-10-01 or a time as 2026-10-01T08:00", text, one.text)
		}
		*one.into = t
	}
	return p, nil
}

// Before is the period before: the month, quarter or year before, or one of as many days, or of the same length.
func (p Period) Before() Period {
	y, m, d := p.From.Date()
	switch p.Kind {
	case Month:
		return calendar(Month, y, int(m)-1, p.Zone)
	case Quarter:
		return calendar(Quarter, y, int(m)-3, p.Zone)
	case Year:
		return calendar(Year, y-1, 1, p.Zone)
	}
	b := Period{Kind: Custom, Zone: p.Zone, To: p.From}
	if midnight(p.From) && midnight(p.To) {
		b.From = dayBegins(y, int(m), d-days(p.From, p.To), p.Zone)
		b.Text = b.From.Format(dayForm) + "/" + time.Date(y, m, d-1, 12, 0, 0, 0, p.Zone).Format(dayForm)
		return b
	}
	b.From = p.From.Add(-p.To.Sub(p.From))
	b.Text = b.From.Format(minuteForm) + "/" + b.To.Format(minuteForm)
	return b
}

// dayBegins is the first instant of a day by the clock of a zone; days and months beyond their range count on, as with time.Date. It is
// midnight, but where clocks are changed then: a day may begin at 01:00, or have two midnights. Offsets are multiples of a quarter of an hour.
func dayBegins(year, month, day int, zone *time.Location) time.Time {
	want := time.Date(year, time.Month(month), day, 12, 0, 0, 0, time.UTC)
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, zone).Add(-3 * time.Hour)
	for noon(at).Before(want) {
		at = at.Add(15 * time.Minute)
	}
	return at
}

// noon is the day of t, by its own clock, as a time in UTC.
func noon(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
}

func midnight(t time.Time) bool {
	y, m, d := t.Date()
	return t.Equal(dayBegins(y, int(m), d, t.Location()))
}

// days counts midnights from a to b.
func days(a, b time.Time) int { return int(noon(b).Sub(noon(a)).Hours()+0.5) / 24 }

// Between is the custom period between two times, to the minute.
func Between(from, to time.Time, zone *time.Location) Period {
	p := Period{Kind: Custom, From: from.In(zone).Truncate(time.Minute), To: to.In(zone).Truncate(time.Minute), Zone: zone}
	p.Text = p.From.Format(minuteForm) + "/" + p.To.Format(minuteForm)
	return p
}
