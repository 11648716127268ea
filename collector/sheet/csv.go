package sheet

import (
	"errors"
	"fmt"
	"strings"
)

// separators are those that spreadsheet programs write.
const separators = ",;\t"

// openCSV finds out encoding and separator.
func openCSV(data []byte) (*File, error) {
	text, notes, err := decode(data)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, "\r", "\n") // as very old programs write it
	}
	first, comma := 1, byte(0)
	if line, rest, _ := strings.Cut(text, "\n"); len(line) > 4 && strings.EqualFold(line[:4], "sep=") { // Excel's own way to say it
		if comma = line[4]; strings.IndexByte(separators, comma) < 0 {
			return nil, fmt.Errorf("row 1: sep=%c names none of comma, semicolon and tab", comma)
		}
		text, first = rest, 2
	}
	if comma == 0 {
		if comma, err = separator(text); err != nil {
			return nil, err
		}
	}
	return &File{Notes: notes, rows: func(yield func(Row, error) bool) { readCSV(text, comma, first, yield) }}, nil
}

// looked is how many rows are tried to find the separator.
const looked = 20

// separator is the one that parts most of the first rows into the same number of cells, then the one that parts them into
// more. Where two are as good, nobody can tell.
func separator(text string) (byte, error) {
	best, most, tie := byte(','), [2]int{}, false
	for _, c := range []byte(separators) {
		rows, rest := map[int]int{}, text // cells to rows
		for i := 0; i < looked && rest != ""; i++ {
			cells, after, err := record(rest, c)
			if err != nil {
				break
			}
			rows[len(cells)]++
			rest = after
		}
		var score [2]int
		for cells, n := range rows {
			if s := [2]int{n, cells}; cells > 1 && (s[0] > score[0] || s[0] == score[0] && s[1] > score[1]) {
				score = s
			}
		}
		switch {
		case score[0] > most[0] || score[0] == most[0] && score[1] > most[1]:
			best, most, tie = c, score, false
		case score == most && score[0] > 0:
			tie = true
		}
	}
	if tie {
		return 0, errors.New("comma, semicolon or tab: the first rows can be parted by more than one; write sep=; (or another) as a row before the first")
	}
	return best, nil
}

// readCSV counts rows as a spreadsheet program does: an empty line is a row, a cell of several lines is not many.
func readCSV(text string, comma byte, number int, yield func(Row, error) bool) {
	for line := 1; text != ""; number++ {
		cells, rest, err := record(text, comma)
		if err != nil {
			yield(Row{Number: number}, fmt.Errorf("row %d (line %d): %w", number, line, err))
			return
		}
		if !yield(Row{number, trim(cells)}, nil) {
			return
		}
		line += strings.Count(text[:len(text)-len(rest)], "\n")
		text = rest
	}
}

var (
	errOpen  = errors.New("a quotation mark opens a cell and none closes it")
	errAfter = errors.New("a quotation mark closes a cell and something stands behind it; write marks inside such a cell twice")
)

// record parts one row from the rest, as RFC 4180 says. A mark inside a cell that does not begin with one is taken as it
// stands, which encoding/csv would refuse or, if told to be lazy, pay for with marks that nobody closes: 33°41'22"N.
func record(text string, comma byte) (cells []string, rest string, err error) {
	for {
		cell := ""
		if strings.HasPrefix(text, `"`) {
			text = text[1:]
			end := 0 // of the cell: a mark that is not written twice
			for {
				i := strings.IndexByte(text[end:], '"')
				if i < 0 {
					return nil, "", errOpen
				}
				if end += i; !strings.HasPrefix(text[end:], `""`) {
					break
				}
				end += 2
			}
			cell, text = strings.ReplaceAll(text[:end], `""`, `"`), text[end+1:]
			text = strings.TrimPrefix(text, "\r") // before the end of the line or of the file
			if text != "" && text[0] != comma && text[0] != '\n' {
				return nil, "", errAfter
			}
		} else {
			i := 0
			for i < len(text) && text[i] != comma && text[i] != '\n' {
				i++
			}
			cell, text = text[:i], text[i:]
		}
		cells = append(cells, cell)
		switch {
		case text == "":
			return cells, "", nil
		case text[0] == '\n':
			return cells, text[1:], nil
		}
		if text = text[1:]; text == "" { // a comma is the last thing in the file
			return append(cells, ""), "", nil
		}
	}
}
