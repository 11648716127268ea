package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// all is every row as "number: cell|cell", and the error that ended them.
func all(f *File) (string, error) {
	var out strings.Builder
	for row, err := range f.Rows() {
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "%d: %s\n", row.Number, strings.Join(row.Cells, "|"))
	}
	return out.String(), nil
}

func utf16Of(text string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

func TestCSVIsReadInEveryDress(t *testing.T) {
	tests := []struct{ name, data, want, note string }{
		{"comma", "id,name\na,\"A, B\"\n", "1: id|name\n2: a|A, B\n", ""},
		{"semicolon", "id;name\r\na;1,5\r\nb;2,5", "1: id|name\n2: a|1,5\n3: b|2,5\n", ""},
		{"tab", "id\tname\na\tA, B; C\n", "1: id|name\n2: a|A, B; C\n", ""},
		{"one column", "id\na\n", "1: id\n2: a\n", ""},
		{"Excel's own word for the separator", "sep=;\nid;name,x\n", "2: id|name,x\n", ""},
		{"UTF-8 with a mark", "\xef\xbb\xbfid,name\na,é\n", "1: id|name\n2: a|é\n", ""},
		{"UTF-16 as Excel writes it", utf16Of("id\tname\r\na\té نبض 𝄞\r\n", false), "1: id|name\n2: a|é نبض 𝄞\n", ""},
		{"UTF-16, big end first", utf16Of("id,name\na,é\n", true), "1: id|name\n2: a|é\n", ""},
		{"Windows-1252", "id;name\na;x\nb;\"B\xe9ja \x96 \x80\"\n", "1: id|name\n2: a|x\n3: b|Béja – €\n", `read as Windows-1252, as it is not UTF-8; look whether this is right: line 3, "Béja – €"`},
		{"very old line ends", "id,name\ra,b\r", "1: id|name\n2: a|b\n", ""},
		{"empty rows count", "\n\r\nid,name\n\n,,\na,b\n\n\nc,\"two\n\nlines\"\nd,e\n", "3: id|name\n6: a|b\n9: c|two\n\nlines\n10: d|e\n", ""},
		{"spaces and empty cells at the end", " id , name ,,\na,,,\n", "1: id|name\n2: a\n", ""},
		{"marks", "id,lat,x\na,33°41'22\"N,\"b \"\"c\"\"\"\r\n\"d\",,\"\"", "1: id|lat|x\n2: a|33°41'22\"N|b \"c\"\n3: d\n", ""},
		{"empty", "", "", ""},
	}
	for _, tt := range tests {
		f, err := parse([]byte(tt.data), "")
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got, err := all(f); got != tt.want || err != nil || strings.Join(f.Notes, "\n") != tt.note {
			t.Errorf("%s: got\n%s%v, notes %q; want\n%snotes %q", tt.name, got, err, f.Notes, tt.want, tt.note)
		}
	}
}

func TestWhatIsNoTableSaysWhatToDo(t *testing.T) {
	tests := []struct{ name, data, sheet, want string }{
		{"old Excel", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", "before 2007, or one with a password; save it as .xlsx"},
		{"PDF", "%PDF-1.7", "", "is a PDF"},
		{"web page", " <!DOCTYPE html><table>", "", "is a web page or XML"},
		{"a sheet of a CSV", "id\n", "Sites", "leave --sheet out"},
		{"OpenDocument", archive(t, "content.xml", "<a/>"), "", "is an OpenDocument file"},
		{"another archive", archive(t, "a.txt", "x"), "", "is an archive and no workbook"},
		{"cut off archive", archive(t, "xl/workbook.xml", "<a/>")[:60], "", "is cut off or damaged"},
		{"UTF-16 without its mark", utf16Of("id,name\n", false)[2:], "", "has a zero byte at 1"},
		{"half a letter", utf16Of("id", false) + "x", "", "the file is cut off"},
		{"says UTF-8 and is not", "\xef\xbb\xbf\xff", "", "says that it is UTF-8 and is not"},
		{"no encoding", "id\n\x81\xff", "", "neither UTF-8 nor Windows-1252"},
		{"two separators", "a;b,c\n1;2,3\n", "", "can be parted by more than one; write sep=;"},
		{"another word for the separator", "sep=|\na|b\n", "", "names none of comma, semicolon and tab"},
		{"too large", strings.Repeat("x", MaxFile+1), "", "is larger than 32 MiB"},
		{"open quote", "id,\"na\nme\"\n\na,\"b\nc,d\n", "", "row 3 (line 4): a quotation mark opens a cell and none closes it"},
		{"marks written once", "id,name\na,\"b \"c\"\"\n", "", "row 2 (line 2): a quotation mark closes a cell and something stands behind it"},
		{"many rows", strings.Repeat("a\n", MaxRows+1), "", "row 100001: more than 100000 rows are not read"},
		{"many columns", strings.Repeat("a,", MaxColumns) + "a\n", "", "row 1: more than 1000 columns are not read"},
	}
	for _, tt := range tests {
		f, err := parse([]byte(tt.data), tt.sheet)
		if err == nil {
			_, err = all(f)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// book is a workbook of two sheets as the library writes it.
func book(t *testing.T, rows int) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName("Sheet1", "Sites"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.NewSheet("Other"); err != nil {
		t.Fatal(err)
	}
	set := func(cell string, v any) {
		if err := f.SetCellValue("Sites", cell, v); err != nil {
			t.Fatal(err)
		}
	}
	set("B2", " id ")
	set("C2", "lat")
	for i := range rows {
		set(fmt.Sprint("B", 4+i), fmt.Sprint("site-", i))
		set(fmt.Sprint("C", 4+i), 33.1+float64(i))
	}
	if style, err := f.NewStyle(&excelize.Style{NumFmt: 1}); err != nil || f.SetCellStyle("Sites", "C4", "C4", style) != nil { // shown as 33
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAWorkbookIsReadWithItsRowNumbersAndWholeNumbers(t *testing.T) {
	f, err := parse(book(t, 2), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := "2: |id|lat\n4: |site-0|33.1\n5: |site-1|34.1\n"
	if got, err := all(f); got != want || err != nil || !f.Workbook {
		t.Errorf("got\n%s%v; want\n%s", got, err, want)
	}
	if want := `sheet "Sites" is read, of 2: Sites, Other`; strings.Join(f.Notes, "") != want {
		t.Errorf("notes are %q, want %q", f.Notes, want)
	}
	other, err := parse(book(t, 1), "Other")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := all(other); got != "" || err != nil || other.Close() != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := parse(book(t, 1), "other"); err == nil || !strings.Contains(err.Error(), `has no sheet "other"; there are: Sites, Other`) {
		t.Errorf("got %v", err)
	}
}

// again is the workbook with one part passed through change.
func again(t *testing.T, data []byte, part string, change func([]byte) []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, hit := zip.NewWriter(&b), false
	for _, p := range r.File {
		in, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name == part {
			text, hit = change(text), true
		}
		out, err := w.Create(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || !hit {
		t.Fatalf("part %s: found %v, %v", part, hit, err)
	}
	return b.Bytes()
}

func archive(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	p, err := w.Create(name)
	if err == nil {
		_, err = io.WriteString(p, text)
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatHasNoValueWherePeopleSeeOneIsNoted(t *testing.T) {
	f, err := parse(again(t, book(t, 3), sheetPart, func(b []byte) []byte {
		b = bytes.Replace(b, []byte("</sheetData>"), []byte(`</sheetData><mergeCells count="1"><mergeCell ref="B4:B6"/></mergeCells>`), 1)
		return bytes.Replace(b, []byte(`<v>34.1</v>`), []byte(`<f>C4+1</f>`), 1)
	}), "Sites")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := "cells are merged (B4:B6 first, in " + sheetPart + "); only the first cell of each has the value, the others count as empty\n" +
		"formulas were never computed (C5 first, in " + sheetPart + ") and count as empty; open the workbook in a spreadsheet program and save it\n" +
		`sheet "Sites" is read, of 2: Sites, Other`
	if got := strings.Join(f.Notes, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

const sheetPart, textPart = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"

func TestADamagedWorkbookIsNeverAShorterTable(t *testing.T) {
	good := book(t, 50)
	for name, data := range map[string][]byte{
		"sheet breaks off": again(t, good, sheetPart, func(b []byte) []byte { return b[:len(b)/2] }),
		"sheet is empty":   again(t, good, sheetPart, func([]byte) []byte { return nil }),
		"tags cross":       again(t, good, sheetPart, func(b []byte) []byte { return bytes.Replace(b, []byte("</c>"), []byte("</row>"), 1) }),
		"rows go back":     again(t, good, sheetPart, func(b []byte) []byte { return bytes.Replace(b, []byte(`<row r="6"`), []byte(`<row r="3"`), 1) }),
		"cells go back":    again(t, good, sheetPart, func(b []byte) []byte { return bytes.Replace(b, []byte(`r="C6"`), []byte(`r="A6"`), 1) }),
		"texts break off":  again(t, good, textPart, func(b []byte) []byte { return b[:len(b)/2] }),
	} {
		if _, err := parse(data, ""); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Errorf("%s: got %v, want that it is damaged", name, err)
		}
	}
	flipped := bytes.Clone(good)
	flipped[bytes.Index(flipped, []byte(sheetPart))+len(sheetPart)+20] ^= 0x40
	if f, err := parse(flipped, ""); err == nil {
		if got, err := all(f); err == nil {
			t.Errorf("a flipped bit was not noticed:\n%s", got)
		}
	}
}

// liar is an archive whose only part says that it unpacks to another size than it does.
func liar(t *testing.T, name string, says, is int) []byte {
	t.Helper()
	var packed, b bytes.Buffer
	inner := zip.NewWriter(&packed)
	p, err := inner.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat([]byte("<si/>"), is/5)
	if _, err := p.Write(text); err != nil || inner.Close() != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.File[0].OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(&b)
	out, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(text),
		CompressedSize64: r.File[0].CompressedSize64, UncompressedSize64: uint64(says)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, raw); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The sum of all allocations, garbage included, is an upper bound of what was held at any time.
func TestAZipBombIsRefusedBeforeItEatsMemory(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"one part", liar(t, sheetPart, MaxUnpacked+1, 100), "unpacks to more than 64 MiB"},
		{"styles", liar(t, "xl/styles.xml", maxOther+1, 100), "its part xl/styles.xml unpacks to more than 8 MiB"},
		{"a part that says less than it is", liar(t, textPart, 1000, 16<<20), "is damaged"},
		{"texts without end", []byte(archive(t, textPart, "<sst>"+strings.Repeat("<si/>", MaxStrings+1)+"</sst>")), "share more than 500000 texts"},
		{"a row without end", []byte(archive(t, sheetPart, "<sheetData><row>"+strings.Repeat("<c/>", 16385))), "row 1 has more than 16384 cells"},
		{"a cell without end", []byte(archive(t, sheetPart, "<sheetData><row><c><v>"+strings.Repeat("1", 2*maxCell))), "a cell takes more than 1024 KiB"},
		{"a text of many parts", []byte(archive(t, textPart, "<sst><si>"+strings.Repeat("<r><t>a</t></r>", maxCell/8))), "a cell takes more than 1024 KiB"},
		{"nesting without end", []byte(archive(t, sheetPart, strings.Repeat("<c>", 16385))), "more than 16384 cells"},
	}
	for _, tt := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse(tt.data, "")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(128<<20); got > limit {
			t.Errorf("%s: %d bytes were allocated, want at most %d", tt.name, got, limit)
		}
	}
}

// Whatever the file, reading ends, and row numbers grow.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"id,name\na,b\n", "sep=;\nid;x\n", "\n\na\t\"b\n\nc\"\n", "\xef\xbb\xbfid;é", "a,\"b", "\xe9;\x80", utf16Of("id\ta\n", false)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
			return // FuzzSheetPart's
		}
		file, err := parse(data, "")
		if err != nil {
			return
		}
		last, lines := 0, bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r"))+2
		for row, err := range file.Rows() {
			if err != nil {
				break
			}
			if row.Number <= last || row.Number > lines {
				t.Fatalf("row %d after row %d, in %d lines", row.Number, last, lines)
			}
			if n := len(row.Cells); n == 0 || row.Cells[n-1] == "" {
				t.Fatalf("row %d ends with an empty cell: %q", row.Number, row.Cells)
			}
			last = row.Number
		}
	})
}

// What encoding/csv reads, is read here as well; only marks inside a cell are taken that it refuses.
func FuzzRecord(f *testing.F) {
	f.Add("id,name\n\na,\"b\n\"\"c\"\n,\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\r") || !utf8.ValidString(text) {
			return
		}
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil {
			return
		}
		var got [][]string
		for rest := text; rest != ""; {
			var cells []string
			empty := rest[0] == '\n'
			if cells, rest, err = record(rest, ','); err != nil {
				t.Fatalf("%q: %v, encoding/csv reads %q", text, err, want)
			}
			if !empty {
				got = append(got, cells)
			}
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}

func FuzzSheetPart(f *testing.F) {
	f.Add([]byte(`<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c></row></sheetData></worksheet>`))
	f.Add([]byte(`<worksheet><sheetData><row r="9"><c r="XFD9"><v>1</v></c><c t="s"><v>99</v></c></row><row/></sheetData></worksheet>`))
	f.Fuzz(func(t *testing.T, part []byte) {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, p := range []struct{ name, text string }{
			{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`},
			{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
			{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`},
			{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
			{sheetPart, string(part)},
		} {
			out, err := w.Create(p.name)
			if err == nil {
				_, err = io.WriteString(out, p.text)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := parse(b.Bytes(), "")
		if err != nil {
			return
		}
		defer file.Close()
		last := 0
		for row, err := range file.Rows() {
			if err != nil {
				break
			}
			if row.Number <= last {
				t.Fatalf("row %d after row %d", row.Number, last)
			}
			last = row.Number
		}
	})
}
