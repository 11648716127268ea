package intake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// hearer hears what a lazy tells, by synctest's clock.
type hearer struct {
	t    testing.TB
	zero time.Time
	mu   sync.Mutex
	at   map[telemetry.Address]map[uint64][]time.Duration // by agent and number: when it was told
	acks []telemetry.Ack
}

func (h *hearer) tell(a telemetry.Address, ack telemetry.Ack) {
	if again, err := telemetry.ParseAck(ack.Append(nil)); err != nil || again.First != ack.First || again.Seq != ack.Seq || again.Also != ack.Also {
		h.t.Errorf("%+v does not survive the wire: %+v, %v", ack, again, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acks = append(h.acks, ack)
	if h.at[a] == nil {
		h.at[a] = map[uint64][]time.Duration{}
	}
	for seq := max(1, int64(ack.Seq)-telemetry.MaxAckSpan); seq <= int64(ack.Seq); seq++ {
		seq := uint64(seq)
		if ack.Has(seq) {
			h.at[a][seq] = append(h.at[a][seq], time.Since(h.zero))
		}
	}
}

// lazily runs f with a lazy in a bubble of time of its own.
func lazily(t *testing.T, f func(*lazy, *hearer)) {
	synctest.Test(t, func(t *testing.T) {
		h := &hearer{t: t, zero: time.Now(), at: map[telemetry.Address]map[uint64][]time.Duration{}}
		z := newLazy(h.tell)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- z.run(ctx) }()
		f(z, h)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func head(seq uint64, next, within time.Duration) telemetry.Header {
	return telemetry.Header{Boot: "4f2a9c1b", Seq: seq, Next: next, AckWithin: within}
}

// rows is what was told, in short.
func (h *hearer) rows() (out []string) {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.acks {
		out = append(out, strings.Fields(string(a.Append(nil)))[2])
	}
	h.acks = nil
	return out
}

func (h *hearer) want(what string, rows ...string) {
	h.t.Helper()
	if got := h.rows(); !slices.Equal(got, rows) {
		h.t.Errorf("%s: told %v, want %v", what, got, rows)
	}
}

func TestOneAcknowledgementTellsOfTenMinutes(t *testing.T) {
	lazily(t, func(z *lazy, h *hearer) {
		for seq := range uint64(30) {
			z.stored(clinic, head(seq+1, time.Minute, 10*time.Minute), time.Now())
			time.Sleep(time.Minute)
		}
		h.want("after half an hour", "1-10", "11-20", "21-30")
		z.stored(clinic, head(31, time.Minute, 10*time.Minute), time.Now())
		time.Sleep(10*time.Minute - time.Millisecond)
		h.want("before the deadline of the last")
		time.Sleep(time.Millisecond)
		h.want("at the deadline", "31")
	})
}

// An agent whose folder was emptied seals batches of the same numbers again in the same boot.
func TestAnEmptiedSpoolIsToldNothingOfFormerBatches(t *testing.T) {
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	sealed := func(seq uint64, minute int, within time.Duration) telemetry.Header {
		h := head(seq, time.Minute, within)
		h.At = begin.Add(time.Duration(minute) * time.Minute)
		return h
	}
	for first := range uint64(5) { // the number of the first batch of the new run that comes through
		lazily(t, func(z *lazy, h *hearer) {
			for minute := range 3 {
				z.stored(clinic, sealed(2+uint64(minute), minute, 10*time.Minute), time.Now())
				time.Sleep(time.Minute)
			}
			z.stored(clinic, sealed(first+1, 3, 10*time.Minute), time.Now())
			time.Sleep(time.Minute)
			z.stored(clinic, sealed(first+2, 4, 0), time.Now())
			if first < 4 {
				h.want("the new run", fmt.Sprintf("%d-%d", first+1, first+2))
			} else {
				h.want("the same run", "2-6")
			}
		})
	}
}

func TestWhatCannotWaitTakesWhatWaitsWithIt(t *testing.T) {
	const lazyFor = 10 * time.Minute
	lazily(t, func(z *lazy, h *hearer) {
		z.stored(clinic, head(1, time.Minute, 0), time.Now())
		h.want("a batch of the ledger", "1")
		z.stored(clinic, head(2, time.Minute, lazyFor), time.Now())
		time.Sleep(time.Minute)
		z.stored(clinic, head(3, time.Minute, lazyFor), time.Now())
		time.Sleep(20 * time.Second)
		h.want("two of detail")
		z.stored(clinic, head(5, time.Minute, 0), time.Now())
		h.want("one of the ledger after a gap", "2-3,5")
		time.Sleep(20 * time.Second)
		z.stored(clinic, head(4, time.Minute, lazyFor), time.Now())
		z.stored(clinic, head(6, time.Minute, lazyFor), time.Now())
		h.want("a backlog", "4,6")
		time.Sleep(20 * time.Second)
		z.stored(clinic, head(7, time.Minute, lazyFor), time.Now())
		time.Sleep(time.Minute)
		z.stored(clinic, head(7, time.Minute, lazyFor), time.Now())
		h.want("the same again", "7")
		time.Sleep(time.Minute)
		z.stored(clinic, head(8, time.Minute, lazyFor), time.Now())
		other := head(9, time.Minute, lazyFor)
		other.Boot = "00000001"
		time.Sleep(time.Minute)
		z.stored(clinic, other, time.Now())
		h.want("another boot", "8")
		z.close()
		h.want("the end", "9")
		z.stored(clinic, head(10, time.Minute, lazyFor), time.Now())
		h.want("after the end", "10")
	})
}

func TestNoMoreIsHeldThanTheBound(t *testing.T) {
	lazily(t, func(z *lazy, h *hearer) {
		for seq := range uint64(heldMost) {
			z.stored(clinic, head(2*seq+2, time.Second, 24*time.Hour), time.Now())
			time.Sleep(draining)
		}
		if got := h.rows(); len(got) < 3 || len(got) > 5 || z.waiting() != 0 { // 512 bytes each
			t.Errorf("%d acknowledgements of %d batches, %d still held; want about 4, and 0", len(got), heldMost, z.waiting())
		}
		for n := range uint64(heldMost) {
			if told := h.at[clinic][2*n+2]; len(told) != 1 {
				t.Errorf("batch %d was told %d times, want once", 2*n+2, len(told))
			}
		}
		time.Sleep(25 * time.Hour)
		z.stored(clinic, head(9999, time.Second, time.Minute), time.Now())
		time.Sleep(time.Hour)
		z.mu.Lock()
		defer z.mu.Unlock()
		if len(z.agents) != 0 {
			t.Errorf("%d agents are remembered after an hour of silence, want 0", len(z.agents))
		}
	})
}

// Any order of arrival, any pause, from several agents: each batch is told once, not before it is stored, not later than
// its agent allows; what cannot wait, at once.
func TestEveryStoredBatchIsToldOnceAndInTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		n := rapid.IntRange(1, 120).Draw(rt, "batches")
		stopAt := rapid.IntRange(1, 200).Draw(rt, "stop")
		lazily(t, func(z *lazy, h *hearer) {
			r := rand.New(rand.NewPCG(seed, 1))
			next := map[telemetry.Address]uint64{}
			var check []func()
			for k := range n {
				if k == stopAt {
					z.close()
				}
				a := telemetry.Address{Site: "mbarara", Agent: []string{"a", "b", "c"}[r.IntN(3)]}
				next[a] += 1 + uint64(r.IntN(8)/7)
				within := []time.Duration{0, time.Minute, 10 * time.Minute}[r.IntN(3)]
				seq, at := next[a], time.Since(h.zero)
				z.stored(a, head(seq, time.Minute, within), time.Now())
				closed := k >= stopAt
				check = append(check, func() {
					told := h.at[a][seq]
					if len(told) != 1 || told[0] < at || told[0] > at+within || closed && told[0] != at {
						t.Errorf("batch %d of %s, stored at %v, may wait %v: told at %v", seq, a.Agent, at, within, told)
					}
				})
				time.Sleep(time.Duration(r.Int64N(int64([]time.Duration{time.Second, 30 * time.Second, 15 * time.Minute}[r.IntN(3)]))))
			}
			time.Sleep(11 * time.Minute)
			synctest.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, c := range check {
				c()
			}
			for a, seqs := range h.at {
				if len(seqs) > int(next[a]) {
					t.Errorf("%s was told of %d batches, %d were sent", a.Agent, len(seqs), next[a])
				}
			}
			if z.waiting() != 0 {
				t.Errorf("%d batches still wait", z.waiting())
			}
		})
	})
}

func TestALazyBatchIsAcknowledgedWhenTheIntakeDrains(t *testing.T) {
	i, w, reg := start(t, nil)
	for seq := uint64(1); seq <= 2; seq++ {
		h := telemetry.Header{At: now.Add(time.Duration(seq) * time.Millisecond), Boot: "4f2a9c1b", Seq: seq, Clock: telemetry.ClockSynced, AckWithin: time.Hour}
		i.Deliver(clinic.Topic(telemetry.KindData), []byte(line(h.Line())))
		if seq == 1 {
			waitFor(t, "the first is stored and held", func() bool { return value(t, reg, "nabz_intake_acks_waiting", "") == 1 })
		}
	}
	if a := w.next(t); a.First != 1 || a.Seq != 2 {
		t.Errorf("two at once are told as %+v, want 1-2", a)
	}
	h := telemetry.Header{At: now, Boot: "4f2a9c1c", Seq: 3, Clock: telemetry.ClockSynced, AckWithin: time.Hour}
	i.lazy.mu.Lock()
	i.lazy.agents[clinic].arrived = time.Time{} // as if the backlog were long ago
	i.lazy.mu.Unlock()
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(line(h.Line())))
	waitFor(t, "it is stored and held", func() bool { return value(t, reg, "nabz_intake_acks_waiting", "") == 1 })
	if err := i.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := w.next(t); a.Seq != 3 || a.Verdict != telemetry.Stored {
		t.Errorf("on stop %+v was told, want 3 stored", a)
	}
}

func TestALazyBatchIsNotAcknowledgedBeforeItIsStored(t *testing.T) {
	i, w, reg := start(t, nil)
	hold := make(chan struct{})
	w.answer = func(string) ([]store.RefusedLine, error) { <-hold; return nil, nil }
	h := telemetry.Header{At: now, Boot: "4f2a9c1b", Seq: 1, Clock: telemetry.ClockSynced, AckWithin: time.Millisecond}
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(line(h.Line())))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Drain(ctx); err == nil { // the stop tells what waits, and this does not yet
		t.Error("drained with a batch under way")
	}
	if n := len(w.acks); n != 0 || value(t, reg, "nabz_intake_acks_waiting", "") != 0 {
		t.Errorf("%d acknowledgements before InfluxDB has answered", n)
	}
	close(hold)
	if a := w.next(t); a.Seq != 1 || a.Verdict != telemetry.Stored {
		t.Errorf("after it has, %+v is told", a)
	}
}
