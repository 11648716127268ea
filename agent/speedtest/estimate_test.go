package speedtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// links are throughputs over time, as what happens to tests on real ones: f is the rate at t as a part of what the link carries.
func links() map[string]func(t time.Duration) float64 {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]float64, 2000) // one in 10 ms
	for i := range noise {
		if i%25 == 0 {
			noise[i] = 1 + 0.25*rnd.NormFloat64()
		} else {
			noise[i] = noise[i-1]
		}
	}
	start := func(rtt time.Duration, segments float64) func(time.Duration) float64 { // TCP doubles each round trip until the link is full
		return func(t time.Duration) float64 {
			return math.Min(1, 10*math.Exp2(float64(t)/float64(rtt))/segments)
		}
	}
	slow, satellite := start(50*time.Millisecond, 40), start(600*time.Millisecond, 500)
	return map[string]func(time.Duration) float64{
		"steady":    slow,
		"satellite": satellite,
		"sawtooth":  func(t time.Duration) float64 { return slow(t) * (0.7 + 0.3*math.Mod(t.Seconds(), 3)/3) / 0.85 },
		"mobile, noisy": func(t time.Duration) float64 {
			return slow(t) * math.Max(0.1, noise[int(t/(10*time.Millisecond))%len(noise)])
		},
		"shaper's burst": func(t time.Duration) float64 {
			return slow(t) * map[bool]float64{true: 3, false: 1}[t < 1500*time.Millisecond]
		},
		"half after 5 s": func(t time.Duration) float64 {
			return slow(t) * map[bool]float64{true: 1, false: 0.5}[t < 5*time.Second]
		},
	}
}

// trace runs a test of a link of 10 Mbit/s, to the early end or to the whole.
func trace(f func(time.Duration) float64, early bool) (rate float64, bytes float64, took time.Duration) {
	var e estimate
	const step = 10 * time.Millisecond
	for t := time.Duration(0); t <= testTime; t += step {
		e.add(t, int64(bytes))
		if early && e.stable() {
			return float64(e.result()), bytes, t
		}
		bytes += 10e6 / 8 * f(t) * step.Seconds()
	}
	return float64(e.result()), bytes, testTime
}

// BenchmarkEarlyStop tells for each link what ending early saves, in percent of the bytes of ten seconds, and how far it is off the result of those.
func BenchmarkEarlyStop(b *testing.B) {
	for name, f := range links() {
		b.Run(name, func(b *testing.B) {
			var early, whole, some, all float64
			var took time.Duration
			for b.Loop() {
				early, some, took = trace(f, true)
				whole, all, _ = trace(f, false)
			}
			b.ReportMetric(100*(1-some/all), "saved-pct")
			b.ReportMetric(100*(early/whole-1), "off-pct")
			b.ReportMetric(took.Seconds(), "test-s")
			b.ReportMetric(whole/10e4, "whole-pct-of-link")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestASteadyLinkNeedsAThirdOfTheBytes(t *testing.T) {
	for name, most := range map[string]float64{"steady": 1. / 3, "shaper's burst": 2. / 3, "satellite": 3. / 4} {
		early, some, took := trace(links()[name], true)
		whole, all, _ := trace(links()[name], false)
		if off := early/whole - 1; math.Abs(off) > 0.05 || some > most*all {
			t.Errorf("%s: after %v %.0f bit/s with %.0f bytes; after ten seconds %.0f with %.0f", name, took, early, some, whole, all)
		}
	}
	if _, _, took := trace(links()["mobile, noisy"], true); took < 4*time.Second {
		t.Errorf("a link that is not steady is believed after %v", took)
	}
	if _, _, took := trace(func(time.Duration) float64 { return 0 }, true); took != testTime {
		t.Errorf("a link that carries nothing is believed after %v", took)
	}
}

func TestAThroughputNeedsASecond(t *testing.T) {
	var e estimate
	e.add(999*time.Millisecond, 1<<20)
	if got := e.result(); got != 0 {
		t.Errorf("%d bit/s after less than a second", got)
	}
	e.add(1250*time.Millisecond, 1<<20)
	if got := e.result(); got <= 0 {
		t.Errorf("%d bit/s after more than a second", got)
	}
	for i := range 10 * maxSamples { // what is told too late or too often breaks nothing
		e.add(time.Duration(i)*sampleEvery, int64(i)<<20)
	}
	if e.n > maxSamples {
		t.Errorf("%d samples", e.n)
	}
}
