package spool

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTornTailIsCutOffAtEveryByte(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	want := []Batch{put(t, s, detail, 100), put(t, s, detail, 37), put(t, s, detail, 64)}
	name := segName(detail, 1)
	whole := slices.Clone(d.now[name].now)
	ends := []int{segHeadLen, segHeadLen + frameLen + 100, segHeadLen + 2*frameLen + 137, len(whole)}
	for cut := range len(whole) {
		d := newDisk()
		d.now[name] = &inode{now: slices.Clone(whole[:cut])}
		s := open(t, d, Options{})
		n := 0
		for n < 3 && ends[n+1] <= cut {
			n++
		}
		same(t, waiting(t, s), want[:n])
		st := s.Stats()
		if torn := cut - ends[n]; cut >= segHeadLen && st.TornBytes != int64(torn) || st.CorruptRecords != 0 {
			t.Fatalf("cut at %d: torn %d corrupt %d, want torn %d", cut, st.TornBytes, st.CorruptRecords, torn)
		}
		if s.NextSeq() != uint64(n)+1 {
			t.Fatalf("cut at %d: next seq %d, want %d", cut, s.NextSeq(), n+1)
		}
		more := put(t, s, detail, 50)
		s = reopen(t, s, d, Options{})
		same(t, waiting(t, s), append(slices.Clone(want[:n]), more))
		if st := s.Stats(); st.TornBytes+st.CorruptRecords != 0 {
			t.Fatalf("cut at %d: still damaged after the repair: %+v", cut, st)
		}
	}
}

func TestOneFlippedByteCostsOneBatchAndKeepsItsNeighbours(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	want := []Batch{put(t, s, detail, 40), put(t, s, detail, 37), put(t, s, detail, 64)}
	name := segName(detail, 1)
	whole := slices.Clone(d.now[name].now)
	ends := []int{segHeadLen, segHeadLen + frameLen + 40, segHeadLen + 2*frameLen + 77, len(whole)}
	for at := range whole {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			d := newDisk()
			d.now[name] = &inode{now: slices.Clone(whole)}
			d.now[name].now[at] ^= flip
			s := open(t, d, Options{})
			left := slices.Clone(want)
			for i := range 3 {
				if at >= ends[i] && at < ends[i+1] {
					left = slices.Delete(left, i, i+1)
				}
			}
			same(t, waiting(t, s), left)
			if st := s.Stats(); st.CorruptRecords != 1 {
				t.Fatalf("byte %d: %d corrupt records counted, want 1 (torn %d)", at, st.CorruptRecords, st.TornBytes)
			}
			if s.NextSeq() < 4 {
				t.Fatalf("byte %d: next seq %d was used before", at, s.NextSeq())
			}
			more := put(t, s, detail, 50)
			s = reopen(t, s, d, Options{})
			same(t, waiting(t, s), append(left, more))
		}
	}
}

func TestDamageFoundWhileSendingIsCountedAndSkipped(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	put(t, s, detail, 40)
	b := put(t, s, detail, 40)
	d.now[segName(detail, 1)].now[segHeadLen+frameLen+5] ^= 1
	same(t, waiting(t, s), []Batch{b})
	if st := s.Stats(); st.CorruptRecords != 1 || st.Batches != 1 {
		t.Errorf("stats %+v", st)
	}
}

// newerFiles is what a program of format 2 would leave: its first bytes are those of every version.
func newerFiles() map[string]string {
	head := segHead{tier: detail, base: 7}.append(nil)
	head[9] = 2
	head = append(head[:28], be32(checksum(head[:28]))...)
	body := `{"seq":5}`
	return map[string]string{
		segName(detail, 7): string(head) + "what only version 2 can read",
		stateName:          fmt.Sprintf("nabz-spool 2 %08x\n%s\n", stateSum(2, []byte(body)), body),
	}
}

func TestFilesOfANewerVersionAreSetAsideAndTheAgentGoesOn(t *testing.T) {
	for name, text := range newerFiles() {
		dir := golden(t, "v1")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir, Options{MaxBytes: minMaxBytes})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := []Finding{{Newer, name + " is written by format 2, this program reads up to 1; it is kept as newer-" + name + "; upgrade nabz-agent to have it sent"}}
		if got := s.Findings(); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}
		if again := s.Findings(); len(again) != 0 {
			t.Errorf("%s: told twice: %v", name, again)
		}
		same(t, waiting(t, s), goldenBatches())
		if n := s.NextSeq(); n <= lostStep {
			t.Errorf("%s: next seq %d may have been used by the newer program", name, n)
		}
		if n, err := s.NextSession(); err != nil || n <= lostStep {
			t.Errorf("%s: session %d (%v) may have been used by the newer program", name, n, err)
		}
		if s.maxBytes >= minMaxBytes+1 || s.maxBytes < minMaxBytes {
			t.Errorf("%s: a bound of %d", name, s.maxBytes)
		}
		put(t, s, ledger, 99)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if kept, _ := os.ReadFile(filepath.Join(dir, "newer-"+name)); string(kept) != text {
			t.Errorf("%s was changed", name)
		}
		if s, err = Open(dir, Options{MaxBytes: minMaxBytes}); err != nil {
			t.Fatal(err)
		}
		if got := waiting(t, s); len(got) != len(goldenBatches())+1 || len(s.Findings()) > 0 {
			t.Errorf("%s: %v waits after another run, findings %v", name, seqs(got), s.Findings())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatWasSetAsideIsTakenBackByAProgramThatReadsIt(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{})
	want := []Batch{put(t, s, detail, 100), put(t, s, detail, 37)}
	if _, err := s.NextSession(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Collect(maps.Keys(d.now)) {
		d.now[asidePrefix+name] = d.now[name]
		delete(d.now, name)
	}
	s = open(t, d, Options{})
	same(t, waiting(t, s), want)
	if n := s.NextSeq(); n != 3 {
		t.Errorf("next seq %d, want 3", n)
	}
	for name := range d.now {
		if _, found := strings.CutPrefix(name, asidePrefix); found {
			t.Errorf("%s is still aside", name)
		}
	}
}

func TestFilesSetAsideCountInTheBound(t *testing.T) {
	for _, r := range []struct{ size, want int64 }{{100 << 10, 924 << 10}, {900 << 10, 512 << 10}} {
		for _, prefix := range []string{"", asidePrefix} { // set aside now, and by an earlier run
			d := newDisk()
			text := newerFiles()[segName(detail, 7)]
			d.now[prefix+segName(detail, 7)] = &inode{now: append([]byte(text), make([]byte, r.size-int64(len(text)))...)}
			if s := open(t, d, Options{MaxBytes: 1 << 20}); s.maxBytes != r.want {
				t.Errorf("%d bytes aside leave %d, want %d", r.size, s.maxBytes, r.want)
			}
		}
	}
}

func be32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
