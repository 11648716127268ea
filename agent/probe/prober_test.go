package probe

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

func TestAllAnchorsAreAskedBeforeAnOutageIsBelieved(t *testing.T) {
	for _, tt := range []struct {
		name string
		dead func(string) bool
		want string
	}{
		{"all well", dead(), "up"},
		{"one anchor gone", dead(anchorA), "up"},
		{"two anchors gone", dead(anchorA, anchorB), "up"},
		{"all anchors gone", dead(anchorA, anchorB, anchorC), "backhaul"},
		{"all gone, gateway too", dead(anchorA, anchorB, anchorC, gateway, theName), "local"},
		{"only the gateway gone", dead(gateway), "up"},
		{"no name resolves", dead(theName), "dns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var got []Verdict
				run(t, newProber(testConfig(), steady(30*time.Millisecond, tt.dead)), 15*time.Second, func(v Verdict) { got = append(got, v) })
				if got[0].Pending != (tt.want != "up") {
					t.Errorf("the first round gave %+v; only an outage waits to be confirmed", got[0])
				}
				if last := got[len(got)-1]; what(last.State, last.Cause) != tt.want || last.Pending {
					t.Errorf("got %+v, want %s", last, tt.want)
				}
			})
		})
	}
}

// asks counts what was asked, by target, without the number of probes.
func asks(f *fakeNet) map[string]int {
	n := map[string]int{}
	for _, a := range f.taken() {
		n[a[:strings.Index(a, "×")]]++
	}
	return n
}

func TestADeadAnchorIsNotLossOfTheLinkAndIsPassedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := testConfig()
		c.DNSName = ""
		f := steady(30*time.Millisecond, dead(anchorA))
		var sent, lost int
		for _, v := range watchAll(t, c, f, 40*time.Minute) {
			sent, lost = sent+v.Internet.Sent, lost+v.Internet.Lost
			if v.State != telemetry.StateUp || v.Pending {
				t.Errorf("%+v", v)
			}
		}
		if n := asks(f); sent < 8 || lost != 0 || n[anchorA.String()] > 6 || n[anchorB.String()] < 12 {
			t.Errorf("%d of %d lost; asked %v", lost, sent, n)
		}
	})
}

func watchAll(t *testing.T, c Config, f *fakeNet, d time.Duration) (all []Verdict) {
	run(t, newProber(c, f), d, func(v Verdict) { all = append(all, v) })
	return all
}

func TestOneLostEchoIsLossOfTheLinkButNotADegradedOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := testConfig()
		start := time.Now()
		f := steady(30*time.Millisecond, dead())
		f.lives = func(_ string, from, _ time.Time) bool { return from.Sub(start) != 5*time.Minute }
		lost := 0
		for _, v := range watchAll(t, c, f, 9*time.Minute) {
			lost += v.Internet.Lost
			if v.State != telemetry.StateUp {
				t.Errorf("%+v", v)
			}
		}
		if got := f.taken(); lost != 1 || !slices.ContainsFunc(got, func(a string) bool { return strings.HasSuffix(a, "×8") }) {
			t.Errorf("%d lost, want 1; asked %v", lost, got)
		}
	})
}

func TestALinkThatLosesAThirdIsDegradedAndNeverDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 4))
		f := steady(80*time.Millisecond, dead())
		f.loss = func() bool { return random.IntN(3) == 0 }
		c := testConfig()
		c.DNSName = ""
		start := time.Now()
		got := watched(t, c, f, 24*time.Hour, nil)
		degraded := time.Duration(0)
		for i, v := range got {
			if v.State == telemetry.StateDown {
				t.Errorf("down at %v", v.At.Sub(start))
			}
			end := start.Add(24 * time.Hour)
			if i+1 < len(got) {
				end = got[i+1].At
			}
			if v.State == telemetry.StateDegraded {
				degraded += end.Sub(v.At)
			}
		}
		if degraded < 12*time.Hour {
			t.Errorf("degraded for %v of a day, told\n%s", degraded, told(start, got))
		}
	})
}

