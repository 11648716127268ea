package agent

import (
	"log/slog"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/sampler"
	"github.com/smartvillage/nabz/telemetry"
)

// BenchmarkMinute is what a minute of a router with one WAN and one LAN port costs from samples to the sealed batch: time, and
// bytes that the link has to carry.
func BenchmarkMinute(b *testing.B) {
	sealer, err := telemetry.NewSealer()
	if err != nil {
		b.Fatal(err)
	}
	defer sealer.Close()
	q, now := &fakeQueue{}, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	r := NewRecorder(RecorderConfig{Boot: boot, Clock: &fakeClock{offset: time.Until(now), known: true}, Known: func() bool { return true }, Queue: q, Sealer: sealer,
		MarkEvery: time.Minute, WireBytes: func() int64 { return 123456 }, Wake: func() {}, Log: slog.New(slog.DiscardHandler)})
	r.Settle()
	s := probe.Sample{Quality: ledger.Quality{Sent: 2, RTTs: []time.Duration{48 * time.Millisecond, 61 * time.Millisecond}}}
	host := sampler.State{CPUPct: 7.5, MemPct: 61.2, DiskPct: 43, Load1: 0.21, TempC: 51, UptimeSec: 86400}
	n, batches := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		at := time.Now()
		r.Verdict(probe.Verdict{State: telemetry.StateUp, At: at, Until: at, Gateway: s, Internet: s})
		r.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "eth0", WAN: true, From: at, To: at, RxBytes: 7123456, TxBytes: 812345, RxPeak: 4123456, TxPeak: 512345, PeakKnown: true},
			{Interface: "eth1", From: at, To: at, RxBytes: 812345, TxBytes: 7123456}}, Host: host})
		for _, batch := range q.batches {
			n += len(batch.Payload)
			batches++
		}
		q.batches, q.marks, q.order = q.batches[:0], q.marks[:0], q.order[:0]
	}
	b.ReportMetric(float64(n)/float64(b.N), "wire-B/minute")
	b.ReportMetric(float64(batches)/float64(b.N), "batches/minute")
}
