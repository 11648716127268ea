package typeset

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func rows(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}

func TestLettersJoinAsHarfBuzzJoinsThem(t *testing.T) {
	s := setter(t)
	kinds := map[string]*Face{"latin": s.faces[faceKey{latin, false}], "naskh": s.faces[faceKey{naskh, false}], "nastaliq": s.faces[faceKey{nastaliq, true}]}
	for _, row := range rows(t, "harfbuzz.txt") {
		f := strings.Fields(row)
		face := kinds[f[0]]
		var got []string
		for _, g := range s.shape(face, f[1], f[0] != "latin", false).glyphs {
			unit := func(v float64) int { return int(math.Round(v * face.perEm / 1000)) }
			got = append(got, fmt.Sprintf("%d,%d,%d,%d", g.ID, unit(g.X), unit(g.Y), unit(g.Advance)))
		}
		if want := f[2:]; !slices.Equal(got, want) {
			t.Errorf("%s %s\ngot  %v\nwant %v", f[0], f[1], got, want)
		}
	}
}

func TestLevelsAreThoseOfUnicode(t *testing.T) {
	for _, row := range rows(t, "bidi.txt") {
		f := strings.Split(row, ";")
		base, _ := strconv.Atoi(f[2])
		var text []rune
		for _, h := range strings.Fields(f[0]) {
			v, _ := strconv.ParseInt(h, 16, 32)
			text = append(text, rune(v))
		}
		got := levels(text, int8(base))
		for i := len(text) - 1; i >= 0 && (text[i] == ' ' || text[i] >= lri && text[i] <= pdi); i-- {
			got[i] = int8(base) // L1: no line here ends in a space
		}
		if want := "[" + f[3] + "]"; fmt.Sprint(got) != want {
			t.Errorf("%s in a paragraph of level %d\ngot  %v\nwant %s", f[0], base, got, want)
		}
	}
}

func setter(t testing.TB) *Setter {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// visual is what a line shows, run by run from left to right; runs from right to left stand in their reading order.
func visual(l Line) string {
	var parts []string
	for _, r := range l.Runs {
		parts = append(parts, r.Text)
	}
	return strings.Join(parts, "|")
}

func TestWordsOfBothDirectionsStandInTheirOrder(t *testing.T) {
	s := setter(t)
	tests := []struct {
		name, text string
		rtl        bool
		want       string
	}{
		{"an id in Urdu", "سائٹ sihala-01 بند", true, "بند| |sihala-01| |سائٹ"},
		{"an id ending in a number, isolated, before a number", "سائٹ \u2066sihala 1\u2069 24", true, "24| |sihala| |1| |سائٹ"},
		{"a number after an Urdu name changes its place", "site اسکول 12 up", false, "site| |12| |اسکول| |up"},
		{"unless the name is isolated", "site \u2068اسکول\u2069 12 up", false, "site| |اسکول| |12| |up"},
		{"an override does not reach its neighbours", "a \u202eb c", false, "a| |b| |c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := visual(s.Lines(tt.text, tt.rtl, Style{Size: 10}, 1000)[0]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLinesAreNoWiderThanAsked(t *testing.T) {
	s := setter(t)
	urdu := "اس رپورٹ میں اکتوبر 2026 کے دوران اسلام آباد ضلع کے 24 دیہات میں انٹرنیٹ کی دستیابی بتائی گئی ہے۔"
	for _, text := range []string{urdu, "Availability of 24 sites over October 2026, by district and operator.", strings.Repeat("9f86d0", 60), strings.Repeat("ن", 300)} {
		for _, width := range []float64{40, 90, 250} {
			var said []rune
			for _, l := range s.Lines(text, text == urdu, Style{Size: 10}, width) {
				if l.Width > width {
					t.Errorf("a line of %q is %.1f points wide, asked were %.0f", text[:20], l.Width, width)
				}
				for _, r := range l.Runs {
					said = append(said, []rune(strings.ReplaceAll(r.Text, " ", ""))...)
				}
			}
			want := []rune(strings.ReplaceAll(text, " ", ""))
			slices.Sort(said)
			slices.Sort(want)
			if !slices.Equal(said, want) {
				t.Errorf("lines of %q say something else", text[:20])
			}
		}
	}
}

func FuzzNoTextBreaksTheSetter(f *testing.F) {
	for _, seed := range []string{"", " ", "a\x00b\x1b\n\t\u2028", "\u2066\u2067\u2068\u2069\u2069", "👩‍👩‍👧‍👦🇵🇰", "\xff\xfe", "ن\u0650\u200d\u200c)", "\u202e‮abc‬", "1,2\u0663%٪$", strings.Repeat("\u2067", 200) + "x"} {
		f.Add(seed, true, 50.0)
		f.Add(seed, false, 0.0)
	}
	s := setter(f)
	f.Fuzz(func(t *testing.T, text string, rtl bool, width float64) {
		if len(text) > 4000 {
			return
		}
		clear(s.shaped)
		st := Style{Size: 9, Flowing: rtl, Tabular: !rtl}
		lines := s.Lines(text, rtl, st, width)
		if len(lines) == 0 || len(lines) > utf8.RuneCountInString(text)+1 {
			t.Errorf("%q makes %d lines", text, len(lines))
		}
		for _, l := range lines {
			if math.IsNaN(l.Width) || l.Width < 0 {
				t.Errorf("%q makes a line %v wide", text, l.Width)
			}
		}
		s.Extent(text, rtl, st)
	})
}
