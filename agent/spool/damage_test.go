package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

func TestFilesOfANewerVersionAreRefusedByName(t *testing.T) {
	head := segHead{tier: detail, base: 1}.append(nil)
	head[9] = 2
	head = append(head[:28], be32(checksum(head[:28]))...)
	body := `{"seq":5}`
	rows := []struct{ file, text string }{
		{segName(detail, 1), string(head)},
		{stateName, fmt.Sprintf("nabz-spool 2 %08x\n%s\n", stateSum(2, []byte(body)), body)},
	}
	for _, r := range rows {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, r.file), []byte(r.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, Options{})
		if !errors.Is(err, ErrNewerVersion) {
			t.Fatalf("%s: error %v, want ErrNewerVersion", r.file, err)
		}
		want := "open spool " + dir + ": " + r.file + ": file of a newer version: written by format 2, this program reads up to 1; " +
			"upgrade nabz-agent, or move the folder away to start an empty spool"
		if err.Error() != want {
			t.Errorf("got  %v\nwant %v", err, want)
		}
		if kept, _ := os.ReadFile(filepath.Join(dir, r.file)); string(kept) != r.text {
			t.Errorf("%s was changed", r.file)
		}
	}
}

func be32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }
