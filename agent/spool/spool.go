package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Sentinels, to be found with errors.Is.
var (
	ErrInUse  = errors.New("spool is in use by another process")
	ErrClosed = errors.New("spool is closed")
	// ErrFull: a detail batch found the spool full of ledger, which is worth more. The batch is dropped and counted.
	ErrFull = errors.New("spool is full of ledger batches")
	// ErrRAMOnly: with Options.OrRAM, the folder takes nothing and what was to be kept in it is in RAM alone.
	ErrRAMOnly = errors.New("kept in RAM only")
)

// DefaultMaxBytes holds more than a year of ledger, or about a week of one-minute detail.
const DefaultMaxBytes = 4 << 20

// DefaultRAMBytes holds about ten hours of one-minute detail.
const DefaultRAMBytes = 256 << 10

const (
	minMaxBytes = 64 << 10 // leaves each tier a few segments
	minSegBytes = 4 << 10
	maxSegBytes = 64 << 20 // keeps offsets within the bits of an entry, however large the spool may be
)

// peekBytes bounds the payload bytes of one Peek, so that a window of large batches does not fill a small router's memory.
const peekBytes = 256 << 10

// Batch is a sealed batch.
type Batch struct {
	Seq     uint64         // from NextSeq
	Tier    telemetry.Tier // of every line but the header
	Boot    string         // boot id in its header: 8 hex digits; "" when not told
	Lines   int            // 0 to 65535
	Payload []byte         // the bytes that go on the wire: 1 byte to 1 MiB. Those that Peek returns must not be changed
}

// Options of Open; the zero value works.
type Options struct {
	MaxBytes int64 // most bytes of segment files and of what waits in RAM together. 0: DefaultMaxBytes; at least 64 KiB
	// FlushEvery is how long a detail batch may wait in RAM for its acknowledgement; when the oldest has waited so long, the next Put writes
	// all of them. A power cut costs what waits there. Set it above the time in which acknowledgements come on a good link, and no
	// detail is written at all. 0: every Put is durable on return.
	FlushEvery time.Duration
	LedgerToo  bool  // with FlushEvery: ledger batches wait in RAM as well
	RAMBytes   int64 // most bytes that wait in RAM; more are written earlier. 0: DefaultRAMBytes
	// OrRAM: where the folder cannot be made, read or written, batches wait in RAM (up to RAMBytes) and are sent from there, and Findings
	// says so. Without it Open and Put return the error.
	OrRAM bool
	// Fresh returns a number higher than any seq or session that an earlier run can have used, such as Seed of the time, or 0 while that is
	// not known; sure is false while it is a guess, by a clock that may stand at the same date after each boot. It is asked where the folder
	// cannot tell: for sessions until it is sure, and for seqs when the folder is damaged, unwritable or none. It must not call the spool.
	// nil: numbers begin at 1.
	Fresh func() (n uint64, sure bool)
	Log   *slog.Logger
}

// Seed counts steps of ten seconds since 2025: short, and ahead of any agent that seals fewer than six batches a minute. 0 before.
func Seed(now time.Time) uint64 {
	const epoch = 1735689600
	return uint64(max(0, now.Unix()-epoch)) / 10
}

// Stats is a snapshot. Bytes, Batches and Lines are what waits now; DiskBytes the segment files, acknowledged batches that still
// share a file with waiting ones included; the rest counts since Open.
type Stats struct {
	Bytes, Batches, Lines        int64
	RAMBytes, RAMBatches         int64 // of these, what waits in RAM alone
	DiskBytes                    int64
	IndexBytes                   int64 // RAM that the index of what waits on disk takes
	DroppedBatches, DroppedLines int64 // given up because the spool was full
	CorruptRecords               int64 // damaged on flash, at least so many
	TornBytes                    int64 // cut off at the ends of segments on open
	WrittenBytes, Syncs          int64 // handed to the file system; flash translation and journal come on top
}

// Spool is the queue in one folder. Safe for concurrent use.
type Spool struct {
	o        Options
	log      *slog.Logger
	maxBytes int64 // what is aside taken off
	aside    int64 // bytes of files of a newer program
	segBytes int64

	mu       sync.Mutex
	dir      folder        // nil: there is none, RAM is all
	chains   [2][]*segment // ledger, detail; oldest first, new batches go to the last
	ram      [2][]held     // newer than what the chains hold
	ramBytes int64         // of frames, were they written
	state    state
	unsaved  bool   // the state on disk is older than the one here
	saved    uint64 // seq in the state on disk: runs to come begin there or higher
	next     uint64 // seq of the next batch
	issued   uint64 // last session handed out
	seeded   bool   // sessions have begun above those of every earlier run
	unsure   bool   // the folder does not tell which seqs were used
	leapt    bool   // seqs go on from Fresh, above those that the next run begins with while the folder takes nothing
	stats    Stats
	faulty   Kind // what is wrong with the folder now
	findings []Finding
	buf      []byte
	closed   bool
}

