package speedtest

import (
	"testing"
	"time"
)

func TestAWindowIsThePartOfTheDayThatItSays(t *testing.T) {
	for text, want := range map[string]struct {
		length  time.Duration
		in, out []string
	}{
		"":            {24 * time.Hour, []string{"00:00", "12:00", "23:59"}, nil},
		"00:00-24:00": {24 * time.Hour, []string{"00:00", "12:00", "23:59"}, nil},
		"08:00-20:00": {12 * time.Hour, []string{"08:00", "19:59"}, []string{"07:59", "20:00", "00:00"}},
		"22:30-06:00": {7*time.Hour + 30*time.Minute, []string{"22:30", "23:59", "00:00", "05:59"}, []string{"06:00", "22:29"}},
		"20:00-24:00": {4 * time.Hour, []string{"20:00", "23:59"}, []string{"00:00", "19:59"}},
	} {
		w, err := ParseWindow(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if w.Length() != want.length {
			t.Errorf("%q is %v long, want %v", text, w.Length(), want.length)
		}
		at := func(clock string) time.Time {
			c, err := time.ParseInLocation("2006-01-02 15:04", "2026-11-23 "+clock, time.FixedZone("", 5*3600))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, c := range want.in {
			if !w.Contains(at(c)) {
				t.Errorf("%q does not contain %s", text, c)
			}
		}
		for _, c := range want.out {
			if w.Contains(at(c)) {
				t.Errorf("%q contains %s", text, c)
			}
			if n := w.Next(at(c)); !w.Contains(n) || n.Sub(at(c)) > 24*time.Hour || w.Contains(n.Add(-time.Second)) {
				t.Errorf("%q after %s begins at %v", text, c, n)
			}
		}
	}
	for _, bad := range []string{"08:00", "8-20", "08:00-25:00", "08:00-08:00", "-", "8:00-20:00", "08:00-20:60"} {
		if _, err := ParseWindow(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestTimeOutsideTheWindowDoesNotCount(t *testing.T) {
	w, err := ParseWindow("08:00-20:00")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC)
	for gap, want := range map[time.Duration]time.Time{
		30 * time.Minute: from.Add(30 * time.Minute),
		90 * time.Minute: time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC),
		25 * time.Hour:   time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC),
	} {
		if got := w.After(from, gap); !got.Equal(want) {
			t.Errorf("%v of the window after %v: %v, want %v", gap, from, got, want)
		}
	}
}
