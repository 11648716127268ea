package press_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/smartvillage/nabz/collector/press"
)

func sum() hash.Hash { return sha256.New() }

func hashOf(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

func page(t testing.TB, d press.Document) string {
	t.Helper()
	var b strings.Builder
	if err := press.HTML(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func paper(t testing.TB, d press.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := press.PDF(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// skeleton is the elements of a page in their order, with the attributes that give them a meaning; an error where they do not nest.
func skeleton(fragment string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' || r == 0xfffe || r == 0xffff {
			return -1 // XML has no way to write them, HTML passes them over
		}
		return r
	}, fragment)))
	var b strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch e := token.(type) {
		case xml.StartElement:
			b.WriteString(e.Name.Local)
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "class", "scope", "dir", "lang", "role":
					b.WriteString("." + a.Value)
				case "style", "onclick", "onload":
					return "", fmt.Errorf("<%s> has %s", e.Name.Local, a.Name.Local)
				}
			}
			b.WriteByte(' ')
		case xml.EndElement:
			b.WriteByte('/')
		}
	}
}

func TestEachBlockBecomesTheElementThatMeansIt(t *testing.T) {
	table := press.Table{Caption: "c", Behind: "b", Columns: []press.Column{{Name: "a"}, {Name: "n", Kind: press.ColumnBar}, {Name: "i", Kind: press.ColumnCode}}, Rows: [][]press.Cell{{{Text: "x", Detail: "d"}, {Text: "1", Bar: .5}}}}
	tests := []struct {
		block press.Block
		want  string
	}{
		{press.Heading{Level: 1, Text: "x"}, "h2 /"},
		{press.Heading{Level: 9, Text: "x"}, "h4 /"},
		{press.Paragraph{Text: "x", Small: true}, "p.p-small /"},
		{press.Facts{Rows: []press.Fact{{Name: "a", Value: "b"}, {Name: "a", Value: "b", Code: true}}}, "dl.p-facts div dt /dd bdi ///div dt /dd bdi.ltr.p-code ////"},
		{press.Facts{Rows: []press.Fact{{Value: "b", Link: "https://nabz.example/reports/1"}, {Value: "b", Link: "javascript:alert(1)"}}}, "dl.p-facts div dt /dd a bdi ////div dt /dd bdi ////"},
		{press.Note{Kind: press.NoteWarning, Title: "a", Text: "b"}, "div.p-note p-warning.note strong /p //"},
		{press.Cards{Cards: []press.Card{{Label: "a", Value: "1", Mark: press.Mark{Kind: press.MarkBad, Text: "fail"}}}}, "ul.p-cards li span.p-label /strong bdi //span.p-mark p-bad bdi ////"},
		{table, "figure.p-table div.p-scroll.region table caption /thead tr th.col /th.col.p-num /th.col ///tbody tr th.row bdi /span.p-detail bdi ///td.p-num bdi /svg.p-bar rect.t-line /rect.t-a ///td /////figcaption.p-behind //"},
		{press.Table{Columns: table.Columns, Empty: "none"}, "figure.p-table div.p-scroll.region table caption /thead tr th.col /th.col.p-num /th.col ///tbody tr td.p-empty //////"},
		{press.Chart{Plot: press.Stack{Rows: []press.StackRow{{Parts: []press.Part{{Tone: press.ToneUp, Text: "up", Value: 1}}}}}},
			"figure.p-chart figcaption /svg.p-wide.img title /desc /rect.t-up /rect.t-up /text.t-muted //svg.p-narrow.img title /desc /rect.t-up /rect.t-up /text.t-muted ///"},
		{press.PageBreak{}, "div.p-break /"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T", tt.block), func(t *testing.T) {
			got, err := skeleton(page(t, press.Document{Title: "t", Language: "en", Blocks: []press.Block{tt.block}}))
			if want := "article.press.en.ltr div.p-body h1 /" + tt.want + "//"; err != nil || got != want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, want)
			}
		})
	}
}

func TestAWholePageAsksNobodyForAnything(t *testing.T) {
	for _, w := range []words{english(), urdu()} {
		var b strings.Builder
		if err := press.Page(&b, sample(w, 3)); err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?:url\(|src=|<link )[^)> ]{0,40}`).FindAllString(b.String(), -1) {
			if !strings.HasPrefix(found, `url("data:`) {
				t.Errorf("%s: %s", w.language, found)
			}
		}
		t.Logf("%s: %d bytes", w.language, b.Len())
	}
}

