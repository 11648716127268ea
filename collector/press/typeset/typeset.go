package typeset

import (
	"unicode"

	"github.com/go-text/typesetting/harfbuzz"
	"github.com/go-text/typesetting/language"
)

// Style is how a text is set.
type Style struct {
	Size    float64 // in points
	Bold    bool
	Flowing bool // Arabic script in Nastaliq, in which Urdu is read, and bold; else in Naskh, which needs less height
	Tabular bool // digits of one width
}

// Glyph is one sign of a font, placed.
type Glyph struct {
	ID            uint16
	X, Y, Advance float64 // offset from the pen, upwards positive, and how far the pen moves; in thousandths of the size
	Says          string  // what it stands for; nothing for a dot or a mark that belongs to another glyph's letter
}

// Run is a row of glyphs of one face, from left to right as it stands on paper.
type Run struct {
	Face   *Face
	Text   string // what it says, in reading order
	RTL    bool
	X      float64 // in points from the line's left end
	Width  float64 // in points
	Glyphs []Glyph
}

// Line is one line of set text.
type Line struct {
	Runs            []Run
	Width           float64 // in points, spaces at its end left out
	Ascent, Descent float64 // in points, both positive: what the faces that were used need
}

// Setter sets text. It is for one goroutine.
type Setter struct {
	faces  map[faceKey]*Face
	shaped map[shapeKey]shape
	buffer *harfbuzz.Buffer
}

type faceKey struct {
	kind kind
	bold bool
}

type shapeKey struct {
	face    *Face
	text    string
	rtl     bool
	tabular bool
}

// shape is a shaped text; its width is in thousandths of the size.
type shape struct {
	glyphs []Glyph
	width  float64
}

// New returns a Setter with the fonts that are embedded. Errors: a font that cannot be read, which the tests rule out.
func New() (*Setter, error) {
	s := &Setter{faces: map[faceKey]*Face{}, shaped: map[shapeKey]shape{}, buffer: harfbuzz.NewBuffer()}
	s.buffer.ClusterLevel = harfbuzz.MonotoneCharacters
	for key, f := range files() {
		face, err := open(f[0], f[1])
		if err != nil {
			return nil, err
		}
		s.faces[key] = face
	}
	return s, nil
}

// shape turns text of one direction and face into glyphs.
func (s *Setter) shape(face *Face, text string, rtl, tabular bool) shape {
	key := shapeKey{face, text, rtl, tabular}
	if done, ok := s.shaped[key]; ok {
		return done
	}
	b := s.buffer
	b.Clear()
	runes := []rune(text)
	b.AddRunes(runes, 0, len(runes))
	b.Props.Language = language.NewLanguage("ur") // of the fonts, only those of the Arabic script have forms of a language
	b.GuessSegmentProperties()
	b.Props.Direction = harfbuzz.LeftToRight
	if rtl {
		b.Props.Direction = harfbuzz.RightToLeft
	}
	var features []harfbuzz.Feature
	if tabular {
		features = append(features, harfbuzz.Feature{Tag: 't'<<24 | 'n'<<16 | 'u'<<8 | 'm', Value: 1, Start: harfbuzz.FeatureGlobalStart, End: harfbuzz.FeatureGlobalEnd})
	}
	b.Shape(face.shaper, features)
	out := shape{glyphs: make([]Glyph, len(b.Info))}
	scale := 1000 / face.perEm
	for i, g := range b.Info {
		p := b.Pos[i]
		out.glyphs[i] = Glyph{uint16(g.Glyph), float64(p.XOffset) * scale, float64(p.YOffset) * scale, float64(p.XAdvance) * scale, ""}
		out.width += float64(p.XAdvance) * scale
	}
	says(out.glyphs, b.Info, runes, rtl)
	s.shaped[key] = out
	return out
}

// says notes what glyphs stand for: the widest of each cluster takes all its runes.
func says(glyphs []Glyph, info []harfbuzz.GlyphInfo, runes []rune, rtl bool) {
	for from := 0; from < len(info); {
		to, widest := from, from
		for ; to < len(info) && info[to].Cluster == info[from].Cluster; to++ {
			if glyphs[to].Advance > glyphs[widest].Advance {
				widest = to
			}
		}
		end := len(runes) // of the cluster: where the next one in reading order begins
		switch {
		case rtl && from > 0:
			end = info[from-1].Cluster
		case !rtl && to < len(info):
			end = info[to].Cluster
		}
		glyphs[widest].Says = string(runes[info[from].Cluster:max(end, info[from].Cluster)])
		from = to
	}
}

// face chooses what r is written in. Marks, joiners and spaces stay with what stands before them, where that has them.
func (s *Setter) face(r rune, before *Face, st Style) *Face {
	plain, arabic := s.faces[faceKey{latin, st.Bold}], s.faces[faceKey{naskh, st.Bold}]
	if st.Flowing {
		arabic = s.faces[faceKey{nastaliq, true}]
	}
	switch {
	case before != nil && (unicode.Is(unicode.M, r) || r == '\u200c' || r == '\u200d' || r == ' ') && before.has(r):
		return before
	case plain.has(r) || !arabic.has(r):
		return plain
	}
	return arabic
}

// ignorable tells whether r only steers the order of its neighbours, and shows nothing.
func ignorable(r rune) bool {
	return r >= lri && r <= pdi || r == '\u200e' || r == '\u200f' || r == '\u061c' || r == '\u200b' || r == '\u00ad' || r == '\u2060'
}
