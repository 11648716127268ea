package spool

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// breakdown is one way in which a file system fails, from an operation on.
type breakdown struct {
	name string
	err  error
	hits func(o op) bool
	keep func(n int) int // bytes of a failing write that get down
	last int             // operations that fail; 0: all until it is mended
	kind Kind
}

func breakdowns() []breakdown {
	writes := func(o op) bool { return o.kind == opWrite || o.kind == opCreate }
	all := func(op) bool { return true }
	syncs := func(o op) bool { return o.kind == opSync || o.kind == opSyncNames }
	nothing := func(int) int { return 0 }
	return []breakdown{
		{"disk full for one write", syscall.ENOSPC, writes, nothing, 1, DiskFull},
		{"disk full, half a write gets down", syscall.ENOSPC, writes, func(n int) int { return n / 2 }, 6, DiskFull},
		{"disk full", syscall.ENOSPC, writes, func(n int) int { return n - 1 }, 0, DiskFull},
		{"remounted read-only", syscall.EROFS, all, nothing, 0, ReadOnly},
		{"a sync fails", syscall.EIO, syncs, nothing, 1, DiskError},
		{"no sync works", syscall.EIO, syncs, nothing, 0, DiskError},
		{"the device is gone", syscall.EIO, all, nothing, 0, DiskError},
		{"short writes", io.ErrShortWrite, func(o op) bool { return o.kind == opWrite }, func(n int) int { return n / 3 }, 3, DiskError},
	}
}

// strike makes the file system fail in the operation after the next n.
func (b breakdown) strike(f *tape, n int) {
	left := b.last
	f.fail = func(o op) (int, error) {
		if n--; n >= 0 || !b.hits(o) || b.last > 0 && left == 0 {
			return 0, nil
		}
		left--
		return b.keep(len(o.data)), b.err
	}
}

// TestAFaultInEveryOperationIsToldAndOutlived: whatever fails and when, a batch that was taken is there, one that was refused is
// not, the fault is told with what to do, and when it ends all goes on.
func TestAFaultInEveryOperationIsToldAndOutlived(t *testing.T) {
	t.Parallel()
	for name, o := range walks() {
		for _, b := range breakdowns() {
			t.Run(name+", "+b.name, func(t *testing.T) {
				told := 0
				for n := range 45 {
					w := newWalker(t, o, uint64(n))
					for range 10 {
						w.step()
					}
					w.s.Findings()
					b.strike(w.f, n)
					refused := 0
					for range 12 {
						w.put(detail, 500)
						if err := w.refused; err != nil {
							refused++
							if !errors.Is(err, b.err) || !strings.Contains(err.Error(), b.kind.advice()) {
								t.Fatalf("put %d operations before the fault: %v", n, err)
							}
						}
						w.ack()
						if err := w.s.SetMark(Mark{Boot: "4f2a9c1b", At: time.Unix(int64(n), int64(w.now()))}); err != nil && o.OrRAM != errors.Is(err, ErrRAMOnly) {
							t.Fatalf("mark: %v", err)
						}
						if _, err := w.s.NextSession(); err != nil && o.OrRAM {
							t.Fatalf("session: %v", err)
						}
						w.whole()
					}
					if o.OrRAM && refused > 0 {
						t.Fatalf("%d puts were refused though RAM had room", refused)
					}
					w.f.fail = nil
					w.put(ledger, 100)
					if w.refused != nil {
						t.Fatalf("a put when the fault has ended: %v", w.refused)
					}
					if err := w.s.Flush(); err != nil {
						t.Fatal(err)
					}
					told += len(w.expectTold(b))
					w.whole()
					if err := w.s.Close(); err != nil {
						t.Fatal(err)
					}
					w.s = open(t, w.f, o)
					w.see()
					w.whole()
				}
				if told == 0 {
					t.Errorf("no fault was told in any run")
				}
			})
		}
	}
}

