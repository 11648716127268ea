package typeset

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/harfbuzz"

	"github.com/smartvillage/nabz/third_party/fonts"
)

// Face is one font, ready to shape text.
type Face struct {
	Name            string  // the font's PostScript name
	Ascent, Descent float64 // what a line of it needs above and below its base, as parts of the size; both positive
	file            *opentype.Loader
	font            *font.Font
	shaper          *harfbuzz.Font
	perEm           float64
}

// Table returns a table of the font file, such as "glyf", unpacked; nil when it has none.
func (f *Face) Table(tag string) []byte {
	data, err := f.file.RawTable(opentype.MustNewTag(tag))
	if err != nil {
		return nil
	}
	return data
}

// Width is the advance of a glyph in thousandths of the size.
func (f *Face) Width(glyph uint16) float64 {
	return math.Round(float64(f.shaper.GlyphHAdvance(harfbuzz.GID(glyph))) * 1000 / f.perEm)
}

func (f *Face) has(r rune) bool {
	_, ok := f.font.NominalGlyph(r)
	return ok
}

// kind names the fonts: what each script is written in, in two weights; nastaliq is for titles, and bold alone.
type kind int

const (
	latin kind = iota
	naskh
	nastaliq
)

// files are the file and the PostScript name of each font.
func files() map[faceKey][2]string {
	const openSans, arabic, urdu = "expo-google-fonts/open-sans/OpenSans_", "fontsource/noto-naskh-arabic/noto-naskh-arabic-arabic-", "fontsource/noto-nastaliq-urdu/noto-nastaliq-urdu-arabic-"
	return map[faceKey][2]string{
		{latin, false}:   {openSans + "400Regular.ttf", "OpenSans-Regular"},
		{latin, true}:    {openSans + "700Bold.ttf", "OpenSans-Bold"},
		{naskh, false}:   {arabic + "400-normal.woff", "NotoNaskhArabic-Regular"},
		{naskh, true}:    {arabic + "700-normal.woff", "NotoNaskhArabic-Bold"},
		{nastaliq, true}: {urdu + "700-normal.woff", "NotoNastaliqUrdu-Bold"},
	}
}

func open(name, postScript string) (*Face, error) {
	data, err := fs.ReadFile(fonts.Files, name)
	if err != nil {
		return nil, fmt.Errorf("open font: %w", err)
	}
	file, err := opentype.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("open font %s: %w", name, err)
	}
	parsed, err := font.NewFont(file)
	if err != nil {
		return nil, fmt.Errorf("read font %s: %w", name, err)
	}
	face := font.NewFace(parsed)
	f := &Face{Name: postScript, file: file, font: parsed, shaper: harfbuzz.NewFont(face), perEm: float64(parsed.Upem())}
	e, _ := face.FontHExtents()
	f.Ascent, f.Descent = float64(e.Ascender)/f.perEm, -float64(e.Descender)/f.perEm
	return f, nil
}
