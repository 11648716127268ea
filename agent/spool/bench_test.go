package spool

import "testing"

// A minute of detail, sealed, is about 300 bytes.
const minute = 300

func report(b *testing.B, s *Spool) {
	st := s.Stats()
	b.ReportMetric(float64(st.WrittenBytes)/float64(b.N), "written-B/batch")
	b.ReportMetric(float64(st.Syncs)/float64(b.N), "syncs/batch")
}

func BenchmarkPut(b *testing.B) {
	s, err := Open(b.TempDir(), Options{MaxBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	p := payload(1, minute)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Put(Batch{Seq: s.NextSeq(), Tier: detail, Lines: 12, Payload: p}); err != nil {
			b.Fatal(err)
		}
	}
	report(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPutPeekAck is a batch's whole stay: in steady state each waits alone.
func BenchmarkPutPeekAck(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := payload(1, minute)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Put(Batch{Seq: s.NextSeq(), Tier: detail, Lines: 12, Payload: p}); err != nil {
			b.Fatal(err)
		}
		got, err := s.Peek(nil, 8)
		if err != nil || len(got) != 1 {
			b.Fatal(got, err)
		}
		if err := s.Ack(got[0].Seq); err != nil {
			b.Fatal(err)
		}
	}
	report(b, s)
	b.ReportMetric(float64(s.Stats().DiskBytes), "disk-B")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPeekAck drains a backlog.
func BenchmarkPeekAck(b *testing.B) {
	s := open(b, newDisk(), Options{MaxBytes: 1 << 30})
	p := payload(1, minute)
	for range b.N {
		if err := s.Put(Batch{Seq: s.NextSeq(), Tier: detail, Lines: 12, Payload: p}); err != nil {
			b.Fatal(err)
		}
	}
	before := s.Stats().WrittenBytes
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		got, err := s.Peek(nil, 1)
		if err != nil || len(got) != 1 {
			b.Fatal(got, err)
		}
		if err := s.Ack(got[0].Seq); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(s.Stats().WrittenBytes-before)/float64(b.N), "written-B/batch")
}
