package press_test

import (
	"bytes"
	"fmt"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/internal/testneed"
)

// read runs one of poppler's programs over a PDF and returns what it says.
func read(t *testing.T, data []byte, program string, args ...string) string {
	t.Helper()
	path := testneed.Program(t, program, "apt-get install poppler-utils")
	file := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "FILE" {
			args[i] = file
		}
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("%s: %v: %s", program, err, complaints.String())
	}
	return string(out)
}

// texts are the texts of a PDF's pages, without marks of direction.
func texts(t *testing.T, data []byte) []string {
	t.Helper()
	out := regexp.MustCompile("[\u202a-\u202e]").ReplaceAllString(read(t, data, "pdftotext", "-layout", "FILE", "-"), "")
	return strings.Split(strings.TrimSuffix(out, "\f"), "\f")
}

func TestNoRowOfATableIsCutInTwoAndEachPageHasItsHead(t *testing.T) {
	pages := texts(t, paper(t, sample(english(), 1000)))
	id, name := regexp.MustCompile(`site-\d{4}`), regexp.MustCompile(`islamabad-\d`)
	rows := 0
	for i, text := range pages {
		n := len(id.FindAllString(text, -1))
		if rows += n; n != len(name.FindAllString(text, -1)) {
			t.Errorf("page %d has %d details of rows and another number of rows", i+1, n)
		}
		if n > 0 && !strings.Contains(text, "Outages") {
			t.Errorf("page %d has %d rows and no head", i+1, n)
		}
		if want := fmt.Sprintf("%d / %d", i+1, len(pages)); !strings.Contains(text, want) || !strings.Contains(text, sha) {
			t.Errorf("the foot of page %d has no %q or no hash", i+1, want)
		}
	}
	if rows != 1000 || len(pages) < 30 || len(pages) > 50 {
		t.Errorf("%d rows on %d pages, want 1000 on 30 to 50", rows, len(pages))
	}
}

func TestWhatAPDFSaysCanBeCopied(t *testing.T) {
	d := sample(urdu(), 5)
	all := strings.Join(strings.Fields(strings.Join(texts(t, paper(t, d)), " ")), " ")
	for _, want := range []string{"فیصد سے کم وقت معلوم ہے", "بھارہ کہو کمیونٹی سنٹر", "sihala-bhu-01", "islamabad-3", sha} {
		if !strings.Contains(all, want) {
			t.Errorf("cannot find %q in\n%.3000s", want, all)
		}
	}
}

func TestAPDFNamesItselfAndEmbedsItsFonts(t *testing.T) {
	data := paper(t, sample(urdu(), 5))
	info := read(t, data, "pdfinfo", "FILE")
	for _, want := range []string{`Title: +دیہات میں انٹرنیٹ: اکتوبر 2026`, `Page size: +595.28 x 841.89 pts \(A4\)`} {
		if !regexp.MustCompile(want).MatchString(info) {
			t.Errorf("pdfinfo says nothing of %q:\n%s", want, info)
		}
	}
	if strings.Contains(info, "Date") || bytes.Contains(data, []byte("/ID")) {
		t.Error("there is a date or an identity in the file")
	}
	for _, want := range []string{"/Lang <FEFF00750072>", "/Direction/R2L", "/Outlines"} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("the catalog has no %s", want)
		}
	}
	lines := strings.Split(strings.TrimSpace(read(t, data, "pdffonts", "FILE")), "\n")[2:]
	for _, line := range lines {
		if !regexp.MustCompile(`^NABZ\w\w\+\S+ +CID TrueType +Identity-H +yes yes yes`).MatchString(line) {
			t.Errorf("font: %s", line)
		}
	}
	if len(lines) != 5 { // Open Sans and Naskh in two weights, Nastaliq in one
		t.Errorf("%d fonts, want 5:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// pictures are the pages of a PDF at 72 dots an inch: a dot is a point.
func pictures(t *testing.T, data []byte) []image.Image {
	t.Helper()
	dir := t.TempDir()
	read(t, data, "pdftoppm", "-png", "-r", "72", "FILE", filepath.Join(dir, "p"))
	files, _ := filepath.Glob(filepath.Join(dir, "p-*.png"))
	slices.Sort(files)
	var out []image.Image
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		img, _, err := image.Decode(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, img)
	}
	return out
}

// ink is the share of dark dots in a part of a page.
func ink(img image.Image, part image.Rectangle) float64 {
	n := 0
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if r, g, b, _ := img.At(x, y).RGBA(); r+g+b < 3*0xb000 {
				n++
			}
		}
	}
	return float64(n) / float64(part.Dx()*part.Dy())
}

