package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// A minute of detail, sealed, is about 120 bytes.
const minute = 120

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

// day is a day of an agent on a good link: a detail batch a minute, three ledger batches an hour, and marks. Acknowledgements of
// detail come several at once, up to nine minutes late.
func day(t testing.TB, o Options, markEvery time.Duration, held int, pass func(time.Duration)) Stats {
	at := time.Date(2026, 11, 23, 0, 0, 0, 123e6, time.UTC)
	d := newDisk()
	d.noPower = true
	s := open(t, d, o)
	for range 2 { // two connections
		if _, err := s.NextSession(); err != nil {
			t.Fatal(err)
		}
	}
	m := Mark{Boot: "4f2a9c1b", Clock: telemetry.ClockSynced, Session: 17, Extra: make([]byte, held),
		Open: telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Length: 59 * time.Minute}}
	var late []uint64
	for i := range 24 * 60 {
		pass(time.Minute)
		at = at.Add(time.Minute)
		if i%20 == 0 || i%int(markEvery/time.Minute) == 0 {
			m.At, m.Mono = at, time.Duration(i)*time.Minute
			if err := s.SetMark(m); err != nil {
				t.Fatal(err)
			}
		}
		if i%20 == 0 {
			ack(t, s, put(t, s, ledger, 200).Seq)
		}
		late = append(late, put(t, s, detail, minute).Seq)
		if i%9 == 8 {
			for _, seq := range late {
				ack(t, s, seq)
			}
			late = nil
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Stats()
}

func days() map[string]Options {
	return map[string]Options{"disk": {OrRAM: true}, "RAM": {OrRAM: true, FlushEvery: 20 * time.Minute}, "RAM, ledger too": {OrRAM: true, FlushEvery: 20 * time.Minute, LedgerToo: true}}
}

// BenchmarkOpenFull opens a spool that is full of one-minute detail.
func BenchmarkOpenFull(b *testing.B) {
	for _, size := range []int{minute, 345} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			d := newDisk()
			d.noPower = true
			s := open(b, d, Options{})
			for s.Stats().DroppedBatches == 0 {
				put(b, s, detail, size)
			}
			for name, i := range d.now {
				if err := os.WriteFile(filepath.Join(dir, name), i.now, 0o600); err != nil {
					b.Fatal(err)
				}
			}
			var st Stats
			b.ReportAllocs()
			for b.Loop() {
				s, err := Open(dir, Options{})
				if err != nil {
					b.Fatal(err)
				}
				st = s.Stats()
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(st.Batches), "batches")
			b.ReportMetric(float64(st.IndexBytes)/float64(st.Batches), "index-B/batch")
		})
	}
}

// BenchmarkDay tells what a day writes to flash, handed to the file system; a sync costs a page or more on top.
func BenchmarkDay(b *testing.B) {
	for name, o := range days() {
		for _, every := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute} {
			for _, held := range []int{0, 200} {
				b.Run(fmt.Sprintf("%s/mark=%v/held=%d", name, every, held), func(b *testing.B) {
					var st Stats
					for b.Loop() {
						st = day(b, o, every, held, func(time.Duration) {})
					}
					b.ReportMetric(float64(st.WrittenBytes), "written-B/day")
					b.ReportMetric(float64(st.Syncs), "syncs/day")
				})
			}
		}
	}
}
