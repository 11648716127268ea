package sheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// scanPart reads a sheet, or the texts that sheets share, to its end and keeps nothing. The library that reads the
// values takes a part that breaks off for one that ends, so a damaged workbook would be a shorter table.
func scanPart(part *zip.File, shared bool) error {
	r, err := part.Open()
	if err != nil {
		return fmt.Errorf("its part %s: %w", part.Name, err)
	}
	defer r.Close()
	d := xml.NewDecoder(bufio.NewReader(r))
	texts, cells, root := 0, 0, false
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return damaged(part, err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			root = true
			switch e.Name.Local {
			case "si":
				texts++
			case "row":
				cells = 0
			case "c":
				cells++
			}
			if shared && texts > MaxStrings {
				return fmt.Errorf("its sheets share more than %d texts; save the sheet with the sites as a workbook of its own, or as CSV", MaxStrings)
			}
			if cells > 16384 {
				return fmt.Errorf("its part %s has a row of more than 16384 cells, which no spreadsheet program writes", part.Name)
			}
		}
	}
	if !root {
		return damaged(part, errors.New("it is empty"))
	}
	return nil
}

func damaged(part *zip.File, err error) error {
	return fmt.Errorf("its part %s is damaged: %w; open it in a spreadsheet program and save it again", part.Name, err)
}
