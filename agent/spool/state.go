package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	stateName  = "state"
	stateTemp  = "state.tmp"
	stateLimit = 4 << 10
	maxExtra   = 2 << 10
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
	head, found = bytes.CutPrefix(head, []byte("nabz-spool "))
	number, hex, spaced := bytes.Cut(head, []byte(" "))
	version, err1 := strconv.ParseUint(string(number), 10, 31)
	sum, err2 := strconv.ParseUint(string(hex), 16, 32)
	if !found || !spaced || err1 != nil || err2 != nil {
		return state{}, false, nil
	}
	body, found = bytes.CutSuffix(body, []byte("\n"))
	if !found || stateSum(int(version), body) != uint32(sum) {
		return state{}, false, nil
	}
	if version > segVersion {
		return state{}, false, newerError(version)
	}
	if json.Unmarshal(body, &st) != nil || st.Seq > maxSeq || st.Session > maxSeq {
		return state{}, false, nil
	}
	return st, true, nil
}

// readState returns the state; found is false when there is none, ok when it cannot be used. The error is a newer version, or the
// device's.
func readState(dir folder) (st state, found, ok bool, err error) {
	f, err := dir.open(stateName, false)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, false, false, nil
	}
	if err != nil {
		return state{}, true, false, err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return state{}, true, false, err
	}
	b := make([]byte, min(size, stateLimit))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return state{}, true, false, err
	}
	st, ok, err = parseState(b)
	return st, true, ok, err
}

// saveState replaces "state" and, when that is on disk, the copy in RAM. With OrRAM the copy is replaced in any case, and the error
// is ErrRAMOnly.
func (s *Spool) saveState(st state) error {
	if s.dir == nil {
		s.state = st
		return nil
	}
	err := s.replaceState(st)
	if err == nil {
		s.state, s.saved, s.unsaved, s.leapt = st, st.Seq, false, false
		s.works()
		return nil
	}
	s.fault(err)
	err = fmt.Errorf("write spool state: %w; %s", err, s.faulty.advice())
	if s.o.OrRAM {
		s.state, s.unsaved = st, true
		err = fmt.Errorf("%w: %w", ErrRAMOnly, err)
	}
	return err
}

// replaceState writes "state" anew, beside the old one and then in its place.
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
