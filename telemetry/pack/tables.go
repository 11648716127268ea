package pack

import (
	"math"
	"math/bits"
)

// The codes that a dictionary's tables must know, and how fine its tables are (log2 of the states). Texts are cut into blocks short
// enough for the literal lengths, matches are cut to the longest here, and nothing further back than maxOffset is referred to.
const (
	llCodes, llLog = 32, 9
	mlCodes, mlLog = 48, 9
	ofCodes, ofLog = 20, 8
	maxMatch       = 4098
	maxOffset      = 1<<ofCodes - 4
	minMatch       = 3
)

// lengthCode is a code for lengths, with the extra bits that follow it.
type lengthCode struct {
	base  int
	extra uint8
}

// litLengths are the codes of literal lengths (RFC 8878, 3.1.1.3.2.1.1).
func litLengths() (c []lengthCode) {
	return lengthCodes(16, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12})
}

// matchLengths are the codes of match lengths less minMatch.
func matchLengths() (c []lengthCode) {
	return lengthCodes(32, []uint8{1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11})
}

// lengthCodes are the lengths below plain, each its own code, and then those with so many extra bits.
func lengthCodes(plain int, extra []uint8) (c []lengthCode) {
	for n := range plain {
		c = append(c, lengthCode{base: n})
	}
	base := plain
	for _, e := range extra {
		c = append(c, lengthCode{base, e})
		base += 1 << e
	}
	return c
}

// fse is a table of finite-state entropy coding that knows every symbol. Its construction is that of the format (RFC 8878, 4.1).
type fse struct {
	log    uint
	states []uint16 // next state, by symbol and former state
	symbol []fseSymbol
	price  []int32 // of a symbol, in 1/256 bit
}

type fseSymbol struct{ bits, find int32 }

// newFSE makes the table; norm adds up to 1<<log, and none is below 1.
func newFSE(norm []int, log uint) *fse {
	size := 1 << log
	f := &fse{log: log, states: make([]uint16, size), symbol: make([]fseSymbol, len(norm)), price: make([]int32, len(norm))}
	spread := make([]uint8, size)
	at, step := 0, size>>1+size>>3+3
	next := make([]int, len(norm))
	total := 0
	for s, n := range norm {
		for range n {
			spread[at] = uint8(s)
			at = (at + step) & (size - 1)
		}
		next[s] = total
		out := int32(log)
		if n > 1 {
			out -= int32(bits.Len(uint(n-1)) - 1)
		}
		f.symbol[s] = fseSymbol{bits: out<<16 - int32(n)<<out, find: int32(total - n)}
		f.price[s] = int32(math.Round(256 * math.Log2(float64(size)/float64(n))))
		total += n
	}
	for u, s := range spread {
		f.states[next[s]] = uint16(size + u)
		next[s]++
	}
	return f
}

// begin is the state before a first symbol.
func (f *fse) begin(s uint8) uint16 {
	t := f.symbol[s]
	n := (t.bits + 1<<15) >> 16
	return f.states[(n<<16-t.bits)>>n+t.find]
}

// put writes a symbol and returns the next state.
func (f *fse) put(w *bitWriter, state uint16, s uint8) uint16 {
	t := f.symbol[s]
	n := (int32(state) + t.bits) >> 16
	w.add(uint32(state)&(1<<n-1), uint(n))
	return f.states[int32(state)>>n+t.find]
}

// huffman is a prefix code for bytes; length 0: no code.
type huffman struct {
	code   [256]uint16
	length [256]uint8
}

// newHuffman gives out the codes: the longest first, and of one length in the order of the bytes (RFC 8878, 4.2.1.3).
func newHuffman(length [256]uint8) *huffman {
	h := &huffman{length: length}
	code := uint16(0)
	for n := uint8(huffmanBits); n > 0; n-- {
		for b, l := range length {
			if l == n {
				h.code[b] = code
				code++
			}
		}
		code >>= 1
	}
	return h
}

// bitWriter writes bits, the first at the lowest place; readers begin at the end.
type bitWriter struct {
	out  []byte
	acc  uint64
	have uint
}

func (w *bitWriter) add(v uint32, n uint) {
	w.acc |= uint64(v) << w.have
	for w.have += n; w.have >= 8; w.have -= 8 {
		w.out = append(w.out, byte(w.acc))
		w.acc >>= 8
	}
}

// end puts the mark by which a reader finds the last bit.
func (w *bitWriter) end() []byte {
	if w.add(1, 1); w.have > 0 {
		w.out = append(w.out, byte(w.acc))
	}
	return w.out
}
