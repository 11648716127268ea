package hours

import (
	"fmt"
	"strings"
	"time"
)

const week = 7 * 24 * 60 // minutes

// Week is when a service is open, by the clock on the wall. The zero value is never open; Parse("") is always.
type Week struct {
	open [][2]int // minutes from Monday 00:00, in order, apart from each other
}

// Parse reads opening hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00", "Mo,We 08:00-12:00,13:00-16:30" or "Fr 22:00-02:00".
// Days are the first two letters of their English names or more; times without days hold for the days before them, or for all
// seven; an end not later than its start lies on the next day. "" and "24/7" are always.
func Parse(text string) (Week, error) {
	if t := strings.TrimSpace(text); t == "" || t == "24/7" {
		return Week{[][2]int{{0, week}}}, nil
	}
	var w Week
	var days []int
	pending := false // days that still want their times
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' }) {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 {
			return Week{}, hoursFault(part, "is not days and times")
		}
		if isDay(words[0]) {
			more, err := parseDays(words[0])
			if err != nil {
				return Week{}, err
			}
			if !pending {
				days = nil
			}
			days, pending = append(days, more...), true
			words = words[1:]
		} else if days == nil {
			days = []int{0, 1, 2, 3, 4, 5, 6}
		}
		if len(words) == 0 {
			continue
		}
		if len(words) > 1 {
			return Week{}, hoursFault(part, "is not days and times")
		}
		from, to, err := parseTimes(words[0])
		if err != nil {
			return Week{}, err
		}
		for _, d := range days {
			w.add(d*24*60+from, d*24*60+to)
		}
		pending = false
	}
	if pending || len(w.open) == 0 {
		return Week{}, hoursFault(text, "names days without times")
	}
	w.merge()
	return w, nil
}

func hoursFault(text, what string) error {
	return fmt.Errorf("%q %s; write hours such as \"Mo-Fr 08:00-16:00, Sa 09:00-12:00\"", strings.TrimSpace(text), what)
}

func isDay(word string) bool { return word[0]|0x20 >= 'a' && word[0]|0x20 <= 'z' }

func parseDays(word string) ([]int, error) {
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	a, b := day(first), day(last)
	if a < 0 || b < 0 {
		return nil, hoursFault(word, "names no day of the week")
	}
	days := []int{a}
	for d := a; d != b; {
		d = (d + 1) % 7
		days = append(days, d)
	}
	return days, nil
}

// day is 0 for Monday; -1 for what is none.
func day(word string) int {
	for i, name := range []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
		if len(word) >= 2 && strings.HasPrefix(name, strings.ToLower(word)) {
			return i
		}
	}
	return -1
}

// parseTimes reads "08:00-16:30" as minutes of the day; an end on the next day is over 1440.
func parseTimes(word string) (from, to int, err error) {
	a, b, _ := strings.Cut(word, "-")
	from, ok1 := clock(a)
	to, ok2 := clock(b)
	switch {
	case !ok1 || !ok2 || from == 24*60:
		return 0, 0, hoursFault(word, "is not a pair of times")
	case from == to:
		return 0, 0, fmt.Errorf("%q lasts no time; the whole day is \"00:00-24:00\"", word)
	case to < from:
		to += 24 * 60
	}
	return from, to, nil
}

func clock(text string) (minutes int, ok bool) {
	h, m, _ := strings.Cut(text, ":")
	if len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, false
	}
	for _, c := range h + m {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	hour := 0
	for _, c := range h {
		hour = hour*10 + int(c-'0')
	}
	minutes = hour*60 + int(m[0]-'0')*10 + int(m[1]-'0')
	return minutes, m[0] < '6' && minutes <= 24*60
}

// add keeps the parts in order.
func (w *Week) add(from, to int) {
	if to > week { // Sunday night
		w.add(0, to-week)
		to = week
	}
	i := len(w.open)
	for i > 0 && w.open[i-1][0] > from {
		i--
	}
	w.open = append(w.open, [2]int{})
	copy(w.open[i+1:], w.open[i:])
	w.open[i] = [2]int{from, to}
}

// merge makes one of those that touch.
func (w *Week) merge() {
	all := w.open[:1]
	for _, o := range w.open[1:] {
		if last := &all[len(all)-1]; o[0] <= last[1] {
			last[1] = max(last[1], o[1])
		} else {
			all = append(all, o)
		}
	}
	w.open = all
}

// at tells whether the week is open at a local second of the week, and for how many seconds that stays so at least.
func (w Week) at(second int) (open bool, lasts int) {
	for _, o := range w.open {
		switch {
		case second < o[0]*60:
			return false, o[0]*60 - second
		case second < o[1]*60:
			return true, o[1]*60 - second
		}
	}
	return false, week*60 - second
}

// State tells whether a service is open at t, and until when that stays so at least: until the next hour of opening or closing, or
// until the zone's clock is changed.
func (w Week) State(t time.Time, zone *time.Location) (open bool, until time.Time) {
	local := t.In(zone)
	h, m, s := local.Clock()
	open, lasts := w.at((int(local.Weekday())+6)%7*86400 + h*3600 + m*60 + s)
	until = t.Add(time.Duration(lasts)*time.Second - time.Duration(local.Nanosecond()))
	if _, end := local.ZoneBounds(); !end.IsZero() && end.Before(until) {
		until = end.In(t.Location())
	}
	return open, until
}

// Always tells whether it never closes.
func (w Week) Always() bool { return len(w.open) == 1 && w.open[0] == [2]int{0, week} }
