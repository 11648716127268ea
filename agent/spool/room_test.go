package spool

import (
	"errors"
	"slices"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

func TestDetailIsDroppedFirstThenTheOldestLedger(t *testing.T) {
	d := newDisk()
	o := Options{MaxBytes: minMaxBytes}
	s := open(t, d, o)
	var ledgers, details []uint64
	for range 10 {
		ledgers = append(ledgers, put(t, s, ledger, 1000).Seq)
	}
	for s.Stats().DroppedBatches == 0 {
		details = append(details, put(t, s, detail, 1000).Seq)
	}
	dropped := int(s.Stats().DroppedBatches)
	want := slices.Concat(ledgers, details[dropped:])
	if got := seqs(waiting(t, s)); !slices.Equal(got, want) {
		t.Fatalf("after the first overflow\n got %v\nwant %v", got, want)
	}
	s = reopen(t, s, d, o)
	if got := seqs(waiting(t, s)); !slices.Equal(got, want) {
		t.Fatalf("after reopening\n got %v\nwant %v", got, want)
	}
	for s.Stats().DroppedBatches < int64(len(details)-dropped) {
		ledgers = append(ledgers, put(t, s, ledger, 1000).Seq)
	}
	if got := seqs(waiting(t, s)); !slices.Equal(got, ledgers) {
		t.Fatalf("when ledger took all the room\n got %v\nwant %v", got, ledgers)
	}
	all := s.Stats().DroppedBatches
	for s.Stats().DroppedBatches == all {
		ledgers = append(ledgers, put(t, s, ledger, 1000).Seq)
	}
	gone := int(s.Stats().DroppedBatches - all)
	if got := seqs(waiting(t, s)); !slices.Equal(got, ledgers[gone:]) {
		t.Fatalf("when ledger pushed out ledger\n got %v\nwant %v", got, ledgers[gone:])
	}
	if s.Stats().DiskBytes > o.MaxBytes {
		t.Errorf("%d bytes on disk, bound %d", s.Stats().DiskBytes, o.MaxBytes)
	}
}

func TestDetailNeverDisplacesLedger(t *testing.T) {
	s := open(t, newDisk(), Options{MaxBytes: minMaxBytes})
	for s.cost()+4000 < s.maxBytes {
		put(t, s, ledger, 1000)
	}
	before := seqs(waiting(t, s))
	next := s.NextSeq()
	err := s.Put(Batch{Seq: next, Tier: detail, Lines: 12, Payload: payload(next, 5000)})
	if !errors.Is(err, ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if st := s.Stats(); st.DroppedBatches != 1 || st.DroppedLines != 12 {
		t.Errorf("dropped %d batches, %d lines; want the refused one counted: 1, 12", st.DroppedBatches, st.DroppedLines)
	}
	if got := seqs(waiting(t, s)); !slices.Equal(got, before) || s.NextSeq() != next {
		t.Errorf("ledger %v became %v, next seq %d became %d", before, got, next, s.NextSeq())
	}
	put(t, s, ledger, 1000)
}

func TestAYearOfLedgerFitsInTheDefaultSpool(t *testing.T) {
	s := open(t, newDisk(), Options{})
	// Offline, an agent seals its ledger a few times a day; 26,280 lines a year at about 40 bytes each, compressed.
	for range 365 * 4 {
		put(t, s, ledger, 18*40)
		put(t, s, detail, 3000)
	}
	kept := 0
	for _, b := range waiting(t, s) {
		if b.Tier == telemetry.Ledger {
			kept++
		}
	}
	if kept != 365*4 {
		t.Errorf("%d of %d ledger batches kept", kept, 365*4)
	}
	if st := s.Stats(); st.DroppedBatches == 0 || st.DiskBytes > DefaultMaxBytes {
		t.Errorf("stats %+v: detail should have overflowed within the bound", st)
	}
}

func TestPutRefusesWhatItCannotKeep(t *testing.T) {
	s := open(t, newDisk(), Options{MaxBytes: minMaxBytes})
	rows := []struct {
		name string
		b    Batch
		want string
	}{
		{"wrong seq", Batch{Seq: 7, Tier: detail, Payload: []byte("x")}, "put batch 7: the next seq is 1; seal the batch again with it"},
		{"no tier", Batch{Seq: 1, Payload: []byte("x")}, "put batch 1: unknown tier 0; use telemetry.Ledger or telemetry.Detail"},
		{"empty", Batch{Seq: 1, Tier: detail}, "put batch 1: 0 bytes, 0 lines; seal 1 to 1048576 bytes and at most 65535 lines"},
		{"too long", Batch{Seq: 1, Tier: detail, Payload: make([]byte, maxPayload+1)}, "put batch 1: 1048577 bytes, 0 lines; seal 1 to 1048576 bytes and at most 65535 lines"},
		{"too many lines", Batch{Seq: 1, Tier: detail, Lines: 65536, Payload: []byte("x")}, "put batch 1: 1 bytes, 65536 lines; seal 1 to 1048576 bytes and at most 65535 lines"},
		{"over the bound", Batch{Seq: 1, Tier: detail, Payload: make([]byte, minMaxBytes)}, "put batch 1: 65536 bytes do not fit in a spool of 65536; raise spool_max_bytes or seal smaller batches"},
	}
	for _, r := range rows {
		if err := s.Put(r.b); err == nil || err.Error() != r.want {
			t.Errorf("%s:\n got %v\nwant %v", r.name, err, r.want)
		}
	}
	if _, err := openIn(newDisk(), Options{MaxBytes: 1000}); err == nil || err.Error() != "a bound of 1000 bytes is too small; set spool_max_bytes to 65536 or more" {
		t.Errorf("small bound: %v", err)
	}
}
