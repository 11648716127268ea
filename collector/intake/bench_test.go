//go:build unix

package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// sent is a message as the broker would hand it over.
type sent struct {
	topic   string
	payload []byte
}

// minutes are the batches of 500 agents over 40 minutes, one of 6 lines a minute each, as zstd.
func minutes(b *testing.B) (messages []sent, plain [][]byte, lines int) {
	b.Helper()
	codec, err := telemetry.NewCodec()
	if err != nil {
		b.Fatal(err)
	}
	defer codec.Close()
	for m := range 40 {
		for n := range 500 {
			at := now.Add(-time.Hour + time.Duration(m)*time.Minute + time.Duration(n)*time.Millisecond)
			a := telemetry.Address{Site: fmt.Sprintf("village-%03d", n), Agent: "main"}
			var text []byte
			for _, l := range []*telemetry.Line{
				telemetry.Header{At: at, Boot: "4f2a9c1b", Seq: uint64(m), Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}, SpoolBytes: 300, SpoolLines: 6, WireBytes: 123456, Clock: telemetry.ClockSynced}.Line(),
				telemetry.NewLine("link", at).Tag("target", "gateway").Int("sent", 4).Int("lost", 0).Float("rtt_min_ms", 0.8).Float("rtt_avg_ms", 1.1).Float("rtt_max_ms", 2.3).Float("jitter_ms", 0.4),
				telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", 4).Int("lost", 0).Float("rtt_min_ms", 48.8).Float("rtt_avg_ms", 61.1).Float("rtt_max_ms", 82.3).Float("jitter_ms", 9.4),
				telemetry.NewLine("link", at).Tag("target", "dns").Int("sent", 1).Int("lost", 0).Float("rtt_avg_ms", 55.5),
				telemetry.NewLine("traffic", at).Tag("iface", "eth0").Int("rx_bytes", int64(7000000+n)).Int("tx_bytes", 812345).Int("rx_peak_bps", 4123456).Int("tx_peak_bps", 512345).Int("errs", 0).Int("drops", 0),
				telemetry.NewLine("host", at).Float("cpu_pct", 7.5).Float("mem_pct", 61.2).Float("disk_pct", 43).Float("load1", 0.21).Int("uptime_s", int64(m*60)),
			} {
				if text, err = l.Append(text); err != nil {
					b.Fatal(err)
				}
			}
			good, _, _ := telemetry.Parse(text)
			var stamped []byte
			for _, p := range good {
				stamped = telemetry.AppendStamped(stamped, p, a)
			}
			payload, err := codec.Seal(nil, text, telemetry.Zstd)
			if err != nil {
				b.Fatal(err)
			}
			lines = len(good)
			messages, plain = append(messages, sent{a.Topic(telemetry.KindData), payload}), append(plain, stamped)
		}
	}
	return messages, plain, lines
}

// sinkhole takes everything at once and keeps nothing.
type sinkhole struct{}

// Write forgets the lines.
func (sinkhole) Write(context.Context, telemetry.Tier, []byte) error { return nil }

// Query knows nothing.
func (sinkhole) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, nil
}

// window lets so many batches be under way; an acknowledgement makes room for the next.
type window struct {
	room     chan struct{}
	rejected atomic.Int64
}

// Publish takes an acknowledgement.
func (w *window) Publish(_ string, payload []byte) error {
	if a, err := telemetry.ParseAck(payload); err != nil || a.Verdict != telemetry.Stored || a.Refused > 0 {
		w.rejected.Add(1)
	}
	<-w.room
	return nil
}

// Stored looks at nothing.
func (*window) Stored(telemetry.Address, time.Time, []telemetry.Parsed) {}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report tells lines a second and seconds of this process's own processor time for a million lines.
func report(b *testing.B, lines int, used time.Duration) {
	n := float64(b.N) * float64(lines)
	b.ReportMetric(n/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(used.Seconds()/n*1e6, "cpu-s/Mline")
	b.ReportMetric(0, "ns/op")
}

type target interface {
	Write(ctx context.Context, tier telemetry.Tier, lines []byte) error
	Querier
}

func benchmarkIntake(b *testing.B, s target) {
	messages, _, lines := minutes(b)
	w := &window{room: make(chan struct{}, 5000)}
	writer := store.NewWriter(s, store.WriterOptions{})
	i, err := New(Config{DeadLetters: b.TempDir()}, Parts{Writer: writer, Querier: s, Watcher: w, Publisher: w, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- writer.Run(ctx) }()
	go func() { ended <- i.Run(ctx) }()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for n := range b.N {
		w.room <- struct{}{}
		m := messages[n%len(messages)]
		i.Deliver(m.topic, m.payload)
	}
	if err := i.Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	report(b, lines, cpu(b)-before)
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
	if n := w.rejected.Load(); n > 0 {
		b.Errorf("%d batches were not stored", n)
	}
}

// BenchmarkIntake takes batches in, as the broker hands them over, until they are acknowledged.
func BenchmarkIntake(b *testing.B) {
	b.Run("sink=none", func(b *testing.B) { benchmarkIntake(b, sinkhole{}) })
	for _, gzip := range []bool{false, true} {
		b.Run(fmt.Sprintf("sink=influxd/gzip=%v", gzip), func(b *testing.B) { benchmarkIntake(b, influx(b, gzip)) })
	}
}

// BenchmarkTightWriter is the yardstick: a program that has the same lines ready and only writes them, 5000 at a
// time, four requests at once.
func BenchmarkTightWriter(b *testing.B) {
	_, plain, lines := minutes(b)
	var bodies [][]byte
	for n := 0; n < len(plain); n += 5000 / lines {
		var body []byte
		for _, p := range plain[n:min(n+5000/lines, len(plain))] {
			body = append(body, p...)
		}
		bodies = append(bodies, body)
	}
	s := influx(b, false)
	b.ResetTimer()
	before := cpu(b)
	var next atomic.Int64
	done := make(chan error)
	for range 4 {
		go func() {
			for {
				n := int(next.Add(1) - 1)
				if n*(5000/lines) >= b.N {
					done <- nil
					return
				}
				if err := s.Write(b.Context(), telemetry.Detail, bodies[n%len(bodies)]); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.StopTimer()
	report(b, lines, cpu(b)-before)
}

func influx(b *testing.B, gzip bool) *store.Store {
	db := influxd.ForTest(b)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(b, "detail"), LedgerBucket: db.Database(b, "ledger"), Gzip: gzip}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	if err := s.Ensure(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}
