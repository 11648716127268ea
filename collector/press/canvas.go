package press

// Plot is what a Chart draws: a Stack or a Graph.
type Plot interface {
	// draw draws upon a canvas of a given width and says how high it became.
	draw(c *canvas) (height float64)
}

// canvas is a list of what to draw, in points or pixels from its top left corner. Those who draw count x from where reading begins: in a
// document from right to left the canvas mirrors it.
type canvas struct {
	width  float64
	rtl    bool
	widths func(text string, size float64) float64 // of a text on one line
	shapes []shape
}

// shape is one of rect, path and label.
type shape interface{ shape() }

type rect struct {
	x, y, w, h float64
	tone       Tone
}

type path struct {
	points [][2]float64
	width  float64
	dash   float64
	tone   Tone
}

type label struct {
	x, y   float64 // y of its base
	anchor float64 // how much of it stands left of x: 0, ½ or 1
	size   float64
	bold   bool
	tone   Tone
	text   string
}

func (rect) shape()  {}
func (path) shape()  {}
func (label) shape() {}

func (c *canvas) x(x float64) float64 {
	if c.rtl {
		return c.width - x
	}
	return x
}

func (c *canvas) rect(x, y, w, h float64, tone Tone) {
	if !(w > 0 && h > 0) {
		return
	}
	if c.rtl {
		x = c.width - x - w
	}
	c.shapes = append(c.shapes, rect{x, y, w, h, tone})
}

func (c *canvas) path(points [][2]float64, width, dash float64, tone Tone) {
	if len(points) < 2 {
		return
	}
	for i := range points {
		points[i][0] = c.x(points[i][0])
	}
	c.shapes = append(c.shapes, path{points, width, dash, tone})
}

// start, middle and end are what of a text stands at the place given to it, in reading order.
const (
	start  = 0.
	middle = .5
	end    = 1.
)

func (c *canvas) text(x, y, anchor, size float64, bold bool, tone Tone, text string) {
	if text == "" {
		return
	}
	if c.rtl {
		anchor = 1 - anchor
	}
	c.shapes = append(c.shapes, label{c.x(x), y, anchor, size, bold, tone, text})
}

// legend writes what tones mean from y on, line after line, and returns where the next thing may begin.
func (c *canvas) legend(y float64, entries []legendEntry) float64 {
	const size, swatch, gap = 8.5, 9., 14.
	x, line := 0., y
	for _, e := range entries {
		w := swatch + 5 + c.widths(e.text, size) + gap
		if x > 0 && x+w-gap > c.width {
			x, line = 0, line+size*1.7
		}
		if e.line {
			c.path([][2]float64{{x, line + 5}, {x + swatch, line + 5}}, 1.5, e.dash, e.tone)
		} else {
			h := swatch * e.tone.ink().height
			c.rect(x, line+swatch-h, swatch, h, e.tone)
		}
		c.text(x+swatch+5, line+swatch-1, start, size, false, ToneMuted, e.text)
		x += w
	}
	if len(entries) == 0 {
		return y
	}
	return line + size*1.7
}

type legendEntry struct {
	tone Tone
	text string
	line bool
	dash float64
}
