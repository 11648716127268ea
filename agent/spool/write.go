package spool

import (
	"errors"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	chunkBytes = 64 << 10 // bounds the buffer in which frames are gathered for one write
	keptBuf    = 8 << 10  // what of it is kept for the next one
)

// write appends batches to their chain and returns how many are on disk: all, or those before the error.
func (s *Spool) write(c int, all []held) (n int, err error) {
	for n < len(all) {
		part := all[n:]
		if s.faulty != "" { // one tells whether the fault has ended: a full flash must not be worn by trying
			part = part[:1]
		}
		k, err := s.writeChunk(&s.chains[c], part)
		if err != nil {
			s.fault(err)
			return n, err
		}
		s.works()
		n += k
	}
	return n, nil
}

// writeChunk appends as many batches as fit in one segment and one buffer, one at least.
func (s *Spool) writeChunk(chain *[]*segment, all []held) (int, error) {
	tier, first := all[0].Tier, all[0].Seq
	g := s.active(*chain, frameLen+len(all[0].Payload))
	fresh := g == nil
	s.buf = s.buf[:0]
	if fresh {
		var err error
		if g, err = s.create(tier, first); err != nil {
			return 0, err
		}
		s.buf = segHead{tier: tier, base: first, session: s.state.Session}.append(s.buf)
	}
	head := int64(len(s.buf))
	n := 0
	for _, h := range all {
		size := frameLen + len(h.Payload)
		if n > 0 && (len(s.buf)+size > chunkBytes || g.size+int64(len(s.buf)+size) > s.segBytes) {
			break
		}
		s.buf = append(frameOf(h.Batch).append(s.buf), h.Payload...)
		n++
	}
	err := s.append(g, s.buf)
	if err == nil {
		if err = s.syncFile(g, fresh); err != nil {
			g.sealed = true                      // the kernel may have dropped its pages: nothing more is trusted to this file
			s.next = max(s.next, all[n-1].Seq+1) // and the bytes may have got down all the same, to be found after a power cut
		}
	}
	if cap(s.buf) > keptBuf {
		s.buf = nil
	}
	if err != nil {
		return 0, errors.Join(err, s.rollBack(g, fresh, all[n-1].Seq))
	}
	g.size += head
	for _, h := range all[:n] {
		g.add(frameOf(h.Batch), g.size)
		g.size += frameLen + int64(len(h.Payload))
	}
	if fresh {
		*chain = append(*chain, g)
		s.reapOld(chain)
	}
	return n, nil
}

func frameOf(b Batch) frame {
	return frame{kind: batchFrame, tier: b.Tier, lines: b.Lines, seq: b.Seq, boot: packBoot(b.Boot), size: len(b.Payload), sum: checksum(b.Payload)}
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

func (s *Spool) create(tier telemetry.Tier, base uint64) (*segment, error) {
	g := &segment{name: segName(tier, base), base: base}
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

// rollBack takes a failed append back. Where even that fails, bytes of the batches may be found on the next open, so their seqs, up
// to this one, are used up.
func (s *Spool) rollBack(g *segment, fresh bool, seq uint64) error {
	var err error
	if fresh {
		err = errors.Join(g.f.Close(), s.dir.remove(g.name))
	} else {
		err = g.f.Truncate(g.size)
	}
	if err != nil {
		g.sealed = true
		s.next = max(s.next, seq+1)
	}
	return err
}
