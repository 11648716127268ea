package press

import (
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/press/pdf"
	"github.com/smartvillage/nabz/collector/press/typeset"
)

// style is the style of text in the document's own script. That of Arabic letters is smaller at the same size than the Latin one.
func (p *paper) style(size float64, bold bool) typeset.Style {
	if p.doc.RTL {
		size *= 1.1
	}
	return typeset.Style{Size: size, Bold: bold, Tabular: true}
}

// company is about how much of what follows a heading stands on its page with it, in points.
func company(next []Block) float64 {
	if len(next) == 0 {
		return 0
	}
	switch b := next[0].(type) {
	case Heading:
		return 30 + company(next[1:])
	case Chart:
		return 240
	case Table:
		return 60 + 16*float64(min(len(b.Rows), 4))
	case Note, Cards:
		return 90
	}
	return 70
}

func (p *paper) heading(h Heading, next []Block) {
	size := [4]float64{20, 14, 11.5, 10}[min(max(h.Level, 0), 3)]
	st := p.style(size, true)
	st.Tabular = false
	st.Flowing = h.Level < 2 && strings.HasPrefix(p.doc.Language, "ur")
	b := p.text(h.Text, st, ToneInk, inner, ofDocument)
	gap := size * .7
	if p.y == top {
		gap = 0
	}
	p.need(gap + b.height + company(next)) // not alone at the end of a page
	if p.y > top {
		p.y += gap
	}
	p.file.Bookmark(h.Text, max(h.Level, 0)+1, p.y)
	p.flow(b, side, inner, size*.3)
}

// flow draws lines, on as many pages as they take, and leaves a gap.
func (p *paper) flow(b block, x, width, gap float64) {
	for len(b.lines) > 0 {
		n := b.fitting(bottom - p.y)
		if n == 0 && p.y > top {
			p.turn()
			continue
		}
		head, tail := b.cut(max(n, 1))
		p.put(head, x, p.y, width, start)
		p.y += head.height
		b = tail
	}
	p.y += gap
}

func (p *paper) paragraph(b Paragraph) {
	st, tone := p.style(9.5, false), ToneInk
	if b.Small {
		st, tone = p.style(8, false), ToneMuted
	}
	st.Tabular = false
	p.flow(p.text(b.Text, st, tone, inner, ofDocument), side, inner, 6)
}

func (p *paper) facts(f Facts) {
	const names = 130.
	for _, r := range f.Rows {
		name := p.text(r.Name, p.style(8.5, false), ToneMuted, names-8, ofDocument)
		tone := ToneInk
		if r.link() != "" {
			tone = ToneA
		}
		value := p.text(r.Value, p.style(8.5, false), tone, inner-names, valueOf(r.Code))
		value, _ = value.cut(value.fitting(bottom - top - 8))
		name, _ = name.cut(name.fitting(bottom - top - 8))
		height := max(name.height, value.height)
		p.need(height + 4)
		p.put(name, side, p.y+1.5, names-8, start)
		p.put(value, side+names, p.y+1.5, inner-names, start)
		if to := r.link(); to != "" {
			x := side + names
			if p.doc.RTL {
				x = side
			}
			p.page().Link(x, p.y+1.5, inner-names, value.height, to)
		}
		p.y += height + 4
		p.rect(side, p.y-.5, inner, .4, ToneLine)
	}
	p.y += 10
}

func (p *paper) note(n Note) {
	const pad = 8.
	ground, edge := n.Kind.tones()
	width := inner - 2*pad - 3
	title := p.text(n.Title, p.style(9.5, true), ToneInk, width, ofDocument)
	title, _ = title.cut(title.fitting((bottom - top) / 2))
	text := p.text(n.Text, p.style(9, false), ToneInk, width, ofDocument)
	p.need(min(title.height+text.height+2*pad, bottom-top))
	for {
		now, rest := text.cut(text.fitting(bottom - p.y - title.height - 2*pad))
		height := title.height + now.height + 2*pad
		p.rect(side, p.y, inner, height, ground)
		p.rect(side, p.y, 3, height, edge)
		p.put(title, side+3+pad, p.y+pad, width, start)
		p.put(now, side+3+pad, p.y+pad+title.height, width, start)
		p.y += height + 8
		if len(rest.lines) == 0 {
			return
		}
		title, text = block{}, rest
		p.turn()
	}
}

// mark draws the shape and the word of a verdict, and returns its height.
func (p *paper) mark(m Mark, x, y, width, size, anchor float64, draw bool) float64 {
	if m.Kind == MarkNone {
		return 0
	}
	shape := size * .9
	b := p.text(m.Text, p.style(size, true), m.Kind.tone(), width-shape-2, ofItself)
	if len(b.lines) == 0 {
		b.height = size * 1.4
	}
	if !draw {
		return b.height
	}
	if anchor == end && len(b.lines) > 0 {
		w := b.lines[0].Width
		for _, l := range b.lines {
			w = max(w, l.Width)
		}
		x, width = x+width-w-shape-2.5, w+shape+2.5
	}
	p.put(b, x+shape+2, y, width-shape-2, start)
	line := b.height / float64(max(1, len(b.lines)))
	p.shape(m.Kind, x, y+line/2-shape*.3, shape*.7)
	return b.height
}