func TestColoursOfPaperAreThoseOfTheLightPage(t *testing.T) {
	light := press.Style[:strings.Index(press.Style, "@media")]
	for _, ink := range press.Inks() {
		if want := fmt.Sprintf("--p-%s: #%02x%02x%02x;", ink.Name, ink.Colour[0], ink.Colour[1], ink.Colour[2]); !strings.Contains(light, want) {
			t.Errorf("press.css has no %s", want)
		}
	}
}

func TestTheSameDocumentIsTheSameBytes(t *testing.T) {
	for _, w := range []words{english(), urdu()} {
		one := make(chan string, 2)
		for range 2 {
			go func() {
				h := sum()
				err := errors.Join(press.PDF(h, sample(w, 60)), press.Page(h, sample(w, 60)))
				one <- fmt.Sprintf("%x %v", h.Sum(nil), err)
			}()
		}
		if a, b := <-one, <-one; a != b || !strings.HasSuffix(a, "<nil>") {
			t.Errorf("%s: %s and %s", w.language, a, b)
		}
	}
}

// whole tells what is wrong with the frame of a PDF: each object stands where the table at its end says.
func whole(data []byte) error {
	m := regexp.MustCompile(`startxref\n(\d+)\n%%EOF\n$`).FindSubmatch(data)
	if m == nil || !bytes.HasPrefix(data, []byte("%PDF-1.7\n")) {
		return errors.New("no beginning or no end")
	}
	at, _ := strconv.Atoi(string(m[1]))
	lines := strings.Split(string(data[at:]), "\n")
	for i, line := range lines[3:] {
		if line == "trailer" {
			return nil
		}
		offset, err := strconv.Atoi(line[:10])
		if want := fmt.Sprintf("%d 0 obj\n", i+1); err != nil || offset == 0 || !bytes.HasPrefix(data[offset:], []byte(want)) {
			return fmt.Errorf("object %d is not at %s", i+1, line)
		}
	}
	return errors.New("no trailer")
}

// filled has text in each place that a document has for one.
func filled(text string, rtl bool) press.Document {
	mark := press.Mark{Kind: press.MarkGood, Text: text}
	cell := press.Cell{Text: text, Detail: text, Mark: mark, Bar: .5}
	series := []press.Series{{Name: text, Values: []float64{1, math.NaN(), math.Inf(1)}, Texts: []string{text, text}}, {Name: text, Line: true, Tone: press.ToneB, Values: []float64{-5}}}
	return press.Document{Title: text, Language: "ur", RTL: rtl, Foot: text, Blocks: []press.Block{
		press.Heading{Level: 1, Text: text}, press.Heading{Level: 3, Text: text}, press.Paragraph{Text: text}, press.Paragraph{Text: text, Small: true},
		press.Facts{Rows: []press.Fact{{Name: text, Value: text}, {Name: text, Value: text, Code: true, Link: "https://nabz.example/" + text}}}, press.Note{Title: text, Text: text}, press.Note{Kind: press.NoteWarning, Title: text, Text: text},
		press.Cards{Cards: []press.Card{{Label: text, Value: text, Detail: text, Mark: mark}}},
		press.Table{Caption: text, Behind: text, Empty: text, Columns: []press.Column{{Name: text}, {Name: text, Kind: press.ColumnBar}, {Name: text, Kind: press.ColumnCode}}, Rows: [][]press.Cell{{cell, cell, cell, cell}, {cell}, {}}},
		press.Table{Caption: text, Empty: text}, press.Table{Caption: text, Empty: text, Columns: []press.Column{{Name: text}}},
		press.Chart{Caption: text, Description: text, Behind: text, Plot: press.Stack{Rows: []press.StackRow{{Label: text, Text: text, Parts: []press.Part{{Text: text, Value: math.NaN()}, {Text: text, Value: 1}}}, {}}}},
		press.Chart{Caption: text, Description: text, Plot: press.Graph{Labels: []string{text, text}, Series: series, Axis: press.Axis{Max: 1, Ticks: []press.Tick{{Value: 1, Text: text}}}, Levels: []press.Level{{Value: 2, Text: text}}}},
		press.Chart{Plot: press.Graph{}}, press.Chart{}, press.PageBreak{}, press.PageBreak{},
	}}
}

