package limit

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTheLimiterForgetsAndRefills(t *testing.T) {
	l := New(Rates{Pair: Rate{2, time.Second}, Host: Rate{9, time.Millisecond}, All: Rate{5, time.Millisecond}, Most: 6})
	now := noon
	take := func(who string, want bool) {
		t.Helper()
		if wait := l.Take(who, "router", now); (wait == 0) != want {
			t.Errorf("%s: wait %v, want a try: %v", who, wait, want)
		}
	}
	take("a", true)
	take("a", true)
	take("a", false)
	now = now.Add(time.Second)
	take("a", true)
	take("a", false)
	take("b", true)
	take("c", true)
	take("d", false) // no room to remember one more
	now = now.Add(time.Minute)
	take("d", true)
	if len(l.full) != 2 {
		t.Errorf("%d buckets are remembered, want that of the host and that of its name", len(l.full))
	}
	for i := range 4 {
		take(string(rune('m'+i%2)), true)
	}
	take("z", false) // all tries of all are used up
}

func TestOneHostCannotUseUpTheTriesOfAllNorMemory(t *testing.T) {
	l := New(Rates{Pair: Rate{5, 10 * time.Second}, Host: Rate{50, 100 * time.Millisecond}, All: Rate{200, 20 * time.Millisecond}, Most: 8192})
	now := noon
	for n := range 100 { // ten seconds of a stranger who asks in a new name each time
		for k := range 1000 {
			l.Take("192.0.2.66", fmt.Sprintf("guess-%d-%d", n, k), now)
		}
		if wait := l.Take(fmt.Sprintf("198.51.100.%d", n), "router", now); wait > 0 {
			t.Fatalf("after %d guesses an agent has to wait for %v", 1000*(n+1), wait)
		}
		now = now.Add(100 * time.Millisecond)
	}
	if len(l.full) > l.rates.Most {
		t.Errorf("%d buckets are remembered", len(l.full))
	}
}

func TestManyHostsTogetherTryANameNoMoreOftenThanAllowed(t *testing.T) {
	l := New(Rates{Pair: Rate{5, 30 * time.Second}, Host: Rate{30, 2 * time.Second}, Name: Rate{20, 20 * time.Second}, All: Rate{1000, time.Millisecond}, Most: 100_000})
	given := 0
	for s := range 600 { // ten minutes
		for h := range 50 {
			if l.Take(fmt.Sprintf("192.0.2.%d", h), "aisha", noon.Add(time.Duration(s)*time.Second)) == 0 {
				given++
			}
		}
	}
	if want := 20 + 600/20; given > want || given < want-1 {
		t.Errorf("%d tries in ten minutes, want %d", given, want)
	}
}

func TestOneHostAloneDoesNotShutANameOut(t *testing.T) {
	l := New(Rates{Pair: Rate{5, 30 * time.Second}, Host: Rate{30, 2 * time.Second}, Name: Rate{20, 20 * time.Second}, All: Rate{1000, time.Millisecond}, Most: 100_000})
	for s := range 3600 {
		l.Take("192.0.2.66", "aisha", noon.Add(time.Duration(s)*time.Second))
	}
	if wait := l.Take("198.51.100.1", "aisha", noon.Add(time.Hour)); wait > 0 {
		t.Errorf("after an hour of guesses by one host she has to wait for %v", wait)
	}
}
