package spool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// Open opens the spool in dir, which it makes when missing; "" is none, and RAM is all. A torn tail is cut off, damaged records are skipped
// and counted, files of a newer program are set aside: Findings tells. It returns ErrInUse when another process has the folder.
func Open(dir string, o Options) (*Spool, error) {
	s, err := openAt(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	return s, nil
}

func openAt(dir string, o Options) (*Spool, error) {
	if dir == "" {
		return openIn(nil, o)
	}
	f, err := openFolder(dir)
	var s *Spool
	if err == nil {
		s, err = openIn(f, o)
	}
	if err == nil || !o.OrRAM || errors.Is(err, ErrInUse) || errors.Is(err, errTooSmall) {
		return s, err
	}
	why := err
	if s, err = openIn(nil, o); err == nil {
		s.tell(RAMOnly, fmt.Sprintf("%v; %s; until then what waits is in RAM and lost with the power", why, faultOf(why).advice()))
	}
	return s, err
}

var errTooSmall = errors.New("too small")

// openIn owns dir from the first instruction: it closes it when it fails. A nil dir means that there is none.
func openIn(dir folder, o Options) (_ *Spool, err error) {
	s := &Spool{o: o, dir: dir, log: o.Log, maxBytes: cmp.Or(o.MaxBytes, DefaultMaxBytes)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.o.RAMBytes = cmp.Or(o.RAMBytes, DefaultRAMBytes)
	s.segBytes = min(max(s.maxBytes/32, minSegBytes), maxSegBytes)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.maxBytes < minMaxBytes {
		return nil, fmt.Errorf("a bound of %d bytes is %w; set spool_max_bytes to %d or more", s.maxBytes, errTooSmall, minMaxBytes)
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	for _, step := range []func() error{s.settle, s.tidy, s.probe} {
		err := step()
		if err == nil {
			continue
		}
		if !o.OrRAM {
			return nil, err
		}
		s.fault(err)
		s.unsure = true    // what the run before could not write may have used more numbers than the folder tells
		s.state.Mark = nil // and a mark that is too old would have its time told twice
		break
	}
	if s.stats.TornBytes > 0 {
		s.tell(Torn, fmt.Sprintf("%d bytes that were not completely written are cut off, %d batches are kept", s.stats.TornBytes, s.stats.Batches))
	}
	if n := s.stats.CorruptRecords; n > 0 {
		s.tell(Corrupt, fmt.Sprintf("%d damaged records are skipped, %d batches are kept; check the flash if it happens again", n, s.stats.Batches))
	}
	return s, nil
}

// load reads the state and every segment. Its error is that of the folder as a whole.
func (s *Spool) load() error {
	s.next = 1
	if s.dir == nil {
		s.unsure = true
		return nil
	}
	names, err := s.dir.list()
	if err != nil {
		return err
	}
	names = s.readopt(names)
	for _, name := range names {
		if tier, base, ok := parseSegName(name); ok {
			c := chainOf(tier)
			s.chains[c] = append(s.chains[c], &segment{name: name, base: base})
		}
	}
	lost := s.loadState()
	s.buf = make([]byte, scanBufSize)
	for c := range s.chains {
		slices.SortFunc(s.chains[c], func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
		lost = s.loadChain(c) || lost
	}
	s.buf = nil
	if lost {
		n, _ := s.fresh()
		s.next = max(s.next, n) + lostStep
		s.state.Session = max(s.state.Session, n) + lostStep
		s.log.Warn("spool counters are lost; they jump, so that no number is used twice", "next_seq", s.next, "session", s.state.Session)
	}
	s.issued = s.state.Session
	return nil
}

// loadState reads the state; true when what it said is lost.
func (s *Spool) loadState() (lost bool) {
	st, found, ok, err := readState(s.dir)
	var newer newerError
	switch {
	case errors.As(err, &newer):
		s.setAside(stateName, newer)
	case err != nil:
		s.tell(DiskError, fmt.Sprintf("read %s: %v; %s", stateName, err, DiskError.advice()))
	case found && !ok, !found && s.o.OrRAM && len(s.chains[ledgerChain])+len(s.chains[detailChain]) > 0: // probe had written it before these
		s.stats.CorruptRecords++
	default:
		s.state, s.saved, s.next = st, st.Seq, max(1, st.Seq)
		return false
	}
	return true
}

// loadChain opens and scans the segments of a chain, oldest first; true when one may have held numbers that are not known now. Only
// those that can be used stay in the chain.
func (s *Spool) loadChain(c int) (lost bool) {
	all := s.chains[c]
	s.chains[c] = nil
	var after uint64
	for _, g := range all {
		var err error
		if g.f, err = s.dir.open(g.name, false); err != nil {
			s.tell(faultOf(err), fmt.Sprintf("open %s: %v; its batches cannot be sent; %s", g.name, err, faultOf(err).advice()))
			s.next, lost = max(s.next, g.base+1), true
			continue
		}
		tier, _, _ := parseSegName(g.name)
		seen, err := g.scan(tier, after, s.buf)
		s.next = max(s.next, seen.next)
		var newer newerError
		if errors.As(err, &newer) {
			s.next, lost = max(s.next, g.base+1), true
			if err := g.f.Close(); err != nil {
				s.log.Warn("spool segment of a newer version is not closed", "file", g.name, "err", err)
			}
			s.setAside(g.name, newer)
			continue
		}
		s.chains[c] = append(s.chains[c], g)
		s.stats.CorruptRecords += seen.corrupt
		s.stats.TornBytes += seen.torn
		s.state.Session = max(s.state.Session, seen.session)
		after = max(after, g.next()-1)
		g.sealed = !seen.headOK
		if seen.err != nil {
			g.sealed, g.hidden, lost = true, true, true
			s.tell(DiskError, fmt.Sprintf("read %s: %v; %d batches of it are known; %s", g.name, seen.err, g.live, DiskError.advice()))
		} else if seen.torn > 0 && seen.headOK {
			if err := g.f.Truncate(g.size); err != nil {
				g.sealed = true
				s.log.Warn("spool segment has a torn end that cannot be cut off; it takes no more", "file", g.name, "err", err)
			}
		}
		for _, e := range g.entries {
			if !e.gone() {
				s.countOf(e.size(), e.lines(), +1)
			}
		}
	}
	return lost
}

// tidy removes segments that hold nothing, and makes sure that damage cannot bring a used seq back on the next open.
func (s *Spool) tidy() error {
	proof := s.saved
	for _, chain := range s.chains {
		for _, g := range chain {
			proof = max(proof, g.next())
		}
	}
	if proof < s.next && s.next > 1 {
		st := s.state
		st.Seq = s.next
		if err := s.saveState(st); err != nil {
			return err
		}
	}
	for c := range s.chains {
		chain := &s.chains[c]
		s.reapOld(chain)
		if n := len(*chain); n > 0 {
			if g := (*chain)[n-1]; g.live == 0 && !g.hidden && (g.sealed || len(g.entries) == 0) {
				if err := s.remove(chain, n-1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// settle syncs what a killed process may have left in the kernel's memory only. From here on it can be sent, so a power cut must not
// take it back and give its seq to another batch.
func (s *Spool) settle() error {
	live := false
	for _, chain := range s.chains {
		if n := len(chain); n > 0 {
			live = true
			if err := s.syncFile(chain[n-1], false); err != nil {
				return err
			}
		}
	}
	if !live {
		return nil
	}
	s.stats.Syncs++
	return s.dir.sync()
}

// probe finds out whether the folder can be written, by what the first connection would write anyway.
func (s *Spool) probe() error {
	if !s.o.OrRAM || s.dir == nil {
		return nil
	}
	return s.sessions()
}
