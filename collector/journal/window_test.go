package journal

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/fleet"
)

func in(t testing.TB, zone string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The clocks go forward on 29 March 2026 at 02:00 and back on 25 October at 03:00.
func TestAWeeklyWindowFollowsTheClockOnTheWall(t *testing.T) {
	berlin := in(t, "Europe/Berlin")
	utc := func(m time.Month, d, h, min int) time.Time { return time.Date(2026, m, d, h, min, 0, 0, time.UTC) }
	w := Window{Scope: Scope{Site: "a"}, From: utc(1, 1, 0, 0), Weekly: "Su 01:00-04:00", Zone: "Europe/Berlin", Reason: "x"}
	for _, tt := range []struct {
		name           string
		at, start, end time.Time
	}{
		{"winter", utc(3, 20, 0, 0), utc(3, 22, 0, 0), utc(3, 22, 3, 0)},
		{"the night with an hour less", utc(3, 26, 0, 0), utc(3, 29, 0, 0), utc(3, 29, 2, 0)},
		{"summer", utc(4, 2, 0, 0), utc(4, 4, 23, 0), utc(4, 5, 2, 0)},
		{"the night with an hour more", utc(10, 20, 0, 0), utc(10, 24, 23, 0), utc(10, 25, 3, 0)},
		{"while it runs", utc(10, 25, 1, 30), utc(10, 25, 1, 30), utc(10, 25, 3, 0)},
	} {
		start, end, ok := w.Next(tt.at)
		if !ok || !start.Equal(tt.start) || !end.Equal(tt.end) {
			t.Errorf("%s: %v to %v, want %v to %v", tt.name, start.In(berlin), end.In(berlin), tt.start.In(berlin), tt.end.In(berlin))
		}
		if until, ok := w.Running(start); !ok || !until.Equal(tt.end) {
			t.Errorf("%s: runs until %v, want %v", tt.name, until, tt.end)
		}
		if _, ok := w.Running(tt.end); ok {
			t.Errorf("%s: runs on at its end", tt.name)
		}
	}
	w.To = utc(10, 25, 1, 15)
	if _, end, ok := w.Next(utc(10, 20, 0, 0)); !ok || !end.Equal(w.To) {
		t.Errorf("it ends at %v, want its last instant", end)
	}
	if start, _, ok := w.Next(w.To); ok {
		t.Errorf("over, and yet it begins at %v", start)
	}
}

// Each half hour of weeks in which clocks change, by a way of its own: what the wall says.
func TestMaintenanceIsWhatTheClockOnTheWallSays(t *testing.T) {
	zones := []string{"UTC", "Asia/Karachi", "Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"}
	days := []string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}
	site := fleet.Site{ID: "gokina"}
	rapid.Check(t, func(rt *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(rt, "zone")
		wall := in(t, zone)
		day, from, to := rapid.IntRange(0, 6).Draw(rt, "day"), rapid.IntRange(0, 47).Draw(rt, "from")*30, rapid.IntRange(1, 47).Draw(rt, "to")*30
		if from == to {
			to = (to + 30) % 1440
		}
		text := fmt.Sprintf("%s %02d:%02d-%02d:%02d", days[day], from/60, from%60, to/60, to%60)
		start := time.Date(2026, rapid.SampledFrom([]time.Month{3, 4, 10, 11}).Draw(rt, "month"), rapid.IntRange(1, 28).Draw(rt, "date"), 0, 0, 0, 0, time.UTC)
		end := start.Add(time.Duration(rapid.IntRange(8*48, 12*48).Draw(rt, "length")) * 30 * time.Minute)
		w := Window{ID: 1, Scope: Scope{Site: "gokina"}, From: start, To: end, Weekly: text, Zone: zone, Reason: "x"}
		j := Journal{plans: []plan{newPlan(w)}}
		began, runs := time.Time{}, false
		for at := start.Add(-time.Hour); at.Before(end.Add(time.Hour)); at = at.Add(30 * time.Minute) {
			local := at.In(wall)
			weekday, minute := (int(local.Weekday())+6)%7, local.Hour()*60+local.Minute()
			want := weekday == day && minute >= from && minute < to
			if to < from {
				want = weekday == day && minute >= from || weekday == (day+1)%7 && minute < to
			}
			want = want && !at.Before(start) && at.Before(end)
			if _, got := j.Maintenance(site, at); got != want {
				rt.Fatalf("%s in %s at %v is %v, want %v", text, zone, local, got, want)
			}
			if _, running := w.Running(at); running != want {
				rt.Fatalf("%s in %s: Running at %v is %v, want %v", text, zone, local, running, want)
			}
			if !want {
				began = time.Time{}
			} else if !runs {
				began = at
			}
			runs = want
			if got := w.Began(at); got.After(began) || want && !got.After(began.Add(-30*time.Minute)) || !want && !got.IsZero() {
				rt.Fatalf("%s in %s: what runs at %v began at %v, want at most half an hour before %v", text, zone, local, got.In(wall), began.In(wall))
			}
			if from, until, ok := w.Next(at); ok && (from.Before(at) || !until.After(from) || want != from.Equal(at)) {
				rt.Fatalf("%s in %s: after %v it is next from %v to %v", text, zone, local, from.In(wall), until.In(wall))
			}
		}
	})
}

// A board of 5,000 sites asks for each of them.
func BenchmarkMaintenanceOf5000SitesWith100Windows(b *testing.B) {
	j := Journal{}
	for i := range 100 {
		j.plans = append(j.plans, newPlan(Window{ID: uint64(i), Scope: Scope{District: fmt.Sprint("d", i)}, From: noon, Weekly: "Su 02:00-04:00", Zone: "Asia/Karachi"}))
	}
	sites := make([]fleet.Site, 5000)
	for i := range sites {
		sites[i] = fleet.Site{ID: fmt.Sprint("site-", i), District: fmt.Sprint("d", i%100)}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range sites {
			j.Maintenance(s, noon)
		}
	}
}