func FuzzNoTextBreaksADocument(f *testing.F) {
	for _, seed := range []string{"", "x", "</td></table><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "{{.Title}}", "]]>", "a\x00b\x1b[31m\r\n\t", "\u2066\u2067\u202e", "😀👩‍👩‍👧‍👦", "\xff\xfe\xed\xa0\x80",
		strings.Repeat("9f86d0", 300), strings.Repeat("نبض ", 400), strings.Repeat("\u0650", 50), "ﷺ", "\ufffe\uffff", "'&amp;'"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	plain := map[bool]string{}
	for _, rtl := range []bool{true, false} {
		var err error
		if plain[rtl], err = skeleton(page(f, filled("x", rtl))); err != nil {
			f.Fatal(err)
		}
		plain[rtl] = strings.Replace(plain[rtl], "dd a bdi.ltr.p-code /////", "dd bdi.ltr.p-code ////", 1)
	}
	f.Fuzz(func(t *testing.T, text string, rtl bool) {
		if len(text) > 4000 {
			return
		}
		got, err := skeleton(page(t, filled(text, rtl)))
		if err != nil {
			t.Fatalf("%q breaks the page: %v", text, err)
		}
		got = strings.Replace(got, "dd a bdi.ltr.p-code /////", "dd bdi.ltr.p-code ////", 1) // where the text makes no address, it leads nowhere
		if charts := regexp.MustCompile(`(rect|polyline|text)\.t-\S+ /`); text != "" && charts.ReplaceAllString(got, "") != charts.ReplaceAllString(plain[rtl], "") {
			t.Errorf("%q changes the page's elements\ngot  %s\nwant %s", text, got, plain[rtl])
		}
		if err := whole(paper(t, filled(text, rtl))); err != nil {
			t.Errorf("%q breaks the PDF: %v", text, err)
		}
	})
}

func TestStepsAreRoundAndWithinTheirRange(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      string
	}{{0, 1, "[0 0.25 0.5 0.75 1]"}, {0, 30, "[0 10 20 30]"}, {.9, 1, "[0.9 0.925 0.95 0.975 1]"}, {-3, 3, "[-2 0 2]"}, {0, 7, "[0 2 4 6]"}, {1, 1, "[]"}, {0, math.Inf(1), "[]"}, {math.NaN(), 1, "[]"}} {
		var got []string
		for _, v := range press.Steps(tt.low, tt.high) {
			got = append(got, strconv.FormatFloat(v, 'g', 4, 64))
		}
		if s := "[" + strings.Join(got, " ") + "]"; s != tt.want {
			t.Errorf("%v to %v: got %s, want %s", tt.low, tt.high, s, tt.want)
		}
	}
}

func BenchmarkPDFOf1000Sites(b *testing.B) {
	for _, w := range []words{english(), urdu()} {
		b.Run(w.language, func(b *testing.B) {
			d := sample(w, 1000)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				n = len(paper(b, d))
			}
			b.ReportMetric(float64(n)/1000, "kB")
		})
	}
}

func BenchmarkPageOf1000Sites(b *testing.B) {
	d := sample(english(), 1000)
	b.ReportAllocs()
	for b.Loop() {
		_ = page(b, d)
	}
}

func BenchmarkXLSXOf1000Sites(b *testing.B) {
	p := figures(1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.XLSX(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAPageHasTheFontsOfItsLettersAndNoOthers(t *testing.T) {
	for name, c := range map[string]struct {
		d    press.Document
		want int
	}{
		"English":                   {press.Document{Title: "Sihala", Language: "en"}, 0},
		"English with an Urdu name": {press.Document{Title: "Sihala", Language: "en", Blocks: []press.Block{press.Paragraph{Text: "\u2068سہالہ\u2069"}}}, 2},
		"Urdu":                      {press.Document{Title: "سہالہ", Language: "ur", RTL: true}, 3},
	} {
		var b strings.Builder
		if err := press.Page(&b, c.d); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(b.String(), "data:font/woff2;base64,"); got != c.want {
			t.Errorf("%s: got %d fonts, want %d", name, got, c.want)
		}
	}
}
