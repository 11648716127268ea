package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	stateName  = "state"
	stateTemp  = "state.tmp"
	stateLimit = 4 << 10
	maxExtra   = 2 << 10
	// sessionStep is how many sessions one write of "state" reserves: a link that drops every minute must not wear the flash.
	sessionStep = 16
	// lostStep is added to every counter when "state" is damaged, because its number is then not known. Two to the power of 40
	// batches are more than any agent seals.
	lostStep = 1 << 40
)

// Mark says how far this agent is known to have been alive, for the span written after a restart.
type Mark struct {
	Boot    string             `json:"boot"`            // boot id of the run that set it
	At      time.Time          `json:"at"`              // wall time, as the agent knew it
	Mono    time.Duration      `json:"mono"`            // time since boot at At
	Clock   telemetry.Clock    `json:"clock,omitempty"` // how well At is known
	Open    telemetry.OpenSpan `json:"open"`            // the span then open
	Clean   bool               `json:"clean"`           // set by an orderly stop
	Session uint64             `json:"session"`         // presence session of the run
	Extra   []byte             `json:"held,omitempty"`  // of the ledger's own: what it holds beside the open span; at most 2 KiB
}

func (m Mark) equal(o Mark) bool {
	return bytes.Equal(m.Extra, o.Extra) && m.At.Equal(o.At) && m.Boot == o.Boot && m.Mono == o.Mono && m.Clock == o.Clock && m.Open == o.Open && m.Clean == o.Clean && m.Session == o.Session
}

// state is what must outlive every segment.
type state struct {
	Seq     uint64 `json:"seq"`     // no batch with this seq or a higher one was put when it was written, segments aside
	Session uint64 `json:"session"` // sessions up to this one may be in use
	Mark    *Mark  `json:"mark,omitempty"`
}

// append encodes the state as text: version, checksum, JSON.
func (st state) append(dst []byte) ([]byte, error) {
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	dst = fmt.Appendf(dst, "nabz-spool %d %08x\n", segVersion, stateSum(segVersion, body))
	return append(append(dst, body...), '\n'), nil
}

// stateSum covers the version as well, so that a flipped bit there does not pass for a newer program's file.
func stateSum(version int, body []byte) uint32 {
	return checksum(fmt.Appendf(nil, "%d\n%s", version, body))
}

// parseState reads what append wrote; ok is false for anything damaged, the error is a newer version.
func parseState(b []byte) (st state, ok bool, err error) {
	head, body, found := bytes.Cut(b, []byte("\n"))
	if !found {
		return state{}, false, nil
	}
	var version int
	var sum uint32
	if n, _ := fmt.Sscanf(string(head), "nabz-spool %d %08x", &version, &sum); n != 2 {
		return state{}, false, nil
	}
	body, found = bytes.CutSuffix(body, []byte("\n"))
	if !found || stateSum(version, body) != sum {
		return state{}, false, nil
	}
	if version > segVersion {
		return state{}, false, newerVersion(version)
	}
	if json.Unmarshal(body, &st) != nil || st.Seq > maxSeq || st.Session > maxSeq {
		return state{}, false, nil
	}
	return st, true, nil
}

// readState returns the state; lost is true when there is one that cannot be read.
func readState(dir folder) (st state, lost bool, err error) {
	f, err := dir.open(stateName, false)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, false, nil
	}
	if err != nil {
		return state{}, false, err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return state{}, false, err
	}
	b := make([]byte, min(size, stateLimit))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return state{}, false, err
	}
	st, ok, err := parseState(b)
	if err != nil {
		return state{}, false, fmt.Errorf("%s: %w", stateName, err)
	}
	return st, !ok, nil
}

// writeState replaces "state" and, when that is on disk, the copy in RAM.
func (s *Spool) writeState(st state) error {
	if err := s.replaceState(st); err != nil {
		return fmt.Errorf("write spool state: %w; free space on the file system and check that the folder is writable", err)
	}
	s.state = st
	return nil
}

func (s *Spool) replaceState(st state) error {
	b, err := st.append(nil)
	if err != nil {
		return err
	}
	f, err := s.dir.open(stateTemp, true)
	if err != nil {
		return err
	}
	n, err := f.WriteAt(b, 0)
	s.stats.WrittenBytes += int64(n)
	if err == nil {
		s.stats.Syncs++
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.dir.remove(stateTemp))
	}
	if err := s.dir.rename(stateTemp, stateName); err != nil {
		return err
	}
	s.stats.Syncs++
	return s.dir.sync()
}

// Mark returns the last mark set; false when none was, or when it was damaged.
func (s *Spool) Mark() (Mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Mark == nil {
		return Mark{}, false
	}
	return *s.state.Mark, true
}

// SetMark replaces the mark and returns when it is on disk; an unchanged mark writes nothing. Each call costs about 300 bytes and a
// renamed file, so set it when something has changed that the newest batch does not tell.
func (s *Spool) SetMark(m Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(m.Extra) > maxExtra {
		return fmt.Errorf("set mark: %d bytes of extra do not fit, at most %d do; hold less beside the open span", len(m.Extra), maxExtra)
	}
	if s.state.Mark != nil && s.state.Mark.equal(m) {
		return nil
	}
	m.Extra = bytes.Clone(m.Extra)
	st := s.state
	st.Mark = &m
	return s.writeState(st)
}

// NextSession returns a number higher than any it has returned before, in this run or an earlier one. Numbers are reserved by
// the dozen, so a restart leaves a gap.
func (s *Spool) NextSession() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	if s.issued == s.state.Session {
		st := s.state
		st.Session += sessionStep
		if err := s.writeState(st); err != nil {
			return 0, err
		}
	}
	s.issued++
	return s.issued, nil
}