// expectTold checks that a fault was told once when it began and once when it ended.
func (w *walker) expectTold(b breakdown) []Finding {
	w.t.Helper()
	got := w.s.Findings()
	for i, f := range got {
		switch {
		case f.Kind == b.kind && strings.Contains(f.Detail, b.err.Error()) && strings.Contains(f.Detail, b.kind.advice()):
		case f.Kind == WorksAgain && i == len(got)-1:
		default:
			w.t.Fatalf("findings %v", got)
		}
	}
	if len(got) == 1 {
		w.t.Fatalf("a fault that has ended is told as %v", got)
	}
	if w.s.faulty != "" {
		w.t.Fatalf("%s is still there", w.s.faulty)
	}
	return got
}

func TestWithoutAFolderBatchesAreSentFromRAM(t *testing.T) {
	s, err := Open("", Options{RAMBytes: 8 << 10, Fresh: func() (uint64, bool) { return 1000, true }})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.NextSeq(); n != 1000 {
		t.Errorf("next seq %d, want the one of Fresh", n)
	}
	if n, err := s.NextSession(); err != nil || n != 1000 {
		t.Errorf("session %d %v, want the one of Fresh", n, err)
	}
	want := []Batch{put(t, s, ledger, 100)}
	for range 40 {
		put(t, s, detail, 500)
	}
	want = append(want, put(t, s, ledger, 100))
	got := waiting(t, s)
	same(t, got[:2], want)
	st := s.Stats()
	if n := len(got) - 2; n < 12 || n > 14 || st.DroppedBatches != int64(40-n) || got[len(got)-1].Seq != 1040 || st.RAMBatches != int64(len(got)) || st.DiskBytes+st.WrittenBytes+st.Syncs != 0 {
		t.Errorf("waiting %v, stats %+v", seqs(got), st)
	}
	for _, b := range got {
		ack(t, s, b.Seq)
	}
	if st := s.Stats(); st.Batches+st.Bytes+st.Lines+st.RAMBytes != 0 || s.ramBytes != 0 {
		t.Errorf("stats %+v when all is acknowledged", st)
	}
	m := Mark{Boot: "4f2a9c1b", At: time.Unix(5, 0)}
	if err := s.SetMark(m); err != nil {
		t.Error(err)
	}
	if got, ok := s.Mark(); !ok || !got.equal(m) {
		t.Errorf("mark %+v %v", got, ok)
	}
	if f := s.Findings(); len(f) != 0 {
		t.Errorf("findings %v though no folder was asked for", f)
	}
	big := Batch{Seq: s.NextSeq(), Tier: detail, Lines: 1, Payload: make([]byte, 9<<10)}
	if err := s.Put(big); err == nil || !strings.Contains(err.Error(), "do not fit in 8192 of RAM") {
		t.Errorf("more than RAM may take: %v", err)
	}
	if err := errors.Join(s.Flush(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestAFolderThatCannotBeMadeOrListedIsReplacedByRAM(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(blocked, "spool")
	if _, err := Open(dir, Options{}); !errors.Is(err, syscall.ENOTDIR) {
		t.Fatalf("without OrRAM: %v, want ENOTDIR", err)
	}
	s, err := Open(dir, Options{OrRAM: true})
	if err != nil {
		t.Fatal(err)
	}
	b := put(t, s, ledger, 100)
	same(t, waiting(t, s), []Batch{b})
	if got := s.Findings(); len(got) != 1 || got[0].Kind != RAMOnly || !strings.Contains(got[0].Detail, "not a directory; ") {
		t.Errorf("findings %v", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	f := newTape()
	f.deny = syscall.EIO
	if _, err := openIn(f, Options{OrRAM: true}); !errors.Is(err, syscall.EIO) {
		t.Errorf("a folder that cannot be listed: %v, want EIO told to Open", err)
	}
}

func TestABadMomentOfTheDeviceCostsNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTape()
		s := open(t, f, Options{MaxBytes: minMaxBytes, OrRAM: true})
		var want []Batch
		for range 150 { // several segments
			want = append(want, put(t, s, ledger, 50))
		}
		f.deny = syscall.EIO
		for range 30 {
			if got := waiting(t, s); len(got) != 0 {
				t.Fatalf("%v came from a device that cannot be read", seqs(got))
			}
			time.Sleep(time.Minute)
		}
		if got := s.Findings(); len(got) != 1 || got[0].Kind != DiskError {
			t.Errorf("findings %v, want one of the device", got)
		}
		f.deny = nil
		same(t, waiting(t, s), want)
		if got := s.Findings(); len(got) != 1 || got[0].Kind != WorksAgain {
			t.Errorf("findings %v, want one that it is over", got)
		}
		time.Sleep(unreadFor) // the next bad moment is another one
		f.deny = syscall.EIO
		waiting(t, s)
		f.deny = nil
		same(t, waiting(t, s), want)
		if st := s.Stats(); st.CorruptRecords != 0 {
			t.Errorf("%d records count as damaged", st.CorruptRecords)
		}
	})
}

func TestWhatTheDeviceNeverGivesBackIsGivenUpForThisRunOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTape()
		o := Options{MaxBytes: minMaxBytes, OrRAM: true}
		s := open(t, f, o)
		want := []Batch{put(t, s, ledger, 100), put(t, s, detail, 100)}
		f.deny = syscall.EIO
		waiting(t, s)
		time.Sleep(unreadFor)
		waiting(t, s)
		if st := s.Stats(); st.CorruptRecords != 2 || st.Batches != 0 {
			t.Errorf("batches that can never be read wait for ever: %+v", st)
		}
		f.deny = nil
		want = append(want[:1:1], put(t, s, ledger, 100), want[1], put(t, s, detail, 100))
		same(t, waiting(t, s), []Batch{want[1], want[3]})
		s = reopen(t, s, f, o)
		same(t, waiting(t, s), want)
	})
}

