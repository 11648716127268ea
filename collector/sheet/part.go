package sheet

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// scanPart reads a sheet, or the texts that sheets share, to its end and keeps nothing. The library that reads the
// values takes a part that breaks off for one that ends, so a damaged workbook would be a shorter table.
func scanPart(part *zip.File, shared bool) (notes found, err error) {
	r, err := part.Open()
	if err != nil {
		return notes, fmt.Errorf("its part %s: %w", part.Name, err)
	}
	defer r.Close()
	d := xml.NewDecoder(bufio.NewReader(&marked{r: r}))
	texts, root, at, begin := 0, false, place{}, int64(-1)
	var cell struct{ formula, value bool }
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return notes, damaged(part, err)
		}
		if begin >= 0 && d.InputOffset()-begin > maxCell {
			return notes, damaged(part, errLargeCell)
		}
		switch e := token.(type) {
		case xml.StartElement:
			root = true
			if e.Name.Local == "si" || e.Name.Local == "c" {
				begin = d.InputOffset()
			}
			switch e.Name.Local {
			case "si":
				texts++
			case "row":
				err = at.row(attribute(e, "r"))
			case "c":
				cell.formula, cell.value = false, false
				err = at.cell(attribute(e, "r"))
			case "f":
				cell.formula = true
			case "v", "is":
				cell.value = true
			case "mergeCell":
				if notes.merged == "" {
					notes.merged = attribute(e, "ref")
				}
			}
			if err != nil {
				return notes, damaged(part, err)
			}
			if shared && texts > MaxStrings {
				return notes, fmt.Errorf("its sheets share more than %d texts; save the sheet with the sites as a workbook of its own, or as CSV", MaxStrings)
			}
		case xml.EndElement:
			if e.Name.Local == "si" || e.Name.Local == "c" {
				begin = -1
			}
			if e.Name.Local == "c" && cell.formula && !cell.value && notes.uncomputed == "" {
				notes.uncomputed, _ = excelize.CoordinatesToCellName(at.column, at.line)
			}
		}
	}
	if !root {
		return notes, damaged(part, errors.New("it is empty"))
	}
	return notes, nil
}

// maxCell bounds a cell with all its markup, in bytes. Spreadsheet programs take 32,767 letters.
const maxCell = 1 << 20

var errLargeCell = fmt.Errorf("a cell takes more than %d KiB", maxCell>>10)

// marked refuses a text that goes on for longer than any cell without a mark, before a decoder gathers it up.
type marked struct {
	r   io.Reader
	run int
}

func (m *marked) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	for rest := p[:n]; ; {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			m.run += len(rest)
			break
		}
		if m.run += i; m.run > maxCell {
			break
		}
		m.run, rest = 0, rest[i+1:]
	}
	if m.run > maxCell {
		return 0, errLargeCell
	}
	return n, err
}

// found is what of a part has no value where people see one: the first of each kind.
type found struct{ merged, uncomputed string }

// place follows rows and cells. The library puts those that are out of order where they do not belong.
type place struct{ line, column int }

func (p *place) row(name string) error {
	n := p.line + 1
	if name != "" {
		var err error
		if n, err = strconv.Atoi(name); err != nil || n <= p.line || n > excelize.TotalRows {
			return fmt.Errorf("row %q comes after row %d", name, p.line)
		}
	}
	p.line, p.column = n, 0
	return nil
}

func (p *place) cell(name string) error {
	n := p.column + 1
	if name != "" {
		column, line, err := excelize.CellNameToCoordinates(name)
		if err != nil || column <= p.column || line != p.line {
			return fmt.Errorf("cell %q comes after column %d of row %d", name, p.column, p.line)
		}
		n = column
	}
	if n > excelize.MaxColumns {
		return fmt.Errorf("row %d has more than %d cells", p.line, excelize.MaxColumns)
	}
	p.column = n
	return nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func damaged(part *zip.File, err error) error {
	return fmt.Errorf("its part %s is damaged: %w; open it in a spreadsheet program and save it again", part.Name, err)
}
