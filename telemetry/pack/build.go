package pack

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// rounds is how often tables and the search that they guide are made from each other.
const rounds = 3

// Build makes a dictionary of that text, with tables that suit the samples. Its bytes depend on the arguments alone.
func Build(id uint32, text []byte, samples [][]byte) ([]byte, error) {
	if len(text) < 16 || len(samples) == 0 {
		return nil, fmt.Errorf("build a dictionary of %d bytes from %d samples: give more of either", len(text), len(samples))
	}
	c := count{ll: make([]float64, llCodes), ml: make([]float64, mlCodes), of: make([]float64, ofCodes)}
	for b := byte(' '); b <= '~'; b++ {
		c.lit[b] = 1
	}
	c.lit['\n'] = 1
	rep := [3]uint32{uint32(len(text)), uint32(len(text)), uint32(len(text))}
	var out []byte
	for range rounds {
		out = binary.LittleEndian.AppendUint32(nil, magic)
		out = binary.LittleEndian.AppendUint32(out, id)
		out = appendHuffman(out, c.lit)
		for _, t := range []struct {
			count []float64
			log   uint
		}{{c.of, ofLog}, {c.ml, mlLog}, {c.ll, llLog}} {
			out = appendFSE(out, normal(t.count, t.log), t.log)
		}
		for _, r := range rep {
			out = binary.LittleEndian.AppendUint32(out, r)
		}
		out = append(out, text...)
		d, err := Open(out)
		if err != nil {
			return nil, fmt.Errorf("build a dictionary: %w", err)
		}
		rep = c.take(d, samples)
	}
	return out, nil
}

// count is how often each symbol occurs.
type count struct {
	lit        [256]float64
	ll, ml, of []float64
}

// take counts anew, and returns the offsets with which samples begin most often.
func (c *count) take(d *Dictionary, samples [][]byte) [3]uint32 {
	clear(c.ll)
	clear(c.ml)
	clear(c.of)
	for b := range c.lit {
		c.lit[b] = min(c.lit[b], 0.2)
	}
	firsts := map[uint32]int{}
	s := &search{}
	for _, text := range samples {
		s.begin(d, text)
		for from := 0; from < len(text); from += blockSize {
			s.parse(from, min(from+blockSize, len(text)))
			for _, b := range s.lits {
				c.lit[b]++
			}
			for i, q := range s.seqs {
				c.ll[codeOf(d.codes.ll, q.lits)]++
				c.ml[codeOf(d.codes.ml, q.match-minMatch)]++
				c.of[bits.Len32(q.offset)-1]++
				if from == 0 && i < 3 {
					switch {
					case q.offset > 3 && int(q.offset-3) <= len(d.text):
						firsts[q.offset-3]++
					case q.offset <= 3:
						firsts[d.rep[q.offset-1]]++
					}
				}
			}
		}
	}
	rep := d.rep
	order := make([]uint32, 0, len(firsts))
	for o := range firsts {
		order = append(order, o)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if firsts[a] != firsts[b] {
			return firsts[b] - firsts[a]
		}
		return int(a) - int(b)
	})
	copy(rep[:], order)
	return rep
}

// normal spreads the states of a table over the symbols by how often they occur, at least one to each.
func normal(count []float64, log uint) []int {
	size, total := 1<<log, 0.0
	for _, c := range count {
		total += c
	}
	norm, sum := make([]int, len(count)), 0
	for i, c := range count {
		norm[i] = 1
		if total > 0 {
			norm[i] = max(1, int(c/total*float64(size)))
		}
		sum += norm[i]
	}
	cost := func(i, n int) float64 { return -count[i] * math.Log2(float64(n)) }
	for ; sum != size; sum += sign(size - sum) { // one by one where it saves most or costs least
		best, least := -1, math.Inf(1)
		for i, n := range norm {
			if m := n + sign(size-sum); m >= 1 && cost(i, m)-cost(i, n) < least {
				best, least = i, cost(i, m)-cost(i, n)
			}
		}
		norm[best] += sign(size - sum)
	}
	return norm
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

// appendFSE is the reverse of readFSE.
func appendFSE(dst []byte, norm []int, log uint) []byte {
	w := bitWriter{out: dst}
	w.add(uint32(log-5), 4)
	left := 1 << log
	for _, c := range norm {
		n := uint(0)
		for 1<<n < left+2 {
			n++
		}
		short := 1<<n - (left + 2)
		switch v := c + 1; {
		case v < short:
			w.add(uint32(v), n-1)
		case v < 1<<(n-1):
			w.add(uint32(v), n)
		default:
			w.add(uint32(v+short), n)
		}
		left -= c
	}
	if w.have > 0 {
		w.add(0, 8-w.have)
	}
	return w.out
}

// appendHuffman is the reverse of readHuffman, for the best code of at most huffmanBits.
func appendHuffman(dst []byte, count [256]float64) []byte {
	length := lengths(count)
	last, most := 0, uint8(0)
	for b, l := range length {
		if most = max(most, l); l > 0 {
			last = b
		}
	}
	dst = append(dst, byte(127+last))
	for b := 0; b < last; b += 2 {
		v := byte(0)
		for k := range 2 {
			if l := length[b+k]; l > 0 && b+k < last {
				v |= (most + 1 - l) << (4 * (1 - k))
			}
		}
		dst = append(dst, v)
	}
	return dst
}

// lengths are those of the best prefix code whose longest word has huffmanBits, by merging packages (Larmore and Hirschberg 1990).
func lengths(count [256]float64) (length [256]uint8) {
	type item struct {
		weight float64
		bytes  []byte
	}
	var leaves []item
	for b, c := range count {
		if c > 0 {
			leaves = append(leaves, item{c, []byte{byte(b)}})
		}
	}
	byWeight := func(a, b item) int {
		switch {
		case a.weight < b.weight:
			return -1
		case a.weight > b.weight:
			return 1
		}
		return slices.Compare(a.bytes, b.bytes)
	}
	slices.SortFunc(leaves, byWeight)
	row := leaves
	for range huffmanBits - 1 {
		next := slices.Clone(leaves)
		for i := 0; i+1 < len(row); i += 2 {
			next = append(next, item{row[i].weight + row[i+1].weight, slices.Concat(row[i].bytes, row[i+1].bytes)})
		}
		slices.SortFunc(next, byWeight)
		row = next
	}
	for _, it := range row[:2*len(leaves)-2] {
		for _, b := range it.bytes {
			length[b]++
		}
	}
	return length
}