func TestABatchThatCannotBeReadDoesNotHoldUpItsNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTape()
		s := open(t, f, Options{MaxBytes: minMaxBytes, OrRAM: true})
		for range 5 {
			put(t, s, ledger, 100)
		}
		g := s.chains[ledgerChain][0]
		g.f = &badRange{g.f, g.entries[2].off(), g.entries[3].off()}
		told := 0
		for range 30 {
			if got := seqs(waiting(t, s)); !slices.Equal(got, []uint64{1, 2, 4, 5}) {
				t.Fatalf("%v waits, want all but 3", got)
			}
			if got, err := s.Peek(map[uint64]bool{3: true}, 8); err != nil || len(got) != 4 { // it was sent before, and may not go again yet
				t.Fatalf("%v waits, %v; want all but 3", seqs(got), err)
			}
			told += len(s.Findings())
			time.Sleep(time.Minute)
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
		time.Sleep(unreadFor)
		waiting(t, s)
		if st := s.Stats(); st.CorruptRecords != 1 || st.Batches != 4 {
			t.Errorf("a batch that can never be read waits for ever: %+v", st)
		}
	})
}

// badRange is a file of which some bytes cannot be read.
type badRange struct {
	file
	from, to int64
}

func (b *badRange) ReadAt(p []byte, off int64) (int, error) {
	if off < b.to && off+int64(len(p)) > b.from {
		return 0, syscall.EIO
	}
	return b.file.ReadAt(p, off)
}

// bad is a file system on which one file cannot be read.
type bad struct {
	*tape
	name  string
	after int64 // bytes of it that can
}

type badFile struct {
	file
	after int64
}

func (b *badFile) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.after {
		return 0, syscall.EIO
	}
	return b.file.ReadAt(p, off)
}

func (b bad) open(name string, create bool) (file, error) {
	f, err := b.tape.open(name, create)
	if err == nil && name == b.name {
		f = &badFile{f, b.after}
	}
	return f, err
}

