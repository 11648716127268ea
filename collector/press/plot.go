package press

import (
	"math"
	"slices"
)

// Stack is bars from the start to the end of the line, each cut into parts: how time was spent. A legend says what the tones mean.
type Stack struct{ Rows []StackRow }

// StackRow is one bar.
type StackRow struct {
	Label string // before it; may be empty
	Parts []Part
	Text  string // after it; may be empty
}

// Part is a part of a bar. Parts of one tone share a line of the legend, that of the first.
type Part struct {
	Tone  Tone
	Text  string  // in the legend: "Up 97.2 %"
	Value float64 // its length beside the other parts'; what is not above 0 is left out
}

func (s Stack) draw(c *canvas) float64 {
	const size, row = 8.5, 22.
	before, after := 0., 0.
	var entries []legendEntry
	for _, r := range s.Rows {
		before, after = max(before, c.widths(r.Label, size)), max(after, c.widths(r.Text, size))
		for _, p := range r.Parts {
			if !slices.ContainsFunc(entries, func(e legendEntry) bool { return e.tone == p.Tone }) {
				entries = append(entries, legendEntry{tone: p.Tone, text: p.Text})
			}
		}
	}
	pad := func(w float64) float64 {
		if w == 0 {
			return 0
		}
		return min(w, c.width/3) + 8
	}
	x, width := pad(before), c.width-pad(before)-pad(after)
	y := 2.
	for _, r := range s.Rows {
		c.text(0, y+13, start, size, false, ToneInk, r.Label)
		whole := 0.
		for _, p := range r.Parts {
			whole += length(p.Value)
		}
		at := x
		for _, p := range r.Parts {
			w := width * length(p.Value) / max(whole, math.SmallestNonzeroFloat64)
			h := 18 * p.Tone.ink().height
			c.rect(at, y+18-h, w-min(.8, w/3), h, p.Tone)
			at += w
		}
		c.text(c.width, y+13, end, size, true, ToneInk, r.Text)
		y += row
	}
	return c.legend(y+4, entries)
}

// length is v where it is a length.
func length(v float64) float64 {
	if v > 0 && v <= math.MaxFloat64 {
		return v
	}
	return 0
}

// Graph is columns and lines over labels: days, months, causes, bands of availability.
type Graph struct {
	Labels []string // one a place; as many are written as there is room for
	Series []Series
	Axis   Axis
	Levels []Level // thresholds across it
}

// Series is one value for each label.
type Series struct {
	Name   string // in the legend; may be empty where there is one series
	Tone   Tone
	Line   bool      // a line with gaps where there is no value, else columns
	Values []float64 // NaN where there is none; fewer than labels are as NaN
	Texts  []string  // above the columns, where there is room; may be empty
}

// Axis is the scale of a Graph's values.
type Axis struct {
	Min, Max float64
	Ticks    []Tick
}

// Tick is a value on the scale with its text.
type Tick struct {
	Value float64
	Text  string
}

// Level is a dashed line across a Graph, which the legend names: a target.
type Level struct {
	Value float64
	Text  string
}

// Steps returns round values from low to high, both within the range, three to seven of them: where the ticks of an Axis may stand. It returns none
// unless low < high.
func Steps(low, high float64) []float64 {
	if !(low < high) || math.IsInf(high-low, 0) {
		return nil
	}
	raw := (high - low) / 4
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := unit * 10
	for _, m := range []float64{1, 2, 2.5, 5} {
		if unit*m >= raw*.999 {
			step = unit * m
			break
		}
	}
	var out []float64
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9 && len(out) < 8; i++ {
		out = append(out, i*step+0) // never -0
	}
	return out
}

func (g Graph) draw(c *canvas) float64 {
	const size, top, high = 8., 14., 150.
	scale := 0.
	for _, t := range g.Axis.Ticks {
		scale = max(scale, c.widths(t.Text, size))
	}
	left := min(scale, c.width/4) + 6
	width := c.width - left
	span := g.Axis.Max - g.Axis.Min
	y := func(v float64) float64 {
		share := (v - g.Axis.Min) / span
		if !(share >= 0) {
			share = 0
		}
		return top + high*(1-min(share, 1))
	}
	for _, t := range g.Axis.Ticks {
		c.path([][2]float64{{left, y(t.Value)}, {c.width, y(t.Value)}}, .5, 0, ToneLine)
		c.text(left-6, y(t.Value)+3, end, size, false, ToneMuted, t.Text)
	}
	place := width / float64(max(1, len(g.Labels)))
	g.columns(c, left, place, top+high, y)
	for _, s := range g.Series {
		if s.Line {
			g.line(c, s, left, place, y)
		}
	}
	for _, l := range g.Levels {
		c.path([][2]float64{{left, y(l.Value)}, {c.width, y(l.Value)}}, 1, 3, ToneInk)
	}
	c.path([][2]float64{{left, top + high}, {c.width, top + high}}, .8, 0, ToneMuted)
	widest := 0.
	for _, l := range g.Labels {
		widest = max(widest, c.widths(l, size))
	}
	each := max(1, int(math.Ceil((widest+6)/place)))
	for i := 0; i < len(g.Labels); i += each {
		c.text(left+place*(float64(i)+.5), top+high+12, middle, size, false, ToneMuted, g.Labels[i])
	}
	var entries []legendEntry
	for _, s := range g.Series {
		if s.Name != "" {
			entries = append(entries, legendEntry{tone: s.Tone, text: s.Name, line: s.Line})
		}
	}
	for _, l := range g.Levels {
		entries = append(entries, legendEntry{tone: ToneInk, text: l.Text, line: true, dash: 3})
	}
	return c.legend(top+high+20, entries)
}

// columns draws the series that are columns, side by side at each place.
func (g Graph) columns(c *canvas, left, place, base float64, y func(float64) float64) {
	n := 0
	for _, s := range g.Series {
		if !s.Line {
			n++
		}
	}
	if n == 0 {
		return
	}
	w := min(place*.78, 60*float64(n)) / float64(n)
	k := 0
	for _, s := range g.Series {
		if s.Line {
			continue
		}
		fits := !slices.ContainsFunc(s.Texts, func(t string) bool { return c.widths(t, 7.5) > max(w, place/float64(n))-1 })
		for i := range g.Labels {
			v := at(s.Values, i, math.NaN())
			if math.IsNaN(v) {
				continue
			}
			x := left + place*(float64(i)+.5) - w*float64(n)/2 + w*float64(k)
			c.rect(x, y(v), w-min(1, w/5), base-y(v), s.Tone)
			if fits {
				c.text(x+w/2, y(v)-3, middle, 7.5, false, ToneInk, at(s.Texts, i, ""))
			}
		}
		k++
	}
}

// line draws a series as a line that stops where there is no value; a value alone is a dash.
func (g Graph) line(c *canvas, s Series, left, place float64, y func(float64) float64) {
	var run [][2]float64
	flush := func() {
		if len(run) == 1 {
			run = [][2]float64{{run[0][0] - 2, run[0][1]}, {run[0][0] + 2, run[0][1]}}
		}
		c.path(run, 1.8, 0, s.Tone)
		run = nil
	}
	for i := range g.Labels {
		v := at(s.Values, i, math.NaN())
		if math.IsNaN(v) {
			flush()
			continue
		}
		run = append(run, [2]float64{left + place*(float64(i)+.5), y(v)})
	}
	flush()
}

// at is list[i], or none where the list is shorter.
func at[T any](list []T, i int, none T) T {
	if i < len(list) {
		return list[i]
	}
	return none
}
