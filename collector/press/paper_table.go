package press

import "github.com/smartvillage/nabz/collector/press/typeset"

// grid is a table on its way to paper.
type grid struct {
	*paper
	t      Table
	size   float64
	widths []float64 // of columns, padding included
}

const (
	cellPad = 4.
	rowPad  = 2.5
	barHigh = 2.5
)

// cell is a set cell.
type cell struct {
	text, detail block
	mark         Mark
	bar          float64
	kind         ColumnKind
	height       float64
}

func (p *paper) table(t Table) {
	caption := p.text(t.Caption, p.style(9.5, true), ToneInk, inner, ofDocument)
	behind := p.text(t.Behind, p.style(7.5, false), ToneMuted, inner, ofDocument)
	if len(t.Columns) == 0 {
		p.flow(caption, side, inner, 2)
		p.flow(behind, side, inner, 10)
		return
	}
	g := &grid{paper: p, t: t}
	g.measure()
	names := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = Cell{Text: c.Name}
	}
	head, headHeight := g.row(names, true)
	var first []cell
	firstHeight := 14.
	if len(t.Rows) > 0 {
		first, firstHeight = g.row(t.Rows[0], false)
	}
	p.need(min(caption.height+headHeight+firstHeight+8, bottom-top))
	p.flow(caption, side, inner, 2)
	g.draw(head, headHeight, true)
	if len(t.Rows) == 0 {
		p.flow(p.text(t.Empty, p.style(8.5, false), ToneMuted, inner, ofDocument), side+cellPad, inner-2*cellPad, 4)
	}
	for i := range t.Rows {
		row, height := first, firstHeight
		if i > 0 {
			row, height = g.row(t.Rows[i], false)
		}
		last := 0. // what stands behind a table does not stand alone on the next page
		if i == len(t.Rows)-1 {
			last = behind.height + 3
		}
		if p.y+height+last > bottom && p.y > top+headHeight {
			p.turn()
			g.draw(head, headHeight, true)
		}
		g.draw(row, height, false)
	}
	p.y += 3
	p.flow(behind, side, inner, 12)
}

// style is that of a cell; the head is row -1.
func (g *grid) style(row, column int) typeset.Style {
	return g.paper.style(g.size, row < 0 || column == 0)
}

// measure shares the width of the page out among the columns: each has what its longest word takes, and of the rest by what its longest text
// would. Where even the words do not fit, the letters become smaller, and at last words are cut.
func (g *grid) measure() {
	var whole, least []float64
	var wholes, leasts float64
	for _, g.size = range []float64{8, 7, 6} {
		whole, least = make([]float64, len(g.t.Columns)), make([]float64, len(g.t.Columns))
		wholes, leasts = 0, 0
		for i := range g.t.Columns {
			w, l := g.extent(i)
			least[i] = min(l, inner*.5) + 2*cellPad
			whole[i] = max(least[i], min(w, inner*.6)+2*cellPad)
			wholes, leasts = wholes+whole[i], leasts+least[i]
		}
		if leasts <= inner {
			break
		}
	}
	g.widths = make([]float64, len(whole))
	for i := range whole {
		switch {
		case wholes <= inner:
			g.widths[i] = whole[i] * inner / wholes
		case leasts <= inner:
			g.widths[i] = least[i] + (whole[i]-least[i])*(inner-leasts)/(wholes-leasts)
		default:
			g.widths[i] = least[i] * inner / leasts
		}
	}
}

// extent is the width that a column would like to have, and what it takes at least.
func (g *grid) extent(i int) (whole, least float64) {
	kind := g.t.Columns[i].Kind
	number := kind == ColumnNumber || kind == ColumnBar
	name, word := g.set.Extent(g.t.Columns[i].Name, g.doc.RTL, g.style(-1, i))
	whole, least = max(name/2, word), word // a name may take two lines
	for k, r := range g.t.Rows {
		c := at(r, i, Cell{})
		w, l := g.set.Extent(c.Text, g.doc.RTL, g.style(k, i))
		if number {
			l = w // no line ends in a number
		}
		whole, least = max(whole, w), max(least, l)
		if c.Detail != "" {
			w, l = g.set.Extent(c.Detail, g.doc.RTL, g.paper.style(g.size-1, false))
			whole, least = max(whole, w), max(least, l)
		}
		if c.Mark.Kind != MarkNone {
			w, l = g.set.Extent(c.Mark.Text, g.doc.RTL, g.paper.style(g.size, true))
			whole, least = max(whole, w+g.size*.9+4), max(least, l+g.size*.9+4)
		}
	}
	if kind == ColumnBar {
		return max(whole, 50), max(least, 36)
	}
	return whole, least
}

// row sets the cells of a row and tells its height, a page's at most: what is longer is cut.
func (g *grid) row(cells []Cell, head bool) ([]cell, float64) {
	out := make([]cell, len(g.t.Columns))
	height := 0.
	for i, col := range g.t.Columns {
		c := at(cells, i, Cell{})
		width := g.widths[i] - 2*cellPad
		row, tone := 0, ToneInk
		if head {
			row, tone = -1, ToneMuted
		}
		most := bottom - top - 60
		set := cell{mark: c.Mark, kind: col.Kind, bar: -1}
		set.text = g.text(c.Text, g.style(row, i), tone, width, valueOf(col.Kind == ColumnCode && !head))
		set.text, _ = set.text.cut(set.text.fitting(most))
		set.detail = g.text(c.Detail, g.paper.style(g.size-1, false), ToneMuted, width, ofItself)
		set.detail, _ = set.detail.cut(set.detail.fitting(most - set.text.height))
		set.height = set.text.height + set.detail.height + min(g.mark(c.Mark, 0, 0, width, g.size, start, false), most)
		if col.Kind == ColumnBar && !head && c.Bar >= 0 && c.Bar <= 1 {
			set.bar = c.Bar
			set.height += barHigh + 1.5
		}
		out[i], height = set, max(height, set.height)
	}
	return out, height + 2*rowPad
}

// draw draws a row at p.y, on this page.
func (g *grid) draw(cells []cell, height float64, head bool) {
	x := side
	for i, c := range cells {
		at, width, y := x+cellPad, g.widths[i]-2*cellPad, g.y+rowPad
		anchor := start
		if c.kind == ColumnNumber || c.kind == ColumnBar {
			anchor = end
		}
		if head {
			y = g.y + height - rowPad - c.height
		}
		g.put(c.text, at, y, width, anchor)
		y += c.text.height
		g.put(c.detail, at, y, width, anchor)
		y += c.detail.height
		y += g.mark(c.mark, at, y, width, g.size, anchor, true)
		if c.bar >= 0 {
			g.rect(at, y+1, width, barHigh, ToneLine)
			g.rect(at, y+1, width*c.bar, barHigh, ToneA)
		}
		x += g.widths[i]
	}
	g.y += height
	if head {
		g.rect(side, g.y-.9, inner, .9, ToneMuted)
	} else {
		g.rect(side, g.y-.4, inner, .4, ToneLine)
	}
}
