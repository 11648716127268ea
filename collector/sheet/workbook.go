package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// Bounds of a workbook, beside those of every file. The sizes are those that the archive states; its reader holds it to them.
const (
	MaxUnpacked = 64 << 20 // bytes of all parts, unpacked
	MaxParts    = 2_000    // parts of the archive
	MaxStrings  = 500_000  // texts that sheets share
	maxOther    = 8 << 20  // bytes of each part that is neither a sheet, nor shared texts, nor a picture
	inMemory    = 1 << 20  // bytes of a sheet or of shared texts beyond which they are read from a temporary file
)

func openWorkbook(data []byte, sheet string) (*File, error) {
	notes, err := scan(data)
	if err != nil {
		return nil, err
	}
	book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{RawCellValue: true, UnzipSizeLimit: MaxUnpacked, UnzipXMLSizeLimit: inMemory})
	if err != nil {
		return nil, fmt.Errorf("is no workbook that can be read: %w; open it in a spreadsheet program and save it as .xlsx", err)
	}
	names := book.GetSheetList()
	switch {
	case len(names) == 0:
		err = errors.New("has no sheet; open it in a spreadsheet program and save it as .xlsx")
	case sheet == "":
		sheet = names[0]
	case !slices.Contains(names, sheet):
		err = fmt.Errorf("has no sheet %q; there are: %s", sheet, strings.Join(names, ", "))
	}
	if err != nil {
		return nil, errors.Join(err, book.Close())
	}
	f := &File{Notes: notes, Workbook: true, Sheet: sheet, close: book.Close, rows: func(yield func(Row, error) bool) { readSheet(book, sheet, yield) }}
	if len(names) > 1 {
		f.Notes = append(f.Notes, fmt.Sprintf("sheet %q is read, of %d: %s", sheet, len(names), strings.Join(names, ", ")))
	}
	return f, nil
}

func readSheet(book *excelize.File, sheet string, yield func(Row, error) bool) {
	rows, err := book.Rows(sheet)
	if err != nil {
		yield(Row{}, fmt.Errorf("sheet %q: %w", sheet, err))
		return
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
		cells, err := rows.Columns()
		if err != nil {
			err = fmt.Errorf("sheet %q, row %d: %w", sheet, n, err)
		}
		if !yield(Row{n, trim(cells)}, err) || err != nil {
			return
		}
	}
	if err := rows.Error(); err != nil {
		yield(Row{Number: n}, fmt.Errorf("sheet %q, after row %d: %w", sheet, n, err))
	}
}

// isTable tells the parts that may be large: sheets and the texts that they share.
func isTable(part string) (shared, ok bool) {
	part = strings.ToLower(strings.ReplaceAll(part, "\\", "/"))
	shared = part == "xl/sharedstrings.xml"
	return shared, shared || strings.HasPrefix(part, "xl/worksheets/") && strings.HasSuffix(part, ".xml")
}

// scan looks through the archive before anything of it is kept in memory.
func scan(data []byte) (notes []string, err error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("is cut off or damaged: %w; copy it again", err)
	}
	if len(z.File) > MaxParts {
		return nil, fmt.Errorf("has %d parts, and no workbook with a table of sites has more than %d", len(z.File), MaxParts)
	}
	total, isBook := uint64(0), false
	for _, part := range z.File {
		if total += part.UncompressedSize64; total > MaxUnpacked || part.UncompressedSize64 > MaxUnpacked {
			return nil, fmt.Errorf("unpacks to more than %d MiB; save the sheet with the sites as a workbook of its own, without pictures, or as CSV", MaxUnpacked>>20)
		}
		name := strings.ToLower(strings.ReplaceAll(part.Name, "\\", "/"))
		isBook = isBook || strings.HasPrefix(name, "xl/")
		if name == "content.xml" {
			return nil, errors.New("is an OpenDocument file; save it as .xlsx or CSV")
		}
		_, table := isTable(name)
		if markup := strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".rels"); !table && markup && part.UncompressedSize64 > maxOther {
			return nil, fmt.Errorf("its part %s unpacks to more than %d MiB; save the sheet with the sites as a workbook of its own, or as CSV", part.Name, maxOther>>20)
		}
	}
	if !isBook {
		return nil, errors.New("is an archive and no workbook; unpack it first")
	}
	for _, part := range z.File {
		if shared, ok := isTable(part.Name); ok {
			f, err := scanPart(part, shared)
			if err != nil {
				return nil, err
			}
			if f.merged != "" {
				notes = append(notes, fmt.Sprintf("cells are merged (%s first, in %s); only the first cell of each has the value, the others count as empty", f.merged, part.Name))
			}
			if f.uncomputed != "" {
				notes = append(notes, fmt.Sprintf("formulas were never computed (%s first, in %s) and count as empty; open the workbook in a spreadsheet program and save it", f.uncomputed, part.Name))
			}
		}
	}
	return notes, nil
}
