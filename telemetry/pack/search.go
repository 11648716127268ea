package pack

import "math/bits"

const (
	hashBits = 12
	hashSize = 1 << hashBits
	effort   = 512 << 10 // places that are looked at for a text, spread over its own: bounds the time for long ones
	enough   = 192       // a match that long is taken without looking for better ways into it: bounds the time for texts that repeat themselves
	keep     = 64 << 10
)

func hash(b []byte) uint32 {
	return (uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])) * 2654435761 >> (32 - hashBits)
}

// search finds the cheapest way to write a text: for each place the cheapest way to get there, by literals and matches, at the prices
// of the dictionary's tables. What it holds is used again for the next text.
type search struct {
	d      *Dictionary
	buf    []byte // the dictionary's text and the one to pack
	base   int    // where that begins
	heads  []int32
	before []int32
	filled int // places of buf that can be found
	tries  int // places that are looked at for each one
	rep    [3]uint32
	ways   []way
	seqs   []sequence
	lits   []byte
}

// way is the cheapest known to a place.
type way struct {
	price  int32
	lits   int32  // literals since the last match
	match  int32  // that ends here; 0: a literal does
	offset uint32 // of it, as it is written
	rep    [3]uint32
}

func (s *search) begin(d *Dictionary, text []byte) {
	s.d, s.base, s.rep, s.filled = d, len(d.text), d.rep, len(d.text)-minMatch+1
	s.tries = min(max(effort/(len(text)+1), 16), 256)
	s.buf = append(append(s.buf[:0], d.text...), text...)
	s.heads = append(s.heads[:0], d.heads...)
	s.before = append(s.before[:0], d.before...)
	if n := len(s.buf); cap(s.before) < n {
		s.before = append(make([]int32, 0, n), s.before...)
	}
	s.before = s.before[:len(s.buf)]
}

// end gives back what a long text needed.
func (s *search) end() {
	if cap(s.buf) > keep {
		s.buf, s.before, s.lits, s.ways, s.seqs = nil, nil, nil, nil, nil
	}
}

func (s *search) text(from, to int) []byte { return s.buf[s.base+from : s.base+to] }

// find makes the places before at known.
func (s *search) find(at int) {
	for ; s.filled < at && s.filled+minMatch <= len(s.buf); s.filled++ {
		h := hash(s.buf[s.filled:])
		s.before[s.filled], s.heads[h] = s.heads[h], int32(s.filled)
	}
}

// parse fills seqs and lits with the cheapest way through a part of the text.
func (s *search) parse(from, to int) {
	n := to - from
	if cap(s.ways) < n+1 {
		s.ways = make([]way, n+1)
	}
	s.ways = s.ways[:n+1]
	for i := range s.ways {
		s.ways[i].price = 1 << 30
	}
	s.ways[0] = way{rep: s.rep}
	for i := 0; i < n; i++ {
		s.literal(i, from)
		if n-i < minMatch {
			continue
		}
		if longest := s.matches(i, from, n); longest >= enough {
			i += longest - 1
		}
	}
	s.walk(from, n)
}

func (s *search) literal(i, from int) {
	w, d := &s.ways[i], s.d
	price := int32(8 * 256)
	if l := d.lit.length[s.buf[s.base+from+i]]; l > 0 {
		price = int32(l) * 256
	}
	price += w.price + d.codes.llPrice[w.lits+1] - d.codes.llPrice[w.lits]
	if to := &s.ways[i+1]; price < to.price {
		*to = way{price: price, lits: w.lits + 1, rep: w.rep}
	}
}

// The innermost functions are not watched for races: under the race detector that took nine tenths of all time, in tests that seal much. What
// they touch is touched by those around them, which are watched.

// matches tries all that has been before at this place: the offsets used last, and then of each length the nearest. It returns the
// longest.
//
//go:norace
func (s *search) matches(i, from, n int) (longest int) {
	w := s.ways[i]
	at := s.base + from + i
	most := min(n-i, maxMatch)
	for r := uint32(1); r <= 3; r++ {
		if offset, ok := w.former(r); ok && int(offset) <= at {
			if l := s.common(at-int(offset), at, most); l >= minMatch {
				s.take(i, minMatch, l, r, offset, &w)
				longest = max(longest, l)
			}
		}
	}
	s.find(at)
	if longest >= enough {
		return longest
	}
	best := minMatch - 1
	place := s.heads[hash(s.buf[at:])]
	for k := 0; k < s.tries && place >= 0 && at-int(place) <= maxOffset; k++ {
		if l := s.common(int(place), at, most); l > best {
			offset := uint32(at - int(place))
			s.take(i, best+1, l, offset+3, offset, &w)
			if best = l; l == most {
				break
			}
		}
		place = s.before[place]
	}
	return max(longest, best)
}

// former is the offset that the number 1, 2 or 3 stands for here.
func (w *way) former(r uint32) (uint32, bool) {
	if w.lits > 0 {
		return w.rep[r-1], true
	}
	if r < 3 {
		return w.rep[r], true
	}
	return w.rep[0] - 1, w.rep[0] > 1
}

// take notes a match of each length between the two as a way to where it ends.
//
//go:norace
func (s *search) take(i, shortest, longest int, written, offset uint32, w *way) {
	code := bits.Len32(written) - 1
	price := w.price + s.d.of.price[code] + 256*int32(code) + s.d.codes.llPrice[0] // what more literals cost, they have paid
	rep := w.after(written, offset)
	for l := shortest; l <= longest; l++ {
		if to := &s.ways[i+l]; price+s.d.codes.mlPrice[l-minMatch] < to.price {
			*to = way{price: price + s.d.codes.mlPrice[l-minMatch], match: int32(l), offset: written, rep: rep}
		}
	}
}

// after is what the offsets used last are after a match.
func (w *way) after(written, offset uint32) [3]uint32 {
	r := written
	if r <= 3 && w.lits == 0 {
		r++
	}
	switch {
	case written <= 3 && r == 1:
		return w.rep
	case written <= 3 && r == 2:
		return [3]uint32{offset, w.rep[0], w.rep[2]}
	}
	return [3]uint32{offset, w.rep[0], w.rep[1]}
}

// common is how many bytes are alike at two places, up to most.
//
//go:norace
func (s *search) common(a, b, most int) (n int) {
	for n < most && s.buf[a+n] == s.buf[b+n] {
		n++
	}
	return n
}

// walk goes the cheapest way back from its end.
func (s *search) walk(from, n int) {
	s.seqs, s.lits = s.seqs[:0], s.lits[:0]
	s.rep = s.ways[n].rep
	i := n - int(s.ways[n].lits)
	for i > 0 {
		w := &s.ways[i]
		start := i - int(w.match)
		q := sequence{lits: int(s.ways[start].lits), match: int(w.match), offset: w.offset}
		s.seqs = append(s.seqs, q)
		i = start - q.lits
	}
	for a, b := 0, len(s.seqs)-1; a < b; a, b = a+1, b-1 {
		s.seqs[a], s.seqs[b] = s.seqs[b], s.seqs[a]
	}
	at := from
	for _, q := range s.seqs {
		s.lits = append(s.lits, s.text(at, at+q.lits)...)
		at += q.lits + q.match
	}
	s.lits = append(s.lits, s.text(at, from+n)...)
}