func TestAFileThatCannotBeReadOnOpenLeavesTheOthersAndReusesNoNumber(t *testing.T) {
	for _, name := range []string{stateName, segName(detail, 1), segName(ledger, 2)} {
		f := newTape()
		o := Options{MaxBytes: minMaxBytes, OrRAM: true}
		s := open(t, f, Options{MaxBytes: minMaxBytes})
		put(t, s, detail, 100)
		put(t, s, ledger, 100)
		put(t, s, detail, 100)
		if _, err := s.NextSession(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := openIn(bad{f, name, 0}, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := s.NextSeq(); n < 4 {
			t.Errorf("%s: next seq %d was used", name, n)
		}
		if n, err := s.NextSession(); err != nil || n < 17 {
			t.Errorf("%s: session %d %v may have been used", name, n, err)
		}
		if got := s.Findings(); len(got) != 1 || got[0].Kind != DiskError || !strings.Contains(got[0].Detail, name) {
			t.Errorf("%s: findings %v", name, got)
		}
		b := put(t, s, ledger, 100)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, f, o)
		if got := seqs(waiting(t, s)); !slices.Equal(got, []uint64{2, b.Seq, 1, 3}) {
			t.Errorf("%s: %v waits when it can be read again", name, got)
		}
	}
}

func TestAStateThatIsGoneIsMissedAndNoNumberComesBack(t *testing.T) {
	d := newDisk()
	o := Options{FlushEvery: time.Hour, OrRAM: true}
	s := open(t, d, o)
	kept := put(t, s, ledger, 50)
	for range 50 {
		ack(t, s, put(t, s, detail, 50).Seq) // from RAM: no segment tells of it
	}
	session, err := s.NextSession()
	if err != nil {
		t.Fatal(err)
	}
	used := s.NextSeq()
	d.reboot(true, rng(1))
	delete(d.now, stateName)
	for range 2 { // the jump itself is kept
		s = open(t, d, o)
		if n := s.NextSeq(); n < used {
			t.Errorf("next seq %d, want %d or more", n, used)
		}
		if n, err := s.NextSession(); err != nil || n <= session {
			t.Errorf("session %d %v, want more than %d", n, err, session)
		}
		same(t, waiting(t, s), []Batch{kept})
		used, session = used+1, session+1
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	delete(d.now, stateName)
	s = open(t, d, o)
	if got := s.Findings(); len(got) != 1 || got[0].Kind != Corrupt {
		t.Errorf("findings %v, want one that something is missing", got)
	}
	if n := open(t, newDisk(), o).NextSeq(); n != 1 {
		t.Errorf("next seq %d in an empty folder, want 1", n)
	}
}

func TestSeqsBeyondTheReserveOfASickFolderDoNotComeBackInTheNextRun(t *testing.T) {
	f := newTape()
	clock := uint64(0)
	o := Options{FlushEvery: time.Hour, OrRAM: true, Fresh: func() (uint64, bool) { return clock, true }}
	used := map[uint64]bool{}
	run := func(s *Spool, n int) {
		t.Helper()
		for range n {
			clock += 6
			b := put(t, s, detail, 50)
			if used[b.Seq] {
				t.Fatalf("seq %d is given out again", b.Seq)
			}
			used[b.Seq] = true
			ack(t, s, b.Seq)
		}
	}
	clock = 6_000_000
	for range 2 { // runs that end by a kill while the folder takes nothing
		s := open(t, f, o)
		run(s, 10)
		breakdowns()[3].strike(f, 0)
		run(s, 3000)
		first := s.NextSeq()
		run(s, 10)
		if n := s.NextSeq(); n != first+10 {
			t.Errorf("next seq %d, want %d: numbers without a gap are acknowledged in a row", n, first+10)
		}
		f.fail = nil
	}
	run(open(t, f, o), 3000)
}

func TestSeedRisesFasterThanBatchesAreSealed(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	if a, b := Seed(at), Seed(at.Add(time.Hour)); b-a != 360 || a > 1e7 {
		t.Errorf("%d, an hour later %d", a, b)
	}
	if n := Seed(time.Unix(0, 0)); n != 0 {
		t.Errorf("1970 gives %d, want 0: not known", n)
	}
}

func TestSessionsBeginAboveThoseOfEarlierRunsThoughTheFolderIsNew(t *testing.T) {
	clock := uint64(0)
	o := Options{MaxBytes: minMaxBytes, Fresh: func() (uint64, bool) { return clock, true }}
	d := newDisk()
	s := open(t, d, o)
	if n, err := s.NextSession(); err != nil || n != 1 {
		t.Errorf("session %d %v before anything is known, want 1", n, err)
	}
	clock = 5_000_000
	if n, err := s.NextSession(); err != nil || n != clock {
		t.Errorf("session %d %v, want %d as soon as the time is known", n, err, clock)
	}
	wrote := s.Stats().WrittenBytes
	clock += 1000
	if n, err := s.NextSession(); err != nil || n != 5_000_001 || s.Stats().WrittenBytes > wrote {
		t.Errorf("session %d %v, %d bytes written: one write a connection would wear the flash", n, err, s.Stats().WrittenBytes-wrote)
	}
	s = reopen(t, s, d, o)
	if n, err := s.NextSession(); err != nil || n != clock {
		t.Errorf("session %d %v, want %d: the folder may be a copy of an old one", n, err, clock)
	}
	if b := put(t, s, detail, 10); b.Seq != 1 {
		t.Errorf("seq %d, want 1: short, and told apart from those of another folder by the boot id", b.Seq)
	}
	d.now[stateName].now[20] ^= 4
	s = open(t, d, o)
	if n := s.NextSeq(); n != lostStep+clock {
		t.Errorf("next seq %d after damage, want %d", n, lostStep+clock)
	}
}

func TestSessionsThatNoFolderKeepsRiseWithTheTimeOnceItIsKnown(t *testing.T) {
	ill := newTape()
	breakdowns()[3].strike(ill, 0)
	for name, dir := range map[string]func() folder{
		"no folder":                   func() folder { return nil },
		"a folder in RAM":             func() folder { return newDisk() },
		"a folder that takes nothing": func() folder { return ill },
	} {
		clock, sure := uint64(0), false
		o := Options{OrRAM: true, Fresh: func() (uint64, bool) { return clock, sure }}
		last := uint64(0)
		for run := range uint64(3) {
			clock, sure = 5_000_000, false // the date of a file, at which the clock of this machine stands after each boot
			s := open(t, dir(), o)
			if n, err := s.NextSession(); err != nil || n < clock {
				t.Errorf("%s, run %d: session %d %v by a guess of %d", name, run, n, err, clock)
			}
			clock, sure = 6_000_000+1000*run, true // the collector has told the time
			n, err := s.NextSession()
			if err != nil || n <= last {
				t.Errorf("%s, run %d: session %d %v, want more than %d", name, run, n, err, last)
			}
			last = n
		}
	}
}

func TestABatchWrittenTwiceIsSentAndAcknowledgedOnce(t *testing.T) {
	f := newTape()
	o := Options{MaxBytes: minMaxBytes, OrRAM: true}
	s := open(t, f, o)
	put(t, s, detail, 100)
	f.fail = func(o op) (int, error) { // the bytes get down, but nobody says so
		if o.kind == opWrite {
			return len(o.data), nil
		}
		return 0, syscall.EIO
	}
	put(t, s, detail, 100)
	f.fail = nil
	put(t, s, detail, 100)
	if n := len(s.chains[detailChain]); n != 2 {
		t.Fatalf("%d segments, want a second one after the failed sync", n)
	}
	s = reopen(t, s, f, o)
	if got := seqs(waiting(t, s)); !slices.Equal(got, []uint64{1, 2, 3}) || s.Stats().CorruptRecords > 0 {
		t.Fatalf("%v waits, want each once; %+v", got, s.Stats())
	}
	ack(t, s, 2)
	s = reopen(t, s, f, o)
	if got := seqs(waiting(t, s)); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("%v waits, want 1 and 3", got)
	}
}

func TestAFullDiskIsNotWornByTrying(t *testing.T) {
	f := newTape()
	s := open(t, f, Options{OrRAM: true})
	put(t, s, detail, 300) // the file is there and takes all but the last byte
	before := s.Stats().WrittenBytes
	breakdowns()[2].strike(f, 0)
	for range 200 {
		put(t, s, detail, 300)
	}
	if st := s.Stats(); st.RAMBatches != 200 || st.WrittenBytes-before > 200*(300+segHeadLen+frameLen) {
		t.Errorf("%d bytes written into a full disk while %d batches wait", st.WrittenBytes-before, st.RAMBatches)
	}
	f.fail = nil
	put(t, s, detail, 300)
	if st := s.Stats(); st.RAMBatches != 0 || st.Batches != 202 {
		t.Errorf("stats %+v when the disk has room again", st)
	}
}
