package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/smartvillage/nabz/telemetry"
)

// Sentinels, to be found with errors.Is.
var (
	ErrNewerVersion = errors.New("file of a newer version")
	ErrInUse        = errors.New("spool is in use by another process")
	ErrClosed       = errors.New("spool is closed")
	// ErrFull: a detail batch found the spool full of ledger, which is worth more. The batch is dropped and counted.
	ErrFull = errors.New("spool is full of ledger batches")
)

// DefaultMaxBytes holds more than a year of ledger, or about ten days of one-minute detail.
const DefaultMaxBytes = 4 << 20

// minMaxBytes leaves each tier a few segments.
const minMaxBytes = 64 << 10

// maxSegBytes keeps offsets within 32 bits, however large the spool may be.
const maxSegBytes = 1 << 30

// peekBytes bounds the payload bytes of one Peek, so that a window of large batches does not fill a small router's memory.
const peekBytes = 256 << 10

// Batch is a sealed batch.
type Batch struct {
	Seq     uint64         // from NextSeq
	Tier    telemetry.Tier // of every line but the header
	Boot    string         // boot id in its header: 8 hex digits; "" when not told
	Lines   int            // 0 to 65535
	Payload []byte         // the bytes that go on the wire: 1 byte to 1 MiB
}

// Options of Open; the zero value works.
type Options struct {
	MaxBytes int64 // most bytes of segment files on disk. 0: DefaultMaxBytes; at least 64 KiB
	Log      *slog.Logger
}

// Stats is a snapshot. Bytes, Batches and Lines are what waits now; DiskBytes the segment files, acknowledged batches that still
// share a file with waiting ones included; the rest counts since Open.
type Stats struct {
	Bytes, Batches, Lines        int64
	DiskBytes                    int64
	DroppedBatches, DroppedLines int64 // given up because the spool was full
	CorruptRecords               int64 // damaged on flash, at least so many
	TornBytes                    int64 // cut off at the ends of segments on open
	WrittenBytes, Syncs          int64 // handed to the file system; flash translation and journal come on top
}

