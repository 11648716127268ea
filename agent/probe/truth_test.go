package probe

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

// truth is what really happens to a link: from each moment on, since the start, it is up, backhaul, local or dns.
type truth struct {
	start time.Time
	steps []step
}

type step struct {
	at time.Duration
	is string
}

func (w *truth) at(t time.Time) string {
	is := "up"
	for _, s := range w.steps {
		if t.Sub(w.start) < s.at {
			break
		}
		is = s.is
	}
	return is
}

// throughout tells whether ok held from one moment to the other.
func (w *truth) throughout(from, to time.Time, ok func(is string) bool) bool {
	for _, s := range w.steps {
		if at := w.start.Add(s.at); at.After(from) && !at.After(to) && !ok(s.is) {
			return false
		}
	}
	return ok(w.at(from))
}

func carries(is string) bool { return is == "up" || is == "dns" }

func (w *truth) lives(who string, from, to time.Time) bool {
	return w.throughout(from, to, func(is string) bool {
		switch who {
		case theName:
			return is == "up"
		case gateway.String():
			return is != "local"
		}
		return carries(is)
	})
}

// turned tells whether the truth turned from what was held before into what is told now, between two moments.
func (w *truth) turned(was, is string, from, to time.Time) bool {
	before := "up"
	for _, s := range w.steps {
		at := w.start.Add(s.at)
		if !at.Before(from) && !at.After(to) {
			switch {
			case is == "up" && s.is == "up", is == "dns" && s.is == "dns":
				return true
			case !carries(is) && carries(was) && carries(before) && !carries(s.is):
				return true
			case !carries(is) && s.is == is: // perhaps out of another cause that was too short to be seen
				return true
			}
		}
		before = s.is
	}
	return false
}

// village is a network with a known truth, and traffic on it.
type village struct {
	truth
	busy    []step // from each moment on traffic flows ("flows") or does not
	counted Counters
	until   time.Time
	acked   time.Duration // gap between two acknowledgements of the broker; 0: never
}

// counters are those of the WAN interface: 40 KiB/s come in while traffic flows and the link carries it; what goes out goes out.
func (v *village) counters(string) (Counters, bool) {
	now := time.Now()
	busy := truth{v.start, v.busy}
	for at := v.until; at.Before(now); at = at.Add(200 * time.Millisecond) {
		v.counted.RxBytes += 12
		if busy.at(at) == "flows" {
			v.counted.TxPackets++
			if carries(v.at(at)) {
				v.counted.RxBytes += 8192
				v.counted.RxPackets += 8
			}
		}
	}
	v.until = now
	return v.counted, true
}

// evidence is the last acknowledgement of the broker.
func (v *village) evidence() time.Time {
	if v.acked == 0 {
		return time.Time{}
	}
	for n := time.Since(v.start) / v.acked; n > 0; n-- {
		if at := v.start.Add(n * v.acked); carries(v.at(at)) {
			return at
		}
	}
	return time.Time{}
}

// watched is what a prober says of a village in the time given, without repetitions, and how often it asked.
func watched(t *testing.T, c Config, f *fakeNet, d time.Duration, each func(Verdict)) (changes []Verdict) {
	run(t, newProber(c, f), d, func(v Verdict) {
		if each != nil {
			each(v)
		}
		if n := len(changes); !v.Pending && (n == 0 || changes[n-1].State != v.State || changes[n-1].Cause != v.Cause) {
			changes = append(changes, v)
		}
	})
	return changes
}

