package spool

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const tenMinutes = 10 * time.Minute

func TestAHealthyLinkWritesNoDetailAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		s := open(t, d, Options{FlushEvery: tenMinutes})
		put(t, s, detail, 300) // the first reserves seqs
		before := s.Stats()
		var late []uint64
		for i := range 600 { // acknowledgements come several at once, nine minutes late
			time.Sleep(time.Minute)
			late = append(late, put(t, s, detail, 300).Seq)
			if i%9 == 0 {
				ack(t, s, 1)
				for _, seq := range late {
					ack(t, s, seq)
				}
				late = nil
			}
		}
		if st := s.Stats(); st.WrittenBytes != before.WrittenBytes || st.Syncs != before.Syncs || st.DiskBytes != 0 {
			t.Errorf("ten hours wrote %d bytes in %d syncs", st.WrittenBytes-before.WrittenBytes, st.Syncs-before.Syncs)
		}
		b := put(t, s, ledger, 300)
		d.reboot(true, rng(1))
		s = open(t, d, Options{FlushEvery: tenMinutes})
		same(t, waiting(t, s), []Batch{b})
	})
}

func TestDetailThatIsNotAcknowledgedGoesToFlashInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		o := Options{FlushEvery: tenMinutes}
		s := open(t, d, o)
		var want []Batch
		for range 25 {
			want = append(want, put(t, s, detail, 300))
			time.Sleep(time.Minute)
		}
		if st := s.Stats(); st.Syncs > 8 {
			t.Errorf("%d syncs for 25 minutes without a link, want one or two a flush", st.Syncs)
		}
		d.reboot(true, rng(3))
		s = open(t, d, o)
		got := waiting(t, s)
		if len(got) < 15 {
			t.Errorf("a power cut took %d minutes, at most 10 may be lost", 25-len(got))
		}
		same(t, got, want[:len(got)])
		if n := s.NextSeq(); n <= 25 {
			t.Errorf("next seq %d was used by a batch that the cut took", n)
		}
	})
}

func TestLedgerIsDurableAtOnceUnlessAskedOtherwise(t *testing.T) {
	for _, too := range []bool{false, true} {
		d := newDisk()
		o := Options{FlushEvery: time.Hour, LedgerToo: too}
		s := open(t, d, o)
		b := put(t, s, ledger, 100)
		if got := s.Stats().RAMBatches == 1; got != too {
			t.Errorf("ledger too %v: in RAM %v", too, got)
		}
		if too {
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		d.reboot(true, rng(1))
		same(t, waiting(t, open(t, d, o)), []Batch{b})
	}
}

func TestACleanStopWritesWhatWaitsInRAMAndWastesNoNumber(t *testing.T) {
	d := newDisk()
	o := Options{FlushEvery: time.Hour, LedgerToo: true}
	s := open(t, d, o)
	l1, d2, d3, l4 := put(t, s, ledger, 10), put(t, s, detail, 20), put(t, s, detail, 30), put(t, s, ledger, 40)
	same(t, waiting(t, s), []Batch{l1, l4, d2, d3})
	ack(t, s, 3)
	s = reopen(t, s, d, o)
	same(t, waiting(t, s), []Batch{l1, l4, d2})
	if n := s.NextSeq(); n != 5 {
		t.Errorf("next seq %d, want 5", n)
	}
}

func TestRAMIsWrittenEarlierWhenItsBoundIsReached(t *testing.T) {
	d := newDisk()
	s := open(t, d, Options{FlushEvery: time.Hour, RAMBytes: 10 << 10})
	var want []Batch
	for range 100 {
		want = append(want, put(t, s, detail, 500))
		if s.ramBytes > 10<<10 {
			t.Fatalf("%d bytes in RAM", s.ramBytes)
		}
	}
	same(t, waiting(t, s), want)
	if st := s.Stats(); st.DiskBytes < 80*532 || st.Syncs > 30 {
		t.Errorf("stats %+v", st)
	}
}

func TestTheBoundCountsRAMAndFlashTogether(t *testing.T) {
	d := newDisk()
	d.noPower = true
	s := open(t, d, Options{MaxBytes: minMaxBytes, FlushEvery: time.Hour, RAMBytes: 40 << 10})
	var ledgers []uint64
	for i := range 400 {
		if i%10 == 0 {
			ledgers = append(ledgers, put(t, s, ledger, 500).Seq)
		}
		put(t, s, detail, 500)
		if st := s.Stats(); st.DiskBytes+s.ramBytes > minMaxBytes {
			t.Fatalf("%d bytes on disk and %d in RAM, bound %d", st.DiskBytes, s.ramBytes, minMaxBytes)
		}
	}
	got := seqs(waiting(t, s))
	if !slices.Equal(got[:len(ledgers)], ledgers) {
		t.Errorf("ledger %v waits, want %v", got[:len(ledgers)], ledgers)
	}
	if st := s.Stats(); got[len(got)-1] != s.NextSeq()-1 || st.DroppedBatches != int64(440-len(got)) {
		t.Errorf("%d wait, the newest is %d, %+v", len(got), got[len(got)-1], st)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if used := d.used(); used > minMaxBytes+stateLimit {
		t.Errorf("%d bytes on disk after the last flush", used)
	}
}
