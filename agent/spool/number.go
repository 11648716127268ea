package spool

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// sessionStep is how many sessions one write of "state" reserves: a link that drops every minute must not wear the flash.
	sessionStep = 16
	// seqStep is how many seqs one write of "state" reserves for batches that wait in RAM: half a day of minutes. A power cut leaves a gap.
	seqStep = 1024
	// lostStep is added to every counter when "state" is damaged, because its number is then not known. Two to the power of 40
	// batches are more than any agent seals.
	lostStep = 1 << 40
)

// NextSeq is the seq that the next batch must carry: 1 in an empty folder, and never one that any batch of this folder had before. It
// rises by one with each Put, by more after damage in the folder, after the loss of what waited in RAM, and, where there is no folder
// to write to, when Options.Fresh begins to know. Ask again after a Put that failed.
func (s *Spool) NextSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsure || s.faulty != "" && s.next >= s.saved && !s.leapt { // not known what was used, or no reserve left to keep from the next run
		if n, _ := s.fresh(); n > 0 {
			s.next, s.unsure, s.leapt = max(s.next, n), false, true
		}
	}
	return s.next
}

// fresh is a number above all that an earlier run can have used, 0 when none is known, and whether it is sure.
func (s *Spool) fresh() (n uint64, sure bool) {
	if s.o.Fresh == nil {
		return 0, false
	}
	if n, sure = s.o.Fresh(); n <= maxSeq/2 {
		return n, sure
	}
	return 0, false
}

// ahead reserves seqs with whatever else is written to "state", where batches may come to wait in RAM: so a fault of the disk finds
// some hundred in reserve.
func (s *Spool) ahead(st state) state {
	if (s.o.FlushEvery > 0 || s.o.OrRAM) && st.Seq < s.next+seqStep/2 {
		st.Seq = s.next + seqStep
	}
	return st
}

// reserve makes sure that the next seq is not handed out again by a later run, though its batch is in RAM only. It does so one ahead, so
// that NextSeq knows whether there is one left.
func (s *Spool) reserve() error {
	if s.dir == nil || s.saved > s.next+1 {
		return nil
	}
	st := s.state
	st.Seq = max(st.Seq, s.next+seqStep)
	return s.saveState(st)
}

// NextSession returns a number higher than any it has returned before, in this run or an earlier one. Numbers are reserved by
// the dozen, so a restart leaves a gap.
func (s *Spool) NextSession() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	if err := s.sessions(); err != nil && !errors.Is(err, ErrRAMOnly) {
		return 0, err
	}
	s.issued++
	return s.issued, nil
}

// sessions reserves some when none is left, or when Fresh begins to know how far those of earlier runs may have come.
func (s *Spool) sessions() error {
	if !s.seeded {
		n, sure := s.fresh()
		s.issued, s.seeded = max(s.issued, max(n, 1)-1), sure && n > 0
	}
	if s.issued < s.state.Session {
		return nil
	}
	st := s.ahead(s.state)
	st.Session = s.issued + sessionStep
	return s.saveState(st)
}

// Mark returns the last mark set; false when none was, when it was damaged, or when the folder was not writable on open: then a later
// mark may have been lost, and one that is too old is worse than none.
func (s *Spool) Mark() (Mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Mark == nil {
		return Mark{}, false
	}
	m := *s.state.Mark
	m.Extra = bytes.Clone(m.Extra)
	return m, true
}

// SetMark replaces the mark and returns when it is on disk; an unchanged mark writes nothing. Each call costs about 300 bytes and a
// renamed file, so set it when something has changed that the newest batch does not tell. With OrRAM the error may be ErrRAMOnly:
// a power cut then brings back an older mark, or none.
func (s *Spool) SetMark(m Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(m.Extra) > maxExtra {
		return fmt.Errorf("set mark: %d bytes of extra do not fit, at most %d do; hold less beside the open span", len(m.Extra), maxExtra)
	}
	if s.state.Mark != nil && s.state.Mark.equal(m) && !s.unsaved {
		return nil
	}
	m.Extra = bytes.Clone(m.Extra)
	st := s.ahead(s.state)
	st.Mark = &m
	return s.saveState(st)
}
