package spool

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// unreadFor is how long a device may answer with errors to each try to read a batch, before that one is given up for this run.
	unreadFor = time.Hour
	// unreadMost is how many batches of a segment are asked for in one Peek while the device answers with errors: each may take it seconds.
	unreadMost = 4
)

// Peek returns up to max waiting batches whose seq is not in skip: the oldest ledger first, then the oldest detail. Together they
// hold at most 256 KiB of payload, or one batch. What is damaged is counted and left out; what the device does not give back is asked for
// again later.
func (s *Spool) Peek(skip map[uint64]bool, max int) ([]Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	p := picker{skip: skip, max: max}
	for c, chain := range s.chains {
		for _, g := range chain {
			if !s.peek(g, &p) {
				return p.out, nil
			}
		}
		for _, h := range s.ram[c] {
			if skip[h.Seq] {
				continue
			}
			if !p.room(len(h.Payload)) {
				return p.out, nil
			}
			p.take(h.Batch)
		}
	}
	return p.out, nil
}

// peek picks from a segment; false when the picker takes no more.
func (s *Spool) peek(g *segment, p *picker) bool {
	failed := 0
	for i := g.first; i < len(g.entries) && failed < unreadMost; i++ {
		e := g.entries[i]
		if e.gone() || p.skip[e.seq()] {
			continue
		}
		if !p.room(e.size()) {
			return false
		}
		b, ok, err := g.read(e)
		switch {
		case ok:
			if p.take(b); !g.since.IsZero() && (g.unread == 0 || g.unread == b.Seq) {
				g.since = time.Time{}
				s.tell(WorksAgain, "batches can be read from "+g.name+" again")
			}
		case err != nil:
			failed++
			s.unread(g, i, err)
		default:
			s.stats.CorruptRecords++
			s.tell(Corrupt, fmt.Sprintf("batch %d with %d lines cannot be read back from %s and is not sent", e.seq(), e.lines(), g.name))
			s.forget(g, i)
		}
	}
	return true
}

// unread notes that the device has not given back a batch. One that it never gives back is forgotten, and its file kept while there is room:
// the next run asks again.
func (s *Spool) unread(g *segment, i int, err error) {
	e, now := g.entries[i], time.Now()
	if first := g.find(g.unread); g.since.IsZero() || first >= 0 && g.entries[first].gone() {
		g.since, g.unread = now, e.seq()
		s.tell(DiskError, fmt.Sprintf("read batch %d of %s: %v; it is asked for again later; %s", e.seq(), g.name, err, DiskError.advice()))
	}
	if now.Sub(g.since) < unreadFor {
		return
	}
	g.unread, g.sealed, g.hidden = 0, true, true
	s.stats.CorruptRecords++
	s.tell(Corrupt, fmt.Sprintf("batch %d with %d lines cannot be read back from %s and is not sent by this run: %v", e.seq(), e.lines(), g.name, err))
	s.forget(g, i)
}

// picker gathers batches up to its bounds.
type picker struct {
	skip  map[uint64]bool
	max   int
	out   []Batch
	bytes int
}

func (p *picker) room(size int) bool {
	return len(p.out) < p.max && (len(p.out) == 0 || p.bytes+size <= peekBytes)
}

func (p *picker) take(b Batch) {
	p.out = append(p.out, b)
	p.bytes += len(b.Payload)
}

// Ack takes a batch out of the spool; an unknown seq is no error. The batch leaves at once and for this run even when an error
// says that the disk did not take the note: then it comes back after a restart. The note is not synced, the next Put does that.
func (s *Spool) Ack(seq uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.ackRAM(seq) {
		return nil
	}
	for c := range s.chains {
		chain := &s.chains[c]
		at, _ := slices.BinarySearchFunc(*chain, seq+1, func(g *segment, t uint64) int {
			if g.base < t {
				return -1
			}
			return 1
		})
		for at--; at >= 0; at-- { // mostly the first; an earlier one when a failed sync had it written twice
			g := (*chain)[at]
			i := g.find(seq)
			if i < 0 || g.entries[i].gone() {
				continue
			}
			s.forget(g, i)
			if g.live == 0 && !g.hidden && at < len(*chain)-1 {
				return s.remove(chain, at)
			}
			return s.note(g, seq)
		}
	}
	return nil
}

// note records an acknowledgement beside its batch. Should the bound leave no room, the batch may be back after a restart.
func (s *Spool) note(g *segment, seq uint64) error {
	if s.taken()+frameLen > s.maxBytes {
		return nil
	}
	err := s.append(g, frame{kind: ackFrame, seq: seq}.append(nil))
	if err == nil {
		g.size += frameLen
		g.dirty = true
		return nil
	}
	s.fault(err)
	err = fmt.Errorf("note in the spool that batch %d is acknowledged: %w; %s, else it is sent again after a restart", seq, err, s.faulty.advice())
	return errors.Join(err, g.f.Truncate(g.size)) // should it stay, the next note is written over it
}

// forget takes an entry out of the index and the sums.
func (s *Spool) forget(g *segment, i int) {
	e := g.entries[i]
	g.drop(i)
	s.countOf(e.size(), e.lines(), -1)
}
