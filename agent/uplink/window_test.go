package uplink

import (
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

func TestLateAnswersMakeTheWindowSmallAndAnswersMakeItWide(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := newWindow(Config{Window: 8, AckTimeout: 30 * time.Second, MaxBackoff: time.Minute}.fill(), func(d time.Duration) time.Duration { return d })
	for seq := uint64(1); seq <= 8; seq++ {
		w.begin(seq, boot, []byte("x"), false, now)
	}
	if got := w.room(now); got != 0 {
		t.Errorf("room for %d beyond the window", got)
	}
	now = now.Add(30 * time.Second)
	var pauses []time.Duration
	for range 8 {
		f := w.flights[1]
		w.late(f, now)
		pauses = append(pauses, w.pause.Sub(now))
		if f.out, f.tries = true, f.tries+1; w.size != 1 {
			t.Fatalf("window %d after a late answer, want 1", w.size)
		}
	}
	s := time.Second
	if want := []time.Duration{30 * s, 60 * s, 120 * s, 240 * s, 300 * s, 300 * s, 300 * s, 300 * s}; !slices.Equal(pauses, want) {
		t.Errorf("upper ends of the pauses %v, want %v", pauses, want)
	}
	if got := w.room(w.pause.Add(-1)); got != 0 {
		t.Errorf("room for %d during the pause", got)
	}
	for seq, want := range []int{2, 4, 8, 8} {
		if w.answered(telemetry.Ack{Boot: boot, Seq: uint64(seq + 1)}) == nil || w.size != want {
			t.Errorf("window %d after answer %d, want %d", w.size, seq+1, want)
		}
	}
	if !w.since.Equal(time.Unix(1795000000, 0)) {
		t.Errorf("silent since %v, want when the first late answer was asked for", w.since)
	}
	if w.silent != 0 || !w.pause.IsZero() {
		t.Error("an answer does not end the pause")
	}
}

func TestBackoffHasFullJitter(t *testing.T) {
	u := New(Config{MaxBackoff: 8 * time.Second}, nil)
	var low, high time.Duration = time.Hour, 0
	for range 2000 {
		d := u.backoff(10)
		low, high = min(low, d), max(high, d)
	}
	if low > 400*time.Millisecond || high < 7600*time.Millisecond || high > 8*time.Second {
		t.Errorf("waits lie between %v and %v, want all of 0 to 8 s", low, high)
	}
	if d := u.backoff(0); d > time.Second {
		t.Errorf("first wait %v, want at most 1 s", d)
	}
}

// TestWindowStaysWithinItsBounds drives the window with a queue and a collector that answer at random.
func TestWindowStaysWithinItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "window")
		now := time.Unix(1795000000, 0)
		w := newWindow(Config{Window: size, AckWithin: rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(t, "within")}.fill(), func(d time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(d)).Draw(t, "jitter"))
		})
		next := uint64(1)
		out := func() (all []*flight) {
			for _, f := range w.flights {
				if f.out {
					all = append(all, f)
				}
			}
			slices.SortFunc(all, func(a, b *flight) int { return int(a.seq) - int(b.seq) })
			return all
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				skip := w.skip(now, w.fresh())
				for range w.room(now) {
					seq := next
					for s := range w.flights {
						if !skip[s] {
							seq = min(seq, s)
						}
					}
					if f := w.begin(seq, boot, []byte{byte(seq)}, seq%3 > 0, now); f.tries > 1 && seq == next {
						t.Fatalf("batch %d is new but was tried %d times", seq, f.tries)
					}
					skip[seq] = true
					if seq == next {
						next++
					}
				}
			},
			"answer": func(t *rapid.T) {
				if all := out(); len(all) > 0 {
					f := rapid.SampledFrom(all).Draw(t, "flight")
					if got := w.answered(telemetry.Ack{Boot: boot, Seq: f.seq}); len(got) != 1 || got[0] != f || w.answered(telemetry.Ack{Boot: boot, Seq: f.seq}) != nil {
						t.Fatalf("flight %d is not forgotten by its answer", f.seq)
					}
				}
			},
			"row": func(t *rapid.T) {
				first := rapid.Uint64Range(1, next).Draw(t, "first")
				last := first + rapid.Uint64Range(0, 20).Draw(t, "more")
				got := w.answered(telemetry.Ack{Boot: boot, First: first, Seq: last})
				for i, f := range got {
					if f.seq < first || f.seq > last || i > 0 && f.seq >= got[i-1].seq {
						t.Fatalf("batch %d is answered by %d to %d", f.seq, first, last)
					}
				}
				for seq := first; seq <= last; seq++ {
					if w.flights[seq] != nil {
						t.Fatalf("batch %d is not answered by %d to %d", seq, first, last)
					}
				}
			},
			"arrive": func(t *rapid.T) {
				if all := out(); len(all) > 0 {
					rapid.SampledFrom(all).Draw(t, "flight").taken = true
				}
			},
			"time": func(t *rapid.T) {
				now = now.Add(w.wait(now))
				for _, f := range out() {
					if !now.Before(f.due) {
						w.late(f, now)
					}
				}
			},
			"lost":  func(t *rapid.T) { w.lost(now, true) },
			"prune": func(t *rapid.T) { w.prune(now) },
			"": func(t *rapid.T) {
				patient := 0
				for _, f := range out() {
					if f.patient() {
						patient++
					}
				}
				if n := len(out()) - patient; n > size || patient > maxPatient+size || w.size < 1 || w.size > size {
					t.Fatalf("%d out and %d patient, window %d of %d", n, patient, w.size, size)
				}
				if len(w.flights) > maxTracked+maxPatient+size {
					t.Fatalf("%d flights remembered", len(w.flights))
				}
				if d := w.pause.Sub(now); d > w.maxBackoff {
					t.Fatalf("pause of %v", d)
				}
			},
		})
	})
}
