package press

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The widths that a chart is drawn for on a page, in pixels: the stylesheet shows the one that fits the window.
const (
	wide   = 700
	narrow = 340
)

// svg draws a plot for a page. Id is unlike any other on the page.
func (ch Chart) svg(id, class string, width float64, rtl bool) template.HTML {
	c := &canvas{width: width, rtl: rtl, widths: guess}
	height := 0.
	if ch.Plot != nil {
		height = ch.Plot.draw(c)
	}
	var b strings.Builder
	direction := "ltr"
	if rtl {
		direction = "rtl"
	}
	fmt.Fprintf(&b, `<svg class="%s" viewBox="0 0 %s %s" role="img" aria-labelledby="%s-t %s-d" direction="%s"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		class, px(width), px(height), id, id, direction, id, html.EscapeString(ch.Caption), id, html.EscapeString(ch.Description))
	for _, s := range c.shapes {
		switch s := s.(type) {
		case rect:
			fmt.Fprintf(&b, `<rect class="t-%s" x="%s" y="%s" width="%s" height="%s"/>`, s.tone.ink().name, px(s.x), px(s.y), px(s.w), px(s.h))
		case path:
			fmt.Fprintf(&b, `<polyline class="t-%s" fill="none" stroke-width="%s"`, s.tone.ink().name, px(s.width))
			if s.dash > 0 {
				fmt.Fprintf(&b, ` stroke-dasharray="%s"`, px(s.dash))
			}
			b.WriteString(` points="`)
			for _, p := range s.points {
				b.WriteString(px(p[0]) + "," + px(p[1]) + " ")
			}
			b.WriteString(`"/>`)
		case label:
			fmt.Fprintf(&b, `<text class="t-%s" x="%s" y="%s" font-size="%s"`, s.tone.ink().name, px(s.x), px(s.y), px(s.size*1.3))
			if s.bold {
				b.WriteString(` font-weight="700"`)
			}
			anchor := s.anchor
			if rtl {
				anchor = 1 - anchor
			}
			if name := map[float64]string{middle: "middle", end: "end"}[anchor]; name != "" {
				fmt.Fprintf(&b, ` text-anchor="%s"`, name)
			}
			b.WriteString(">" + html.EscapeString(Isolate(s.text)) + "</text>")
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // every text in it is escaped above
}

// guess is about how wide a text becomes in the reader's font, which a page does not choose.
func guess(text string, size float64) float64 {
	return float64(utf8.RuneCountInString(text)) * size * 1.3 * .56
}

// px writes a length.
func px(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
