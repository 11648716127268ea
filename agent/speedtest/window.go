package speedtest

import (
	"fmt"
	"strings"
	"time"
)

// Window is the part of each day in which tests may run, by the site's clock.
type Window struct {
	from, to time.Duration // since midnight; to <= from runs over midnight, both 0 is the whole day
}

// ParseWindow reads "08:00-20:00". "22:00-06:00" runs over midnight, "" is the whole day.
func ParseWindow(text string) (Window, error) {
	if text == "" {
		return Window{}, nil
	}
	from, to, ok := strings.Cut(text, "-")
	a, ok1 := parseClock(from)
	b, ok2 := parseClock(to)
	if !ok || !ok1 || !ok2 || a == b {
		return Window{}, fmt.Errorf("%q is not a part of the day; write it as \"08:00-20:00\", or leave it empty for the whole day", text)
	}
	if b == day {
		b = 0
	}
	if a == day {
		a = 0
	}
	return Window{a, b}, nil
}

const day = 24 * time.Hour

func parseClock(text string) (time.Duration, bool) {
	if text == "24:00" {
		return day, true
	}
	t, err := time.Parse("15:04", strings.TrimSpace(text))
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil && len(strings.TrimSpace(text)) == 5
}

// Length is how much of a day it is.
func (w Window) Length() time.Duration {
	if w.to <= w.from {
		return w.to - w.from + day
	}
	return w.to - w.from
}

// Contains tells whether the clock of t is inside.
func (w Window) Contains(t time.Time) bool {
	c := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	if w.to <= w.from {
		return c >= w.from || c < w.to
	}
	return c >= w.from && c < w.to
}

// Next is when the window begins after t, which is outside. A change to or from summer time may move it by that.
func (w Window) Next(t time.Time) time.Time {
	at := func(days int) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day()+days, int(w.from/time.Hour), int(w.from%time.Hour/time.Minute), 0, 0, t.Location())
	}
	if n := at(0); n.After(t) {
		return n
	}
	return at(1)
}

// left is how long the window goes on after t, which is inside.
func (w Window) left(t time.Time) time.Duration {
	if w.Length() == day {
		return 1 << 62
	}
	c := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	return (w.to - c + day) % day
}

// After is the moment inside the window before which it has lasted for gap since t.
func (w Window) After(t time.Time, gap time.Duration) time.Time {
	for {
		if !w.Contains(t) {
			t = w.Next(t)
		}
		left := w.left(t)
		if gap < left {
			return t.Add(gap)
		}
		gap -= left
		t = t.Add(left)
	}
}
