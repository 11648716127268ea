package sim

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// year has a 29 February, and each change of the clock of both hemispheres once.
var yearFrom, yearTo = time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 7, 1, 0, 0, 0, 0, time.UTC)

func TestTheClockOnTheWallIsTheZones(t *testing.T) {
	changes := 0
	for _, s := range append(Abroad(), Villages()[0]) {
		z, loc := zoneOf(s.TimeZone), zoneOf(s.TimeZone).loc
		was := int64(never)
		for at := yearFrom; at.Before(yearTo); at = at.Add(7 * time.Minute) {
			local := at.In(loc)
			if got, want := z.hour(at.UnixMilli()), float64(local.Hour())+float64(local.Minute())/60; got-want > 1e-9 || want-got > 1e-9 {
				t.Fatalf("%s: hour %v at %v", s.TimeZone, got, local)
			}
			if was != never && z.offset != was {
				changes++
			}
			was = z.offset
			if local.Hour() == 12 && local.Minute() == 0 {
				if w := z.wall(z.dayOf(at.UnixMilli()), 12*hour); w != at.UnixMilli() {
					t.Fatalf("%s: noon is %v, said to be %v", s.TimeZone, local, time.UnixMilli(w).In(loc))
				}
			}
		}
	}
	if changes != 16 {
		t.Errorf("%d changes of the clock in eight villages' year, want 16", changes)
	}
}

// What a service's hours are worth on a day on which the clock is changed: told by the very lines.
func TestOpeningHoursGoByTheLocalClock(t *testing.T) {
	for _, tt := range []struct {
		site, service, from, to string // local midnights
		want                    time.Duration
	}{
		{"monsanto", "night", "2028-03-25T12:00:00Z", "2028-03-26T12:00:00Z", 5 * time.Hour}, // forward
		{"monsanto", "night", "2027-10-30T12:00:00Z", "2027-10-31T12:00:00Z", 7 * time.Hour}, // back
		{"monsanto", "night", "2027-11-30T12:00:00Z", "2027-12-01T12:00:00Z", 6 * time.Hour},
		{"monsanto", "clinic", "2028-03-26T00:00:00Z", "2028-03-26T23:00:00Z", 7 * time.Hour},
		{"caleta-tortel", "night", "2027-09-04T16:00:00Z", "2027-09-05T16:00:00Z", 5 * time.Hour},
		{"caleta-tortel", "night", "2028-04-01T16:00:00Z", "2028-04-02T16:00:00Z", 7 * time.Hour},
		{"lagoon", "night", "2027-10-02T02:00:00Z", "2027-10-03T02:00:00Z", 5*time.Hour + 30*time.Minute},
		{"tafraoute", "night", "2028-01-22T12:00:00Z", "2028-01-23T12:00:00Z", 7 * time.Hour}, // Ramadan begins: back
		{"tafraoute", "night", "2028-03-04T12:00:00Z", "2028-03-05T12:00:00Z", 5 * time.Hour},
		{"namche", "clinic", "2028-02-28T18:15:00Z", "2028-02-29T18:15:00Z", 7 * time.Hour},
	} {
		for _, s := range Abroad() {
			if s.ID != tt.site {
				continue
			}
			k := World{Seed: 1}.Track(s)
			from, _ := time.Parse(time.RFC3339, tt.from)
			to, _ := time.Parse(time.RFC3339, tt.to)
			var sum time.Duration
			for at := from.UnixMilli(); at < to.UnixMilli(); at += hour {
				for _, v := range s.services() {
					if a, b := k.window(v, at, min(at+hour, to.UnixMilli())); v.name == tt.service && a < b {
						sum += time.Duration(b-a) * time.Millisecond
					}
				}
			}
			if sum != tt.want {
				t.Errorf("%s of %s from %s is open %v, want %v", tt.service, tt.site, tt.from, sum, tt.want)
			}
		}
	}
}

func siteAbroad(id string) Site {
	for _, s := range Abroad() {
		if s.ID == id {
			return s
		}
	}
	panic(id)
}

// spansTold are the spans among the lines that are told in a window, and how well each is known.
func spansTold(t *testing.T, k *Track, from, to time.Time) (spans []telemetry.Span, hours int) {
	t.Helper()
	var o Told
	if err := k.Tell(&o, from, to, func(int64) int64 { return 0 }); err != nil {
		t.Fatal(err)
	}
	good, bad, _ := telemetry.Parse(o.Ledger)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	for _, l := range good {
		switch l.Measurement {
		case "span":
			s, err := telemetry.SpanOf(&l.Line)
			if err != nil {
				t.Fatal(err)
			}
			spans = append(spans, s)
		case "hour":
			hours++
		}
	}
	return spans, hours
}

