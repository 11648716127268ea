package typeset

import (
	"unicode"

	"github.com/go-text/typesetting/segmenter"
)

// piece is a shaped part of a text of one level and face. No line ends within it.
type piece struct {
	run   Run
	level int8
	space bool
}

// word is what stands between two places where a line may end: pieces, the last of which may be spaces.
type word struct {
	pieces      []piece
	ink, spaces float64 // widths in points, without and of the spaces at its end
	runes       []rune
	levels      []int8
	force       bool // the line ends here
}

// Lines sets one paragraph into lines no wider than width, in points. A text without letters gives one empty line.
func (s *Setter) Lines(text string, rtl bool, st Style, width float64) []Line {
	if !(width > 0) { // or not a number
		width = 0
	}
	width = min(width, 1e6)
	var lines []Line
	var now []piece
	var used, pending float64 // of the line so far: with and beyond its ink
	flush := func() {
		lines = append(lines, s.line(now, rtl, st))
		now, used, pending = nil, 0, 0
	}
	for _, w := range s.words(text, rtl, st) {
		if len(now) > 0 && used+pending+w.ink > width {
			flush()
		}
		if w.ink > width {
			rest, lv := w.runes, w.levels
			for n := s.fitting(rest, lv, st, width); n < len(rest); n = s.fitting(rest, lv, st, width) {
				now = append(now, s.word(rest[:n], lv[:n], st).pieces...)
				flush()
				rest, lv = rest[n:], lv[n:]
			}
			w = s.word(rest, lv, st)
		}
		now = append(now, w.pieces...)
		used += pending + w.ink
		pending = w.spaces
	}
	if len(now) > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// Extent returns the width of text on one line, and that of the part of it which no line can end in, both in points.
func (s *Setter) Extent(text string, rtl bool, st Style) (whole, least float64) {
	var pending float64
	for _, w := range s.words(text, rtl, st) {
		whole += pending + w.ink
		pending = w.spaces
		least = max(least, w.ink)
	}
	return whole, least
}

// words cuts text where lines may end (UAX #14).
func (s *Setter) words(text string, rtl bool, st Style) []word {
	runes := clean(text)
	if len(runes) == 0 {
		return nil
	}
	base := int8(0)
	if rtl {
		base = 1
	}
	lv := levels(runes, base)
	var seg segmenter.Segmenter
	seg.Init(runes)
	var out []word
	for it := seg.LineIterator(); it.Next(); {
		l := it.Line()
		end := l.Offset + len(l.Text)
		out = append(out, s.word(runes[l.Offset:end], lv[l.Offset:end], st))
	}
	return out
}

// word shapes the runes between two places where a line may end.
func (s *Setter) word(runes []rune, lv []int8, st Style) word {
	w := word{runes: runes, levels: lv}
	var text []rune
	var face *Face
	var level int8
	var space bool
	add := func() {
		if len(text) == 0 {
			return
		}
		rtl := level%2 == 1
		sh := s.shape(face, string(text), rtl, st.Tabular)
		p := piece{Run{Face: face, Text: string(text), RTL: rtl, Width: sh.width * st.Size / 1000, Glyphs: sh.glyphs}, level, space}
		w.pieces = append(w.pieces, p)
		if space {
			w.spaces += p.run.Width
		} else {
			w.ink += w.spaces + p.run.Width
			w.spaces = 0
		}
		text = text[:0]
	}
	for i, r := range runes {
		if ignorable(r) {
			continue
		}
		f, sp := s.face(r, face, st), unicode.IsSpace(r) && r != '\u00a0'
		if f != face || lv[i] != level || sp != space {
			add()
		}
		face, level, space = f, lv[i], sp
		text = append(text, r)
	}
	add()
	return w
}

// fitting is how many runes of a word that is too wide fit, at least one letter with its marks.
func (s *Setter) fitting(runes []rune, lv []int8, st Style, width float64) int {
	some := runes[:min(len(runes), int(width/st.Size*8)+16)]
	var seg segmenter.Segmenter
	seg.Init(some)
	var ends []int
	for it := seg.GraphemeIterator(); it.Next(); {
		g := it.Grapheme()
		ends = append(ends, g.Offset+len(g.Text))
	}
	low, high := 0, len(ends)-1 // ends[low] is taken in any case
	for low < high {
		mid := (low + high + 1) / 2
		if s.word(some[:ends[mid]], lv, st).ink <= width {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return ends[low]
}

// line puts pieces into the order of paper (UAX #9, L1 and L2).
func (s *Setter) line(pieces []piece, rtl bool, st Style) Line {
	face := s.faces[faceKey{latin, st.Bold}]
	l := Line{Ascent: face.Ascent * st.Size, Descent: face.Descent * st.Size}
	for n := len(pieces); n > 0 && pieces[n-1].space; n-- {
		pieces = pieces[:n-1]
	}
	for _, p := range pieces {
		l.Ascent, l.Descent = max(l.Ascent, p.run.Face.Ascent*st.Size), max(l.Descent, p.run.Face.Descent*st.Size)
	}
	order := append([]piece(nil), pieces...)
	highest := int8(0)
	for _, p := range order {
		highest = max(highest, p.level)
	}
	for level := highest; level > 0; level-- {
		for i := 0; i < len(order); i++ {
			if order[i].level < level {
				continue
			}
			end := i
			for end < len(order) && order[end].level >= level {
				end++
			}
			for a, b := i, end-1; a < b; a, b = a+1, b-1 {
				order[a], order[b] = order[b], order[a]
			}
			i = end
		}
	}
	for _, p := range order {
		p.run.X = l.Width
		l.Width += p.run.Width
		l.Runs = append(l.Runs, p.run)
	}
	return l
}
