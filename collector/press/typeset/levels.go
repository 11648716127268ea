package typeset

import (
	"slices"

	"golang.org/x/text/unicode/bidi"
)

// flat levels a text without isolates by the rules W1 to I2 of UAX #9. x/text has the classes of runes; its own Paragraph leaves brackets (N0) out
// and tells directions where the order of a line needs levels.
func flat(text []rune, base int8) []int8 {
	out := make([]int8, len(text))
	var at []int // places of the runes that count (X9)
	var t []bidi.Class
	for i, r := range text {
		out[i] = base
		if c := class(r); c != bidi.BN {
			at, t = append(at, i), append(t, c)
		}
	}
	edge := bidi.L
	if base%2 == 1 {
		edge = bidi.R
	}
	first := slices.Clone(t)
	weak(t, edge)
	brackets(text, at, t, first, edge)
	neutral(t, edge)
	for k, c := range t {
		switch {
		case base%2 == 0 && c == bidi.R, base%2 == 1 && c != bidi.R:
			out[at[k]] = base + 1
		case base%2 == 0 && c != bidi.L:
			out[at[k]] = base + 2
		}
	}
	for i := 1; i < len(text); i++ {
		if class(text[i]) == bidi.BN {
			out[i] = out[i-1]
		}
	}
	return out
}

// weak resolves marks and numbers (W1 to W7).
func weak(t []bidi.Class, edge bidi.Class) {
	before, strong := edge, edge
	for i, c := range t {
		if c == bidi.NSM {
			t[i] = before
		}
		switch before = t[i]; {
		case before == bidi.L || before == bidi.R || before == bidi.AL:
			strong = before
		case before == bidi.EN && strong == bidi.AL:
			t[i], before = bidi.AN, bidi.AN
		}
	}
	for i, c := range t {
		if c == bidi.AL {
			t[i] = bidi.R
		}
		if i > 0 && i+1 < len(t) && (c == bidi.CS || c == bidi.ES && t[i-1] == bidi.EN) && t[i-1] == t[i+1] && (t[i-1] == bidi.EN || t[i-1] == bidi.AN) {
			t[i] = t[i-1]
		}
	}
	for i := 0; i < len(t); i++ {
		end := i
		for end < len(t) && t[end] == bidi.ET {
			end++
		}
		if end > i && (i > 0 && t[i-1] == bidi.EN || end < len(t) && t[end] == bidi.EN) {
			for k := i; k < end; k++ {
				t[k] = bidi.EN
			}
		}
		i = max(i, end-1)
	}
	strong = edge
	for i, c := range t {
		switch c {
		case bidi.ES, bidi.ET, bidi.CS:
			t[i] = bidi.ON
		case bidi.L, bidi.R:
			strong = c
		case bidi.EN:
			if strong == bidi.L {
				t[i] = bidi.L
			}
		}
	}
}

// direction is what a class counts as among neutrals: numbers are right to left.
func direction(c bidi.Class) (bidi.Class, bool) {
	switch c {
	case bidi.L:
		return bidi.L, true
	case bidi.R, bidi.EN, bidi.AN:
		return bidi.R, true
	}
	return c, false
}

// brackets gives the two of a pair one direction (N0).
func brackets(text []rune, at []int, t, first []bidi.Class, edge bidi.Class) {
	var open []int
	var pairs [][2]int
	for i := range t {
		p, _ := bidi.LookupRune(text[at[i]])
		switch {
		case t[i] != bidi.ON || !p.IsBracket():
		case p.IsOpeningBracket():
			open = append(open, i)
		default:
			for k := len(open) - 1; k >= 0; k-- {
				if closes(text[at[open[k]]]) == text[at[i]] {
					pairs = append(pairs, [2]int{open[k], i})
					open = open[:k]
					break
				}
			}
		}
		if len(open) > 63 {
			break
		}
	}
	slices.SortFunc(pairs, func(a, b [2]int) int { return a[0] - b[0] })
	for _, p := range pairs {
		same, other := false, false
		for k := p[0] + 1; k < p[1] && !same; k++ {
			if d, ok := direction(t[k]); ok {
				same, other = d == edge, true
			}
		}
		to := edge
		if !same {
			if !other {
				continue
			}
			for k := p[0] - 1; k >= 0; k-- {
				if d, ok := direction(t[k]); ok {
					to = d
					break
				}
			}
		}
		for _, k := range p {
			t[k] = to
			for k++; k < len(t) && first[k] == bidi.NSM; k++ {
				t[k] = to
			}
		}
	}
}

// closes is the bracket that ends what r begins.
func closes(r rune) rune {
	switch r {
	case '[', '{', '\uff3b', '\uff5b':
		return r + 2
	}
	return r + 1
}

// neutral gives what has no direction that of its neighbours where they agree, else that of the paragraph (N1, N2).
func neutral(t []bidi.Class, edge bidi.Class) {
	before := edge
	for i := 0; i < len(t); i++ {
		if d, ok := direction(t[i]); ok {
			before = d
			continue
		}
		end, after := i, edge
		for ; end < len(t); end++ {
			if d, ok := direction(t[end]); ok {
				after = d
				break
			}
		}
		to := edge
		if before == after {
			to = before
		}
		for k := i; k < end; k++ {
			t[k] = to
		}
		i = end - 1
	}
}
