package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// inRouter marks the child process that lives in a network namespace of its own and plays the village router.
const inRouter = "NABZ_TEST_ROUTER"

func TestMain(m *testing.M) {
	if os.Getenv(inRouter) != "" {
		os.Exit(m.Run()) // the child that plays the router, see namespace_test.go
	}
	goleak.VerifyTestMain(m)
}

var (
	gateway = netip.MustParseAddr("10.0.0.1")
	anchorA = netip.MustParseAddr("192.0.2.1")
	anchorB = netip.MustParseAddr("192.0.2.2")
	anchorC = netip.MustParseAddr("192.0.2.3")
)

// fakeNet answers after rtt, unless dead says so.
type fakeNet struct {
	mu    sync.Mutex
	rtt   time.Duration
	dead  func(who string) bool
	asked []string
}

func (f *fakeNet) ask(ctx context.Context, who string, count int, timeout time.Duration) (s Sample) {
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf("%s×%d", who, count))
	gone, wait := f.dead(who), f.rtt
	f.mu.Unlock()
	s.Sent = count
	if gone {
		s.Lost, wait = count, timeout
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		s.Lost = count
		return s
	}
	for range s.Sent - s.Lost {
		s.RTTs = append(s.RTTs, f.rtt)
	}
	return s
}

func (f *fakeNet) Ask(ctx context.Context, to Target, count int) Sample {
	return f.ask(ctx, to.Addr.String(), count, 2*time.Second)
}

func (f *fakeNet) Resolve(ctx context.Context, name string, timeout time.Duration) Sample {
	return f.ask(ctx, name, 1, timeout)
}

func (f *fakeNet) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.asked
	f.asked = nil
	return a
}

func testConfig() Config {
	return Config{Every: time.Minute, SampleEvery: 5 * time.Minute, Count: 2, Confirm: 8, DNSName: "name", DNSTimeout: 3 * time.Second, DNSEvery: 5,
		Anchors: []Target{{Addr: anchorA}, {Addr: anchorB}, {Addr: anchorC}}, Limits: ledger.Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond},
		Route: func() Route { return Route{Interface: "wan", Gateway: gateway, Up: true} }, Evidence: func() time.Time { return time.Time{} }, Log: slog.New(slog.DiscardHandler)}
}

func dead(who ...any) func(string) bool {
	return func(s string) bool {
		for _, w := range who {
			if s == fmt.Sprint(w) {
				return true
			}
		}
		return false
	}
}

func TestAllAnchorsAreAskedBeforeAnOutageIsBelieved(t *testing.T) {
	for _, tt := range []struct {
		name  string
		dead  func(string) bool
		want  telemetry.State
		cause telemetry.Cause
	}{
		{"all well", dead(), "up", ""},
		{"one anchor gone", dead(anchorA), "up", ""},
		{"two anchors gone", dead(anchorA, anchorB), "up", ""},
		{"all anchors gone", dead(anchorA, anchorB, anchorC), "down", "backhaul"},
		{"all gone, gateway too", dead(anchorA, anchorB, anchorC, gateway, "name"), "down", "local"},
		{"only the gateway gone", dead(gateway), "up", ""},
		{"no name resolves", dead("name"), "down", "dns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProber(testConfig(), &fakeNet{rtt: 30 * time.Millisecond, dead: tt.dead})
				v, ok := p.judge(p.rounds.ask(t.Context(), true, false))
				if v.Pending != (tt.want == "down") || !ok {
					t.Errorf("the first round gave %+v; only an outage waits to be confirmed", v)
				}
				v, _ = p.judge(p.rounds.ask(t.Context(), false, true))
				if v.State != tt.want || v.Cause != tt.cause || v.Pending {
					t.Errorf("got %+v, want %s %s", v, tt.want, tt.cause)
				}
			})
		})
	}
}

func TestADeadAnchorIsNotLossOfTheLinkAndIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig()
		c.DNSName = ""
		f := &fakeNet{rtt: 30 * time.Millisecond, dead: dead(anchorA)}
		r := rounds{c: c, net: f}
		out := r.ask(t.Context(), true, false)
		if out.internet.Sent != 2 || out.internet.Lost != 0 || out.reach.InternetLoss.Lost != 0 {
			t.Errorf("sample %+v", out.internet)
		}
		f.taken()
		for range 10 {
			r.ask(t.Context(), true, false)
		}
		for _, a := range f.taken() {
			if a == anchorA.String()+"×2" {
				t.Error("a dead anchor was asked again at once")
			}
		}
	})
}

func TestExtraProbesTellDegradedFromChanceAndStayOutOfTheSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{rtt: 500 * time.Millisecond, dead: dead()}
		p := newProber(testConfig(), f)
		r := p.rounds.ask(t.Context(), true, false)
		if r.internet.Sent != 2 || r.reach.InternetLoss.Sent != 10 {
			t.Errorf("sample of %d, judged by %d; want 2 and 10", r.internet.Sent, r.reach.InternetLoss.Sent)
		}
		if v, _ := p.judge(r); v.State != telemetry.StateDegraded {
			t.Errorf("got %+v", v)
		}
	})
}

