package typeset

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/bidi"
)

// The marks that set a part of a text apart from its neighbours, so that neither changes the other's order (UAX #9, X5a to X6a).
const (
	lri = '\u2066'
	rli = '\u2067'
	fsi = '\u2068'
	pdi = '\u2069'
)

// clean makes a paragraph of s: what ends a paragraph or controls a device is a space, and embeddings and overrides are gone.
func clean(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		switch {
		case r >= 0x202a && r <= 0x202e || r >= 0x206a && r <= 0x206f || r == 0xfeff:
			return -1
		case unicode.IsControl(r) || r == 0x2028 || r == 0x2029:
			return ' '
		}
		return r
	}, s))
}

// levels gives each rune its embedding level: even reads from left to right, odd from right to left. An isolate counts as one neutral
// character to what stands around it, and is a paragraph of its own within.
func levels(text []rune, base int8) []int8 {
	out := make([]int8, len(text))
	outer, at := make([]rune, 0, len(text)), make([]int, 0, len(text))
	var inner [][2]int
	for i := 0; i < len(text); i++ {
		r := text[i]
		outer, at = append(outer, r), append(at, i)
		if r != lri && r != rli && r != fsi {
			continue
		}
		end := closing(text, i)
		inner = append(inner, [2]int{i, end})
		outer[len(outer)-1] = '\ufffc'
		i = min(end, len(text)-1)
	}
	for k, l := range flat(outer, base) {
		out[at[k]] = l
	}
	for _, p := range inner {
		from, to, around := p[0]+1, p[1], out[p[0]]
		rtl := text[p[0]] == rli || text[p[0]] == fsi && startsRTL(text[from:to])
		within := around + 1
		if (within%2 == 1) != rtl {
			within++
		}
		if within > 60 { // deeper than any text; UAX #9 stops at 125
			within = around
		}
		copy(out[from:to], levels(text[from:to], within))
		if to < len(text) {
			out[to] = around
		}
	}
	return out
}

// closing finds the PDI that ends the isolate opened at text[i]; len(text) when none does.
func closing(text []rune, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case lri, rli, fsi:
			depth++
		case pdi:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// startsRTL tells whether the first letter of text that has a direction reads from right to left, other isolates left out (P2).
func startsRTL(text []rune) bool {
	for i := 0; i < len(text); i++ {
		switch class(text[i]) {
		case bidi.L:
			return false
		case bidi.R, bidi.AL:
			return true
		case bidi.LRI, bidi.RLI, bidi.FSI:
			i = closing(text, i)
		}
	}
	return false
}

func class(r rune) bidi.Class {
	p, _ := bidi.LookupRune(r)
	return p.Class()
}

// StartsRTL tells whether text reads from right to left by itself: by its first letter that has a direction.
func StartsRTL(text string) bool { return startsRTL(clean(text)) }
