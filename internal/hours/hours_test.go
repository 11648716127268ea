package hours

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The zones of the tests: none needs data of the system.
func testZones(t testing.TB) map[string]*time.Location {
	zones := map[string]*time.Location{}
	for _, text := range []string{"UTC", "+05:00", "+05:45", "-03:30", "PKT-5", "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"} {
		z, err := ParseZone(text)
		if err != nil {
			t.Fatal(err)
		}
		zones[text] = z
	}
	return zones
}

func TestZonesAreReadWithoutDataOfTheSystem(t *testing.T) {
	summer, winter := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ text, summer, winter string }{
		{"UTC", "12:00", "12:00"},
		{"+05:00", "17:00", "17:00"},
		{"+5", "17:00", "17:00"},
		{"+0545", "17:45", "17:45"},
		{"-03:30", "08:30", "08:30"},
		{"PKT-5", "17:00", "17:00"},
		{"<+0545>-5:45", "17:45", "17:45"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "14:00", "13:00"},
		{"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "22:30", "23:00"},
	} {
		z, err := ParseZone(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if s, w := summer.In(z).Format("15:04"), winter.In(z).Format("15:04"); s != tt.summer || w != tt.winter {
			t.Errorf("%s: noon is %s and %s, want %s and %s", tt.text, s, w, tt.summer, tt.winter)
		}
	}
}

func TestWhatIsNoZoneSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"":              `is not set; write an offset such as "+05:00", or a rule such as "PKT-5"`,
		"+15:00":        `"+15:00" is not an offset from UTC; write it as "+05:00", from "-12:00" to "+14:00"`,
		"+5:3":          `"+5:3" is not an offset from UTC; write it as "+05:00", from "-12:00" to "+14:00"`,
		"-":             `"-" is not an offset from UTC; write it as "+05:00", from "-12:00" to "+14:00"`,
		"Nowhere/Land":  `this machine has no data for the time zone "Nowhere/Land"; write an offset such as "+05:00", or a rule such as "PKT-5"`,
		"Local":         `"Local" says nothing on a router; write an offset such as "+05:00", or a rule such as "PKT-5"`,
		"CET-1CEST,M99": `"CET-1CEST,M99" is not a time zone rule; write an offset such as "+05:00", or a rule such as "PKT-5" or "CET-1CEST,M3.5.0,M10.5.0/3"`,
		"PKT-":          `"PKT-" is not a time zone rule; write an offset such as "+05:00", or a rule such as "PKT-5" or "CET-1CEST,M3.5.0,M10.5.0/3"`,
	} {
		if z, err := ParseZone(text); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v, %v\nwant %s", text, z, err, want)
		}
	}
}

func TestHoursAreRead(t *testing.T) {
	at := func(d, h, m int) int { return d*1440 + h*60 + m }
	for _, tt := range []struct {
		text string
		want [][2]int
	}{
		{"", [][2]int{{0, week}}},
		{"24/7", [][2]int{{0, week}}},
		{"00:00-24:00", [][2]int{{0, week}}},
		{"Mo 08:00-16:00", [][2]int{{at(0, 8, 0), at(0, 16, 0)}}},
		{"Mo-Tu 08:00-16:00, Sa 9:00-12:00", [][2]int{{at(0, 8, 0), at(0, 16, 0)}, {at(1, 8, 0), at(1, 16, 0)}, {at(5, 9, 0), at(5, 12, 0)}}},
		{"monday,Wed 08:00-12:00,13:00-16:30", [][2]int{{at(0, 8, 0), at(0, 12, 0)}, {at(0, 13, 0), at(0, 16, 30)}, {at(2, 8, 0), at(2, 12, 0)}, {at(2, 13, 0), at(2, 16, 30)}}},
		{"Sa-Mo 10:00-11:00", [][2]int{{at(0, 10, 0), at(0, 11, 0)}, {at(5, 10, 0), at(5, 11, 0)}, {at(6, 10, 0), at(6, 11, 0)}}},
		{"Su 22:00-02:00; Mo 01:30-03:00", [][2]int{{0, at(0, 3, 0)}, {at(6, 22, 0), week}}},
		{"Mo 08:00-12:00, Mo 12:00-16:00", [][2]int{{at(0, 8, 0), at(0, 16, 0)}}},
	} {
		w, err := Parse(tt.text)
		if err != nil || fmt.Sprint(w.open) != fmt.Sprint(tt.want) {
			t.Errorf("%q: got %v, %v; want %v", tt.text, w.open, err, tt.want)
		}
	}
}