func TestFurtherProbesTellDegradedFromChanceOnceAndStayOutOfTheSample(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := steady(500*time.Millisecond, dead())
		for _, v := range watchAll(t, testConfig(), f, time.Hour) {
			if v.State != telemetry.StateDegraded || v.Internet.Sent > 1 {
				t.Errorf("%+v", v)
			}
		}
		many := 0
		for _, a := range f.taken() {
			if strings.HasSuffix(a, "×8") {
				many++
			}
		}
		if many != 1 {
			t.Errorf("%d times eight further probes, want once: the state was no other since", many)
		}
	})
}

func TestALinkThatGetsSlowIsDegradedSinceSomeMomentAfterTheLastGoodSample(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		slow, quick := start.Add(33*time.Minute), start.Add(62*time.Minute)
		f := steady(0, dead())
		f.rtt = func() time.Duration {
			if now := time.Now(); now.After(slow) && now.Before(quick) {
				return 900 * time.Millisecond
			}
			return 30 * time.Millisecond
		}
		got := watched(t, testConfig(), f, 90*time.Minute, nil)
		if len(got) != 3 || got[1].State != telemetry.StateDegraded || got[2].State != telemetry.StateUp {
			t.Fatalf("told\n%s", told(start, got))
		}
		for i, true := range []time.Time{slow, quick} {
			if v := got[i+1]; v.At.Sub(true).Abs() > v.Err || v.Err > 3*time.Minute {
				t.Errorf("%s at %v ± %v, truly at %v", v.State, v.At.Sub(start), v.Err, true.Sub(start))
			}
		}
	})
}

// Whoever pays for bytes must get none that prove what is known already.
func TestWhileTheLinkProvesItselfNothingIsAskedOutsideTheSchedule(t *testing.T) {
	for _, tt := range []struct {
		name                string
		every, sample, dns  time.Duration
		acked               time.Duration
		counters            bool
		paid, names, others int
	}{
		{"standard, by acknowledgements", 75 * time.Second, 5 * time.Minute, 15 * time.Minute, time.Minute, false, 24, 8, 0},
		{"standard, by traffic", 75 * time.Second, 5 * time.Minute, 15 * time.Minute, 0, true, 24, 8, 0},
		{"metered, by acknowledgements", 330 * time.Second, time.Hour, time.Hour, 5 * time.Minute, false, 2, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := village{busy: []step{{0, "flows"}}, acked: tt.acked}
				v.start, v.until = time.Now(), time.Now()
				f := steady(30*time.Millisecond, dead())
				c := testConfig()
				c.Every, c.SampleEvery, c.DNSEvery, c.Evidence = tt.every, tt.sample, tt.dns, v.evidence
				if tt.counters {
					c.Counters = v.counters
				}
				changes := watched(t, c, f, 2*time.Hour-time.Second, nil)
				n := asks(f)
				paid := n[anchorA.String()] + n[anchorB.String()] + n[anchorC.String()]
				if len(changes) != 1 || paid != tt.paid || n[theName] != tt.names || n[gateway.String()] > 2 {
					t.Errorf("asked %v, told\n%swant %d anchors and %d names", n, told(v.start, changes), tt.paid, tt.names)
				}
			})
		})
	}
}

func TestWhatTrafficThatStopsMayCostIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := village{acked: time.Minute}
		for on := 20 * time.Second; on < 48*time.Hour; on += 40 * time.Second { // reads, and loads another page
			v.busy = append(v.busy, step{on, "flows"}, step{on + 8*time.Second, ""})
		}
		v.start, v.until = time.Now(), time.Now()
		f := steady(30*time.Millisecond, dead())
		c := testConfig()
		c.DNSName, c.SampleEvery, c.Evidence, c.Counters = "", 24*time.Hour, v.evidence, v.counters
		run(t, newProber(c, f), 6*time.Hour, func(Verdict) {})
		// Three quarters of a day's worth may go at once, then what six hours bring.
		if n := len(f.taken()); n < 100 || n > 12*24*3/4+6*12+5 {
			t.Errorf("%d probes in six hours", n)
		}
	})
}

