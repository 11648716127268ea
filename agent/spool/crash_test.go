package spool

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// model is what the spool must hold.
type model struct {
	s       *Spool
	d       *disk
	o       Options
	put     map[uint64]Batch // every batch whose Put has returned, or was cut off in the middle
	waiting map[uint64]bool  // put and not acknowledged
	next    uint64           // no batch has this seq or a higher one
	dropped int64
}

func newModel(o Options) *model {
	return &model{d: newDisk(), o: o, put: map[uint64]Batch{}, waiting: map[uint64]bool{}, next: 1}
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func (m *model) open(t failer) {
	t.Helper()
	s, err := openIn(m.d, m.o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.s, m.dropped = s, 0
	if s.NextSeq() < m.next {
		t.Fatalf("next seq %d was used before, want %d or more", s.NextSeq(), m.next)
	}
}

// doPut puts one batch. It may be the machine's last act.
func (m *model) doPut(t failer, tier telemetry.Tier, size int) {
	t.Helper()
	seq := m.s.NextSeq()
	b := Batch{Seq: seq, Tier: tier, Lines: int(seq % 9), Payload: payload(seq^uint64(size)<<32, size)}
	m.put[seq] = b
	err := m.s.Put(b)
	switch {
	case err == nil:
		m.waiting[seq] = true
		m.next = seq + 1
	case m.d.dead:
	case !errors.Is(err, ErrFull):
		t.Fatalf("put %d: %v", seq, err)
	}
	if !m.d.dead {
		m.check(t, err != nil)
	}
}

// live reads everything back and compares the bytes.
func (m *model) live(t failer) map[uint64]bool {
	t.Helper()
	out := map[uint64]bool{}
	for {
		got, err := m.s.Peek(out, 100)
		if err != nil {
			t.Fatalf("peek: %v", err)
		}
		if len(got) == 0 {
			return out
		}
		for _, b := range got {
			want := m.put[b.Seq]
			if b.Tier != want.Tier || b.Lines != want.Lines || !slices.Equal(b.Payload, want.Payload) {
				t.Fatalf("batch %d came back changed", b.Seq)
			}
			out[b.Seq] = true
		}
	}
}

// check compares the spool with the model while the machine is up: what is missing was dropped, in the right order, and counted.
func (m *model) check(t failer, refused bool) {
	t.Helper()
	live := m.live(t)
	var missing int64
	for seq := range live {
		if !m.waiting[seq] {
			t.Fatalf("batch %d is back though it was acknowledged", seq)
		}
	}
	for seq := range m.waiting {
		if live[seq] {
			continue
		}
		missing++
		for other := range live {
			a, b := m.put[seq].Tier, m.put[other].Tier
			if a == b && other < seq || a == telemetry.Ledger && b == telemetry.Detail {
				t.Fatalf("%v batch %d was dropped before %v batch %d", a, seq, b, other)
			}
		}
		delete(m.waiting, seq)
	}
	if refused {
		missing++
	}
	st := m.s.Stats()
	if st.DroppedBatches-m.dropped != missing {
		t.Fatalf("%d batches are missing, %d counted as dropped", missing, st.DroppedBatches-m.dropped)
	}
	m.dropped = st.DroppedBatches
	if st.Batches != int64(len(live)) {
		t.Fatalf("stats say %d batches, %d are there", st.Batches, len(live))
	}
	if st.DiskBytes > m.o.MaxBytes {
		t.Fatalf("%d bytes on disk, bound %d", st.DiskBytes, m.o.MaxBytes)
	}
}

// recover reopens after a crash: what had returned is there; what was under way may be or not. Acknowledged batches
// may be back after a power cut, never after a kill.
func (m *model) recover(t failer, power bool, during uint64, mayDrop bool) {
	t.Helper()
	m.open(t)
	live := m.live(t)
	for seq := range live {
		if !m.waiting[seq] && !power && seq != during {
			t.Fatalf("batch %d is back after a mere kill", seq)
		}
	}
	for seq := range m.waiting {
		if !live[seq] && seq != during && !mayDrop {
			t.Fatalf("batch %d is lost (power cut: %v)", seq, power)
		}
	}
	m.waiting = live
	m.next = max(m.next, m.s.NextSeq())
	if st := m.s.Stats(); !power && st.CorruptRecords > 0 {
		t.Fatalf("%d corrupt records after a mere kill", st.CorruptRecords)
	}
}

func TestSpoolKeepsItsPromisesThroughAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(Options{MaxBytes: minMaxBytes})
		m.open(t)
		tiers := rapid.SampledFrom([]telemetry.Tier{telemetry.Detail, telemetry.Ledger})
		sizes := rapid.OneOf(rapid.IntRange(1, 400), rapid.IntRange(1, 9000))
		any := func(t *rapid.T) uint64 {
			if len(m.waiting) == 0 {
				return m.next + 5
			}
			var all []uint64
			for seq := range m.waiting {
				all = append(all, seq)
			}
			slices.Sort(all)
			return rapid.SampledFrom(all).Draw(t, "seq")
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":       func(t *rapid.T) { m.doPut(t, tiers.Draw(t, "tier"), sizes.Draw(t, "size")) },
			"put again": func(t *rapid.T) { m.doPut(t, tiers.Draw(t, "tier"), sizes.Draw(t, "size")) },
			"ack": func(t *rapid.T) {
				seq := any(t)
				if err := m.s.Ack(seq); err != nil {
					t.Fatalf("ack: %v", err)
				}
				delete(m.waiting, seq)
				m.check(t, false)
			},
			"reopen": func(t *rapid.T) {
				if err := m.s.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				next := m.s.next
				m.open(t)
				if m.s.NextSeq() != next {
					t.Fatalf("next seq %d became %d by closing and opening", next, m.s.NextSeq())
				}
				m.check(t, false)
			},
			"crash": func(t *rapid.T) {
				m.d.dieAt = m.d.ops + rapid.IntRange(1, 8).Draw(t, "operations until it dies")
				m.d.keep = rapid.IntRange(0, 9000).Draw(t, "bytes of the dying write")
				power := rapid.Bool().Draw(t, "power cut")
				var during uint64
				putting := rapid.Bool().Draw(t, "putting")
				for i := 0; i < 20 && !m.d.dead; i++ {
					if putting {
						during = m.s.NextSeq()
						m.doPut(t, tiers.Draw(t, "tier"), sizes.Draw(t, "size"))
						continue
					}
					during = any(t)
					if err := m.s.Ack(during); err == nil {
						delete(m.waiting, during)
					}
				}
				m.d.reboot(power, rng(rapid.Uint64().Draw(t, "seed")))
				m.recover(t, power, during, putting)
			},
		})
	})
}

