package pdf

import (
	"bytes"
	"fmt"
	"math"

	"github.com/smartvillage/nabz/collector/press/typeset"
)

// Colour is red, green and blue, 0 to 255.
type Colour [3]uint8

// Point is a place on a page, in points from its top left corner.
type Point struct{ X, Y float64 }

// Page takes shapes and text. All places are in points from the page's top left corner.
type Page struct {
	file    *File
	content bytes.Buffer
	packed  []byte // what was drawn until the next page began
	fill    Colour
	stroke  Colour
	scratch []byte
	links   []byte // the page's annotations
}

// Page adds a page. The one before is packed; it may still be drawn upon, which is meant for a foot.
func (f *File) Page() *Page {
	if n := len(f.pages); n > 0 {
		f.pages[n-1].close()
	}
	p := &Page{file: f}
	f.pages = append(f.pages, p)
	return p
}

// close packs what was drawn first.
func (p *Page) close() {
	if p.packed == nil {
		p.packed = p.file.pack(p.content.Bytes())
		p.content = bytes.Buffer{}
	}
}

func (p *Page) ops(ops string, v ...float64) {
	b := p.scratch[:0]
	for _, x := range v {
		b = append(appendNum(b, x), ' ')
	}
	p.scratch = append(append(b, ops...), '\n')
	p.content.Write(p.scratch)
}

func (p *Page) colour(now *Colour, c Colour, op string) {
	if *now == c {
		return
	}
	*now = c
	p.ops(op, float64(c[0])/255, float64(c[1])/255, float64(c[2])/255)
}

// Rect fills a rectangle.
func (p *Page) Rect(x, y, w, h float64, c Colour) {
	p.colour(&p.fill, c, "rg")
	p.ops("re f", x, A4Height-y-h, w, h)
}

// Lines draws a line through points, width points wide; with dash every other bit of that length, in points, is left out.
func (p *Page) Lines(points []Point, width, dash float64, c Colour) {
	if len(points) < 2 {
		return
	}
	p.colour(&p.stroke, c, "RG")
	if dash > 0 {
		p.content.WriteString("[" + num(dash) + "] 0 d\n")
	}
	p.ops("w", width)
	for i, at := range points {
		op := "l"
		if i == 0 {
			op = "m"
		}
		p.ops(op, at.X, A4Height-at.Y)
	}
	p.ops("S")
	if dash > 0 {
		p.content.WriteString("[] 0 d\n")
	}
}

// Fill fills the polygon through points.
func (p *Page) Fill(points []Point, c Colour) {
	if len(points) < 3 {
		return
	}
	p.colour(&p.fill, c, "rg")
	for i, at := range points {
		op := "l"
		if i == 0 {
			op = "m"
		}
		p.ops(op, at.X, A4Height-at.Y)
	}
	p.ops("f")
}

// Text draws a line of text, its left end at x, its base at y.
func (p *Page) Text(x, y float64, line typeset.Line, size float64, c Colour) {
	p.colour(&p.fill, c, "rg")
	for _, run := range line.Runs {
		p.run(x+run.X, A4Height-y, run, size)
	}
}

// Link makes a rectangle lead to an address, whose characters are all of ASCII, as url.URL writes it.
func (p *Page) Link(x, y, w, h float64, to string) {
	p.links = fmt.Appendf(p.links, "<</Type/Annot/Subtype/Link/Border[0 0 0]/Rect[%s %s %s %s]/A<</S/URI/URI<%X>>>>>", num(x), num(A4Height-y-h), num(x+w), num(A4Height-y), to)
}

// run draws glyphs, from left to right as they stand on paper.
func (p *Page) run(x, y float64, run typeset.Run, size float64) {
	f := p.file.font(run.Face)
	b := fmt.Appendf(p.scratch[:0], "BT/F%d ", f.number)
	b = append(appendNum(b, size), " Tf "...)
	b = append(appendNum(b, x), ' ')
	b = append(appendNum(b, y), " Td["...)
	var pen, at, rise float64 // in thousandths of the size: where the pen is, where the reader of the file is; and how high
	hex := false
	end := func() {
		if hex {
			b = append(b, '>')
		}
		hex = false
	}
	for _, g := range run.Glyphs {
		if g.Y != rise {
			end()
			b = append(appendNum(append(b, "]TJ "...), g.Y*size/1000), " Ts["...)
			rise = g.Y
		}
		if back := math.Round(at - pen - g.X); back != 0 {
			end()
			b = appendNum(b, back)
			at -= back
		}
		if !hex {
			b = append(b, '<')
			hex = true
		}
		id, width := f.use(g)
		b = fmt.Appendf(b, "%04X", id)
		at += width
		pen += g.Advance
	}
	end()
	b = append(b, "]TJ"...)
	if rise != 0 {
		b = append(b, " 0 Ts"...)
	}
	b = append(b, " ET\n"...)
	p.scratch = b
	p.content.Write(b)
}
