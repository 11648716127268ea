package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
)

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
