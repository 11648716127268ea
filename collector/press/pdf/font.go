package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"unicode/utf16"

	"github.com/smartvillage/nabz/collector/press/typeset"
)

// font is a face in the document, with the signs that were used.
type font struct {
	face   *typeset.Face
	number int
	signs  []sign
	ids    map[sign]uint16
	widths map[uint16]float64
}

// sign is a glyph and what it stands for. In Arabic script one glyph, under another's dots, is part of several letters; each is a sign of
// its own in the document, so that what is copied from it says what it shows.
type sign struct {
	glyph uint16
	says  string
}

func (f *File) font(face *typeset.Face) *font {
	if known := f.byFace[face]; known != nil {
		return known
	}
	made := &font{face: face, number: len(f.fonts), signs: []sign{{}}, ids: map[sign]uint16{}, widths: map[uint16]float64{}}
	f.fonts = append(f.fonts, made)
	f.byFace[face] = made
	return made
}

// use returns the number of a glyph's sign in the document, and its advance in thousandths of the size.
func (f *font) use(g typeset.Glyph) (uint16, float64) {
	s := sign{g.ID, g.Says}
	id, ok := f.ids[s]
	if !ok {
		if len(f.signs) > 0xffff { // a document of all there is to write; the glyph is shown, what it says is that of another
			s.says, id = "", 0
		} else {
			id = uint16(len(f.signs))
			f.signs = append(f.signs, s)
		}
		f.ids[s] = id
		f.widths[g.ID] = f.face.Width(g.ID)
	}
	return id, f.widths[g.ID]
}

// write writes the font's objects and returns the number of the one that pages refer to.
func (f *font) write(o *out, file *File) int {
	name := fmt.Sprintf("NABZ%c%c+%s", 'A'+f.number/26, 'A'+f.number%26, f.face.Name) // the six letters say that it is a part of the font
	whole, descendant, descriptor, program, unicode, glyphs := o.reserve(), o.reserve(), o.reserve(), o.reserve(), o.reserve(), o.reserve()
	o.object(whole, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, unicode)
	var widths, index []byte
	for _, s := range f.signs {
		widths = append(appendNum(widths, f.widths[s.glyph]), ' ')
		index = binary.BigEndian.AppendUint16(index, s.glyph)
	}
	o.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap %d 0 R/W[0[%s]]>>",
		name, descriptor, glyphs, widths)
	box := [4]float64{}
	head := f.face.Table("head")
	perEm := float64(binary.BigEndian.Uint16(head[18:]))
	for k := range box {
		box[k] = float64(int16(binary.BigEndian.Uint16(head[36+2*k:]))) * 1000 / perEm
	}
	o.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%s %s %s %s]/ItalicAngle 0/Ascent %s/Descent %s/CapHeight 700/StemV 80/FontFile2 %d 0 R>>",
		name, num(box[0]), num(box[1]), num(box[2]), num(box[3]), num(f.face.Ascent*1000), num(-f.face.Descent*1000), program)
	data := subset(f.face, f.signs)
	o.stream(program, file.pack(data), fmt.Sprintf("/Length1 %d", len(data)))
	o.stream(unicode, file.pack(f.toUnicode()), "")
	o.stream(glyphs, file.pack(index), "")
	return whole
}

// toUnicode tells what signs stand for, so that text can be copied and found.
func (f *font) toUnicode() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit/ProcSet findresource begin 12 dict begin begincmap/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n1 begincodespacerange<0000><FFFF>endcodespacerange\n")
	for from := 0; from < len(f.signs); from += 100 {
		part := f.signs[from:min(from+100, len(f.signs))]
		fmt.Fprintf(&b, "%d beginbfchar\n", len(part))
		for i, s := range part {
			fmt.Fprintf(&b, "<%04X><%s>\n", from+i, units(s.says))
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap CMapName currentdict/CMap defineresource pop end end")
	return b.Bytes()
}

// units are the UTF-16 units of s, in hexadecimal.
func units(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = fmt.Appendf(b, "%04X", u)
	}
	return string(b)
}

