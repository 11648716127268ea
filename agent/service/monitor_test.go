package service

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// ten is 10:00 on a Monday, UTC.
var ten = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func at(minute float64) time.Time {
	return ten.Add(time.Duration(minute * float64(time.Minute)))
}

func ms(n ...int) (d []time.Duration) {
	for _, v := range n {
		d = append(d, time.Duration(v)*time.Millisecond)
	}
	return d
}

func spec(t testing.TB, c Config) Spec {
	t.Helper()
	if c.Name == "" {
		c.Name = "clinic"
	}
	all, err := Specs([]Config{c})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func text(t testing.TB, lines []*telemetry.Line) string {
	t.Helper()
	var b []byte
	for _, l := range lines {
		if _, err := telemetry.Check(l); err != nil {
			t.Fatal(err)
		}
		b, _ = l.Append(b)
	}
	return string(b)
}

func TestReadyIsWhatTheServiceNeedsAndAllOfItKnown(t *testing.T) {
	video := Config{MaxRTTMs: 300, MaxJitterMs: 30, MaxLossPct: 3, MinUpKbps: 600, Endpoint: "video.example.org:443"}
	good := func(m *Monitor, minutes ...float64) {
		for _, n := range minutes {
			m.Measured(at(n), "", 10, 0, ms(100, 120, 110))
		}
	}
	for _, tt := range []struct {
		name   string
		c      Config
		happen func(m *Monitor)
		ready  float64 // minutes, of the hour from ten
		window float64
	}{
		{"nothing is known", video, func(*Monitor) {}, 0, 60},
		{"all is well", video, func(m *Monitor) {
			m.Link(at(0), true)
			m.Reached(at(0), "clinic", true)
			m.Reached(at(30), "clinic", true)
			good(m, 0, 9, 18, 27, 36, 45, 54)
		}, 60, 60},
		{"no limits at all: the link is enough", Config{}, func(m *Monitor) { m.Link(at(12), true) }, 48, 60},
		{"cut, and found later", Config{}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Link(at(30), false)
			m.Link(at(29), false)
			m.Link(at(40), true)
		}, 49, 60},
		{"a suspicion taken back", Config{}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Link(at(30), false)
			m.Link(at(30), true)
		}, 60, 60},
		{"one minute too slow", Config{MaxRTTMs: 300}, func(m *Monitor) {
			m.Link(at(0), true)
			good(m, 0, 8, 16)
			m.Measured(at(20), "", 3, 0, ms(301, 500, 100))
			good(m, 21, 30, 39, 48, 57)
		}, 59, 60},
		{"a limit is kept when it is met exactly", Config{MaxRTTMs: 300, MaxLossPct: 10, MaxJitterMs: 50}, func(m *Monitor) {
			m.Link(at(0), true)
			for n := 0.0; n < 60; n += 5 {
				m.Measured(at(n), "", 10, 1, ms(300, 350, 300))
			}
		}, 60, 60},
		{"lossy", Config{MaxLossPct: 1}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Measured(at(0), "", 50, 1, nil)
			m.Measured(at(10), "", 100, 1, nil)
		}, 10, 60},
		{"samples of one minute are judged together, jitter never between two paths", Config{MaxLossPct: 2, MaxRTTMs: 60, MaxJitterMs: 5}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Measured(at(0), "", 50, 0, ms(50, 52))
			m.Measured(at(0.5), "", 10, 1, ms(10, 11)) // 1 in 60
			m.Measured(at(1.2), "", 10, 0, nil)        // 1 in 20
		}, 1.2, 60},
		{"a jitter that nobody has measured is not kept", Config{MaxJitterMs: 30}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Measured(at(0), "", 1, 0, ms(50))
			m.Measured(at(20), "", 2, 0, ms(50, 51))
			m.Measured(at(25), "", 1, 0, ms(50)) // says nothing new of it
		}, 10, 60},
		{"one round trip a minute on one path tells of jitter too", Config{MaxJitterMs: 30}, func(m *Monitor) {
			m.Link(at(0), true)
			for n := range 20 {
				m.Measured(at(float64(n)), "collector", 1, 0, ms(50+20*(n%2)))
				m.Measured(at(float64(n)+0.1), "", 1, 0, ms(50+200*(n%2))) // anchors take turns, near and far
			}
			m.Measured(at(20), "collector", 1, 0, ms(200)) // (150 + 4 × 20) / 5
		}, 19, 60},
		{"quality grows old", Config{MaxRTTMs: 300}, func(m *Monitor) {
			m.Link(at(0), true)
			good(m, 5, 30)
		}, 20, 60},
		{"the endpoint does not answer for a while", Config{Endpoint: "x.example.org:443"}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Reached(at(1), "clinic", true)
			m.Reached(at(31), "clinic", false)
			m.Reached(at(36), "clinic", true)
			m.Reached(at(36), "school", false)
		}, 54, 60},
		{"the check of an endpoint grows old", Config{Endpoint: "x.example.org:443"}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Reached(at(0), "clinic", true)
		}, 45, 60},
		{"no speed test yet: not judged", Config{MinUpKbps: 600, MinDownKbps: 600}, func(m *Monitor) { m.Link(at(0), true) }, 60, 60},
		{"too slow, until the next test says otherwise", Config{MinUpKbps: 600, MinDownKbps: 1200}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Speed(at(10), 9_000_000, 599_999)
			m.Speed(at(30), 0, 600_000)
			m.Speed(at(50), 1_199_999, 0)
		}, 30, 60},
		{"a speed test of last week is not judged any more", Config{MinDownKbps: 1200}, func(m *Monitor) {
			m.Link(at(0), true)
			m.Speed(at(15-7*24*60), 100, 100)
		}, 45, 60},
		{"open for a part of the hour", Config{Hours: "Mo 08:00-10:40", TimeZone: "UTC"}, func(m *Monitor) { m.Link(at(30), true) }, 10, 40},
		{"lunch, by an offset of 45 minutes", Config{Hours: "Mo-Fr 08:00-16:00,16:15-18:00", TimeZone: "+05:45"}, func(m *Monitor) { m.Link(at(0), true) }, 45, 45},
		{"closed", Config{Hours: "Tu 08:00-16:00", TimeZone: "+05:00"}, func(m *Monitor) { m.Link(at(0), true) }, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMonitor([]Spec{spec(t, tt.c)}, Believed{})
			m.Begin(at(0))
			tt.happen(m)
			if got := m.Cover(at(61)); got != nil {
				t.Errorf("closed before it is settled: %s", text(t, got))
			}
			want := ""
			if tt.window > 0 {
				want = fmt.Sprintf("hour_service,service=clinic ready_ms=%.0fi,window_ms=%.0fi 1795428000000\n", tt.ready*60000, tt.window*60000)
			}
			if got := text(t, m.Cover(at(62))); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestAnOutageThatIsFoundLateIsStillTakenOffTheHour(t *testing.T) {
	const every = 330 * time.Second // between two questions on an idle link, one at 10:57
	m := NewMonitor([]Spec{spec(t, Config{})}, Believed{Settle: every/2 + 2*time.Minute})
	m.Begin(at(0))
	m.Link(at(0), true)
	var told []*telemetry.Line
	for minute := 1.0; minute < 63; minute++ {
		told = append(told, m.Cover(at(minute))...)
	}
	m.Link(at(57).Add(every/2), false) // known at 11:02:30
	told = append(told, m.Cover(at(70))...)
	if got, want := text(t, told), "hour_service,service=clinic ready_ms=3585000i,window_ms=3600000i 1795428000000\n"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWhatIsOpenIsToldTheSameByOpenAndByClose(t *testing.T) {
	m := NewMonitor([]Spec{spec(t, Config{}), spec(t, Config{Name: "school", Hours: "Mo 10:30-12:00", TimeZone: "UTC"})}, Believed{})
	if m.Open(at(0)) != nil || m.Cover(at(600)) != nil || m.Close(at(0)) != nil {
		t.Error("told something before it began")
	}
	m.Link(at(-5), true) // known before it begins
	m.Begin(at(20))
	want := "hour_service,service=clinic ready_ms=2400000i,window_ms=2400000i 1795429200000\n" +
		"hour_service,service=school ready_ms=1800000i,window_ms=1800000i 1795429200000\n" +
		"hour_service,service=clinic ready_ms=60000i,window_ms=60000i 1795431600000\n" +
		"hour_service,service=school ready_ms=60000i,window_ms=60000i 1795431600000\n"
	open := text(t, m.Open(at(61)))
	if again := text(t, m.Open(at(61))); open != want || again != want {
		t.Errorf("\n got %s\n and %s\nwant %s", open, again, want)
	}
	if got := text(t, m.Close(at(61))); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got := m.Close(at(70)); got != nil {
		t.Errorf("told after it ended: %s", text(t, got))
	}
	m.Begin(at(30)) // a clock that went back, without a word: what was told stays told
	if got := text(t, m.Close(at(62))); got != "hour_service,service=clinic ready_ms=60000i,window_ms=60000i 1795431660000\nhour_service,service=school ready_ms=60000i,window_ms=60000i 1795431660000\n" {
		t.Errorf("got %s", got)
	}
}

func TestAClockStepTakesWhatIsKnownAlong(t *testing.T) {
	m := NewMonitor([]Spec{spec(t, Config{MaxRTTMs: 300})}, Believed{})
	m.Begin(at(0))
	m.Link(at(0), true)
	m.Measured(at(5), "", 1, 0, ms(100))
	got := text(t, m.Step(at(10), at(1000))) + text(t, m.Close(at(1010))) // 5 of the 10 minutes that it is believed are left
	want := "hour_service,service=clinic ready_ms=300000i,window_ms=600000i 1795428000000\nhour_service,service=clinic ready_ms=300000i,window_ms=600000i 1795488000000\n"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWhatIsSleptThroughIsInNoWindow(t *testing.T) {
	m := NewMonitor([]Spec{spec(t, Config{})}, Believed{})
	m.Begin(at(0))
	m.Link(at(0), true)
	got := text(t, m.Slept(at(10), at(70)))
	m.Link(at(71), true)
	got += text(t, m.Close(at(75)))
	want := "hour_service,service=clinic ready_ms=600000i,window_ms=600000i 1795428000000\nhour_service,service=clinic ready_ms=240000i,window_ms=300000i 1795432200000\n"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// whatever is a sequence of findings, at a grain of a second, and what they say of each second, looked up naively.
func TestAddingUpAgreesWithLookingAtEachSecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []string
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			from := rapid.IntRange(0, 1439).Draw(t, "from")
			to := (from + rapid.IntRange(1, 1439).Draw(t, "length")) % 1440
			parts = append(parts, fmt.Sprintf("%s %02d:%02d-%02d:%02d", rapid.SampledFrom([]string{"Mo", "Fr", "Sa", "Su"}).Draw(t, "day"), from/60, from%60, to/60, to%60))
		}
		text := strings.Join(parts, ", ")
		w, err := hours.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := hours.ParseZone(rapid.SampledFrom([]string{"+05:45", "CET-1CEST,M3.5.0,M10.5.0/3"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		s := Spec{Name: "x", Endpoint: "e:1", Week: w, Zone: zone, Limits: Limits{RTT: 300 * time.Millisecond, DownBps: 1000}}
		m := NewMonitor([]Spec{s}, Believed{Quality: 10 * time.Minute, Check: 15 * time.Minute, Speed: time.Hour})
		const seconds = 3 * 3600
		start := time.Date(2026, 10, 24, 23, rapid.IntRange(0, 59).Draw(t, "minute"), 0, 0, time.UTC) // the night in which summer time ends
		var link, rtt, reach, speed [seconds]int                                                      // -1: no, 1: yes, 0: not known
		hold := func(a *[seconds]int, from, length, v int) {
			for i := from; i < seconds; i++ {
				if a[i] = 0; i < from+length {
					a[i] = v
				}
			}
		}
		sign := func(ok bool) int {
			if ok {
				return 1
			}
			return -1
		}
		m.Begin(start)
		now, last := 0, start
		var ready, window int64
		count := func(lines []*telemetry.Line) {
			for _, l := range lines {
				r, _ := l.GetInt("ready_ms")
				n, _ := l.GetInt("window_ms")
				from := time.UnixMilli(l.Time)
				if r < 0 || r > n || n <= 0 || n > 3_600_000 || from.Before(last) || from.Truncate(time.Hour).Equal(last.Truncate(time.Hour)) && last != start {
					t.Fatalf("ready %d of %d ms at %v, after %v", r, n, from, last)
				}
				last, ready, window = from, ready+r, window+n
			}
		}
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			if now += rapid.IntRange(0, 900).Draw(t, "later"); now >= seconds {
				now = seconds - 1
			}
			moment, ok := start.Add(time.Duration(now)*time.Second), rapid.Bool().Draw(t, "good")
			count(m.Cover(moment))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				back := min(now, rapid.IntRange(0, 119).Draw(t, "found later by"))
				m.Link(moment.Add(-time.Duration(back)*time.Second), ok)
				hold(&link, now-back, seconds, sign(ok))
			case 1:
				m.Measured(moment, "", 1, 0, ms(map[bool]int{true: 300, false: 301}[ok]))
				m.recent = nil
				hold(&rtt, now, 600, sign(ok))
			case 2:
				m.Reached(moment, "x", ok)
				hold(&reach, now, 900, sign(ok))
			case 3:
				m.Speed(moment, map[bool]int64{true: 1000, false: 999}[ok], 0)
				hold(&speed, now, 3600, sign(ok))
			}
		}
		count(m.Close(start.Add(seconds * time.Second)))
		var wantReady, wantWindow int64
		for i := range seconds {
			if open, _ := w.State(start.Add(time.Duration(i)*time.Second), zone); !open {
				continue
			}
			wantWindow += 1000
			if link[i] == 1 && rtt[i] == 1 && reach[i] == 1 && speed[i] >= 0 {
				wantReady += 1000
			}
		}
		if ready != wantReady || window != wantWindow {
			t.Fatalf("%s: ready %d of %d ms, want %d of %d", text, ready, window, wantReady, wantWindow)
		}
	})
}

// A clock that is stepped about, agents that stop and start: parts never overlap, never cross an hour, and add up to what was observed.
func TestWhateverTheClockDoesPartsNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, err := Specs([]Config{{Name: "always"}})
		if err != nil {
			t.Fatal(err)
		}
		m := NewMonitor(all, Believed{})
		now, end := ten, time.Time{}
		m.Begin(now)
		m.Link(now, true)
		var ready, observed time.Duration
		back := time.Duration(0) // time that is told already, because the clock went back
		take := func(lines []*telemetry.Line) {
			for _, l := range lines {
				r, _ := l.GetInt("ready_ms")
				n, _ := l.GetInt("window_ms")
				from := time.UnixMilli(l.Time).UTC()
				until := from.Add(time.Duration(n) * time.Millisecond)
				if from.Before(end) || until.After(nextHour(from)) || r < 0 || r > n {
					t.Fatalf("ready %d of %d ms from %v, told until %v", r, n, from, end)
				}
				end, ready = until, ready+time.Duration(r)*time.Millisecond
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				d := time.Duration(rapid.Int64Range(0, 9_000_000).Draw(t, "ms")) * time.Millisecond
				silent := min(d, back)
				now, observed, back = now.Add(d), observed+d-silent, back-silent
				take(m.Cover(now))
			},
			"a step": func(t *rapid.T) {
				d := time.Duration(rapid.Int64Range(-3_600_000, 9_000_000).Draw(t, "ms")) * time.Millisecond
				if end.Sub(now.Add(d)) > 20*time.Hour {
					t.Skip("a clock that is a day behind is believed to have been wrong before, and what it told is told anew")
				}
				take(m.Step(now, now.Add(d)))
				if now = now.Add(d); now.Before(end) {
					back = end.Sub(now)
				} else {
					back = 0
				}
			},
			"a restart": func(t *rapid.T) {
				take(m.Close(now))
				now = now.Add(time.Duration(rapid.Int64Range(0, 9_000_000).Draw(t, "ms")) * time.Millisecond)
				if back = 0; now.Before(end) {
					back = end.Sub(now)
				}
				m.Begin(now)
			},
		})
		take(m.Close(now))
		if ready != observed {
			t.Fatalf("ready for %v of %v", ready, observed)
		}
	})
}

// An hour of a village with three services, measured each minute.
func BenchmarkHour(b *testing.B) {
	var f file
	if _, err := conf.Parse("examples.toml", []byte(Examples), &f); err != nil {
		b.Fatal(err)
	}
	specs, err := Specs(f.Service)
	if err != nil {
		b.Fatal(err)
	}
	m := NewMonitor(specs, Believed{})
	now := ten
	m.Begin(now)
	b.ReportAllocs()
	for b.Loop() {
		for n := range 60 {
			now = now.Add(time.Minute)
			m.Link(now, n%20 != 0)
			m.Measured(now, "", 4, 0, ms(100, 110, 120, 130))
			if n%30 == 0 {
				m.Reached(now, "e-health-video", true)
			}
			m.Cover(now)
		}
	}
}
