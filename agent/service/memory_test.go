package service

import (
	"testing"
	"time"
)

func TestAPowerCutTakesNothingThatTheMarkHolds(t *testing.T) {
	specs := []Spec{spec(t, Config{}), spec(t, Config{Name: "school", Hours: "Mo 10:30-12:00", TimeZone: "UTC"})}
	m := NewMonitor(specs, Believed{})
	if b := m.Memory(nil, at(0)); b != nil {
		t.Errorf("a memory of nothing: %x", b)
	}
	m.Begin(at(20.5))
	m.Link(at(25), true)
	m.Link(at(61), false)
	want := text(t, m.Open(at(61.5)))
	b := m.Memory(nil, at(61.5))
	if len(b) > 60 {
		t.Errorf("%d bytes for four lines: each is written to flash once a minute", len(b))
	}
	after := NewMonitor(specs, Believed{})
	lines, ok := after.Recall(b)
	if got := text(t, lines); got != want || !ok {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	after.After(at(61.5))
	after.Begin(at(61)) // the clock is a little behind the last run's
	after.Link(at(0), true)
	if got, want := text(t, after.Close(at(62))), "hour_service,service=clinic ready_ms=30000i,window_ms=30000i 1795431690000\nhour_service,service=school ready_ms=30000i,window_ms=30000i 1795431690000\n"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if lines, ok := NewMonitor(specs[:1], Believed{}).Recall(b); ok || lines != nil {
		t.Errorf("other services took %s", text(t, lines))
	}
	if lines, ok := after.Recall(nil); !ok || lines != nil {
		t.Error("nothing is not nothing")
	}
}

func FuzzRecall(f *testing.F) {
	all, err := Specs([]Config{{Name: "a"}, {Name: "b"}})
	if err != nil {
		f.Fatal(err)
	}
	m := NewMonitor(all, Believed{})
	m.Begin(at(0))
	m.Link(at(10), true)
	f.Add(m.Memory(nil, at(61)))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, ok := m.Recall(b)
		if !ok && lines != nil || len(lines) > maxParts {
			t.Fatalf("%d lines, %v", len(lines), ok)
		}
		text(t, lines) // each is within the schema
		for _, l := range lines {
			r, _ := l.GetInt("ready_ms")
			w, _ := l.GetInt("window_ms")
			if r < 0 || r > w || w > time.Hour.Milliseconds() {
				t.Fatalf("ready %d of %d", r, w)
			}
		}
	})
}
