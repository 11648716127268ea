package spool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/telemetry"
)

// entry is all that is kept in RAM of a batch.
type entry struct {
	seq  uint64
	off  uint32 // of the frame in its segment
	size uint32 // of the payload
	line uint16
	gone bool // acknowledged, or damaged
}

// segment is one file of a chain.
type segment struct {
	name    string
	base    uint64 // first seq it may hold
	f       file
	size    int64 // bytes of whole frames; the next frame goes here
	entries []entry
	first   int // entries before this one are gone
	live    int // entries not gone
	sealed  bool
	dirty   bool // holds acknowledgements not yet synced
}

// next is the lowest seq that this segment proves to be unused.
func (g *segment) next() uint64 {
	if n := len(g.entries); n > 0 {
		return max(g.base, g.entries[n-1].seq+1)
	}
	return g.base
}

// cost is what the segment takes of the bound: its bytes, and room for the acknowledgements still to come.
func (g *segment) cost() int64 { return g.size + int64(g.live)*frameLen }

func segName(tier telemetry.Tier, base uint64) string { return fmt.Sprintf("%s-%016x.seg", tier, base) }

func parseSegName(name string) (tier telemetry.Tier, base uint64, ok bool) {
	for _, t := range []telemetry.Tier{telemetry.Ledger, telemetry.Detail} {
		hex, found := strings.CutPrefix(name, t.String()+"-")
		if !found {
			continue
		}
		base, err := strconv.ParseUint(strings.TrimSuffix(hex, ".seg"), 16, 64)
		if err == nil && base > 0 && base <= maxSeq/2 && segName(t, base) == name {
			return t, base, true
		}
	}
	return 0, 0, false
}

// findings says what a scan met besides good batches.
type findings struct {
	session uint64
	corrupt int64  // damaged records
	torn    int64  // bytes after the last whole frame
	next    uint64 // a seq that no batch of this segment can have reached, damaged ones included
	headOK  bool
}

// scan reads a segment from its file: whole frames go to the index, damage is skipped and counted. Memory is bounded by the index.
func (g *segment) scan(tier telemetry.Tier, after uint64) (findings, error) {
	total, err := g.f.size()
	if err != nil {
		return findings{}, err
	}
	r := &reader{f: g.f, total: total, buf: make([]byte, scanBufSize)}
	found := findings{next: g.base}
	head, ok, err := parseSegHead(r.at(0, segHeadLen))
	if err != nil {
		return findings{}, err
	}
	off := int64(segHeadLen)
	if ok && head.tier == tier && head.base == g.base {
		found.headOK, found.session = true, head.session
		g.size = off
	} else if off = 0; total >= segHeadLen {
		found.corrupt++
		off = r.nextFrame(0)
		if off == total {
			found.next += uint64(total / frameLen)
		}
	}
	for off < total {
		f, ok := parseFrame(r.at(off, frameLen))
		if !ok {
			off = g.skip(r, off, &found)
			continue
		}
		end := off + frameLen + int64(f.size)
		if end > total { // torn: the Put that wrote it has never returned, so its seq is free
			found.next = max(found.next, f.seq)
			break
		}
		switch {
		case r.sum(off+frameLen, int64(f.size)) != f.sum:
			found.corrupt++
			found.next = max(found.next, f.seq+1)
		case !g.take(f, off, tier, after):
			found.corrupt++
		default:
			g.size = end
		}
		off = end
	}
	if r.err != nil {
		return findings{}, r.err
	}
	found.torn = total - g.size
	found.next = max(found.next, g.next())
	return found, nil
}

// skip steps over bytes that are no frame. At the end of a file less than a frame header is a torn write; more may have held
// whole frames, whose seqs must not come back.
func (g *segment) skip(r *reader, off int64, found *findings) int64 {
	to := r.nextFrame(off + 1)
	lost := to - off
	if to < r.total || lost >= frameLen {
		found.corrupt++
	}
	if to == r.total {
		found.next = max(found.next, g.next()) + uint64(lost/frameLen)
	}
	return to
}

// take puts a good frame in the index; false when it contradicts what came before.
func (g *segment) take(f frame, off int64, tier telemetry.Tier, after uint64) bool {
	if f.kind == ackFrame {
		if i := g.find(f.seq); i >= 0 && !g.entries[i].gone {
			g.drop(i)
		}
		return true
	}
	if f.tier != tier || f.seq < g.base || f.seq <= after || f.seq < g.next() || off > math.MaxUint32 {
		return false
	}
	g.add(f, off)
	return true
}

func (g *segment) add(f frame, off int64) {
	g.entries = append(g.entries, entry{seq: f.seq, off: uint32(off), size: uint32(f.size), line: uint16(f.lines)})
	g.live++
}

// drop marks an entry as gone.
func (g *segment) drop(i int) {
	g.entries[i].gone = true
	g.live--
	for g.first < len(g.entries) && g.entries[g.first].gone {
		g.first++
	}
}

// find returns the index of seq, or -1.
func (g *segment) find(seq uint64) int {
	lo, hi := 0, len(g.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if g.entries[mid].seq < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(g.entries) && g.entries[lo].seq == seq {
		return lo
	}
	return -1
}

// read returns the batch of an entry, checked; ok is false when its bytes are damaged.
func (g *segment) read(e entry) (b Batch, ok bool) {
	buf := make([]byte, frameLen+int(e.size))
	if n, err := g.f.ReadAt(buf, int64(e.off)); n < len(buf) && err != nil {
		return Batch{}, false
	}
	f, ok := parseFrame(buf)
	if !ok || f.seq != e.seq || f.size != int(e.size) || checksum(buf[frameLen:]) != f.sum {
		return Batch{}, false
	}
	return Batch{Seq: f.seq, Tier: f.tier, Boot: unpackBoot(f.boot), Lines: f.lines, Payload: buf[frameLen:]}, true
}

// reader reads a file of any size through one small buffer.
type reader struct {
	f     file
	total int64
	buf   []byte
	start int64 // what buf holds
	n     int
	err   error
}

// at returns up to n bytes from off, fewer at the end of the file.
func (r *reader) at(off int64, n int) []byte {
	n = int(min(int64(n), max(0, r.total-off)))
	if n == 0 {
		return nil
	}
	if off < r.start || off+int64(n) > r.start+int64(r.n) {
		got, err := r.f.ReadAt(r.buf[:min(int64(len(r.buf)), r.total-off)], off)
		if err != nil && err != io.EOF && r.err == nil {
			r.err = err
		}
		r.start, r.n = off, got
	}
	i := int(off - r.start)
	return r.buf[i:min(i+n, r.n)]
}

func (r *reader) sum(off, n int64) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := uint32(0)
	for n > 0 {
		b := r.at(off, int(min(n, scanBufSize)))
		if len(b) == 0 {
			return ^sum
		}
		sum = crc32.Update(sum, table, b)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	return sum
}

// nextFrame returns where the next frame header with a good checksum begins, at from or later; the file's size when there is none.
func (r *reader) nextFrame(from int64) int64 {
	magic := binary.BigEndian.AppendUint32(nil, frameMagic)
	for from < r.total {
		b := r.at(from, scanBufSize)
		if len(b) < frameLen {
			break
		}
		i := bytes.Index(b, magic)
		if i < 0 {
			from += int64(len(b) - len(magic) + 1)
			continue
		}
		from += int64(i)
		if _, ok := parseFrame(r.at(from, frameLen)); ok {
			return from
		}
		from++
	}
	return r.total
}