// The ledger's figures rest on this: whatever happens, and whatever proves it, each change that is told lies within its own error of a
// true one, and no moment is told as up that is known to have been down.
func TestEveryChangeIsWithinTheErrorThatIsTold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var v village
		at := time.Duration(0)
		for range rapid.IntRange(1, 12).Draw(rt, "changes") {
			at += time.Duration(rapid.IntRange(500, 600_000).Draw(rt, "after")) * time.Millisecond
			v.steps = append(v.steps, step{at, rapid.SampledFrom([]string{"up", "up", "backhaul", "local", "dns"}).Draw(rt, "is")})
		}
		for on, busy := time.Duration(0), false; on < at && rapid.Bool().Draw(rt, "traffic"); busy = !busy {
			on += time.Duration(rapid.IntRange(100, 120_000).Draw(rt, "for")) * time.Millisecond
			v.busy = append(v.busy, step{on, map[bool]string{true: "", false: "flows"}[busy]})
		}
		v.acked = rapid.SampledFrom([]time.Duration{0, time.Minute, 40 * time.Second}).Draw(rt, "acked")
		usual := time.Duration(rapid.IntRange(2, 700).Draw(rt, "rtt")) * time.Millisecond
		random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "seed")))
		deaf := rapid.SampledFrom([]string{"", anchorA.String(), anchorC.String()}).Draw(rt, "dead anchor")
		counts := rapid.Bool().Draw(rt, "counters")
		cable := rapid.Bool().Draw(rt, "local is a cable that is cut")
		c := testConfig()
		c.Limits.MedianRTT = 3 * time.Second
		c.Every = rapid.SampledFrom([]time.Duration{75 * time.Second, 330 * time.Second}).Draw(rt, "every")
		c.SampleEvery = time.Duration(rapid.IntRange(60, 900).Draw(rt, "sample every")) * time.Second
		c.DNSEvery = time.Duration(rapid.IntRange(60, 900).Draw(rt, "dns every")) * time.Second

		var changes []Verdict
		bubble(t, func(t *testing.T) {
			v.start, v.until = time.Now(), time.Now()
			f := &fakeNet{rtt: func() time.Duration { return usual + time.Duration(random.Int64N(int64(usual)/2)) }}
			f.lives = func(who string, from, to time.Time) bool { return who != deaf && v.lives(who, from, to) }
			awake := 0
			c.Evidence = func() time.Time { awake++; return v.evidence() }
			if counts {
				c.Counters = v.counters
			}
			if cable {
				changed := make(chan time.Time, 1)
				c.Changed = changed
				c.Route = func() Route { return Route{Interface: "wan", Gateway: gateway, Up: v.at(time.Now()) != "local"} }
				for _, s := range v.steps {
					time.AfterFunc(s.at, func() {
						select {
						case changed <- time.Now():
						default:
						}
					})
				}
			}
			last := at + 20*time.Minute
			defer func() {
				if limit := 2*int(last.Seconds()) + 100; awake > limit {
					rt.Errorf("woke %d times in %v", awake, last)
				}
			}()
			changes = watched(t, c, f, last, func(told Verdict) {
				down := func(is string) bool { return !carries(is) }
				slack := told.Err
				if counts { // a counter tells that the link worked at some moment since the reading before
					slack += gatherFor
				}
				if alive(told.State) && !told.Pending && v.throughout(told.Until.Add(-told.Err), told.Until.Add(slack), down) {
					rt.Errorf("told %s at %v ± %v, when it was not", told.State, told.Until.Sub(v.start), told.Err)
				}
			})
		})
		for i, told := range changes[1:] {
			was, is := what(changes[i].State, changes[i].Cause), what(told.State, told.Cause)
			if !v.turned(was, is, told.At.Add(-told.Err-time.Millisecond), told.At.Add(told.Err+time.Millisecond)) {
				rt.Errorf("%s after %s at %v ± %v, but truly %v", is, was, told.At.Sub(v.start), told.Err, v.steps)
			}
		}
		if end, last := v.steps[len(v.steps)-1], changes[len(changes)-1]; what(last.State, last.Cause) != end.is {
			rt.Errorf("ends as %s, but is %s", what(last.State, last.Cause), end.is)
		}
	})
}

// told is what was told, as lines with whole seconds, for messages.
func told(start time.Time, changes []Verdict) string {
	var b strings.Builder
	for _, v := range changes {
		fmt.Fprintf(&b, "%s at %v ± %v\n", what(v.State, v.Cause), v.At.Sub(start).Round(time.Millisecond), v.Err.Round(time.Millisecond))
	}
	return b.String()
}

func TestAnOutageThatHitsALinkInUseIsKnownToFiveSeconds(t *testing.T) {
	for _, rtt := range []time.Duration{40 * time.Millisecond, 650 * time.Millisecond} {
		t.Run(rtt.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				cut := 10*time.Minute + time.Duration(rapid.IntRange(0, 600_000).Draw(rt, "cut"))*time.Millisecond
				length := time.Duration(rapid.IntRange(20_000, 900_000).Draw(rt, "length")) * time.Millisecond
				v := village{busy: []step{{0, "flows"}}}
				v.steps = []step{{cut, "backhaul"}, {cut + length, "up"}}
				var changes []Verdict
				bubble(t, func(t *testing.T) {
					v.start, v.until = time.Now(), time.Now()
					f := &fakeNet{rtt: func() time.Duration { return rtt }, lives: v.lives}
					c := testConfig()
					c.Limits.MedianRTT, c.Counters = time.Second, v.counters
					changes = watched(t, c, f, cut+length+time.Minute, nil)
				})
				if len(changes) != 3 || changes[1].State != telemetry.StateDown || changes[1].Err > 5*time.Second || changes[2].Err > 5*time.Second {
					rt.Errorf("told\n%swant three changes, each to 5 s", told(v.start, changes))
				}
			})
		})
	}
}

func TestFiftyCutsAnHourAreAllTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(7, 7))
		v := village{busy: []step{{0, "flows"}}}
		for i := range 50 {
			at := time.Duration(i)*72*time.Second + 20*time.Second + time.Duration(random.IntN(20_000))*time.Millisecond
			v.steps = append(v.steps, step{at, "backhaul"}, step{at + 14*time.Second + time.Duration(random.IntN(8_000))*time.Millisecond, "up"})
		}
		v.start, v.until = time.Now(), time.Now()
		f := &fakeNet{rtt: func() time.Duration { return 40 * time.Millisecond }, lives: v.lives}
		c := testConfig()
		c.Counters = v.counters
		changes := watched(t, c, f, time.Hour+time.Minute, nil)
		if len(changes) != 101 {
			t.Fatalf("%d changes, want 101:\n%s", len(changes), told(v.start, changes))
		}
		for i, s := range v.steps {
			if got := changes[i+1]; what(got.State, got.Cause) != s.is || (got.At.Sub(v.start)-s.at).Abs() > got.Err || got.Err > 5*time.Second {
				t.Errorf("%s at %v ± %v, truly %s at %v", what(got.State, got.Cause), got.At.Sub(v.start), got.Err, s.is, s.at)
			}
		}
	})
}
