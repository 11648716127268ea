package spool

import (
	"bytes"
	"fmt"
	"testing"
	"time"

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
	newer := newerFiles()
	f.Add(seg, led, st, uint8(0))
	f.Add(seg[:50], led[10:], []byte("nabz-spool 1 00000000\n{}\n"), uint8(1))
	f.Add(bytes.Repeat(seg, 3), bytes.Repeat([]byte{0}, 5000), bytes.Repeat([]byte("x"), 5000), uint8(2))
	f.Add(append(bytes.Clone(seg[:70]), seg...), led, []byte{}, uint8(3))
	f.Add([]byte(newer[segName(detail, 7)]), led, []byte(newer[stateName]), uint8(5))
	f.Fuzz(func(t *testing.T, seg, led, st []byte, how uint8) {
		o := Options{MaxBytes: minMaxBytes, OrRAM: how&1 > 0, LedgerToo: how&8 > 0}
		if how&2 > 0 {
			o.FlushEvery = time.Hour
		}
		d := newDisk()
		d.now[segName(detail, 1)] = &inode{now: bytes.Clone(seg)}
		d.now[segName(ledger, 3)] = &inode{now: bytes.Clone(led)}
		d.now[stateName] = &inode{now: bytes.Clone(st)}
		if how&4 > 0 { // and an older program has set some of it aside
			for _, name := range []string{segName(detail, 1), stateName} {
				d.now[asidePrefix+name] = d.now[name]
				delete(d.now, name)
			}
		}
		s, err := openIn(d, o)
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
		s, err = openIn(d, o)
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

// FuzzState: no bytes make reading the state panic, and what can be read means the same when it is written and read again.
func FuzzState(f *testing.F) {
	for _, st := range []state{{}, {Seq: 5, Session: 17}, {Seq: maxSeq, Mark: &Mark{Boot: "4f2a9c1b", At: time.Unix(1763899940, 5e6).UTC(), Extra: []byte{0, 255}}}} {
		b, err := st.append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(newerFiles()[stateName]))
	f.Add([]byte("nabz-spool 1 00000000\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && bytes.HasSuffix(b, []byte("\n")) && i < len(b)-1 { // give the body the checksum that it needs to be read
			body := b[i+1 : len(b)-1]
			b = append(fmt.Appendf(nil, "nabz-spool 1 %08x\n", stateSum(1, body)), b[i+1:]...)
		}
		st, ok, err := parseState(b)
		if !ok || err != nil {
			return
		}
		again, err := st.append(nil)
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", st, err)
		}
		same, ok, err := parseState(again)
		if !ok || err != nil || same.Seq != st.Seq || same.Session != st.Session || (same.Mark == nil) != (st.Mark == nil) || st.Mark != nil && !same.Mark.equal(*st.Mark) {
			t.Fatalf("%+v became %+v %v %v", st, same, ok, err)
		}
	})
}

// FuzzFrame: a frame header that is read is the one that is written.
func FuzzFrame(f *testing.F) {
	f.Add(frame{kind: batchFrame, tier: detail, lines: 5, seq: 7, boot: 9, size: 300, sum: 1}.append(nil))
	f.Add(frame{kind: ackFrame, seq: 7}.append(nil))
	f.Add(segHead{tier: ledger, base: 7, session: 3}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= frameLen {
			b = b[:frameLen]
			copy(b[28:], be32(checksum(b[:28])))
		}
		if x, ok := parseFrame(b); ok {
			if again := x.append(nil); !bytes.Equal(again[8:28], b[8:28]) || again[4] != b[4] {
				t.Fatalf("%x became %x", b, again)
			}
			if e := entryOf(x, 1<<20); x.kind == batchFrame && (e.seq() != x.seq || e.size() != x.size || e.lines() != x.lines || e.off() != 1<<20 || e.gone()) {
				t.Fatalf("%+v became the entry %d %d %d %d", x, e.seq(), e.size(), e.lines(), e.off())
			}
		}
		if h, ok, err := parseSegHead(b); ok && err == nil {
			if again, ok, _ := parseSegHead(h.append(nil)); !ok || again != h {
				t.Fatalf("%+v became %+v", h, again)
			}
		}
	})
}
