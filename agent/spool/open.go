package spool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// Open opens the spool in dir, which it makes when missing. A torn tail is cut off, damaged records are skipped and counted. It
// returns ErrInUse when another process has the folder and ErrNewerVersion when a newer program wrote it.
func Open(dir string, o Options) (*Spool, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	s, err := openIn(f, o)
	if err != nil {
		return nil, fmt.Errorf("open spool %s: %w", dir, err)
	}
	return s, nil
}

// openIn owns dir from the first instruction: it closes it when it fails.
func openIn(dir folder, o Options) (_ *Spool, err error) {
	s := &Spool{dir: dir, log: o.Log, maxBytes: o.MaxBytes}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.maxBytes == 0 {
		s.maxBytes = DefaultMaxBytes
	}
	s.segBytes = min(s.maxBytes/16, maxSegBytes)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.maxBytes < minMaxBytes {
		return nil, fmt.Errorf("a bound of %d bytes is too small; set spool_max_bytes to %d or more", s.maxBytes, minMaxBytes)
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := s.tidy(); err != nil {
		return nil, err
	}
	if n := s.stats.CorruptRecords + s.stats.TornBytes; n > 0 {
		s.log.Warn("spool was damaged, the rest of it is kept", "corrupt_records", s.stats.CorruptRecords,
			"torn_bytes", s.stats.TornBytes, "batches", s.stats.Batches)
	}
	return s, nil
}

// load reads the state and every segment.
func (s *Spool) load() error {
	names, err := s.dir.list()
	if err != nil {
		return err
	}
	st, lost, err := readState(s.dir)
	if err != nil {
		return err
	}
	s.state = st
	s.next = max(1, st.Seq)
	for _, name := range names {
		if name == stateTemp {
			if err := s.dir.remove(name); err != nil {
				return err
			}
		}
		if tier, base, ok := parseSegName(name); ok {
			c := chainOf(tier)
			s.chains[c] = append(s.chains[c], &segment{name: name, base: base})
		}
	}
	for c := range s.chains {
		slices.SortFunc(s.chains[c], func(a, b *segment) int { return cmp.Compare(a.base, b.base) })
		if err := s.loadChain(c); err != nil {
			return err
		}
	}
	if lost {
		s.stats.CorruptRecords++
		s.next += lostStep
		s.state.Session += lostStep
		s.log.Warn("spool state is damaged; counters jump, so that no number is used twice", "next_seq", s.next, "session", s.state.Session)
	}
	s.issued = s.state.Session
	return nil
}

// loadChain scans the segments of a chain, oldest first. Files stay in the chain only when they could be opened.
func (s *Spool) loadChain(c int) error {
	found := s.chains[c]
	s.chains[c] = nil
	var after uint64
	for _, g := range found {
		var err error
		if g.f, err = s.dir.open(g.name, false); err != nil {
			return err
		}
		s.chains[c] = append(s.chains[c], g)
		tier, _, _ := parseSegName(g.name)
		seen, err := g.scan(tier, after)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		s.stats.CorruptRecords += seen.corrupt
		s.stats.TornBytes += seen.torn
		s.next = max(s.next, seen.next)
		s.state.Session = max(s.state.Session, seen.session)
		after = max(after, g.next()-1)
		g.sealed = !seen.headOK
		if seen.torn > 0 && seen.headOK {
			if err := g.f.Truncate(g.size); err != nil {
				g.sealed = true
				s.log.Warn("spool segment has a torn end that cannot be cut off; it takes no more", "file", g.name, "err", err)
			}
		}
		for _, e := range g.entries {
			if !e.gone {
				s.count(int(e.size), int(e.line), +1)
			}
		}
	}
	return nil
}

// tidy removes segments that hold nothing, and makes sure that damage cannot bring a used seq back on the next open.
func (s *Spool) tidy() error {
	proof := s.state.Seq
	for _, chain := range s.chains {
		for _, g := range chain {
			proof = max(proof, g.next())
		}
	}
	if proof < s.next && s.next > 1 {
		st := s.state
		st.Seq = s.next
		if err := s.writeState(st); err != nil {
			return err
		}
	}
	for c := range s.chains {
		chain := &s.chains[c]
		s.reapOld(chain)
		if n := len(*chain); n > 0 {
			if g := (*chain)[n-1]; g.live == 0 && (g.sealed || len(g.entries) == 0) {
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
