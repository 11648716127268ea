package pdf

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-text/typesetting/font/opentype"

	"github.com/smartvillage/nabz/collector/press/typeset"
)

func set(t *testing.T, f *File, texts ...string) []typeset.Line {
	t.Helper()
	s, err := typeset.New()
	if err != nil {
		t.Fatal(err)
	}
	p := f.Page()
	var lines []typeset.Line
	for i, text := range texts {
		l := s.Lines(text, typeset.StartsRTL(text), typeset.Style{Size: 12}, 500)[0]
		p.Text(40, 40+20*float64(i), l, 12, Colour{})
		lines = append(lines, l)
	}
	return lines
}

func TestAFontInAFileHasTheOutlinesThatAreUsedAndNoOthers(t *testing.T) {
	f := New(Meta{Title: "t", Language: "en"})
	set(t, f, "é Ğ", "نبض کی ڈیجیٹل")
	for _, font := range f.fonts {
		small, err := opentype.NewLoader(bytes.NewReader(subset(font.face, font.signs)))
		if err != nil {
			t.Fatal(err)
		}
		table := func(tag string) []byte {
			data, err := small.RawTable(opentype.MustNewTag(tag))
			if err != nil {
				t.Fatalf("%s: %v", font.face.Name, err)
			}
			return data
		}
		loca, glyf := table("loca"), table("glyf")
		outline := func(id int) []byte {
			return glyf[binary.BigEndian.Uint32(loca[4*id:]):binary.BigEndian.Uint32(loca[4*id+4:])]
		}
		kept := 0
		for id := range len(loca)/4 - 1 {
			if len(outline(id)) > 0 {
				kept++
			}
		}
		if kept < 4 || kept > 40 {
			t.Errorf("%s keeps %d of %d outlines", font.face.Name, kept, len(loca)/4-1)
		}
		for _, s := range font.signs {
			for _, part := range parts(outline(int(s.glyph))) {
				if len(outline(part)) == 0 {
					t.Errorf("%s: glyph %d is made of %d, which is not there", font.face.Name, s.glyph, part)
				}
			}
			if s.says != "" && strings.TrimSpace(s.says) != "" && len(outline(int(s.glyph))) == 0 {
				t.Errorf("%s: what shows %q is not there", font.face.Name, s.says)
			}
		}
	}
}

func TestAGlyphInTwoLettersIsTwoSigns(t *testing.T) {
	f := New(Meta{})
	set(t, f, "بل تل پل نل یل ٹل")
	font := f.fonts[0]
	shows := map[uint16][]string{}
	for _, s := range font.signs[1:] {
		if shows[s.glyph] = append(shows[s.glyph], s.says); len(shows[s.glyph]) > 1 && s.says != "" {
			return
		}
	}
	t.Errorf("no glyph is part of two letters: %v", shows)
}

func TestBookmarksNest(t *testing.T) {
	f := New(Meta{})
	f.Page()
	for _, b := range []struct {
		title string
		level int
	}{{"a", 1}, {"b", 2}, {"c", 3}, {"d", 2}, {"e", 1}} {
		f.Bookmark(b.title, b.level, 10)
	}
	var out bytes.Buffer
	if _, err := f.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	objects := regexp.MustCompile(`(?m)^(\d+) 0 obj\n<</Title <FEFF00(..)>(.*)>>$`).FindAllStringSubmatch(out.String(), -1)
	for _, o := range objects {
		titles[o[1]] = string(rune(o[2][0]-'0')<<4 + hex(o[2][1]))
	}
	var got []string
	for _, o := range objects {
		links := regexp.MustCompile(`/(Prev|Next|First|Last|Parent|Count) (\d+)`).FindAllStringSubmatch(o[3], -1)
		line := titles[o[1]]
		for _, l := range links {
			if name := titles[l[2]]; l[1] != "Count" {
				line += " " + l[1] + "=" + name
			} else {
				line += " Count=" + l[2]
			}
		}
		got = append(got, line)
	}
	want := []string{"a Parent= Next=e First=b Last=d Count=3", "b Parent=a Next=d First=c Last=c Count=1", "c Parent=b", "d Parent=a Prev=b", "e Parent= Prev=a"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func hex(c byte) rune {
	if c >= 'A' {
		return rune(c-'A') + 10
	}
	return rune(c - '0')
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", -0.001: "0", 1: "1", 12.3: "12.3", -4.567: "-4.57", 595.28: "595.28", 100: "100"} {
		if got := num(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
