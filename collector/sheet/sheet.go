package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
)

// Bounds of what is read.
const (
	MaxFile    = 32 << 20 // bytes of a file
	MaxRows    = 100_000  // rows that are not empty
	MaxColumns = 1_000    // cells of a row that are not empty
)

// Row is a row of the table that is not empty.
type Row struct {
	Number int      // as a spreadsheet program shows it, from 1
	Cells  []string // trimmed; those at the end that are empty may be left out
}

// File is a table that has been opened.
type File struct {
	Workbook bool     // XLSX, where numbers are told as numbers; false for CSV, where they are what somebody wrote
	Sheet    string   // the name of the sheet that is read; "" for CSV
	Notes    []string // what was found out and should be looked at
	rows     iter.Seq2[Row, error]
	close    func() error
}

// Open reads the start of a file. Sheet names the sheet of a workbook; "" is its first.
func Open(name, sheet string) (*File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	t, err := parse(data, sheet)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func parse(data []byte, sheet string) (*File, error) {
	has := func(magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }
	switch {
	case len(data) > MaxFile:
		return nil, fmt.Errorf("is larger than %d MiB; leave out what is not the table of sites", MaxFile>>20)
	case has("PK\x03\x04"):
		return openWorkbook(data, sheet)
	case has("\xd0\xcf\x11\xe0"):
		return nil, errors.New("is a workbook of Excel before 2007, or one with a password; save it as .xlsx without a password")
	case has("%PDF"):
		return nil, errors.New("is a PDF; save the spreadsheet itself as .xlsx or CSV")
	case sheet != "":
		return nil, errors.New("is no workbook, so it has no sheets; leave --sheet out")
	}
	if start := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 200)]))); strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html") || strings.HasPrefix(start, "<?xml") {
		return nil, errors.New("is a web page or XML, whatever its name says; open it in a spreadsheet program and save it as .xlsx or CSV")
	}
	return openCSV(data)
}

// Rows are the rows that are not empty. An error ends them.
func (f *File) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		n := 0
		for row, err := range f.rows {
			if err == nil && len(row.Cells) == 0 {
				continue
			}
			if n++; err == nil && n > MaxRows {
				err = fmt.Errorf("row %d: more than %d rows are not read", row.Number, MaxRows)
			}
			if err == nil && len(row.Cells) > MaxColumns {
				err = fmt.Errorf("row %d: more than %d columns are not read", row.Number, MaxColumns)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Close removes what a large workbook has left in the folder of temporary files.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// trim takes white space off both ends of every cell and drops empty cells at the end.
func trim(cells []string) []string {
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return cells
}
