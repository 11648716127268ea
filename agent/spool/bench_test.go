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

// BenchmarkPeekAck drains a backlog of 1,000 again and again; filling it up is not measured.
func BenchmarkPeekAck(b *testing.B) {
	d := newDisk()
	d.noPower = true
	s := open(b, d, Options{})
	p := payload(1, minute)
	b.ReportAllocs()
	var wrote int64
	for i := range b.N {
		if i%1000 == 0 {
			b.StopTimer()
			for range 1000 {
				if err := s.Put(Batch{Seq: s.NextSeq(), Tier: detail, Lines: 12, Payload: p}); err != nil {
					b.Fatal(err)
				}
			}
			wrote -= s.Stats().WrittenBytes
			b.StartTimer()
		}
		got, err := s.Peek(nil, 1)
		if err != nil || len(got) != 1 {
			b.Fatal(got, err)
		}
		if err := s.Ack(got[0].Seq); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 || i == b.N-1 {
			wrote += s.Stats().WrittenBytes
		}
	}
	b.ReportMetric(float64(wrote)/float64(b.N), "written-B/batch")
}