func TestFreshEvidenceSparesThePaidProbeUntilASampleIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{rtt: 30 * time.Millisecond, dead: dead()}
		c := testConfig()
		c.DNSName, c.Evidence = "", func() time.Time { return time.Now().Add(-20 * time.Second) }
		var got []Verdict
		run(t, newProber(c, f), 10*time.Minute-time.Second, func(v Verdict) { got = append(got, v) })
		paid := 0
		for _, a := range f.taken() {
			if a != "10.0.0.1×2" {
				paid++
			}
		}
		if len(got) != 14 || paid != 2 { // each 40 s, so that no two proofs are more than a minute apart
			t.Errorf("%d rounds with %d paid ones, want 14 with 2", len(got), paid)
		}
		for _, v := range got {
			if v.State != telemetry.StateUp {
				t.Errorf("%+v", v)
			}
		}
	})
}

func TestAMuteGatewayIsNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNet{rtt: 30 * time.Millisecond, dead: dead(gateway)}
		p := newProber(testConfig(), f)
		for range gatewayMute {
			p.judge(p.rounds.ask(t.Context(), true, false))
		}
		f.dead = func(who string) bool { return who != "name" }
		p.judge(p.rounds.ask(t.Context(), true, false))
		if v, _ := p.judge(p.rounds.ask(t.Context(), false, true)); v.Cause != telemetry.CauseBackhaul {
			t.Errorf("got %+v, want cause backhaul", v)
		}
	})
}

// run lets the prober work for d of the bubble's time.
func run(t *testing.T, p *Prober, d time.Duration, tell func(Verdict)) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := p.Run(ctx, tell); err != nil {
		t.Error(err)
	}
	if late := time.Since(p.begun) - d; late > 0 {
		t.Errorf("Run came back %v after it was cancelled", late)
	}
}

func TestRoundsQuickenInAnOutageAndSlowDownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		cut, back := start.Add(150*time.Second), start.Add(400*time.Second)
		f := &fakeNet{rtt: 30 * time.Millisecond}
		f.dead = func(who string) bool {
			return who != gateway.String() && time.Now().After(cut) && time.Now().Before(back)
		}
		var ends []time.Duration
		run(t, newProber(testConfig(), f), 10*time.Minute, func(v Verdict) { ends = append(ends, v.Until.Sub(start).Truncate(time.Second)) })
		// A failing round lasts twice the timeout here: the anchor in turn, then all others.
		want := "[0s 1m0s 2m0s 2m0s 3m8s 3m12s" // 2m0s twice: the pending one speaks of the last good round
		if got := fmt.Sprint(ends); len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("rounds at\n got %s\nwant %s …", got, want)
		}
		gaps := map[time.Duration]int{}
		for i := 1; i < len(ends); i++ {
			gaps[ends[i]-ends[i-1]]++
		}
		if gaps[5*time.Second] < 20 || gaps[time.Minute] < 3 {
			t.Errorf("gaps between rounds: %v", gaps)
		}
	})
}

// The ledger's figures rest on this: whatever the moment of a cut, the verdict is within its own error of it.
func TestTheMomentOfAnOutageIsWithinTheErrorThatIsTold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cutAfter := time.Duration(rapid.IntRange(1, 600_000).Draw(rt, "cut")) * time.Millisecond
		length := time.Duration(rapid.IntRange(200_000, 900_000).Draw(rt, "length")) * time.Millisecond
		evidence := rapid.Bool().Draw(rt, "evidence")
		var got []Verdict
		var start time.Time
		synctest.Test(t, func(t *testing.T) {
			start = time.Now()
			f := &fakeNet{rtt: 20 * time.Millisecond}
			down := func(at time.Time) bool { d := at.Sub(start); return d >= cutAfter && d < cutAfter+length }
			f.dead = func(who string) bool { return who != gateway.String() && down(time.Now()) }
			c := testConfig()
			if evidence {
				c.Evidence = func() time.Time { // as of a counter that is read every 10 seconds
					for at := time.Now().Truncate(10 * time.Second); at.After(start); at = at.Add(-10 * time.Second) {
						if !down(at) {
							return at
						}
					}
					return time.Time{}
				}
			}
			run(t, newProber(c, f), 40*time.Minute, func(v Verdict) {
				if n := len(got); !v.Pending && (n == 0 || got[n-1].State != v.State) {
					got = append(got, v)
				}
			})
		})
		if len(got) != 3 || got[1].State != telemetry.StateDown || got[1].Cause != telemetry.CauseBackhaul || got[2].State != telemetry.StateUp {
			rt.Fatalf("verdicts %+v", got)
		}
		const slack = 50 * time.Millisecond // a round trip
		for i, true := range map[int]time.Duration{1: cutAfter, 2: cutAfter + length} {
			if off := got[i].At.Sub(start) - true; off.Abs() > got[i].Err+slack {
				rt.Errorf("%s at %v ± %v, truly at %v", got[i].State, got[i].At.Sub(start), got[i].Err, true)
			}
		}
		if got[1].Err > 31*time.Second || got[2].Err > 5*time.Second {
			rt.Errorf("errors %v and %v are too large", got[1].Err, got[2].Err)
		}
	})
}
