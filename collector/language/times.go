package language

import (
	"fmt"
	"time"
)

// Duration is a stretch of time in its two greatest units, rounded to the nearest: 3 d 4 h, 2 h 12 min, 12 min, 45 s. Negative is as 0.
func (t *Text) Duration(ms int64) string {
	s := (max(ms, 0) + 500) / 1000
	switch m, h := (s+30)/60, (s+1800)/3600; {
	case s == 0 && ms > 0:
		return t.Say("less than {time}", "time", t.seconds(1))
	case s < 60:
		return t.seconds(s)
	case s < 600 && s%60 != 0:
		return t.minutes(s/60) + " " + t.seconds(s%60)
	case m < 60:
		return t.minutes(m)
	case m < 24*60:
		return t.both(t.hours(m/60), m%60, t.minutes)
	default:
		return t.both(t.days(h/24), h%24, t.hours)
	}
}

func (t *Text) both(great string, n int64, small func(int64) string) string {
	if n == 0 {
		return great
	}
	return great + unbroken + small(n)
}

func (t *Text) seconds(n int64) string { return t.tight(t.Count(n, "{n} s", "{n} s")) }
func (t *Text) minutes(n int64) string { return t.tight(t.Count(n, "{n} min", "{n} min")) }
func (t *Text) hours(n int64) string   { return t.tight(t.Count(n, "{n} h", "{n} h")) }
func (t *Text) days(n int64) string    { return t.tight(t.Count(n, "{n} d", "{n} d")) }

// Month is a month with its year: October 2026.
func (t *Text) Month(year int, month time.Month) string {
	return t.joined(t.Say("{month} {year}", "month", t.month(month), "year", t.year(year)))
}

// MonthShort is a month in a few letters, for charts.
func (t *Text) MonthShort(month time.Month) string {
	switch month {
	case time.January:
		return t.Say("Jan")
	case time.February:
		return t.Say("Feb")
	case time.March:
		return t.Say("Mar")
	case time.April:
		return t.Say("Apr")
	case time.May:
		return t.month(month)
	case time.June:
		return t.Say("Jun")
	case time.July:
		return t.Say("Jul")
	case time.August:
		return t.Say("Aug")
	case time.September:
		return t.Say("Sep")
	case time.October:
		return t.Say("Oct")
	case time.November:
		return t.Say("Nov")
	}
	return t.Say("Dec")
}

func (t *Text) month(month time.Month) string {
	switch month {
	case time.January:
		return t.Say("January")
	case time.February:
		return t.Say("February")
	case time.March:
		return t.Say("March")
	case time.April:
		return t.Say("April")
	case time.May:
		return t.Say("May")
	case time.June:
		return t.Say("June")
	case time.July:
		return t.Say("July")
	case time.August:
		return t.Say("August")
	case time.September:
		return t.Say("September")
	case time.October:
		return t.Say("October")
	case time.November:
		return t.Say("November")
	}
	return t.Say("December")
}

func (t *Text) year(y int) string { return t.own(fmt.Sprintf("%04d", y)) }

// own writes digits in those of the language, without groups.
func (t *Text) own(plain string) string {
	zero, _, _, ok := t.numbers.signs()
	if !ok {
		return plain
	}
	out := []rune(plain)
	for i, r := range out {
		if r >= '0' && r <= '9' {
			out[i] = zero + r - '0'
		}
	}
	return string(out)
}

// Year is a year without groups of digits.
func (t *Text) Year(y int) string { return t.year(y) }

// Date is the day of a time, by the clock of its location, on one line: 1 October 2026.
func (t *Text) Date(at time.Time) string {
	return t.tight(t.Say("{day} {month} {year}", "day", t.own(fmt.Sprint(at.Day())), "month", t.month(at.Month()), "year", t.year(at.Year())))
}

// DateTime is a day and the time of day to the minute, by the clock of its location: 1 October 2026, 08:30.
func (t *Text) DateTime(at time.Time) string {
	return t.joined(t.Say("{date}, {clock}", "date", t.Date(at), "clock", t.own(at.Format("15:04"))))
}
