package spool

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const never = 1 << 30

// fact is what became of a batch, each time as the number of operations done by then.
type fact struct {
	Batch
	put     int  // Put had returned
	durable int  // and promised to be on disk
	acking  int  // Ack was called, or it was dropped to make room
	unnoted bool // and said that the batch may be back
}

// walker uses a spool at random and knows what it may expect of it.
type walker struct {
	t        testing.TB
	f        *tape
	o        Options
	s        *Spool
	r        *rand.Rand
	facts    map[uint64]*fact
	largest  int // payload
	killed   int // in the middle of something, for the first time
	sessions []walked[uint64]
	marks    []walked[Mark]
	refused  error // of the last Put
}

type walked[T any] struct {
	value       T
	begun, done int
}

func newWalker(t testing.TB, o Options, seed uint64) *walker {
	w := &walker{t: t, f: newTape(), o: o, r: rng(seed), facts: map[uint64]*fact{}, largest: 700, killed: never}
	w.s = open(t, w.f, o)
	return w
}

func (w *walker) now() int { return len(w.f.ops) }

// step does one thing.
func (w *walker) step() {
	w.t.Helper()
	switch n := w.r.IntN(20); {
	case n < 9:
		w.put([]telemetry.Tier{detail, detail, ledger}[w.r.IntN(3)], 1+w.r.IntN(w.largest))
	case n < 15:
		w.ack()
	case n < 17:
		m := Mark{Boot: "4f2a9c1b", At: time.Unix(1763899940+int64(len(w.marks)), 0).UTC(), Extra: make([]byte, w.r.IntN(90))}
		begun := w.now()
		w.marks = append(w.marks, walked[Mark]{m, begun, never})
		if err := w.s.SetMark(m); err == nil {
			w.marks[len(w.marks)-1].done = w.now()
		}
	case n < 18:
		begun := w.now()
		if v, err := w.s.NextSession(); err == nil {
			w.sessions = append(w.sessions, walked[uint64]{v, begun, w.now()})
		}
	case n < 19:
		if err := w.s.Flush(); err == nil {
			w.see()
		}
	case w.r.IntN(2) == 0:
		w.restart()
	default:
		w.kill()
	}
}

// kill ends the process in the middle of something, the kernel goes on, and a new process finds what it has.
func (w *walker) kill() {
	w.t.Helper()
	left := w.r.IntN(4)
	w.f.fail = func(o op) (int, error) {
		if left--; left >= 0 {
			return 0, nil
		}
		return max(0, w.r.IntN(2*len(o.data)+1)-len(o.data)), errDead
	}
	begun := w.now()
	w.killed = min(w.killed, begun)
	for left >= 0 {
		w.put([]telemetry.Tier{detail, ledger}[w.r.IntN(2)], 1+w.r.IntN(w.largest))
		if w.r.IntN(2) == 0 {
			w.ack()
		}
		_ = w.s.Flush()
	}
	w.f.fail = nil
	w.s = open(w.t, w.f, w.o)
	found := w.read(w.s)
	for seq, f := range w.facts {
		if f.acking != never && f.acking >= begun { // the note may not have got down, or it was acknowledged in RAM after a write that failed halfway
			f.unnoted = true
		}
		switch {
		case found[seq]: // from here on it can be sent, and a later cut must not take it back
			f.put, f.durable = min(f.put, w.now()), min(f.durable, w.now())
			if f.acking != never {
				f.acking = w.now()
			}
		case f.put != never && f.acking == never && f.durable != never:
			w.t.Fatalf("batch %d is lost by a mere kill, it was durable after %d", seq, f.durable)
		case f.acking == never:
			f.acking = 0
		}
	}
}

