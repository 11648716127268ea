package sheet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// decode turns the bytes of a CSV file into text: UTF-8 and UTF-16 by their mark, UTF-8 without one, and what is neither
// as Windows-1252, which is then said.
func decode(data []byte) (text string, notes []string, err error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
		if !utf8.Valid(data) {
			return "", nil, errors.New("says that it is UTF-8 and is not; save it again as \"CSV UTF-8\"")
		}
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		if len(data)%2 != 0 {
			return "", nil, errors.New("is UTF-16 that ends in half a letter: the file is cut off; save it again as \"CSV UTF-8\"")
		}
		data, err = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", nil, fmt.Errorf("read as UTF-16: %w; save it again as \"CSV UTF-8\"", err)
		}
		if bytes.ContainsRune(data, utf8.RuneError) {
			return "", nil, errors.New("is UTF-16 with halves of letters in it; save it again as \"CSV UTF-8\"")
		}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return "", nil, fmt.Errorf("has a zero byte at %d, so it is no CSV, or UTF-16 without its mark; save it as \"CSV UTF-8\" or .xlsx", i)
	}
	if utf8.Valid(data) {
		return string(data), nil, nil
	}
	for _, undefined := range []byte("\x81\x8d\x8f\x90\x9d") {
		if bytes.IndexByte(data, undefined) >= 0 {
			return "", nil, errors.New("is neither UTF-8 nor Windows-1252; save it as \"CSV UTF-8\" or .xlsx")
		}
	}
	data, err = charmap.Windows1252.NewDecoder().Bytes(data)
	if err != nil {
		return "", nil, fmt.Errorf("read as Windows-1252: %w", err)
	}
	text = string(data)
	return text, []string{"read as Windows-1252, as it is not UTF-8; look whether this is right: " + firstForeign(text)}, nil
}

// firstForeign is the first cell with a letter beyond ASCII, and the line it stands on.
func firstForeign(text string) string {
	n := 0
	for line := range strings.Lines(text) {
		n++
		for _, cell := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(separators+"\"\r\n", r) }) {
			if strings.ContainsFunc(cell, func(r rune) bool { return r >= utf8.RuneSelf }) {
				return fmt.Sprintf("line %d, %q", n, strings.TrimSpace(cell))
			}
		}
	}
	return ""
}