func TestADoubtAsksAtOnceButNotForEver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := testConfig()
		c.DNSName, c.SampleEvery = "", time.Hour
		doubt := make(chan struct{})
		c.Doubt = doubt
		start := time.Now()
		f := steady(30*time.Millisecond, func(string) bool { return time.Since(start) > 20*time.Second })
		time.AfterFunc(27*time.Second, func() { doubt <- struct{}{} })
		got := watched(t, c, f, 32*time.Second, nil)
		if len(got) != 2 || got[1].At.Sub(start.Add(20*time.Second)).Abs() > got[1].Err {
			t.Errorf("told\n%s", told(start, got))
		}
	})
	bubble(t, func(t *testing.T) {
		c := testConfig()
		c.DNSName, c.SampleEvery = "", time.Hour
		doubt := make(chan struct{})
		c.Doubt = doubt
		f := steady(30*time.Millisecond, dead())
		go func() {
			for range 119 {
				time.Sleep(5 * time.Second)
				doubt <- struct{}{}
			}
		}()
		run(t, newProber(c, f), 10*time.Minute, func(Verdict) {})
		if n := len(f.taken()); n > 16 {
			t.Errorf("%d probes in ten minutes, although the link answers", n)
		}
	})
}

func TestAMuteGatewayIsNotBlamedUnlessItsNeighbourEntryIsGone(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cut       time.Duration // after the start
		neighbour ledger.Answer
		want      telemetry.Cause
	}{
		{"known to be mute, and there", 20 * time.Minute, ledger.Answered, telemetry.CauseBackhaul},
		{"known to be mute, and gone", 20 * time.Minute, ledger.Silent, telemetry.CauseLocal},
		{"there, and never asked while the link worked", 0, ledger.Answered, telemetry.CauseBackhaul},
		{"gone, and never asked while the link worked", 0, ledger.Silent, telemetry.CauseLocal},
		{"nobody can say", 0, ledger.NotAsked, telemetry.CauseLocal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				start := time.Now()
				f := steady(30*time.Millisecond, func(who string) bool { return who == gateway.String() || time.Since(start) >= tt.cut })
				c := testConfig()
				c.Neighbour = func(a netip.Addr) ledger.Answer {
					if a != gateway {
						t.Errorf("asked for %v", a)
					}
					return tt.neighbour
				}
				got := watched(t, c, f, 25*time.Minute, nil)
				if last := got[len(got)-1]; len(got) > 2 || last.Cause != tt.want {
					t.Errorf("told\n%swant %s", told(start, got), tt.want)
				}
			})
		})
	}
}

func TestRoundsQuickenInAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		f := steady(30*time.Millisecond, func(who string) bool { return who != gateway.String() && time.Since(start) > time.Second })
		var gaps []time.Duration
		last := start
		run(t, newProber(testConfig(), f), 10*time.Minute, func(v Verdict) {
			gaps = append(gaps, v.Until.Sub(last).Round(time.Second))
			last = v.Until
		})
		got := fmt.Sprint(gaps)
		// An answer is waited for two seconds, so rounds cannot come each second here.
		if !strings.Contains(got, strings.Repeat("2s ", 25)) || !strings.Contains(got, strings.Repeat("5s ", 20)) {
			t.Errorf("gaps between rounds: %v", got)
		}
	})
}

func TestAnchorsThatNeverAnswerDoNotOverruleEvidence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := village{busy: []step{{0, "flows"}}, acked: time.Minute}
		v.steps = []step{{2 * time.Hour, "backhaul"}, {3 * time.Hour, "up"}}
		v.start, v.until = time.Now(), time.Now()
		f := steady(30*time.Millisecond, dead(anchorA, anchorB, anchorC))
		c := testConfig()
		c.DNSName, c.Evidence, c.Counters = "", v.evidence, v.counters
		got := watched(t, c, f, 4*time.Hour, nil)
		if n := len(got); n != 3 || got[n-2].State != telemetry.StateDown || got[n-1].State != telemetry.StateUp {
			t.Errorf("told\n%s", told(v.start, got))
		}
	})
}

// wan is an interface that is as is says at each moment since it was made; whoever reads changed is told of each change.
type wan struct {
	start   time.Time
	turns   []time.Duration // it is well until the first one, not until the second, and so on
	without Route           // while it is not
	changed chan time.Time
}

func newWAN(without Route, turns ...time.Duration) *wan {
	w := &wan{start: time.Now(), turns: turns, without: without, changed: make(chan time.Time, 1)}
	for _, at := range turns {
		time.AfterFunc(at, func() { w.changed <- time.Now() })
	}
	return w
}

func (w *wan) well() bool {
	n := 0
	for n < len(w.turns) && time.Since(w.start) >= w.turns[n] {
		n++
	}
	return n%2 == 0
}

