package spool

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// held is a batch that waits in RAM.
type held struct {
	Batch
	since time.Time // elapsed time only
}

// hold keeps a batch in RAM. When it is due, it is written with all that its tier has there; so is what has waited long enough.
func (s *Spool) hold(b Batch, due bool) error {
	if frameCost(b) > s.o.RAMBytes && (s.dir == nil || s.faulty != "") {
		return fmt.Errorf("put batch %d: %d bytes do not fit in %d of RAM, and no folder takes them; seal smaller batches or give the agent a data_dir that it can write",
			b.Seq, len(b.Payload), s.o.RAMBytes)
	}
	if err := s.reserve(); err != nil && !errors.Is(err, ErrRAMOnly) {
		return fmt.Errorf("put batch %d: %w", b.Seq, err)
	}
	c, now := chainOf(b.Tier), time.Now()
	b.Payload = bytes.Clone(b.Payload)
	s.ram[c] = append(s.ram[c], held{b, now})
	s.ramBytes += frameCost(b)
	s.next = b.Seq + 1
	s.count(b, +1)
	switch { // an error is told by Findings; the batches stay here, and the next Put tries again
	case s.dir == nil:
	case s.ramBytes > s.o.RAMBytes || s.overdue(now):
		_ = s.flush(ledgerChain, detailChain)
	case due:
		_ = s.flush(c)
	}
	s.squeeze()
	return nil
}

// overdue tells whether a batch has waited for its acknowledgement long enough.
func (s *Spool) overdue(now time.Time) bool {
	for _, all := range s.ram {
		if len(all) > 0 && now.Sub(all[0].since) >= s.o.FlushEvery {
			return true
		}
	}
	return false
}

// Flush writes what waits in RAM, whether it is due or not: for a moment when power is about to go.
func (s *Spool) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.dir == nil {
		return nil
	}
	if err := s.flush(ledgerChain, detailChain); err != nil {
		return fmt.Errorf("flush the spool: %w; %s", err, s.faulty.advice())
	}
	return nil
}

// flush moves batches from RAM to disk, oldest first.
func (s *Spool) flush(chains ...int) error {
	for _, c := range chains {
		if len(s.ram[c]) == 0 {
			continue
		}
		n, err := s.write(c, s.ram[c])
		s.release(c, 0, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// release lets batches go from RAM; the sums still count them.
func (s *Spool) release(c, from, to int) {
	for _, h := range s.ram[c][from:to] {
		s.ramBytes -= frameCost(h.Batch)
	}
	s.ram[c] = slices.Delete(s.ram[c], from, to)
	if len(s.ram[c]) == 0 {
		s.ram[c] = nil
	}
}

// squeeze keeps RAM within its bound when no disk takes what is too much: the oldest detail goes, then the oldest ledger.
func (s *Spool) squeeze() {
	for s.ramBytes > s.o.RAMBytes {
		c := detailChain
		if len(s.ram[c]) == 0 {
			c = ledgerChain
		}
		s.giveUpRAM(c)
	}
}

// giveUpRAM drops the oldest batch that a tier has in RAM.
func (s *Spool) giveUpRAM(c int) {
	b := s.ram[c][0].Batch
	s.release(c, 0, 1)
	s.count(b, -1)
	s.stats.DroppedBatches++
	s.stats.DroppedLines += int64(b.Lines)
	s.log.Debug("spool is full, a batch in RAM is dropped", "seq", b.Seq, "tier", b.Tier.String(), "lines", b.Lines)
}

// ackRAM takes a batch out of RAM; false when it is not there.
func (s *Spool) ackRAM(seq uint64) bool {
	for c, all := range s.ram {
		i, found := slices.BinarySearchFunc(all, seq, func(h held, seq uint64) int {
			if h.Seq < seq {
				return -1
			}
			return int(min(h.Seq-seq, 1))
		})
		if found {
			s.count(all[i].Batch, -1)
			s.release(c, i, i+1)
			return true
		}
	}
	return false
}

// last writes what a clean stop must leave behind: all that waits, and the exact numbers where they had been reserved ahead.
func (s *Spool) last() error {
	waits := len(s.ram[ledgerChain]) + len(s.ram[detailChain])
	if s.dir == nil {
		if waits > 0 {
			s.log.Warn("what waits in RAM is lost, there is no folder to keep it", "batches", waits)
		}
		return nil
	}
	if err := s.flush(ledgerChain, detailChain); err != nil {
		return fmt.Errorf("write %d batches that wait in RAM: %w; %s", waits, err, s.faulty.advice())
	}
	unsaved := s.unsaved
	if s.saved <= s.next && !unsaved {
		return nil
	}
	st := s.state
	st.Seq = min(st.Seq, s.next)
	err := s.saveState(st)
	if err != nil && !unsaved {
		s.log.Info("seqs reserved for batches in RAM are skipped by the next run", "err", err)
		return nil
	}
	return err
}
