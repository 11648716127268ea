package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// magic begins every dictionary (RFC 8878, 5).
const magic = 0xEC30A437

// huffmanBits is the longest code for a byte.
const huffmanBits = 11

// ErrDictionary marks bytes that are no dictionary that this package can use.
var ErrDictionary = errors.New("not a dictionary of this package")

// Dictionary is what packer and reader share. It is only read, so it is safe for concurrent use.
type Dictionary struct {
	id         uint32
	text       []byte
	rep        [3]uint32
	lit        *huffman
	ll, ml, of *fse
	codes      codes
	heads      []int32 // newest place in text of three bytes, by hash; -1: none
	before     []int32 // the place before that
}

// codes tells the codes of lengths, and what they cost.
type codes struct {
	ll, ml           []lengthCode
	llPrice, mlPrice []int32 // by length
}

// Open reads a dictionary that Build made. Others may be refused: its tables must know all codes, and the bytes' code must be
// written without compression.
func Open(b []byte) (*Dictionary, error) {
	if len(b) < 9 || binary.LittleEndian.Uint32(b) != magic {
		return nil, fmt.Errorf("dictionary of %d bytes: no magic number: %w", len(b), ErrDictionary)
	}
	d := &Dictionary{id: binary.LittleEndian.Uint32(b[4:])}
	b = b[8:]
	var err error
	if d.lit, b, err = readHuffman(b); err != nil {
		return nil, err
	}
	for _, t := range []struct {
		to    **fse
		codes int
	}{{&d.of, ofCodes}, {&d.ml, mlCodes}, {&d.ll, llCodes}} {
		if *t.to, b, err = readFSE(b, t.codes); err != nil {
			return nil, err
		}
	}
	if len(b) < 12+8 {
		return nil, fmt.Errorf("dictionary without text: %w", ErrDictionary)
	}
	d.text = b[12:]
	for i := range d.rep {
		d.rep[i] = binary.LittleEndian.Uint32(b[4*i:])
		if d.rep[i] == 0 || d.rep[i] > uint32(len(d.text)) {
			return nil, fmt.Errorf("dictionary with offset %d: %w", d.rep[i], ErrDictionary)
		}
	}
	d.prepare()
	return d, nil
}

// ID is the number by which frames name the dictionary.
func (d *Dictionary) ID() uint32 { return d.id }

func (d *Dictionary) prepare() {
	d.codes = codes{ll: litLengths(), ml: matchLengths()}
	price := func(c []lengthCode, f *fse, most int) []int32 {
		out := make([]int32, most)
		for i, k := 0, 0; i < most; i++ {
			if k+1 < len(c) && c[k+1].base <= i {
				k++
			}
			out[i] = f.price[k] + 256*int32(c[k].extra)
		}
		return out
	}
	d.codes.llPrice = price(d.codes.ll, d.ll, blockSize+1)
	d.codes.mlPrice = price(d.codes.ml, d.ml, maxMatch-minMatch+1)
	d.heads, d.before = make([]int32, hashSize), make([]int32, len(d.text))
	for i := range d.heads {
		d.heads[i] = -1
	}
	for i := range len(d.text) - minMatch + 1 {
		h := hash(d.text[i:])
		d.before[i], d.heads[h] = d.heads[h], int32(i)
	}
}

// codeOf is the code of a length.
func codeOf(c []lengthCode, n int) uint8 {
	lo, hi := 0, len(c)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; c[mid].base <= n {
			lo = mid
		} else {
			hi = mid
		}
	}
	return uint8(lo)
}

// readHuffman reads weights of four bits each; the last is what is missing to a full code.
func readHuffman(b []byte) (*huffman, []byte, error) {
	bad := fmt.Errorf("dictionary without a plain code for bytes: %w", ErrDictionary)
	n := int(b[0]) - 127
	if n < 1 || len(b) < 1+(n+1)/2 {
		return nil, nil, bad
	}
	var weight [256]uint8
	sum := 0
	for i := range n {
		w := b[1+i/2] >> 4
		if i%2 == 1 {
			w = b[1+i/2] & 15
		}
		if weight[i] = w; w > 0 {
			sum += 1 << (w - 1)
		}
	}
	most := uint8(0)
	for 1<<most <= sum {
		most++
	}
	left := 1<<most - sum
	for weight[n] = 1; 1<<(weight[n]-1) < left; weight[n]++ {
	}
	if sum == 0 || most > huffmanBits || 1<<(weight[n]-1) != left {
		return nil, nil, bad
	}
	var length [256]uint8
	for i, w := range weight {
		if w > 0 {
			length[i] = most + 1 - w
		}
	}
	return newHuffman(length), b[1+(n+1)/2:], nil
}

// readFSE reads a table that gives each code at least one state (RFC 8878, 4.1.1).
func readFSE(b []byte, codes int) (*fse, []byte, error) {
	at := uint(0)
	peek := func(n uint) (v int) {
		for i := range n {
			if k := at + i; int(k/8) < len(b) && b[k/8]>>(k%8)&1 == 1 {
				v |= 1 << i
			}
		}
		return v
	}
	log := uint(peek(4)) + 5
	at += 4
	left, norm := 1<<log, []int(nil)
	for left > 0 && log <= mlLog {
		n := uint(0)
		for 1<<n < left+2 { // values 0 to left+1
			n++
		}
		short := 1<<n - (left + 2) // so many of them take one bit less
		v := peek(n - 1)
		if v < short {
			at += n - 1
		} else {
			if v = peek(n); v >= 1<<(n-1) {
				v -= short
			}
			at += n
		}
		if v--; v < 1 {
			break
		}
		norm = append(norm, v)
		left -= v
	}
	if left != 0 || len(norm) != codes || int(at+7)/8 > len(b) {
		return nil, nil, fmt.Errorf("dictionary with a table of %d codes, %d wanted: %w", len(norm), codes, ErrDictionary)
	}
	return newFSE(norm, log), b[(at+7)/8:], nil
}