// TestACrashAtEveryOperationLosesNothing walks one long script and dies in every single operation of it.
func TestACrashAtEveryOperationLosesNothing(t *testing.T) {
	t.Parallel()
	script := func(m *model, t failer) (during uint64) {
		for i := range 40 {
			if m.d.dead {
				return during
			}
			during = m.s.NextSeq()
			m.doPut(t, []telemetry.Tier{telemetry.Detail, telemetry.Detail, telemetry.Ledger}[i%3], 400+i*13)
			if i%3 == 1 && !m.d.dead {
				during = uint64(i)
				if err := m.s.Ack(during); err == nil {
					delete(m.waiting, during)
				}
			}
		}
		return during
	}
	o := Options{MaxBytes: minMaxBytes}
	whole := newModel(o)
	whole.open(t)
	script(whole, t)
	total := whole.d.ops
	if total < 100 {
		t.Fatalf("the script has %d operations only", total)
	}
	for n := 1; n <= total; n++ {
		for _, keep := range []int{0, 31, 33, 400, 1 << 20} {
			for _, power := range []bool{false, true} {
				m := newModel(o)
				m.open(t)
				m.d.dieAt, m.d.keep = n, keep
				during := script(m, t)
				m.d.reboot(power, rng(uint64(n*keep)))
				m.recover(t, power, during, false)
				m.doPut(t, telemetry.Detail, 500)
			}
		}
	}
}
