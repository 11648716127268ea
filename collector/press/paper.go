package press

import (
	"fmt"
	"io"

	"github.com/smartvillage/nabz/collector/press/pdf"
	"github.com/smartvillage/nabz/collector/press/typeset"
)

// Margins of a page, in points. The foot stands in the lower one.
const (
	side   = 48.
	top    = 50.
	bottom = pdf.A4Height - 62
	inner  = pdf.A4Width - 2*side
)

// PDF writes d as an A4 file with its fonts in it: bytes that depend on d alone. Errors: those of w.
func PDF(w io.Writer, d Document) error {
	set, err := typeset.New()
	if err != nil {
		return err
	}
	p := &paper{doc: d, set: set, file: pdf.New(pdf.Meta{Title: d.Title, Language: d.Language, RTL: d.RTL})}
	p.turn()
	p.heading(Heading{Level: 0, Text: d.Title}, nil)
	for i, b := range d.Blocks {
		switch b := b.(type) {
		case Heading:
			p.heading(b, d.Blocks[i+1:])
		case Paragraph:
			p.paragraph(b)
		case Facts:
			p.facts(b)
		case Note:
			p.note(b)
		case Cards:
			p.cards(b)
		case Table:
			p.table(b)
		case Chart:
			p.chart(b)
		case PageBreak:
			if p.y > top {
				p.turn()
			}
		}
	}
	p.feet()
	_, err = p.file.WriteTo(w)
	return err
}

// paper is a document on its way to paper. Places count from where reading begins, as a canvas's do.
type paper struct {
	doc   Document
	set   *typeset.Setter
	file  *pdf.File
	pages []*pdf.Page
	y     float64 // where the next block begins
}

// turn begins a page.
func (p *paper) turn() {
	p.pages = append(p.pages, p.file.Page())
	p.y = top
}

func (p *paper) page() *pdf.Page { return p.pages[len(p.pages)-1] }

// need begins a page unless height is left on this one, and tells whether it did.
func (p *paper) need(height float64) bool {
	if p.y+height <= bottom || p.y == top {
		return false
	}
	p.turn()
	return true
}

// block is text set into lines: what is drawn at once.
type block struct {
	lines  []typeset.Line
	size   float64
	tone   Tone
	height float64
}

// reading is whose direction a text has.
type reading uint8

const (
	ofDocument reading = iota
	ofItself           // that of its first letter: a name, a number
	ofCode             // from left to right
)

// valueOf is the reading of a value, which may be an id or a hash.
func valueOf(code bool) reading {
	if code {
		return ofCode
	}
	return ofItself
}

// text sets text into lines no wider than width.
func (p *paper) text(text string, st typeset.Style, tone Tone, width float64, r reading) block {
	if text == "" {
		return block{}
	}
	rtl := r == ofDocument && p.doc.RTL || r == ofItself && typeset.StartsRTL(text)
	b := block{lines: p.set.Lines(text, rtl, st, width), size: st.Size, tone: tone}
	for _, l := range b.lines {
		b.height += l.Ascent + l.Descent
	}
	return b
}

// fitting is how many lines of b fit into height.
func (b block) fitting(height float64) int {
	for i, l := range b.lines {
		if height -= l.Ascent + l.Descent; height < 0 {
			return i
		}
	}
	return len(b.lines)
}

// cut splits b after n lines, or where it ends.
func (b block) cut(n int) (head, tail block) {
	head, tail, n = b, b, min(n, len(b.lines))
	head.lines, tail.lines = b.lines[:n], b.lines[n:]
	head.height = 0
	for _, l := range head.lines {
		head.height += l.Ascent + l.Descent
	}
	tail.height = b.height - head.height
	return head, tail
}

// put draws b from y downwards, within width from x on; anchor is where its lines stand there.
func (p *paper) put(b block, x, y, width, anchor float64) {
	if p.doc.RTL {
		x, anchor = pdf.A4Width-x-width, 1-anchor
	}
	for _, l := range b.lines {
		y += l.Ascent
		p.page().Text(x+(width-l.Width)*anchor, y, l, b.size, b.tone.ink().colour)
		y += l.Descent
	}
}

// rect fills a rectangle.
func (p *paper) rect(x, y, w, h float64, tone Tone) {
	if p.doc.RTL {
		x = pdf.A4Width - x - w
	}
	p.page().Rect(x, y, w, h, tone.ink().colour)
}

// feet writes what stands at the foot of each page, once their number is known.
func (p *paper) feet() {
	const size = 7
	st := typeset.Style{Size: size, Tabular: true}
	for i, page := range p.pages {
		place, whose := fmt.Sprintf("%d / %d", i+1, len(p.pages)), ofItself
		if p.doc.PageOf != nil {
			place, whose = p.doc.PageOf(i+1, len(p.pages)), ofDocument
		}
		one := &paper{doc: p.doc, set: p.set, file: p.file, pages: []*pdf.Page{page}}
		one.rect(side, bottom+14, inner, .5, ToneLine)
		number := one.text(place, st, ToneMuted, inner/3, whose)
		one.put(number, side+inner*2/3, bottom+18, inner/3, end)
		title, _ := one.text(p.doc.Title, st, ToneMuted, inner*2/3, ofDocument).cut(1)
		one.put(title, side, bottom+18, inner*2/3, start)
		foot := one.text(p.doc.Foot, st, ToneMuted, inner, ofDocument)
		foot, _ = foot.cut(2)
		one.put(foot, side, bottom+18+max(title.height, number.height), inner, start)
	}
}