// Spool is the queue in one folder. Safe for concurrent use.
type Spool struct {
	log      *slog.Logger
	maxBytes int64
	segBytes int64

	mu     sync.Mutex
	dir    folder
	chains [2][]*segment // ledger, detail; oldest first, new batches go to the last
	state  state
	next   uint64 // seq of the next batch
	issued uint64 // last session handed out
	stats  Stats
	buf    []byte
	closed bool
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

// NextSeq is the seq that the next batch must carry: 1 in an empty folder, and never one that any batch had before. It rises by one
// with each Put, by more after damage in the folder. Ask again after a Put that failed.
func (s *Spool) NextSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

// Put stores a batch and returns when it is on disk. When the spool is at its bound, the oldest detail is given up, then the oldest
// ledger; a detail batch never displaces ledger, it gets ErrFull instead. After an error nothing of the batch is in the spool.
func (s *Spool) Put(b Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	size := int64(frameLen + len(b.Payload))
	switch {
	case b.Seq != s.next:
		return fmt.Errorf("put batch %d: the next seq is %d; seal the batch again with it", b.Seq, s.next)
	case b.Seq > maxSeq:
		return fmt.Errorf("put batch %d: no seq left, so a file name in the folder is wrong; move the folder away to start an empty spool", b.Seq)
	case b.Tier != telemetry.Ledger && b.Tier != telemetry.Detail:
		return fmt.Errorf("put batch %d: unknown tier %d; use telemetry.Ledger or telemetry.Detail", b.Seq, b.Tier)
	case len(b.Payload) == 0 || len(b.Payload) > maxPayload || b.Lines < 0 || b.Lines > maxLines:
		return fmt.Errorf("put batch %d: %d bytes, %d lines; seal 1 to %d bytes and at most %d lines", b.Seq, len(b.Payload), b.Lines, maxPayload, maxLines)
	case segHeadLen+size+frameLen > s.maxBytes:
		return fmt.Errorf("put batch %d: %d bytes do not fit in a spool of %d; raise spool_max_bytes or seal smaller batches", b.Seq, len(b.Payload), s.maxBytes)
	}
	if err := s.makeRoom(b.Tier, segHeadLen+size+frameLen); err != nil {
		if errors.Is(err, ErrFull) {
			s.stats.DroppedBatches++
			s.stats.DroppedLines += int64(b.Lines)
		}
		return fmt.Errorf("put batch %d: %w", b.Seq, err)
	}
	if err := s.write(b); err != nil {
		return fmt.Errorf("put batch %d in the spool: %w; free space on the file system or lower spool_max_bytes", b.Seq, err)
	}
	return nil
}

// write appends a batch to its chain.
func (s *Spool) write(b Batch) error {
	f := frame{kind: batchFrame, tier: b.Tier, lines: b.Lines, seq: b.Seq, boot: packBoot(b.Boot), size: len(b.Payload), sum: checksum(b.Payload)}
	chain := &s.chains[chainOf(b.Tier)]
	g := s.active(*chain, frameLen+len(b.Payload))
	fresh := g == nil
	s.buf = s.buf[:0]
	if fresh {
		var err error
		if g, err = s.create(b.Tier); err != nil {
			return err
		}
		s.buf = segHead{tier: b.Tier, base: b.Seq, session: s.state.Session}.append(s.buf)
	}
	at := int64(len(s.buf))
	s.buf = append(f.append(s.buf), b.Payload...)
	err := s.append(g, s.buf)
	if err == nil {
		if err = s.syncFile(g, fresh); err != nil {
			g.sealed = true    // the kernel may have dropped its pages: nothing more is trusted to this file
			s.next = b.Seq + 1 // and the bytes may have got down all the same, to be found after a power cut
		}
	}
	if cap(s.buf) > peekBytes {
		s.buf = nil
	}
	if err != nil {
		return errors.Join(err, s.rollBack(g, fresh, b.Seq))
	}
	g.add(f, g.size+at)
	g.size += at + frameLen + int64(f.size)
	s.next = b.Seq + 1
	s.count(f.size, f.lines, +1)
	if fresh {
		*chain = append(*chain, g)
		s.reapOld(chain)
	}
	return nil
}

// active returns the segment that takes a frame of so many bytes, nil when a new one must be begun.
func (s *Spool) active(chain []*segment, size int) *segment {
	if len(chain) == 0 {
		return nil
	}
	g := chain[len(chain)-1]
	if g.sealed || g.size+int64(size) > s.segBytes {
		return nil
	}
	return g
}

func (s *Spool) create(tier telemetry.Tier) (*segment, error) {
	g := &segment{name: segName(tier, s.next), base: s.next}
	var err error
	g.f, err = s.dir.open(g.name, true)
	return g, err
}

func (s *Spool) append(g *segment, b []byte) error {
	n, err := g.f.WriteAt(b, g.size)
	s.stats.WrittenBytes += int64(n)
	return err
}

func (s *Spool) syncFile(g *segment, named bool) error {
	s.stats.Syncs++
	if err := g.f.Sync(); err != nil {
		return err
	}
	g.dirty = false
	if !named {
		return nil
	}
	s.stats.Syncs++
	return s.dir.sync()
}

// rollBack takes a failed append back. Where even that fails, bytes of the batch may be found on the next open, so its seq is
// used up.
func (s *Spool) rollBack(g *segment, fresh bool, seq uint64) error {
	var err error
	if fresh {
		err = errors.Join(g.f.Close(), s.dir.remove(g.name))
	} else {
		err = g.f.Truncate(g.size)
	}
	if err != nil {
		g.sealed = true
		s.next = seq + 1
	}
	return err
}

// Peek returns up to max waiting batches whose seq is not in skip: the oldest ledger first, then the oldest detail. Together they
// hold at most 256 KiB of payload, or one batch. What cannot be read back intact is counted and left out.
func (s *Spool) Peek(skip map[uint64]bool, max int) ([]Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	var out []Batch
	bytes := 0
	for _, chain := range s.chains {
		for _, g := range chain {
			for i := g.first; i < len(g.entries); i++ {
				e := g.entries[i]
				if e.gone || skip[e.seq] {
					continue
				}
				if len(out) >= max || len(out) > 0 && bytes+int(e.size) > peekBytes {
					return out, nil
				}
				b, ok := g.read(e)
				if !ok {
					s.stats.CorruptRecords++
					s.log.Warn("batch in the spool is damaged and cannot be sent", "seq", e.seq, "file", g.name, "lines", e.line)
					s.forget(g, i)
					continue
				}
				out = append(out, b)
				bytes += len(b.Payload)
			}
		}
	}
	return out, nil
}

// Ack takes a batch out of the spool; an unknown seq is no error. The batch leaves at once and for this run even when an error
// says that the disk did not take the note: then it comes back after a restart. The note is not synced, the next Put does that.
func (s *Spool) Ack(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for c := range s.chains {
		chain := &s.chains[c]
		at, _ := slices.BinarySearchFunc(*chain, seq+1, func(g *segment, t uint64) int {
			if g.base < t {
				return -1
			}
			return 1
		})
		if at == 0 {
			continue
		}
		g := (*chain)[at-1]
		i := g.find(seq)
		if i < 0 || g.entries[i].gone {
			continue
		}
		s.forget(g, i)
		if g.live == 0 && at < len(*chain) {
			return s.remove(chain, at-1)
		}
		return s.note(g, seq)
	}
	return nil
}

// note records an acknowledgement beside its batch.
func (s *Spool) note(g *segment, seq uint64) error {
	err := s.append(g, frame{kind: ackFrame, seq: seq}.append(nil))
	if err == nil {
		g.size += frameLen
		g.dirty = true
		return nil
	}
	err = fmt.Errorf("note in the spool that batch %d is acknowledged: %w; free space on the file system, else it is sent again after a restart", seq, err)
	return errors.Join(err, g.f.Truncate(g.size)) // should it stay, the next note is written over it
}

// forget takes an entry out of the index and the sums.
func (s *Spool) forget(g *segment, i int) {
	e := g.entries[i]
	g.drop(i)
	s.count(int(e.size), int(e.line), -1)
}

func (s *Spool) count(size, lines int, sign int64) {
	s.stats.Batches += sign
	s.stats.Lines += sign * int64(lines)
	s.stats.Bytes += sign * int64(size)
}

// Stats returns a snapshot.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	for _, chain := range s.chains {
		for _, g := range chain {
			out.DiskBytes += g.size
		}
	}
	return out
}

// Close syncs what is noted and lets the folder go. The spool is unusable afterwards; a second Close does nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, chain := range s.chains {
		for _, g := range chain {
			if g.dirty {
				errs = append(errs, s.syncFile(g, false))
			}
			errs = append(errs, g.f.Close())
		}
	}
	return errors.Join(append(errs, s.dir.close())...)
}
