package pack

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

const (
	blockSize  = 8 << 10 // of text: bounds the memory of the search
	frameMagic = 0xFD2FB528
)

// Packer packs texts with one dictionary. It is safe for concurrent use.
type Packer struct {
	d  *Dictionary
	mu sync.Mutex
	s  search
}

// New makes a packer.
func New(d *Dictionary) *Packer { return &Packer{d: d} }

// Append packs text behind dst, as one frame without checksum and without its size.
func (p *Packer) Append(dst, text []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.d
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	flag, id := byte(1), []byte{byte(d.id)}
	if d.id > 255 {
		flag, id = 3, binary.LittleEndian.AppendUint32(nil, d.id)
	}
	window := min(max(10, bits.Len(uint(len(d.text)+len(text)))), 1+ofCodes) // all that can be referred to
	dst = append(append(dst, flag, byte(window-10)<<3), id...)
	p.s.begin(d, text)
	for from := 0; ; from += blockSize {
		to := min(from+blockSize, len(text))
		dst = p.s.block(dst, from, to, to == len(text))
		if to == len(text) {
			break
		}
	}
	p.s.end()
	return dst
}

// sequence is a run of literals and a match behind it. Offset is as it is written: 1 to 3 for a former one, else 3 more than it is.
type sequence struct {
	lits, match int
	offset      uint32
}

// block packs a part of the text. One that does not get smaller is stored as it is.
func (s *search) block(dst []byte, from, to int, last bool) []byte {
	head := len(dst)
	dst = append(dst, 0, 0, 0)
	kind, size := 2, 0
	if rep := s.rep; to > from {
		s.parse(from, to)
		dst = s.sequences(s.literals(dst))
		size = len(dst) - head - 3
		if size >= to-from {
			dst, s.rep = append(dst[:head+3], s.text(from, to)...), rep
			kind, size = 0, to-from
		}
	} else {
		kind = 0
	}
	v := size<<3 | kind<<1
	if last {
		v |= 1
	}
	dst[head], dst[head+1], dst[head+2] = byte(v), byte(v>>8), byte(v>>16)
	return dst
}

// literals writes the literals of the block in the dictionary's code, or as they are.
func (s *search) literals(dst []byte) []byte {
	n := len(s.lits)
	size := 0
	for _, b := range s.lits {
		l := int(s.d.lit.length[b])
		if l == 0 {
			size = 8 * n // one byte has no code
			break
		}
		size += l
	}
	if n < 8 || size/8+3 >= n {
		switch {
		case n < 32:
			dst = append(dst, byte(n<<3))
		case n < 4096:
			dst = append(dst, byte(n<<4|1<<2), byte(n>>4))
		default:
			dst = append(dst, byte(n<<4|3<<2), byte(n>>4), byte(n>>12))
		}
		return append(dst, s.lits...)
	}
	head := len(dst)
	if n < 1024 && size/8+1 < 1024 {
		dst = s.stream(append(dst, 0, 0, 0), s.lits)
		v := 3 | n<<4 | (len(dst)-head-3)<<14
		dst[head], dst[head+1], dst[head+2] = byte(v), byte(v>>8), byte(v>>16)
		return dst
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // four streams, and where they begin
	part := (n + 3) / 4
	for i := range 4 {
		at := len(dst)
		dst = s.stream(dst, s.lits[i*part:min((i+1)*part, n)])
		if i < 3 {
			binary.LittleEndian.PutUint16(dst[head+4+2*i:], uint16(len(dst)-at))
		}
	}
	binary.LittleEndian.PutUint32(dst[head:], uint32(3|2<<2|n<<4|(len(dst)-head-4)<<18))
	return dst
}

// stream writes bytes in the dictionary's code, the last first.
func (s *search) stream(dst, lits []byte) []byte {
	w := bitWriter{out: dst}
	for i := len(lits) - 1; i >= 0; i-- {
		w.add(uint32(s.d.lit.code[lits[i]]), uint(s.d.lit.length[lits[i]]))
	}
	return w.end()
}

// sequences writes the sequences of the block with the dictionary's tables, the last first.
func (s *search) sequences(dst []byte) []byte {
	n := len(s.seqs)
	if n < 128 {
		dst = append(dst, byte(n))
	} else {
		dst = append(dst, byte(n>>8)+128, byte(n))
	}
	if n == 0 {
		return dst
	}
	dst = append(dst, 3<<6|3<<4|3<<2)
	d, w := s.d, bitWriter{out: dst}
	var ll, ml, of uint16
	for i := n - 1; i >= 0; i-- {
		q := s.seqs[i]
		llCode, mlCode, ofCode := codeOf(d.codes.ll, q.lits), codeOf(d.codes.ml, q.match-minMatch), uint8(bits.Len32(q.offset)-1)
		if i == n-1 {
			ll, ml, of = d.ll.begin(llCode), d.ml.begin(mlCode), d.of.begin(ofCode)
		} else {
			of = d.of.put(&w, of, ofCode)
			ml = d.ml.put(&w, ml, mlCode)
			ll = d.ll.put(&w, ll, llCode)
		}
		l, m := d.codes.ll[llCode], d.codes.ml[mlCode]
		w.add(uint32(q.lits-l.base), uint(l.extra))
		w.add(uint32(q.match-minMatch-m.base), uint(m.extra))
		w.add(q.offset-1<<ofCode, uint(ofCode))
	}
	w.add(uint32(ml)&(1<<d.ml.log-1), d.ml.log)
	w.add(uint32(of)&(1<<d.of.log-1), d.of.log)
	w.add(uint32(ll)&(1<<d.ll.log-1), d.ll.log)
	return w.end()
}