func TestWhatAreNoHoursSaysWhatToWrite(t *testing.T) {
	const how = `; write hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00"`
	for text, want := range map[string]string{
		"Mo-Fr":                `"Mo-Fr" names days without times` + how,
		"Mo 08:00-16:00, Sa":   `"Mo 08:00-16:00, Sa" names days without times` + how,
		"Mx 08:00-16:00":       `"Mx" names no day of the week` + how,
		"M 08:00-16:00":        `"M" names no day of the week` + how,
		"Mo 8-16":              `"8-16" is not a pair of times` + how,
		"Mo 08:00-24:30":       `"08:00-24:30" is not a pair of times` + how,
		"Mo 08:60-16:00":       `"08:60-16:00" is not a pair of times` + how,
		"Mo 08:00-08:00":       `"08:00-08:00" lasts no time; the whole day is "00:00-24:00"`,
		"Mo 08:00-16:00 10:00": `"Mo 08:00-16:00 10:00" is not days and times` + how,
		"08:00-16:00 Mo":       `"08:00-16:00 Mo" is not days and times` + how,
		"Mo 08:00 - 16:00":     `"Mo 08:00 - 16:00" is not days and times` + how,
		",":                    `"," names days without times` + how,
	} {
		if w, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v, %v\nwant %s", text, w, err, want)
		}
	}
}

// rule is one part of opening hours, to be looked at naively.
type opening struct{ day, from, to int }

func (o opening) String() string {
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d", []string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}[o.day], o.from/60, o.from%60, o.to/60, o.to%60)
}

func (o opening) open(local time.Time) bool {
	day, minute := (int(local.Weekday())+6)%7, local.Hour()*60+local.Minute()
	if o.to > o.from {
		return day == o.day && minute >= o.from && minute < o.to
	}
	return day == o.day && minute >= o.from || day == (o.day+1)%7 && minute < o.to
}

func openings(t *rapid.T) (text string, open func(time.Time) bool) {
	var all []opening
	var texts []string
	for range rapid.IntRange(1, 4).Draw(t, "parts") {
		o := opening{rapid.IntRange(0, 6).Draw(t, "day"), rapid.IntRange(0, 1439).Draw(t, "from"), rapid.IntRange(0, 1439).Draw(t, "to")}
		if o.from == o.to {
			o.to = (o.to + 1) % 1440
		}
		all, texts = append(all, o), append(texts, o.String())
	}
	return strings.Join(texts, ", "), func(local time.Time) bool {
		for _, o := range all {
			if o.open(local) {
				return true
			}
		}
		return false
	}
}

// Weeks with a change of the clock in either hemisphere, at all offsets, looked at minute by minute.
func TestOpenIsWhatTheClockOnTheWallSays(t *testing.T) {
	zones := testZones(t)
	rapid.Check(t, func(t *rapid.T) {
		text, open := openings(t)
		w, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		zone := zones[rapid.SampledFrom([]string{"UTC", "+05:00", "+05:45", "-03:30", "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"}).Draw(t, "zone")]
		start := time.Date(2026, rapid.SampledFrom([]time.Month{3, 4, 10, 12}).Draw(t, "month"), rapid.IntRange(1, 28).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		for at := start; at.Before(start.Add(72 * time.Hour)); {
			is, until := w.State(at, zone)
			if !until.After(at) {
				t.Fatalf("%s: no way on from %v", text, at)
			}
			for ; at.Before(until) && at.Before(start.Add(72*time.Hour)); at = at.Add(time.Minute) {
				if open(at.In(zone)) != is {
					t.Fatalf("%s: at %v open is %v", text, at.In(zone), is)
				}
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "24/7", "Mo-Fr 08:00-16:00, Sa 09:00-12:00", "Mo,We 08:00-12:00,13:00-16:30", "Fr 22:00-02:00", "monday 8:00-9:00",
		"Mo", "08:00-08:00", "24:00-08:00", "08:00-24:01", "Xx 08:00-09:00", ";Mo;08:00-09:00", "MO-sunday 00:00-24:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Parse(text)
		if err != nil {
			return
		}
		last := 0
		for _, o := range w.open {
			if o[0] < last || o[1] <= o[0] || o[1] > week {
				t.Fatalf("%q is open %v, want stretches of a week in order", text, w.open)
			}
			last = o[1]
		}
	})
}