func TestInkIsWhereItShouldBe(t *testing.T) {
	for _, w := range []words{english(), urdu()} {
		t.Run(w.language, func(t *testing.T) {
			near, far := image.Rect(48, 45, 200, 80), image.Rect(450, 45, 547, 80) // where the title begins, and where it does not reach
			if w.rtl {
				near, far = image.Rect(400, 45, 547, 90), image.Rect(48, 45, 150, 80)
			}
			pages := pictures(t, paper(t, sample(w, 100)))
			if len(pages) < 5 {
				t.Fatalf("%d pages", len(pages))
			}
			if got := ink(pages[0], near); got < .05 {
				t.Errorf("only %.1f %% of where the title begins is ink", 100*got)
			}
			if got := ink(pages[0], far); got > .01 {
				t.Errorf("%.1f %% of what the title leaves free is ink", 100*got)
			}
			for i, p := range pages {
				if b := p.Bounds(); b.Dx() != 596 || b.Dy() != 842 {
					t.Fatalf("page %d is %v", i+1, b)
				}
				for _, edge := range []image.Rectangle{image.Rect(0, 0, 596, 40), image.Rect(0, 0, 44, 842), image.Rect(552, 0, 596, 842), image.Rect(0, 820, 596, 842), image.Rect(48, 783, 547, 792)} {
					if got := ink(p, edge); got > 0 {
						t.Errorf("page %d has ink in its margin %v", i+1, edge)
					}
				}
				if ink(p, image.Rect(48, 794, 547, 820)) < .01 {
					t.Errorf("page %d has no foot", i+1)
				}
			}
		})
	}
}

func TestTheWidestTableAndTheTallestRowStayOnTheirPage(t *testing.T) {
	var columns []press.Column
	var row []press.Cell
	for i := range 24 {
		columns = append(columns, press.Column{Name: "availability-" + strconv.Itoa(i), Kind: press.ColumnNumber})
		row = append(row, press.Cell{Text: "1,234,567,890.12 Mbit/s"})
	}
	tall := []press.Cell{{Text: strings.Repeat("long ", 4000)}, {Text: strings.Repeat("9f86d081", 2000), Detail: "x"}}
	var many press.Stack
	for i := range 100 {
		many.Rows = append(many.Rows, press.StackRow{Label: strconv.Itoa(i), Parts: []press.Part{{Tone: press.ToneUp, Text: "up", Value: 1}}})
	}
	d := press.Document{Title: strings.Repeat("title ", 30), Language: "en", Foot: strings.Repeat(sha, 9), Blocks: []press.Block{
		press.Table{Columns: columns, Rows: [][]press.Cell{row, row}}, press.Table{Columns: columns[:2], Rows: [][]press.Cell{tall, tall}},
		press.Note{Text: strings.Repeat("heed ", 3000)}, press.Chart{Plot: many}, press.Heading{Level: 1, Text: strings.Repeat("h ", 3000)}}}
	for i, p := range pictures(t, paper(t, d)) {
		for _, edge := range []image.Rectangle{image.Rect(0, 0, 596, 40), image.Rect(0, 0, 44, 842), image.Rect(552, 0, 596, 842), image.Rect(0, 825, 596, 842), image.Rect(48, 783, 547, 792)} {
			if got := ink(p, edge); got > 0 {
				t.Errorf("page %d has ink in its margin %v", i+1, edge)
			}
		}
	}
}