// subset is a TrueType font with the outlines of signs alone, and of what those are made of. Glyphs keep their numbers.
func subset(face *typeset.Face, signs []sign) []byte {
	glyf, loca, head, hmtx := face.Table("glyf"), face.Table("loca"), bytes.Clone(face.Table("head")), bytes.Clone(face.Table("hmtx"))
	place := func(id int) []byte {
		if binary.BigEndian.Uint16(head[50:]) == 0 {
			return glyf[2*int(binary.BigEndian.Uint16(loca[2*id:])) : 2*int(binary.BigEndian.Uint16(loca[2*id+2:]))]
		}
		return glyf[binary.BigEndian.Uint32(loca[4*id:]):binary.BigEndian.Uint32(loca[4*id+4:])]
	}
	keep := map[int]bool{}
	var need func(id int)
	need = func(id int) {
		if keep[id] {
			return
		}
		keep[id] = true
		for _, part := range parts(place(id)) {
			need(part)
		}
	}
	for _, s := range signs {
		need(int(s.glyph))
	}
	count := int(binary.BigEndian.Uint16(face.Table("maxp")[4:]))
	var outlines []byte
	index := make([]byte, 0, 4*count+4)
	for id := range count {
		index = binary.BigEndian.AppendUint32(index, uint32(len(outlines)))
		if keep[id] {
			outlines = append(outlines, place(id)...)
			for len(outlines)%4 != 0 {
				outlines = append(outlines, 0)
			}
		}
	}
	index = binary.BigEndian.AppendUint32(index, uint32(len(outlines)))
	long := int(binary.BigEndian.Uint16(face.Table("hhea")[34:]))
	for id := range min(long-1, len(hmtx)/4) { // the last one stands for all that follow
		if !keep[id] {
			copy(hmtx[4*id:], []byte{0, 0, 0, 0})
		}
	}
	binary.BigEndian.PutUint16(head[50:], 1) // long places
	return sfnt(map[string][]byte{
		"head": head, "hhea": face.Table("hhea"), "maxp": face.Table("maxp"), "hmtx": hmtx, "loca": index, "glyf": outlines,
		"cvt ": face.Table("cvt "), "fpgm": face.Table("fpgm"), "prep": face.Table("prep"),
	})
}

// parts are the glyphs that a glyph is put together from.
func parts(outline []byte) []int {
	if len(outline) < 10 || int16(binary.BigEndian.Uint16(outline)) >= 0 {
		return nil
	}
	const wide, scaled, more, both, two = 1 << 0, 1 << 3, 1 << 5, 1 << 6, 1 << 7
	var ids []int
	for at := 10; at+4 <= len(outline); {
		flags := binary.BigEndian.Uint16(outline[at:])
		ids = append(ids, int(binary.BigEndian.Uint16(outline[at+2:])))
		at += 6
		if flags&wide != 0 {
			at += 2
		}
		switch {
		case flags&scaled != 0:
			at += 2
		case flags&both != 0:
			at += 4
		case flags&two != 0:
			at += 8
		}
		if flags&more == 0 {
			break
		}
	}
	return ids
}

// sfnt puts tables together to a font file.
func sfnt(tables map[string][]byte) []byte {
	var tags []string
	for tag, data := range tables {
		if data != nil {
			tags = append(tags, tag)
		}
	}
	sort.Strings(tags)
	n, power, log := len(tags), 1, 0
	for power*2 <= n {
		power, log = power*2, log+1
	}
	out := []byte{0, 1, 0, 0}
	for _, v := range []int{n, power * 16, log, (n - power) * 16} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	at := len(out) + 16*n
	var body []byte
	for _, tag := range tags {
		data := tables[tag]
		if tag == "head" {
			copy(data[8:12], []byte{0, 0, 0, 0}) // the sum of the whole, set below
		}
		out = append(out, tag...)
		for _, v := range []uint32{sum(data), uint32(at + len(body)), uint32(len(data))} {
			out = binary.BigEndian.AppendUint32(out, v)
		}
		body = append(body, data...)
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
	}
	out = append(out, body...)
	whole := 0xb1b0afba - sum(out)
	for i, tag := range tags {
		if tag == "head" {
			binary.BigEndian.PutUint32(out[binary.BigEndian.Uint32(out[12+16*i+8:])+8:], whole)
		}
	}
	return out
}

func sum(data []byte) (s uint32) {
	for ; len(data) >= 4; data = data[4:] {
		s += binary.BigEndian.Uint32(data)
	}
	if len(data) > 0 {
		var last [4]byte
		copy(last[:], data)
		s += binary.BigEndian.Uint32(last[:])
	}
	return s
}