const (
	ledgerChain = iota
	detailChain
)

func chainOf(t telemetry.Tier) int {
	if t == telemetry.Ledger {
		return ledgerChain
	}
	return detailChain
}

// Put stores a batch and returns when it is on disk, or in RAM where Options say so. When the spool is at its bound, the oldest detail is
// given up, then the oldest ledger; a detail batch never displaces ledger, it gets ErrFull instead. After an error nothing of the
// batch is in the spool.
func (s *Spool) Put(b Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(b); err != nil {
		return err
	}
	room := s.makeRoom(b.Tier, segHeadLen+frameCost(b))
	if errors.Is(room, ErrFull) {
		s.stats.DroppedBatches++
		s.stats.DroppedLines += int64(b.Lines)
	}
	if room != nil && (errors.Is(room, ErrFull) || !s.o.OrRAM) {
		return fmt.Errorf("put batch %d: %w", b.Seq, room)
	}
	c := chainOf(b.Tier)
	durable := s.o.FlushEvery == 0 || b.Tier == telemetry.Ledger && !s.o.LedgerToo
	if s.dir != nil && durable && len(s.ram[c]) == 0 && room == nil {
		_, err := s.write(c, []held{{Batch: b}})
		if err == nil {
			s.next = max(s.next, b.Seq+1)
			s.count(b, +1)
			return nil
		}
		if !s.o.OrRAM {
			return fmt.Errorf("put batch %d in the spool: %w; %s", b.Seq, err, s.faulty.advice())
		}
	}
	return s.hold(b, durable)
}

// check refuses what cannot be kept.
func (s *Spool) check(b Batch) error {
	switch {
	case s.closed:
		return ErrClosed
	case b.Seq != s.next:
		return fmt.Errorf("put batch %d: the next seq is %d; seal the batch again with it", b.Seq, s.next)
	case b.Seq > maxSeq:
		return fmt.Errorf("put batch %d: no seq left, so a file name in the folder is wrong; move the folder away to start an empty spool", b.Seq)
	case b.Tier != telemetry.Ledger && b.Tier != telemetry.Detail:
		return fmt.Errorf("put batch %d: unknown tier %d; use telemetry.Ledger or telemetry.Detail", b.Seq, b.Tier)
	case len(b.Payload) == 0 || len(b.Payload) > maxPayload || b.Lines < 0 || b.Lines > maxLines:
		return fmt.Errorf("put batch %d: %d bytes, %d lines; seal 1 to %d bytes and at most %d lines", b.Seq, len(b.Payload), b.Lines, maxPayload, maxLines)
	case segHeadLen+frameCost(b) > s.maxBytes:
		return fmt.Errorf("put batch %d: %d bytes do not fit in a spool of %d; raise spool_max_bytes or seal smaller batches", b.Seq, len(b.Payload), s.maxBytes)
	}
	return nil
}

// frameCost is what a batch takes of the bound: its frame, and the note of its acknowledgement.
func frameCost(b Batch) int64 { return int64(frameLen + len(b.Payload) + frameLen) }

func (s *Spool) count(b Batch, sign int64) { s.countOf(len(b.Payload), b.Lines, sign) }

func (s *Spool) countOf(size, lines int, sign int64) {
	s.stats.Batches += sign
	s.stats.Lines += sign * int64(lines)
	s.stats.Bytes += sign * int64(size)
}

// Stats returns a snapshot.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	for c, chain := range s.chains {
		for _, g := range chain {
			out.DiskBytes += g.size
			out.IndexBytes += int64(cap(g.entries)) * entryBytes
		}
		for _, h := range s.ram[c] {
			out.RAMBatches++
			out.RAMBytes += int64(len(h.Payload))
		}
	}
	return out
}

// Close writes what waits in RAM, syncs what is noted and lets the folder go. The spool is unusable afterwards; a second Close does
// nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	errs := []error{s.last()}
	for _, chain := range s.chains {
		for _, g := range chain {
			if g.dirty {
				errs = append(errs, s.syncFile(g, false))
			}
			errs = append(errs, g.f.Close())
		}
	}
	if s.dir != nil {
		errs = append(errs, s.dir.close())
	}
	return errors.Join(errs...)
}
