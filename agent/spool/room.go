package spool

import (
	"fmt"

	"github.com/smartvillage/nabz/telemetry"
)

// makeRoom frees whole segments, or batches in RAM, until need more bytes fit under the bound: first what is acknowledged, then the
// oldest detail, then the oldest ledger.
func (s *Spool) makeRoom(tier telemetry.Tier, need int64) error {
	for s.cost()+need > s.maxBytes {
		c, i := s.victim(tier)
		if c < 0 {
			return fmt.Errorf("%w: %d bytes wait for the collector; check the uplink or raise spool_max_bytes", ErrFull, s.stats.Bytes)
		}
		if i < 0 {
			s.giveUpRAM(c)
			continue
		}
		g := s.chains[c][i]
		if err := s.remove(&s.chains[c], i); err != nil {
			return err
		}
		if g.live > 0 {
			s.giveUp(g)
		}
	}
	return nil
}

// cost is what all takes of the bound, with room for the acknowledgements still to come.
func (s *Spool) cost() int64 {
	live := int64(0)
	for _, chain := range s.chains {
		for _, g := range chain {
			live += int64(g.live)
		}
	}
	return s.taken() + min(live*frameLen, s.notesRoom())
}

// notesRoom is what is kept free for acknowledgements. A full spool is drained from its oldest segments, which are deleted one after
// the other, so the notes never need more at once than a few segments' worth.
func (s *Spool) notesRoom() int64 { return max(s.maxBytes/32, 2*minSegBytes) }

// taken is what is on disk and in RAM, with the headers of segments that a flush of RAM may have to begin.
func (s *Spool) taken() int64 {
	sum := s.ramBytes
	if sum > 0 {
		sum += segHeadLen * (4 + sum/s.segBytes)
	}
	for _, chain := range s.chains {
		for _, g := range chain {
			sum += g.size
		}
	}
	return sum
}

// victim chooses the segment to go; index -1 means the oldest batch in RAM, chain -1 that nothing may go.
func (s *Spool) victim(tier telemetry.Tier) (chain, index int) {
	for c := range s.chains {
		for i, g := range s.chains[c] {
			if g.live == 0 {
				return c, i
			}
		}
	}
	tiers := []int{detailChain}
	if tier == telemetry.Ledger {
		tiers = append(tiers, ledgerChain)
	}
	for _, c := range tiers {
		if len(s.chains[c]) > 0 {
			return c, 0
		}
		if len(s.ram[c]) > 0 {
			return c, -1
		}
	}
	return -1, 0
}

// giveUp counts what a removed segment still held as dropped.
func (s *Spool) giveUp(g *segment) {
	var batches, lines int64
	for i := g.first; i < len(g.entries); i++ {
		if e := g.entries[i]; !e.gone() {
			batches++
			lines += int64(e.lines())
			s.forget(g, i)
		}
	}
	s.stats.DroppedBatches += batches
	s.stats.DroppedLines += lines
	s.log.Warn("spool is full, its oldest batches are dropped", "file", g.name, "batches", batches, "lines", lines, "max_bytes", s.maxBytes)
}

// reapOld removes segments before the last that hold nothing any more.
func (s *Spool) reapOld(chain *[]*segment) {
	for i := len(*chain) - 2; i >= 0; i-- {
		g := (*chain)[i]
		if g.live > 0 || g.hidden {
			continue
		}
		if err := s.remove(chain, i); err != nil {
			s.log.Warn("spool segment holds nothing but cannot be removed", "file", g.name, "err", err)
		}
	}
}

// remove deletes a segment. If it is the last proof of which seqs are used, "state" takes that over first.
func (s *Spool) remove(chain *[]*segment, i int) error {
	g := (*chain)[i]
	proof := s.saved
	for _, c := range s.chains {
		for _, other := range c {
			if other != g {
				proof = max(proof, other.next())
			}
		}
	}
	if proof < s.next {
		st := s.state
		st.Seq = max(st.Seq, s.next)
		if err := s.saveState(st); err != nil {
			return err
		}
	}
	if err := s.dir.remove(g.name); err != nil {
		s.fault(err)
		return fmt.Errorf("remove spool segment %s: %w; %s", g.name, err, s.faulty.advice())
	}
	*chain = append((*chain)[:i:i], (*chain)[i+1:]...)
	return g.f.Close()
}