func (w *walker) put(tier telemetry.Tier, size int) {
	w.t.Helper()
	seq := w.s.NextSeq()
	if f := w.facts[seq]; f != nil && f.put != never {
		w.t.Fatalf("seq %d is given out again", seq)
	}
	b := Batch{Seq: seq, Tier: tier, Boot: "4f2a9c1b", Lines: w.r.IntN(100), Payload: payload(seq^uint64(size)<<32^w.r.Uint64()<<40, size)}
	f := &fact{Batch: b, put: never, durable: never, acking: never}
	w.facts[seq] = f
	scratch := bytes.Clone(b.Payload)
	b.Payload = scratch
	w.refused = w.s.Put(b)
	if w.s.ramBytes > w.s.o.RAMBytes {
		w.t.Fatalf("%d bytes in RAM, bound %d", w.s.ramBytes, w.s.o.RAMBytes)
	}
	clear(scratch) // the caller seals the next batch into the same buffer
	if w.refused == nil {
		f.put = w.now()
	}
	w.see()
}

// see notes what is durable now, and what was dropped.
func (w *walker) see() {
	inRAM := map[uint64]bool{}
	for _, all := range w.s.ram {
		for _, h := range all {
			inRAM[h.Seq] = true
		}
	}
	there := map[uint64]bool{}
	for _, chain := range w.s.chains {
		for _, g := range chain {
			for _, e := range g.entries {
				there[e.seq()] = !e.gone()
			}
		}
	}
	for seq, f := range w.facts {
		switch {
		case f.put == never || f.acking != never:
		case there[seq]:
			f.durable = min(f.durable, w.now())
		case !inRAM[seq]:
			f.acking, f.unnoted = 0, true // dropped at a moment that is not known: nothing is expected of it
		}
	}
}

func (w *walker) ack() {
	w.t.Helper()
	var all []uint64
	for seq, f := range w.facts {
		if f.put != never && f.acking == never {
			all = append(all, seq)
		}
	}
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	seq := all[w.r.IntN(min(4, len(all)))]
	w.facts[seq].acking = w.now()
	if w.s.Ack(seq) != nil {
		w.facts[seq].unnoted = true
	}
}

func (w *walker) restart() {
	w.t.Helper()
	next := w.s.NextSeq()
	if err := w.s.Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
	w.s = open(w.t, w.f, w.o)
	if n := w.s.NextSeq(); n != next {
		w.t.Fatalf("next seq %d became %d in a clean restart", next, n)
	}
	w.see()
	w.whole()
}

// whole checks that the spool holds what it should, while nothing was cut off.
func (w *walker) whole() {
	w.t.Helper()
	got := w.read(w.s)
	for seq, f := range w.facts {
		if f.put != never && f.acking == never && !got[seq] {
			w.t.Fatalf("batch %d is not there", seq)
		}
	}
}

// read checks that each batch that waits is one that was put, bytes and all.
func (w *walker) read(s *Spool) map[uint64]bool {
	w.t.Helper()
	got := map[uint64]bool{}
	for _, b := range waiting(w.t, s) {
		f := w.facts[b.Seq]
		if f == nil || f.Tier != b.Tier || f.Lines != b.Lines || f.Boot != b.Boot || !bytes.Equal(f.Payload, b.Payload) {
			w.t.Fatalf("batch %d was never put, or not like this", b.Seq)
		}
		got[b.Seq] = true
	}
	return got
}

// after opens what a cut behind n operations has left and checks every promise.
func (w *walker) after(n int, f *tape, how string) {
	w.t.Helper()
	s, err := openIn(f, w.o)
	if err != nil {
		w.t.Fatalf("%s after %d operations: %v", how, n, err)
	}
	if st := s.Stats(); st.CorruptRecords > 0 && how == "killed" && n <= w.killed {
		w.t.Fatalf("%d corrupt records after a mere kill behind %d operations", st.CorruptRecords, n)
	}
	got := w.read(s)
	next := s.NextSeq()
	for seq, x := range w.facts {
		if x.durable <= n && x.acking >= n && !got[seq] {
			w.t.Fatalf("%s after %d operations: batch %d is lost, it was durable after %d", how, n, seq, x.durable)
		}
		if (x.put <= n || got[seq]) && seq >= next {
			w.t.Fatalf("%s after %d operations: next seq %d, but %d was used", how, n, next, seq)
		}
		if how == "killed" && got[seq] && !x.unnoted && x.acking < n && x.durable < x.acking && n > x.acking+1 {
			w.t.Fatalf("%s after %d operations: batch %d is back, it was acknowledged after %d", how, n, seq, x.acking)
		}
	}
	v, err := s.NextSession()
	if err != nil {
		w.t.Fatalf("%s after %d operations: %v", how, n, err)
	}
	for _, x := range w.sessions {
		if x.done <= n && x.value >= v {
			w.t.Fatalf("%s after %d operations: session %d again, %d was given out", how, n, v, x.value)
		}
	}
	w.checkMark(n, s, how)
	b := put(w.t, s, ledger, 50)
	dropped := s.Stats().DroppedBatches > 0
	if err := s.Close(); err != nil {
		w.t.Fatalf("%s after %d operations: close: %v", how, n, err)
	}
	s = open(w.t, f, w.o)
	last := waiting(w.t, s)
	if !dropped && len(last) != len(got)+1 || !slices.ContainsFunc(last, func(x Batch) bool { return x.Seq == b.Seq && bytes.Equal(x.Payload, b.Payload) }) {
		w.t.Fatalf("%s after %d operations: %v waited, %d was put, then %v waited", how, n, got, b.Seq, seqs(last))
	}
}