func TestABootWithoutTheTimeIsToldLateOrGuessedOrNever(t *testing.T) {
	k := World{Seed: 1}.Track(siteAbroad("imlil"))
	seen := map[ending]int{}
	for d := floor(yearFrom.UnixMilli(), day)/day + 1; d*day < yearTo.UnixMilli(); d++ {
		b, ok := k.blackoutOn(d)
		if !ok {
			continue
		}
		seen[b.ending]++
		at := func(ms int64) time.Time { return time.UnixMilli(ms) }
		if spans, _ := spansTold(t, k, at(b.off), at(b.back)); len(spans) > 0 {
			t.Errorf("%+v: %d spans told before the time was known", b, len(spans))
		}
		spans, _ := spansTold(t, k, at(b.back), at(b.back+1))
		var power, down, other time.Duration
		for _, s := range spans {
			within := s.Start.UnixMilli() >= b.off && s.End().UnixMilli() <= b.back
			switch {
			case within && s.Cause == telemetry.CausePower:
				power += s.Length
			case within && s.Cause == telemetry.CauseBackhaul:
				down += s.Length
			case within:
				other += s.Length
			}
			if within && b.ending == guessed && s.Err.Milliseconds() < (b.back-b.off-(b.lost-b.boot))/2 {
				t.Errorf("%+v: %+v is not said to be guessed", b, s)
			}
		}
		wantPower, wantDown := b.back-b.off-(b.lost-b.boot), b.lost-b.boot
		if b.ending == forgotten {
			wantPower, wantDown = 0, 0
		}
		if power.Milliseconds() != wantPower || down.Milliseconds() != wantDown || other != 0 {
			t.Errorf("%+v: told %v without power, %v down, %v else", b, power, down, other)
		}
		if n := len(k.Guesses(at(b.off), at(b.back))); (n == 1) != (b.ending == guessed) {
			t.Errorf("%+v: %d guesses", b, n)
		}
	}
	if seen[learned] == 0 || seen[guessed] == 0 || seen[forgotten] == 0 {
		t.Errorf("in a year there were %v", seen)
	}
}

func TestAKioskBehindARouterSeesItsLink(t *testing.T) {
	s := siteAbroad("chilas")
	router, kiosk := World{Seed: 3}.Track(s), World{Seed: 3}.Beside(s)
	nights, shared, blind := 0, time.Duration(0), time.Duration(0)
	other := kiosk.Truth(yearFrom, yearTo)
	for _, r := range router.Truth(yearFrom, yearTo) {
		for _, v := range other {
			a, b := r.Start, r.End
			if v.Start.After(a) {
				a = v.Start
			}
			if v.End.Before(b) {
				b = v.End
			}
			if !a.Before(b) {
				continue
			}
			switch {
			case r.State == telemetry.StateOff && r.Cause != telemetry.CauseAgent && (v.State == telemetry.StateUp || v.State == telemetry.StateDegraded):
				t.Fatalf("the kiosk is %s from %v to %v, the router off", v.State, a, b)
			case r.State == telemetry.StateOff && v.Cause == telemetry.CauseLocal:
				blind += b.Sub(a)
			case r.Cause == telemetry.CauseBackhaul && v.Cause == telemetry.CauseBackhaul:
				shared += b.Sub(a)
			case r.Cause == telemetry.CauseBackhaul && (v.State == telemetry.StateUp || v.State == telemetry.StateDegraded):
				t.Fatalf("the kiosk is %s from %v to %v, the link cut", v.State, a, b)
			}
		}
	}
	for _, v := range other {
		if v.Cause == telemetry.CauseShutdown && v.End.Sub(v.Start) > 10*time.Hour {
			nights++
		}
	}
	if nights < 200 || shared < 24*time.Hour || blind < time.Hour {
		t.Errorf("%d nights off, %v down together, %v behind a router without power", nights, shared, blind)
	}
}

func TestASiteThatIsTakenAwayHasSaidAll(t *testing.T) {
	for _, hours := range []int{0, 5, 7, 11, 17} {
		s := siteAbroad("jiri") // off at night
		until := time.Date(2028, 2, 10, hours, 20, 0, 0, time.UTC)
		k := World{Seed: 1}.Track(s).Until(until)
		end := time.UnixMilli(k.end)
		if end.After(until) || k.at(k.end-1).gap() {
			t.Fatalf("ends at %v, asked for %v", end, until)
		}
		from := until.AddDate(0, 0, -5)
		spans, _ := spansTold(t, k, from, until.AddDate(0, 0, 3))
		var last time.Time
		for _, v := range spans {
			if v.End().After(last) {
				last = v.End()
			}
		}
		if !last.Equal(end) {
			t.Errorf("told up to %v, removed at %v", last, end)
		}
		for _, v := range k.Truth(end, end.AddDate(0, 1, 0)) {
			if v.State != Unknown {
				t.Errorf("after it was removed it was %+v", v)
			}
		}
	}
}
