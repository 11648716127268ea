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

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) {
	if testneed.Inside() {
		os.Exit(m.Run()) // the child that plays the router, see namespace_linux_test.go
	}
	goleak.VerifyTestMain(m)
}

var (
	gateway = netip.MustParseAddr("10.0.0.1")
	anchorA = netip.MustParseAddr("192.0.2.1")
	anchorB = netip.MustParseAddr("192.0.2.2")
	anchorC = netip.MustParseAddr("192.0.2.3")
)

const theName = "name"

// fakeNet answers a question when whoever is asked lives both when it is sent and when the answer comes.
type fakeNet struct {
	mu    sync.Mutex
	rtt   func() time.Duration
	lives func(who string, from, to time.Time) bool
	loss  func() bool // of one probe; nil: none
	asked []string
}

// steady is a network with one round trip time, in which those are dead that dead says.
func steady(rtt time.Duration, dead func(who string) bool) *fakeNet {
	return &fakeNet{rtt: func() time.Duration { return rtt }, lives: func(who string, _, _ time.Time) bool { return !dead(who) }}
}

func (f *fakeNet) Ask(ctx context.Context, to []Target, count int, timeout time.Duration) []Sample {
	out := make([]Sample, len(to))
	var g sync.WaitGroup
	for i, t := range to {
		g.Go(func() { out[i] = f.one(ctx, t.Addr.String(), count, timeout) })
	}
	g.Wait()
	return out
}

func (f *fakeNet) Resolve(ctx context.Context, name string, timeout time.Duration) Sample {
	return f.one(ctx, name, 1, timeout)
}

// one sends count probes, gap apart, and waits for each as long as the timeout.
func (f *fakeNet) one(ctx context.Context, who string, count int, timeout time.Duration) (s Sample) {
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf("%s×%d", who, count))
	f.mu.Unlock()
	s.Sent, s.Lost = count, count
	var g sync.WaitGroup
	for i := range count {
		g.Go(func() {
			if !pause(ctx, time.Duration(i)*gap) {
				return
			}
			f.mu.Lock()
			rtt, lost := f.rtt(), f.loss != nil && f.loss()
			f.mu.Unlock()
			sent := time.Now()
			if !pause(ctx, min(rtt, timeout)) {
				return
			}
			if now := time.Now(); !lost && rtt <= timeout && f.lives(who, sent, now) {
				f.mu.Lock()
				s.answer(sent, now)
				f.mu.Unlock()
				return
			}
			pause(ctx, timeout-min(rtt, timeout))
		})
	}
	g.Wait()
	return s
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *fakeNet) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.asked
	f.asked = nil
	return a
}

func testConfig() Config {
	return Config{Every: 75 * time.Second, SampleEvery: 5 * time.Minute, DNSEvery: 15 * time.Minute, ExtraPerHour: 12, Count: 1, Confirm: 8, Timeout: 2 * time.Second,
		DNSName: theName, DNSTimeout: 3 * time.Second, Anchors: []Target{{Addr: anchorA}, {Addr: anchorB}, {Addr: anchorC}},
		Limits: ledger.Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond},
		Route:  func() Route { return Route{Interface: "wan", Gateway: gateway, Up: true} }, Log: slog.New(slog.DiscardHandler)}
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

// run lets the prober work for d of the bubble's time.
func run(t *testing.T, p *Prober, d time.Duration, tell func(Verdict)) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	if err := p.Run(ctx, tell); err != nil {
		t.Error(err)
	}
	if late := time.Since(start) - d; late > 0 {
		t.Errorf("Run came back %v after it was cancelled", late)
	}
}

// what is a state with its cause, in one word.
func what(s telemetry.State, c telemetry.Cause) string {
	if c != "" {
		return string(c)
	}
	return string(s)
}

// bubble runs a test under simulated time, without the race detector: over so many timers of synctest that breaks off within itself, in one
// run of ten (Go 1.26.8). scripts/test runs these tests without it; what runs side by side is seen by those in namespaces.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if raceOn {
		t.Skip("simulated time is too much for the race detector here; scripts/test runs this one without it")
	}
	synctest.Test(t, f)
}
