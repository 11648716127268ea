package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	segVersion  = 1
	segHeadLen  = 32
	segMagic    = "NBZSPOOL"
	frameLen    = 32         // frame header; the payload follows
	frameMagic  = 0x9e6e627a // first byte outside ASCII, so that plain text never looks like a frame
	maxLines    = 1<<16 - 1
	maxPayload  = telemetry.MaxMessage
	maxSeq      = 1 << 62
	scanBufSize = 32 << 10
)

type frameKind uint8

const (
	batchFrame frameKind = iota + 1
	ackFrame
)

// frame is a frame's header.
//
//	0 magic | 4 kind | 5 tier | 6 lines | 8 seq | 16 boot | 20 payload length | 24 payload CRC | 28 CRC of bytes 0–27
type frame struct {
	kind  frameKind
	tier  telemetry.Tier
	lines int
	seq   uint64
	boot  uint32 // 0: not told
	size  int    // payload length
	sum   uint32 // CRC-32C of the payload
}

func (f frame) append(dst []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, byte(f.kind), byte(f.tier))
	dst = binary.BigEndian.AppendUint16(dst, uint16(f.lines))
	dst = binary.BigEndian.AppendUint64(dst, f.seq)
	dst = binary.BigEndian.AppendUint32(dst, f.boot)
	dst = binary.BigEndian.AppendUint32(dst, uint32(f.size))
	dst = binary.BigEndian.AppendUint32(dst, f.sum)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parseFrame reads a frame header; ok is false when b cannot be the start of a frame.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < frameLen || binary.BigEndian.Uint32(b) != frameMagic ||
		binary.BigEndian.Uint32(b[28:]) != checksum(b[:28]) {
		return frame{}, false
	}
	f = frame{
		kind:  frameKind(b[4]),
		tier:  telemetry.Tier(b[5]),
		lines: int(binary.BigEndian.Uint16(b[6:])),
		seq:   binary.BigEndian.Uint64(b[8:]),
		boot:  binary.BigEndian.Uint32(b[16:]),
		size:  int(binary.BigEndian.Uint32(b[20:])),
		sum:   binary.BigEndian.Uint32(b[24:]),
	}
	switch f.kind {
	case batchFrame:
		return f, f.size > 0 && f.size <= maxPayload && f.seq > 0 && f.seq <= maxSeq
	case ackFrame:
		return f, f.size == 0
	}
	return frame{}, false
}

// segHead is the header of a segment file.
//
//	0 magic | 8 version | 10 tier | 11 zero | 12 base seq | 20 session | 28 CRC of bytes 0–27
//
// Magic, version and CRC stay where they are in every version, so that an old program can name a newer file.
type segHead struct {
	tier    telemetry.Tier
	base    uint64
	session uint64 // sessions handed out when the segment began: a second source should "state" be lost
}

func (h segHead) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, segMagic...)
	dst = binary.BigEndian.AppendUint16(dst, segVersion)
	dst = append(dst, byte(h.tier), 0)
	dst = binary.BigEndian.AppendUint64(dst, h.base)
	dst = binary.BigEndian.AppendUint64(dst, h.session)
	return binary.BigEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parseSegHead reads a segment's header. The error is a newer version; ok is false for anything damaged.
func parseSegHead(b []byte) (h segHead, ok bool, err error) {
	if len(b) < segHeadLen || string(b[:8]) != segMagic || binary.BigEndian.Uint32(b[28:]) != checksum(b[:28]) {
		return segHead{}, false, nil
	}
	if v := binary.BigEndian.Uint16(b[8:]); v > segVersion {
		return segHead{}, false, newerError(v)
	}
	h = segHead{tier: telemetry.Tier(b[10]), base: binary.BigEndian.Uint64(b[12:]), session: binary.BigEndian.Uint64(b[20:])}
	return h, true, nil
}

// newerError is the format of a file that this program is too old for.
type newerError int

func (v newerError) Error() string {
	return fmt.Sprintf("written by format %d, this program reads up to %d", int(v), segVersion)
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// packBoot turns 8 hex digits into a number; "" and anything else is 0, not told.
func packBoot(s string) uint32 {
	if len(s) != 8 {
		return 0
	}
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

func unpackBoot(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%08x", n)
}