func (w *wan) route() Route {
	if w.well() {
		return Route{Interface: "wan", Gateway: gateway, Up: true}
	}
	return w.without
}

func TestWithoutAnchorsTheStateIsUnknownWhenEvidenceStops(t *testing.T) {
	type change struct {
		state telemetry.State
		at    time.Duration
	}
	for _, tt := range []struct {
		name      string
		cut, back time.Duration
		want      []change
	}{
		{"an hour without", 30 * time.Minute, 90 * time.Minute, []change{{telemetry.StateUp, 0}, {"", 29 * time.Minute}, {telemetry.StateUp, 90 * time.Minute}}},
		{"none in the first hour", 0, time.Hour, []change{{"", 0}, {telemetry.StateUp, time.Hour}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			silentFor(t, tt.cut, tt.back, func(got []Verdict, start time.Time) {
				if len(got) != len(tt.want) {
					t.Fatalf("got %+v", got)
				}
				for i, v := range got {
					if w := tt.want[i]; v.State != w.state || v.At.Sub(start) != w.at || v.Err != 0 {
						t.Errorf("got %q from %v on ± %v, want %q from %v on", v.State, v.At.Sub(start), v.Err, w.state, w.at)
					}
				}
			})
		})
	}
}

// silentFor watches a link without anchors whose evidence stops between two moments, and gives the changes of its state.
func silentFor(t *testing.T, cut, back time.Duration, judge func(changes []Verdict, start time.Time)) {
	bubble(t, func(t *testing.T) {
		c := testConfig()
		c.Anchors = nil
		start, last := time.Now(), time.Time{}
		c.Evidence = func() time.Time { // a ping each minute
			if now := time.Now().Truncate(time.Minute); now.Sub(start) < cut || now.Sub(start) >= back {
				last = now
			}
			return last
		}
		var changes []Verdict
		f := steady(30*time.Millisecond, dead())
		for _, v := range watchAll(t, c, f, 2*time.Hour) {
			if n := len(changes); !v.Pending && (n == 0 || v.State != changes[n-1].State) {
				changes = append(changes, v)
			}
		}
		judge(changes, start)
		if n, most := asks(f)[gateway.String()], int((back-cut)/c.Every)+int(2*time.Hour/c.SampleEvery)+2; n > most {
			t.Errorf("the gateway was asked %d times, at most %d would do", n, most)
		}
	})
}

func TestACarrierThatIsLostIsToldAtOnceWithoutAPacket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		at, back := 100*time.Second, 130*time.Second
		w := newWAN(Route{Interface: "wan", Gateway: gateway}, at, back)
		f := steady(30*time.Millisecond, func(string) bool { return !w.well() })
		c := testConfig()
		c.Route, c.Changed = w.route, w.changed
		time.AfterFunc(at-time.Millisecond, func() { f.taken() })
		time.AfterFunc(back-time.Millisecond, func() {
			if n := f.taken(); len(n) != 0 {
				t.Errorf("asked %v over an interface without a carrier", n)
			}
		})
		got := watched(t, c, f, 5*time.Minute, nil)
		if len(got) != 3 || got[1].Cause != telemetry.CauseLocal || got[1].Err > eventLate || got[2].Err > 3*time.Second {
			t.Fatalf("told\n%s", told(w.start, got))
		}
		if off := got[1].At.Sub(w.start) - at; off.Abs() > got[1].Err {
			t.Errorf("down at %v ± %v, truly at %v", got[1].At.Sub(w.start), got[1].Err, at)
		}
	})
}

func TestALeaseThatIsRenewedIsNoOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWAN(Route{}, 100*time.Second, 100*time.Second+50*time.Millisecond)
		c := testConfig()
		c.Route, c.Changed = w.route, w.changed
		if got := watched(t, c, steady(30*time.Millisecond, dead()), 5*time.Minute, nil); len(got) != 1 {
			t.Errorf("told\n%s", told(w.start, got))
		}
	})
}

func TestAnotherWayOutThatNoDefaultRouteTellsOfIsBelieved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWAN(Route{}, 0)
		c := testConfig()
		c.Route, c.Changed = w.route, w.changed
		if got := watched(t, c, steady(30*time.Millisecond, dead()), 5*time.Minute, nil); len(got) != 1 || got[0].State != telemetry.StateUp {
			t.Errorf("told\n%s", told(w.start, got))
		}
	})
}