// checkMark accepts the last mark that was durable, or one that was begun since.
func (w *walker) checkMark(n int, s *Spool, how string) {
	w.t.Helper()
	m, ok := s.Mark()
	durable := false
	for i := len(w.marks) - 1; i >= 0; i-- {
		x := w.marks[i]
		if x.begun >= n {
			continue
		}
		if ok && m.equal(x.value) {
			return
		}
		if x.done <= n {
			durable = true
			break
		}
	}
	if ok || durable {
		w.t.Fatalf("%s after %d operations: mark %+v %v is not the last one", how, n, m, ok)
	}
}

func walks() map[string]Options {
	return map[string]Options{
		"disk":           {MaxBytes: minMaxBytes},
		"disk, or RAM":   {MaxBytes: minMaxBytes, OrRAM: true, RAMBytes: 4 << 10},
		"RAM":            {MaxBytes: minMaxBytes, FlushEvery: time.Hour, RAMBytes: 6 << 10},
		"RAM, all of it": {MaxBytes: minMaxBytes, FlushEvery: time.Hour, RAMBytes: 6 << 10, LedgerToo: true, OrRAM: true},
	}
}

func TestACutBehindEveryOperationKeepsWhatWasDurable(t *testing.T) {
	t.Parallel()
	for name, o := range walks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cuts := 0
			for seed := range uint64(3) {
				w := newWalker(t, o, seed)
				large := seed == 2
				if large {
					w.largest = 5000 // more than fits
				}
				for range 70 {
					w.step()
				}
				w.whole()
				if w.now() < 50 {
					t.Fatalf("the walk has %d operations only", w.now())
				}
				for n := range w.now() + 1 {
					for how, fate := range fates(rng(seed<<32 | uint64(n))) {
						if large && how != "some, in pieces" && how != "nothing but the synced" {
							continue
						}
						w.after(n, w.f.cutAfter(n, fate), how)
						cuts++
					}
				}
			}
			t.Logf("%d cuts", cuts)
		})
	}
}

func TestACutWhileRecoveringFromACutLosesNothing(t *testing.T) {
	t.Parallel()
	for name, o := range walks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWalker(t, o, 9)
			for range 80 {
				w.step()
			}
			for n := 0; n <= w.now(); n += 8 {
				first := w.f.cutAfter(n, fates(rng(uint64(n)))["some, in pieces"])
				again := newTape()
				again.files = first.files
				for name, i := range first.names { // what the first cut left is all on disk
					again.files++
					again.ops = append(again.ops, op{kind: opCreate, name: name, id: i.id}, op{kind: opWrite, id: i.id, data: bytes.Clone(i.data)}, op{kind: opSync, id: i.id})
					again.names[name] = i
				}
				again.ops = append(again.ops, op{kind: opSyncNames})
				base := len(again.ops)
				if _, err := openIn(again, o); err != nil {
					t.Fatal(err)
				}
				for k := base; k <= len(again.ops); k++ {
					for how, fate := range fates(rng(uint64(k))) {
						w.after(n, again.cutAfter(k, fate), fmt.Sprintf("%s in recovery %d", how, k-base))
					}
				}
			}
		})
	}
}
