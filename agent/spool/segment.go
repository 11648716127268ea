package spool

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// entry is all that is kept in RAM of a batch on disk, packed: a full spool holds tens of thousands.
type entry struct {
	id    uint64 // seq; the top bit says that it is gone: acknowledged, or damaged
	place uint64 // offset of the frame in its segment (27 bits), payload size (21 bits), lines (16 bits)
}

const (
	entryBytes = 16
	goneBit    = 1 << 63
	maxOffset  = 1<<27 - 1
)

func entryOf(f frame, off int64) entry {
	return entry{id: f.seq, place: uint64(off)<<37 | uint64(f.size)<<16 | uint64(f.lines)}
}

func (e entry) seq() uint64 { return e.id &^ goneBit }
func (e entry) gone() bool  { return e.id&goneBit != 0 }
func (e entry) off() int64  { return int64(e.place >> 37) }
func (e entry) size() int   { return int(e.place >> 16 & (1<<21 - 1)) }
func (e entry) lines() int  { return int(e.place & maxLines) }

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
	dirty   bool      // holds acknowledgements not yet synced
	since   time.Time // when the device began not to give batches back, by elapsed time; zero: it does
	unread  uint64    // the first of these; 0: it was given up
	hidden  bool      // the device would not give back all of it: there is, or may be, more than the index knows
}

// next is the lowest seq that this segment proves to be unused.
func (g *segment) next() uint64 {
	if n := len(g.entries); n > 0 {
		return max(g.base, g.entries[n-1].seq()+1)
	}
	return g.base
}

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

// scanned says what a scan met besides good batches.
type scanned struct {
	session uint64
	err     error  // the device would not give back the rest
	corrupt int64  // damaged records
	torn    int64  // bytes after the last whole frame
	next    uint64 // a seq that no batch of this segment can have reached, damaged ones included
	headOK  bool
}

// scan reads a segment from its file: whole frames go to the index, damage is skipped and counted. Memory is bounded by the index
// and buf. The error is a newer version.
func (g *segment) scan(tier telemetry.Tier, after uint64, buf []byte) (scanned, error) {
	total, err := g.f.size()
	if err != nil {
		return scanned{next: g.base + 1, err: err}, nil
	}
	r := &reader{f: g.f, total: total, buf: buf}
	found := scanned{next: g.base}
	head, ok, err := parseSegHead(r.at(0, segHeadLen))
	if err != nil {
		return scanned{next: g.base}, err
	}
	if r.err != nil {
		return scanned{next: g.base + 1, err: r.err}, nil
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
	if found.err = r.err; r.err != nil { // of what it holds, only what came before the error is known
		found.next = max(found.next, g.next()) + uint64(total/frameLen)
		return found, nil
	}
	found.torn = total - g.size
	found.next = max(found.next, g.next())
	return found, nil
}

// skip steps over bytes that are no frame. At the end of a file less than a frame header is a torn write; more may have held
// whole frames, whose seqs must not come back.
func (g *segment) skip(r *reader, off int64, found *scanned) int64 {
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
		if i := g.find(f.seq); i >= 0 && !g.entries[i].gone() {
			g.drop(i)
		}
		return true
	}
	if f.tier == tier && f.seq >= g.base && f.seq <= after { // written twice, because the sync of the first writing failed
		return true
	}
	if f.tier != tier || f.seq < g.base || f.seq < g.next() || off > maxOffset {
		return false
	}
	g.add(f, off)
	return true
}

func (g *segment) add(f frame, off int64) {
	g.entries = append(g.entries, entryOf(f, off))
	g.live++
}

// drop marks an entry as gone.
func (g *segment) drop(i int) {
	g.entries[i].id |= goneBit
	g.live--
	for g.first < len(g.entries) && g.entries[g.first].gone() {
		g.first++
	}
}

// find returns the index of seq, or -1.
func (g *segment) find(seq uint64) int {
	lo, hi := 0, len(g.entries)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if g.entries[mid].seq() < seq {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(g.entries) && g.entries[lo].seq() == seq {
		return lo
	}
	return -1
}

// read returns the batch of an entry, checked; ok is false when its bytes are damaged, the error is the device's.
func (g *segment) read(e entry) (b Batch, ok bool, err error) {
	buf := make([]byte, frameLen+e.size())
	if n, err := g.f.ReadAt(buf, e.off()); n < len(buf) {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return Batch{}, false, err
	}
	f, ok := parseFrame(buf)
	if !ok || f.seq != e.seq() || f.size != e.size() || checksum(buf[frameLen:]) != f.sum {
		return Batch{}, false, nil
	}
	return Batch{Seq: f.seq, Tier: f.tier, Boot: unpackBoot(f.boot), Lines: f.lines, Payload: buf[frameLen:]}, true, nil
}
