package telemetry

import (
	"testing"
	"time"
)

// minute is what a router with one WAN interface sends once a minute while its link proves itself.
func minute() []byte {
	var b []byte
	for _, l := range []*Line{
		Header{At: noon, Boot: "4f2a9c1b", Seq: 14217, Open: OpenSpan{State: StateUp, Length: 1253_417 * time.Millisecond}, WireBytes: 8123456, Clock: ClockSynced,
			Next: time.Minute, AckWithin: 10 * time.Minute}.Line(),
		NewLine("link", noon).Tag("target", "collector").Int("sent", 3).Int("lost", 0).Float("rtt_min_ms", 48.81).Float("rtt_avg_ms", 61.13).Float("rtt_max_ms", 82.34).Float("jitter_ms", 9.42),
		NewLine("traffic", noon).Tag("iface", "eth0").Int("rx_bytes", 7123456).Int("tx_bytes", 812345).Int("rx_peak_bps", 4123456).Int("tx_peak_bps", 512345).Int("errs", 0).Int("drops", 0),
		NewLine("host", noon).Float("cpu_pct", 7.5).Float("mem_pct", 61.2).Float("disk_pct", 43).Float("load1", 0.21).Int("uptime_s", 864013),
	} {
		b, _ = l.Append(b)
	}
	return b
}

func BenchmarkSealMinute(b *testing.B) {
	c := newCodec(b)
	text := minute()
	for _, e := range []Encoding{Plain, Gzip, Zstd} {
		b.Run(e.String(), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf, _ = c.Seal(buf[:0], text, e)
			}
			b.ReportMetric(float64(len(buf)), "wire-B/minute")
		})
	}
}

// BenchmarkNewSealer tells what an agent holds for sealing, after the first minute.
func BenchmarkNewSealer(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewSealer()
		if err != nil {
			b.Fatal(err)
		}
		s.Seal(nil, minute())
		s.Close()
	}
}

func BenchmarkParseMinute(b *testing.B) {
	text := minute()
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		good, bad, err := Parse(text)
		if err != nil || len(bad) > 0 {
			b.Fatal(bad, err)
		}
		lines += len(good)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(lines), "ns/line")
}