// shape draws the shape of a verdict in a square from x and y on.
func (p *paper) shape(k MarkKind, x, y, size float64) {
	outline := [][2]float64{{.5, 0}, {1, .5}, {.5, 1}, {0, .5}} // a diamond
	switch k {
	case MarkGood: // round enough
		outline = [][2]float64{{.3, 0}, {.7, 0}, {1, .3}, {1, .7}, {.7, 1}, {.3, 1}, {0, .7}, {0, .3}}
	case MarkBad:
		outline = [][2]float64{{.5, 0}, {1, 1}, {0, 1}}
	}
	points := make([]pdf.Point, len(outline))
	for i, o := range outline {
		points[i] = pdf.Point{X: x + o[0]*size, Y: y + o[1]*size}
		if p.doc.RTL {
			points[i].X = pdf.A4Width - points[i].X
		}
	}
	p.page().Fill(points, k.tone().ink().colour)
}

// frame draws the edge of a rectangle.
func (p *paper) frame(x, y, w, h float64) {
	points := []pdf.Point{{X: x, Y: y}, {X: x + w, Y: y}, {X: x + w, Y: y + h}, {X: x, Y: y + h}, {X: x, Y: y}}
	if p.doc.RTL {
		for i := range points {
			points[i].X = pdf.A4Width - points[i].X
		}
	}
	p.page().Lines(points, .6, 0, ToneLine.ink().colour)
}

func (p *paper) cards(c Cards) {
	const gap, pad = 8., 8.
	across := 4
	if len(c.Cards) == 3 || len(c.Cards) == 5 || len(c.Cards) == 6 || len(c.Cards) == 9 {
		across = 3
	}
	width := (inner - gap*float64(across-1)) / float64(across)
	for len(c.Cards) > 0 {
		row := c.Cards[:min(across, len(c.Cards))]
		c.Cards = c.Cards[len(row):]
		parts := make([][3]block, len(row))
		height, size := 0., 0.
		for _, size = range []float64{16, 13.5, 11} { // the largest in which each figure takes one line
			if !slices.ContainsFunc(row, func(c Card) bool {
				whole, _ := p.set.Extent(c.Value, p.doc.RTL, p.style(size, true))
				return whole > width-2*pad
			}) {
				break
			}
		}
		for i, card := range row {
			parts[i] = [3]block{
				p.text(card.Label, p.style(8, false), ToneMuted, width-2*pad, ofDocument),
				p.text(card.Value, p.style(size, true), ToneInk, width-2*pad, ofItself),
				p.text(card.Detail, p.style(7.5, false), ToneMuted, width-2*pad, ofDocument),
			}
			h := 2 * pad
			for k, b := range parts[i] {
				parts[i][k], _ = b.cut(b.fitting((bottom - top) / 4))
				h += parts[i][k].height
			}
			height = max(height, h+p.mark(card.Mark, 0, 0, width-2*pad, 8, start, false))
		}
		p.need(height)
		for i, card := range row {
			x, y := side+(width+gap)*float64(i), p.y
			p.frame(x, y, width, height)
			y += pad
			for _, b := range parts[i] {
				p.put(b, x+pad, y, width-2*pad, start)
				y += b.height
			}
			p.mark(card.Mark, x+pad, y, width-2*pad, 8, start, true)
		}
		p.y += height + gap
	}
	p.y += 6
}

// chart draws a plot below its caption, never apart from it.
func (p *paper) chart(ch Chart) {
	c := &canvas{width: inner, rtl: p.doc.RTL, widths: func(text string, size float64) float64 {
		w, _ := p.set.Extent(text, p.doc.RTL, p.style(size, false))
		return w
	}}
	height := 0.
	if ch.Plot != nil {
		height = ch.Plot.draw(c)
	}
	caption := p.text(ch.Caption, p.style(9.5, true), ToneInk, inner, ofDocument)
	behind := p.text(ch.Behind, p.style(7.5, false), ToneMuted, inner, ofDocument)
	scale := min(1, (bottom-top-caption.height-behind.height-8)/max(height, 1)) // a chart higher than a page becomes smaller
	if scale <= 0 {
		scale = .1
	}
	p.need(caption.height + height*scale + behind.height + 8)
	p.flow(caption, side, inner, 4)
	for _, s := range c.shapes {
		p.draw(s, scale)
	}
	p.y += height * scale
	p.flow(behind, side, inner, 12)
}

// draw draws a shape of a canvas that begins at the left margin and p.y.
func (p *paper) draw(s shape, scale float64) {
	switch s := s.(type) {
	case rect:
		p.page().Rect(side+s.x*scale, p.y+s.y*scale, s.w*scale, s.h*scale, s.tone.ink().colour)
	case path:
		points := make([]pdf.Point, len(s.points))
		for i, at := range s.points {
			points[i] = pdf.Point{X: side + at[0]*scale, Y: p.y + at[1]*scale}
		}
		p.page().Lines(points, s.width*scale, s.dash, s.tone.ink().colour)
	case label:
		st := p.style(s.size*scale, s.bold)
		line := p.set.Lines(s.text, typeset.StartsRTL(s.text), st, inner)[0]
		p.page().Text(side+s.x*scale-line.Width*s.anchor, p.y+s.y*scale, line, st.Size, s.tone.ink().colour)
	}
}
