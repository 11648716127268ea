package ledger

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

func text(t testing.TB, lines []*telemetry.Line) string {
	t.Helper()
	var b []byte
	for _, l := range lines {
		if _, err := telemetry.Check(l); err != nil {
			t.Fatal(err)
		}
		b, _ = l.Append(b)
	}
	return string(b)
}

func TestAnHourIsSummedUpWithACumulativeHistogram(t *testing.T) {
	var h Hours
	h.Probed(at(0), Quality{Sent: 1}) // before Begin nothing counts
	h.Begin(at(30))
	h.Probed(at(31), Quality{Sent: 4, Lost: 1, RTTs: []time.Duration{25 * time.Millisecond, 26 * time.Millisecond, 2 * time.Second}})
	h.Traffic(at(59), at(61), 1000, 101)
	h.Peak(at(31), 5000, 1)
	h.Peak(at(32), 4000, 2)
	h.Probed(at(60.5), Quality{Sent: 2, RTTs: []time.Duration{time.Millisecond}})
	want := "hour ms=1800000i,rtt_le_25=1i,rtt_le_50=2i,rtt_le_100=2i,rtt_le_150=2i,rtt_le_300=2i,rtt_le_600=2i,rtt_le_1200=2i,rtt_le_inf=3i,sent=4i,lost=1i,rx_bytes=500i,tx_bytes=50i,rx_peak_bps=5000i,tx_peak_bps=2i 1795437000000\n"
	if got := text(t, h.Cover(at(61))); got != want {
		t.Errorf("first part\n got %s\nwant %s", got, want)
	}
	want = "hour ms=3600000i,rtt_le_25=1i,rtt_le_50=1i,rtt_le_100=1i,rtt_le_150=1i,rtt_le_300=1i,rtt_le_600=1i,rtt_le_1200=1i,rtt_le_inf=1i,sent=2i,lost=0i,rx_bytes=500i,tx_bytes=51i 1795438800000\nhour ms=60000i 1795442400000\n"
	if got := text(t, h.Close(at(121))); got != want {
		t.Errorf("rest\n got %s\nwant %s", got, want)
	}
}

func TestHoursLoseNoByteAndNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Hours
		var lines []*telemetry.Line
		var rx, tx, sent int64
		now := noon
		h.Begin(now)
		t.Repeat(map[string]func(*rapid.T){
			"a sample": func(*rapid.T) {
				d := time.Duration(rapid.Int64Range(0, 9_000_000).Draw(t, "ms")) * time.Millisecond
				r, s := rapid.Int64Range(0, 1<<40).Draw(t, "rx"), rapid.Int64Range(0, 1<<40).Draw(t, "tx")
				h.Traffic(now, now.Add(d), r, s)
				now, rx, tx = now.Add(d), rx+r, tx+s
				h.Probed(now, Quality{Sent: 1})
				sent++
				lines = append(lines, h.Cover(now)...)
			},
			"a step": func(*rapid.T) {
				d := time.Duration(rapid.Int64Range(-900_000, 9_000_000).Draw(t, "ms")) * time.Millisecond
				lines = append(lines, h.Step(now, now.Add(d))...)
				now = now.Add(d)
			},
		})
		now = now.Add(24 * time.Hour)
		lines = append(lines, h.Close(now)...)
		var gotRx, gotTx, gotSent int64
		end := time.Time{}
		for _, l := range lines {
			if _, err := telemetry.Check(l); err != nil {
				t.Fatal(err)
			}
			ms, _ := l.GetInt("ms")
			start := time.UnixMilli(l.Time)
			if start.Before(end) || ms <= 0 || start.Add(time.Duration(ms)*time.Millisecond).After(nextHour(start)) {
				t.Fatalf("part of %d ms from %v overlaps or crosses an hour", ms, start)
			}
			end = start.Add(time.Duration(ms) * time.Millisecond)
			r, _ := l.GetInt("rx_bytes")
			x, _ := l.GetInt("tx_bytes")
			n, _ := l.GetInt("sent")
			gotRx, gotTx, gotSent = gotRx+r, gotTx+x, gotSent+n
		}
		if gotRx != rx || gotTx != tx || gotSent != sent {
			t.Fatalf("rx %d tx %d sent %d, want %d %d %d", gotRx, gotTx, gotSent, rx, tx, sent)
		}
	})
}
