package spool

import (
	"bytes"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

// FuzzOpen: whatever lies in the folder, opening never panics, never holds more than the files do, and leaves a spool that works.
func FuzzOpen(f *testing.F) {
	d := newDisk()
	s := open(f, d, Options{})
	put(f, s, detail, 40)
	put(f, s, detail, 1)
	ack(f, s, 1)
	put(f, s, ledger, 100)
	if _, err := s.NextSession(); err != nil {
		f.Fatal(err)
	}
	seg, led, st := d.now[segName(detail, 1)].now, d.now[segName(ledger, 3)].now, d.now[stateName].now
	f.Add(seg, led, st)
	f.Add(seg[:50], led[10:], []byte("nabz-spool 1 00000000\n{}\n"))
	f.Add(bytes.Repeat(seg, 3), bytes.Repeat([]byte{0}, 5000), bytes.Repeat([]byte("x"), 5000))
	f.Add(append(bytes.Clone(seg[:70]), seg...), led, []byte{})
	f.Fuzz(func(t *testing.T, seg, led, st []byte) {
		d := newDisk()
		d.now[segName(detail, 1)] = &inode{now: bytes.Clone(seg)}
		d.now[segName(ledger, 3)] = &inode{now: bytes.Clone(led)}
		d.now[stateName] = &inode{now: bytes.Clone(st)}
		s, err := openIn(d, Options{MaxBytes: minMaxBytes})
		if err != nil {
			t.Fatal(err)
		}
		entries := 0
		for _, chain := range s.chains {
			for _, g := range chain {
				entries += len(g.entries)
			}
		}
		if entries*frameLen > len(seg)+len(led) {
			t.Fatalf("%d entries from %d bytes", entries, len(seg)+len(led))
		}
		before := waiting(t, s)
		next := s.NextSeq()
		for _, b := range before {
			if b.Seq >= next {
				t.Fatalf("next seq %d, but batch %d waits", next, b.Seq)
			}
		}
		if next > maxSeq {
			return
		}
		b := Batch{Seq: next, Tier: telemetry.Ledger, Lines: 1, Payload: []byte("x")}
		if err := s.Put(b); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, err = openIn(d, Options{MaxBytes: minMaxBytes})
		if err != nil {
			t.Fatal(err)
		}
		if s.NextSeq() <= next {
			t.Fatalf("next seq %d after batch %d was put", s.NextSeq(), next)
		}
		got, err := s.Peek(nil, 1<<20)
		if err != nil || len(got) == 0 {
			t.Fatalf("batch %d is lost: %v %v", next, seqs(got), err)
		}
	})
}
