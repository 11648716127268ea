package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	ledger = telemetry.Ledger
	detail = telemetry.Detail
)

// payload is what batch seq holds in the tests: its bytes tell which batch they belong to.
func payload(seq uint64, size int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "batch %d;", seq), size/8+1)[:size]
}

func put(t testing.TB, s *Spool, tier telemetry.Tier, size int) Batch {
	t.Helper()
	seq := s.NextSeq()
	b := Batch{Seq: seq, Tier: tier, Boot: "4f2a9c1b", Lines: int(seq%7) + 1, Payload: payload(seq, size)}
	if err := s.Put(b); err != nil {
		t.Fatalf("put %d: %v", seq, err)
	}
	return b
}

func ack(t testing.TB, s *Spool, seq uint64) {
	t.Helper()
	if err := s.Ack(seq); err != nil {
		t.Fatalf("ack %d: %v", seq, err)
	}
}

// waiting peeks until nothing new comes.
func waiting(t testing.TB, s *Spool) []Batch {
	t.Helper()
	var all []Batch
	skip := map[uint64]bool{}
	for {
		got, err := s.Peek(skip, 1<<20)
		if err != nil {
			t.Fatalf("peek: %v", err)
		}
		if len(got) == 0 {
			return all
		}
		for _, b := range got {
			skip[b.Seq] = true
		}
		all = append(all, got...)
	}
}

func seqs(all []Batch) []uint64 {
	out := []uint64{}
	for _, b := range all {
		out = append(out, b.Seq)
	}
	return out
}

func same(t testing.TB, got, want []Batch) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b Batch) bool {
		return a.Seq == b.Seq && a.Tier == b.Tier && a.Boot == b.Boot && a.Lines == b.Lines && bytes.Equal(a.Payload, b.Payload)
	}) {
		t.Fatalf("waiting batches\n got %v\nwant %v (or their bytes differ)", seqs(got), seqs(want))
	}
}

func open(t testing.TB, d folder, o Options) *Spool {
	t.Helper()
	s, err := openIn(d, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func reopen(t testing.TB, s *Spool, d folder, o Options) *Spool {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return open(t, d, o)
}

func TestLedgerLeavesBeforeDetailAndOldestFirst(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	d1, d2, l3, d4, l5 := put(t, s, detail, 10), put(t, s, detail, 2000), put(t, s, ledger, 1), put(t, s, detail, 10), put(t, s, ledger, 10)
	same(t, waiting(t, s), []Batch{l3, l5, d1, d2, d4})
	got, err := s.Peek(map[uint64]bool{3: true, 1: true}, 2)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []Batch{l5, d2})
	ack(t, s, 3)
	ack(t, s, 3)
	ack(t, s, 99)
	ack(t, s, 1<<64-1)
	ack(t, s, 2)
	same(t, waiting(t, s), []Batch{l5, d1, d4})
	s = reopen(t, s, d, Options{})
	same(t, waiting(t, s), []Batch{l5, d1, d4})
	if st := s.Stats(); st.Batches != 3 || st.Bytes != 30 || st.Lines != int64(l5.Lines+d1.Lines+d4.Lines) || st.CorruptRecords+st.TornBytes != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestPeekHoldsBoundedMemory(t *testing.T) {
	s := open(t, newDisk(), Options{MaxBytes: 16 << 20})
	for range 4 {
		put(t, s, detail, 200<<10)
	}
	put(t, s, detail, 1<<20)
	got, err := s.Peek(nil, 8)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v %v, want one batch of 200 KiB", seqs(got), err)
	}
	if got, err = s.Peek(map[uint64]bool{1: true, 2: true, 3: true, 4: true}, 8); err != nil || len(got) != 1 || len(got[0].Payload) != 1<<20 {
		t.Fatalf("got %v %v, want the one of 1 MiB", seqs(got), err)
	}
}

func TestSeqIsNeverReusedEvenWhenAllIsGone(t *testing.T) {
	d := newDisk()
	o := Options{MaxBytes: minMaxBytes}
	s := open(t, d, o)
	for i := range 60 {
		b := put(t, s, []telemetry.Tier{detail, ledger}[i%2], 1500)
		ack(t, s, b.Seq)
	}
	// A batch as large as the spool pushes out the very segment that proves how far the seq had come.
	s = reopen(t, s, d, o)
	if got := s.NextSeq(); got != 61 {
		t.Fatalf("next seq %d, want 61", got)
	}
	put(t, s, detail, minMaxBytes-100)
	ack(t, s, 61)
	put(t, s, ledger, minMaxBytes-100)
	ack(t, s, 62)
	s = reopen(t, s, d, o)
	if got := s.NextSeq(); got != 63 {
		t.Fatalf("next seq %d, want 63", got)
	}
	for name := range d.now {
		if name != stateName {
			delete(d.now, name)
		}
	}
	if s = open(t, d, o); s.NextSeq() < 62 {
		t.Errorf("next seq %d with only the state file left, want 62 or more", s.NextSeq())
	}
}

func TestAcknowledgedSegmentsAreDeleted(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{MaxBytes: minMaxBytes})
	var last int64
	for range 1000 {
		ack(t, s, put(t, s, detail, 300).Seq)
		last = max(last, s.Stats().DiskBytes)
	}
	if limit := 3 * s.segBytes; last > limit {
		t.Errorf("%d bytes on disk though nothing waits, want at most %d", last, limit)
	}
	if st := s.Stats(); st.DroppedBatches != 0 || st.Batches != 0 || st.Bytes != 0 || st.Lines != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestADayOfMinutesWritesUnderOneMebibyte(t *testing.T) {
	for name, o := range days() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := day(t, o, 5*time.Minute, 200, time.Sleep)
				t.Logf("a day writes %d bytes in %d syncs", st.WrittenBytes, st.Syncs)
				if st.WrittenBytes > 1<<20 {
					t.Errorf("%d bytes written in a day, budget %d", st.WrittenBytes, 1<<20)
				}
			})
		})
	}
}

func TestTwoProcessesDoNotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Fatalf("second open: %v, want ErrInUse", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatalf("after close: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(Batch{}); !errors.Is(err, ErrClosed) {
		t.Errorf("put after close: %v, want ErrClosed", err)
	}
}

func TestAFolderUnderOneThatCannotBeSyncedWorks(t *testing.T) {
	t.Chdir(t.TempDir())
	const dir = "/proc/self/cwd" // stands for a mounted flash on a read-only root: what is above has no sync
	if err := syncFolder(filepath.Dir(dir)); err == nil {
		testneed.Missing(t, "a folder that cannot be synced", "mount /proc")
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, detail, 300)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskSaysWhatToDoAndLosesNothing(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	var want []Batch
	d.limit = 10_000
	for {
		seq := s.NextSeq()
		b := Batch{Seq: seq, Tier: []telemetry.Tier{detail, ledger}[seq%2], Lines: 1, Payload: payload(seq, 700)}
		err := s.Put(b)
		if err == nil {
			want = append(want, b)
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free space on the file system or lower spool_max_bytes") {
			t.Fatalf("error %v", err)
		}
		if s.NextSeq() != seq {
			t.Errorf("next seq %d after a put that failed and was taken back, want %d", s.NextSeq(), seq)
		}
		break
	}
	if len(want) < 5 {
		t.Fatalf("only %d batches before the disk was full", len(want))
	}
	slices.SortStableFunc(want, func(a, b Batch) int { return int(b.Tier) - int(a.Tier) })
	same(t, waiting(t, s), want)
	s = reopen(t, s, d, Options{})
	same(t, waiting(t, s), want)
	if st := s.Stats(); st.TornBytes+st.CorruptRecords != 0 {
		t.Errorf("the failed put left something behind: %+v", st)
	}
	d.limit = d.used()
	if err := s.Ack(want[0].Seq); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ack on a full disk: %v, want ENOSPC told", err)
	}
	same(t, waiting(t, s), want[1:])
	d.limit = 0
	put(t, s, ledger, 100)
}

func TestAFailedSyncIsNeverTakenForSuccess(t *testing.T) {
	for _, badCut := range []bool{false, true} {
		d := newDisk()
		s := open(t, d, Options{})
		a := put(t, s, detail, 100)
		d.badSync, d.badCut = true, badCut
		if err := s.Put(Batch{Seq: 2, Tier: detail, Lines: 1, Payload: payload(2, 100)}); !errors.Is(err, syscall.EIO) {
			t.Fatalf("put with a failing sync: %v, want EIO", err)
		}
		d.badSync, d.badCut = false, false
		same(t, waiting(t, s), []Batch{a})
		b := put(t, s, detail, 100)
		if badCut && b.Seq == 2 {
			t.Errorf("seq 2 is used again though its first bytes may still be on disk")
		}
		ack(t, s, 1)
		same(t, waiting(t, s), []Batch{b})
		s = open(t, d, Options{})
		got := waiting(t, s)
		if i := slices.IndexFunc(got, func(x Batch) bool { return x.Seq == b.Seq }); i < 0 || !bytes.Equal(got[i].Payload, b.Payload) {
			t.Errorf("batch %d is not there after reopening: %v", b.Seq, seqs(got))
		}
	}
}

func TestABatchWhoseSyncFailedNeverComesBackUnderTheSeqOfAnother(t *testing.T) {
	for _, first := range []bool{true, false} { // in a file of its own, and behind another batch
		for seed := range uint64(20) {
			d := newDisk()
			s := open(t, d, Options{})
			if !first {
				put(t, s, detail, 100)
			}
			d.badSync, d.falseBad = true, true
			failed := s.NextSeq()
			if err := s.Put(Batch{Seq: failed, Tier: detail, Lines: 1, Payload: []byte("never put")}); !errors.Is(err, syscall.EIO) {
				t.Fatalf("put with a failing sync: %v, want EIO", err)
			}
			d.badSync = false
			b := put(t, s, detail, 100)
			d.reboot(true, rand.New(rand.NewPCG(seed, 1)))
			got := waiting(t, open(t, d, Options{}))
			if i := slices.IndexFunc(got, func(x Batch) bool { return x.Seq == b.Seq }); i < 0 || !bytes.Equal(got[i].Payload, b.Payload) {
				t.Fatalf("first %v, seed %d: batch %d is not there after a power cut: %v", first, seed, b.Seq, seqs(got))
			}
		}
	}
}

func TestSessionsRiseAcrossRestartsAndDamage(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	var last uint64
	rise := func() {
		t.Helper()
		for range 20 {
			n, err := s.NextSession()
			if err != nil || n <= last {
				t.Fatalf("session %d after %d (%v)", n, last, err)
			}
			last = n
		}
	}
	rise()
	before := s.Stats().WrittenBytes
	put(t, s, detail, 10)
	s = reopen(t, s, d, Options{})
	rise()
	if before > 400 {
		t.Errorf("20 sessions wrote %d bytes", before)
	}
	d.now[stateName].now[20] ^= 4
	s = open(t, d, Options{})
	rise()
	if s.NextSeq() < 2 || s.Stats().CorruptRecords != 1 {
		t.Errorf("next seq %d, corrupt %d", s.NextSeq(), s.Stats().CorruptRecords)
	}
	b := put(t, s, detail, 10)
	s = reopen(t, s, d, Options{})
	if s.NextSeq() != b.Seq+1 || s.Stats().CorruptRecords != 0 {
		t.Errorf("next seq %d, want %d; corrupt %d, want 0: damage must be told once", s.NextSeq(), b.Seq+1, s.Stats().CorruptRecords)
	}
}

func TestMarkSurvivesARestart(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	if m, ok := s.Mark(); ok {
		t.Fatalf("mark %+v in an empty folder", m)
	}
	want := Mark{Boot: "4f2a9c1b", At: time.Unix(1763899940, 5e6).UTC(), Mono: 90 * time.Second, Clock: telemetry.ClockSynced,
		Open: telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Length: 23 * time.Second}, Clean: true, Session: 17,
		Extra: bytes.Repeat([]byte{0, '"', 0xff, '\n'}, maxExtra/4)}
	if err := s.SetMark(want); err != nil {
		t.Fatal(err)
	}
	wrote := s.Stats().WrittenBytes
	if err := s.SetMark(want); err != nil || s.Stats().WrittenBytes != wrote {
		t.Errorf("an unchanged mark was written again (%v)", err)
	}
	long := want
	long.Extra = make([]byte, maxExtra+1)
	if err := s.SetMark(long); err == nil || err.Error() != "set mark: 2049 bytes of extra do not fit, at most 2048 do; hold less beside the open span" {
		t.Errorf("a mark with too much: %v", err)
	}
	d.reboot(true, rng(1))
	s = open(t, d, Options{})
	if got, ok := s.Mark(); !ok || !got.equal(want) {
		t.Errorf("got %+v %v, want %+v", got, ok, want)
	}
}
