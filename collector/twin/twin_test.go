package twin

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// word is one batch: of which boot, when it was sealed and when it came, in seconds from noon.
type word struct {
	boot         string
	sealed, came int
	clock        telemetry.Clock // "": synced
}

func tell(words []word) (a Agent, s Sighting) {
	at := noon
	for _, w := range words {
		clock := w.clock
		if clock == "" {
			clock = telemetry.ClockSynced
		}
		at = noon.Add(time.Duration(w.came) * time.Second)
		a.Take(telemetry.Header{Boot: w.boot, At: noon.Add(time.Duration(w.sealed) * time.Second), Clock: clock, Next: time.Minute}, at)
	}
	return a, a.Seen(at)
}

func TestTwoMachinesAreSeenAndOneIsNot(t *testing.T) {
	const x, y, z = "aaaaaaaa", "bbbbbbbb", "cccccccc"
	turns := func(boots ...string) (all []word) {
		for i, b := range boots {
			all = append(all, word{boot: b, sealed: 60 * i, came: 60*i + 1})
		}
		return all
	}
	rows := []struct {
		what  string
		words []word
		seen  bool
	}{
		{"in turns", turns(x, y, x, y, x, y), true},
		{"in turns, the one mostly", turns(x, y, x, x, x, y, x, x, y), true},
		{"in turns, but not long enough to be sure", turns(x, y, x, y, x), false},
		{"three of them", turns(x, y, z, x, y, z, x, y, z), true},
		{"reboots", turns(x, x, y, y, z, z, "dddddddd", "eeeeeeee", "ffffffff"), false},
		{"tests with a boot of their own", turns(x, y, x, z, x, "dddddddd", x, "eeeeeeee", x), false},
		{"a backlog behind the words of the next boot", []word{{x, 0, 1, ""}, {y, 100, 101, ""}, {x, 60, 102, ""}, {y, 130, 131, ""}, {x, 90, 132, ""}, {y, 160, 161, ""}, {x, 95, 162, ""}, {y, 190, 191, ""}}, false},
		{"a clock that ran ahead before the reboot", []word{{x, 600, 1, ""}, {y, 30, 31, ""}, {x, 601, 32, ""}, {y, 60, 61, ""}, {x, 602, 62, ""}, {y, 630, 631, ""}, {x, 640, 632, ""}, {y, 660, 661, ""}}, false},
		{"times that are guessed", []word{{x, 0, 1, telemetry.ClockEstimated}, {y, 60, 61, ""}, {x, 120, 121, telemetry.ClockEstimated}, {y, 180, 181, ""}, {x, 240, 241, telemetry.ClockEstimated}, {y, 300, 301, ""}}, false},
	}
	for _, r := range rows {
		_, s := tell(r.words)
		if s.Seen() != r.seen {
			t.Errorf("%s: got %+v, want seen %v", r.what, s, r.seen)
		}
		if r.seen && (s.Boots[0] == s.Boots[1] || s.Boots[0] == "" || s.Boots[1] == "" || s.Other(s.Boots[0]) != s.Boots[1] || s.Other("00000000") != s.Boots[0]) {
			t.Errorf("%s: boots %v", r.what, s.Boots)
		}
	}
}

func TestTwinsThatWerePartedAreForgotten(t *testing.T) {
	words := []word{}
	for i := range 8 {
		words = append(words, word{boot: []string{"aaaaaaaa", "bbbbbbbb"}[i%2], sealed: 60 * i, came: 60*i + 1})
	}
	a, s := tell(words)
	if !s.Seen() || !s.Since.Equal(noon.Add(121*time.Second)) {
		t.Fatalf("got %+v", s)
	}
	last := noon.Add(421 * time.Second)
	if s := a.Seen(last.Add(least - 2*time.Minute)); !s.Seen() || !s.Last.Equal(last) {
		t.Errorf("within a quarter of an hour: %+v", s)
	}
	if s := a.Seen(last.Add(least + time.Minute)); s.Seen() {
		t.Errorf("later: %+v", s)
	}
}

func TestTwinsOfRareWordsAreSeen(t *testing.T) {
	var a Agent
	at := noon
	for i := range 6 {
		at = noon.Add(time.Duration(i) * 9 * time.Minute)
		a.Take(telemetry.Header{Boot: []string{"aaaaaaaa", "bbbbbbbb"}[i%2], At: at, Clock: telemetry.ClockSynced, Next: 15 * time.Minute}, at.Add(time.Second))
	}
	if s := a.Seen(at); !s.Seen() {
		t.Error("two machines of the metered profile were not seen")
	}
}

func TestOneMachineIsNeverTwoHoweverItsBatchesCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent []word
		at := 0
		for boot := range rapid.IntRange(1, 8).Draw(t, "boots") {
			for range rapid.IntRange(1, 12).Draw(t, "batches") {
				at += rapid.IntRange(0, 90).Draw(t, "gap")
				sent = append(sent, word{boot: fmt.Sprintf("%08x", boot), sealed: at, came: at + rapid.IntRange(0, 4000).Draw(t, "late")})
			}
			at += rapid.IntRange(1, 60).Draw(t, "off")
		}
		slices.SortStableFunc(sent, func(p, q word) int { return p.came - q.came })
		for n := range sent {
			if _, s := tell(sent[:n+1]); s.Seen() {
				t.Fatalf("after %+v: %+v", sent[:n+1], s)
			}
		}
	})
}

func TestAFleetTellsWhatIsNew(t *testing.T) {
	f := NewFleet()
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	news := 0
	for i := range 12 {
		at := noon.Add(time.Duration(i) * time.Minute)
		if s, is := f.Take(a, telemetry.Header{Boot: []string{"aaaaaaaa", "bbbbbbbb"}[i%2], At: at, Clock: telemetry.ClockSynced}, at); is {
			news++
			if !s.Seen() {
				t.Errorf("news of %+v", s)
			}
		}
	}
	end := noon.Add(time.Hour)
	if s, is := f.Take(a, telemetry.Header{Boot: "aaaaaaaa", At: end, Clock: telemetry.ClockSynced}, end); !is || s.Seen() || news != 1 {
		t.Errorf("%d times news, and at the end %v %+v", news, is, s)
	}
	if s := f.Of(telemetry.Address{Site: "nowhere", Agent: "main"}, end); s.Seen() || !f.Of(a, noon.Add(11*time.Minute)).Seen() {
		t.Error("what is known of an agent is wrong")
	}
}
