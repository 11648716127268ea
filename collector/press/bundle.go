package press

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// Bundle writes a zip of one CSV for each table and their datapackage.json. Errors: as of Data.CSV.
func (p Package) Bundle(w io.Writer) error {
	dictionary, err := p.Dictionary()
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	part := func(name string) (io.Writer, error) {
		return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}) // the oldest that a zip knows
	}
	for _, t := range p.Tables {
		f, err := part(t.ID + ".csv")
		if err != nil {
			return err
		}
		if err := t.CSV(f); err != nil {
			return err
		}
	}
	f, err := part("datapackage.json")
	if err != nil {
		return err
	}
	if _, err := f.Write(dictionary); err != nil {
		return err
	}
	return z.Close()
}

// XLSX writes a workbook: a sheet for each table, its head frozen, and a Dictionary that says what each column means, in which unit, and which report the
// figures are of. The bytes depend on p alone. Errors: a value that is not of its column's type, a table longer than a sheet, those of w.
func (p Package) XLSX(w io.Writer) error {
	f := excelize.NewFile()
	defer f.Close()
	b := &book{file: f, formats: map[string]int{}}
	names := map[string]bool{"dictionary": true}
	dictionary := Data{ID: "Dictionary", Fields: []Field{{Name: "table", Type: String}, {Name: "column", Type: String}, {Name: "type", Type: String}, {Name: "unit", Type: String}, {Name: "description", Type: String}}}
	say := func(v ...any) { dictionary.Rows = append(dictionary.Rows, v) }
	say(p.Title, nil, nil, nil, p.Description)
	say("SHA-256", nil, nil, nil, p.Report)
	for _, t := range p.Tables {
		name := sheetName(t.ID, names)
		say(name, nil, nil, nil, strings.TrimSpace(t.Title+". "+t.Description))
		for _, c := range t.Fields {
			say(name, c.Name, string(c.Type), c.Unit, c.Description)
		}
		if err := b.sheet(name, t); err != nil {
			return err
		}
	}
	if err := b.sheet("Dictionary", dictionary); err != nil {
		return err
	}
	if err := f.DeleteSheet("Sheet1"); err != nil {
		return fmt.Errorf("make workbook: %w", err)
	}
	f.SetActiveSheet(0)
	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		return fmt.Errorf("make workbook: %w", err)
	}
	return settle(w, out.Bytes())
}

// sheetName is a name that a sheet may have and that no other has.
func sheetName(id string, taken map[string]bool) string {
	id = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`[]:*?/\'`, r) {
			return '-'
		}
		return r
	}, id)
	short := []rune(id)
	for n := 1; ; n++ {
		name := string(short[:min(len(short), 31)])
		if n > 1 {
			name = string(short[:min(len(short), 27)]) + "-" + fmt.Sprint(n)
		}
		if key := strings.ToLower(name); name != "" && key != "sheet1" && !taken[key] {
			taken[key] = true
			return name
		}
	}
}

// book is a workbook in the making.
type book struct {
	file    *excelize.File
	formats map[string]int
}

// style is the number of a cell style: a number format, or "head".
func (b *book) style(format string) (int, error) {
	if id, ok := b.formats[format]; ok {
		return id, nil
	}
	s := &excelize.Style{CustomNumFmt: &format}
	if format == "head" {
		s = &excelize.Style{Font: &excelize.Font{Bold: true}, Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}, Border: []excelize.Border{{Type: "bottom", Style: 1, Color: "5A6573"}}}
	}
	id, err := b.file.NewStyle(s)
	b.formats[format] = id
	return id, err
}

// format is how a column's values are shown; empty as the program likes.
func (f Field) format() string {
	switch {
	case f.Type == Datetime:
		return "yyyy-mm-dd hh:mm"
	case f.Type == Integer:
		return "#,##0"
	case f.Type == Number && f.Unit == "fraction":
		return "0.00%"
	}
	return ""
}

func (b *book) sheet(name string, t Data) error {
	if err := t.check(); err != nil {
		return err
	}
	if len(t.Rows) >= excelize.TotalRows || len(t.Fields) > excelize.MaxColumns {
		return fmt.Errorf("table %s: %d rows of %d columns are more than a sheet takes; export it as CSV", t.ID, len(t.Rows), len(t.Fields))
	}
	wrap := func(err error) error { return fmt.Errorf("make sheet %s: %w", name, err) }
	if _, err := b.file.NewSheet(name); err != nil {
		return wrap(err)
	}
	w, err := b.file.NewStreamWriter(name)
	if err != nil {
		return wrap(err)
	}
	head, err := b.style("head")
	if err != nil {
		return wrap(err)
	}
	names, styles := make([]any, len(t.Fields)), make([]int, len(t.Fields))
	for i, f := range t.Fields {
		title := f.Name
		if f.Unit != "" {
			title += " [" + f.Unit + "]"
		}
		names[i] = excelize.Cell{StyleID: head, Value: title}
		if format := f.format(); format != "" {
			if styles[i], err = b.style(format); err != nil {
				return wrap(err)
			}
		}
		width := 16.
		if f.Type == String {
			width = 28
		}
		if f.Name == "description" {
			width = 90
		}
		if err := w.SetColWidth(i+1, i+1, width); err != nil {
			return wrap(err)
		}
	}
	if err := w.SetPanes(&excelize.Panes{Freeze: true, XSplit: 1, YSplit: 1, TopLeftCell: "B2", ActivePane: "bottomRight"}); err != nil {
		return wrap(err)
	}
	if err := w.SetRow("A1", names); err != nil {
		return wrap(err)
	}
	cells := make([]any, len(t.Fields))
	for i, row := range t.Rows {
		for k, v := range row {
			switch x := v.(type) {
			case float64:
				if !known(x) {
					v = nil
				}
			case time.Time:
				v = excelTime(x)
			}
			cells[k] = excelize.Cell{StyleID: styles[k], Value: v}
		}
		if err := w.SetRow(fmt.Sprintf("A%d", i+2), cells); err != nil {
			return wrap(err)
		}
	}
	if err := w.Flush(); err != nil {
		return wrap(err)
	}
	return nil
}

// excelTime is an instant as a spreadsheet counts: days since 1899-12-30, in UTC.
func excelTime(t time.Time) float64 {
	return float64(t.Unix()-time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Unix()) / 86400
}

// settle writes the parts of a zip in the order of their names, all of 1980-01-01.
func settle(w io.Writer, data []byte) error {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("make workbook: %w", err)
	}
	sort.Slice(r.File, func(a, b int) bool { return r.File[a].Name < r.File[b].Name })
	z := zip.NewWriter(w)
	for _, f := range r.File {
		raw, err := f.OpenRaw()
		if err != nil {
			return fmt.Errorf("make workbook: %w", err)
		}
		to, err := z.CreateRaw(&zip.FileHeader{Name: f.Name, Method: f.Method, ModifiedDate: 1<<5 | 1, CRC32: f.CRC32, CompressedSize64: f.CompressedSize64, UncompressedSize64: f.UncompressedSize64})
		if err != nil {
			return err
		}
		if _, err := io.Copy(to, raw); err != nil {
			return err
		}
	}
	return z.Close()
}
