package terminal

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Is tells whether a person watches out, by whether the kernel knows its width.
func Is(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// Coloured tells whether what is written to out may have colours.
func Coloured(out io.Writer, getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && Is(out)
}

// Colour is one that every terminal has, of letters on the terminal's own ground.
type Colour string

// The colours, by the number of their escape sequence.
const (
	Bold   Colour = "1"
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
)

// Of paints a text; an empty one stays empty.
func (c Colour) Of(text string) string {
	if c == "" || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// Painter paints a line, which comes without its end.
type Painter func(line string) string

// Paint passes what is written on to out line by line, painted, or is out itself where there are no colours. The last line needs an end.
func Paint(out io.Writer, getenv func(string) string, painter Painter) io.Writer {
	if !Coloured(out, getenv) {
		return out
	}
	return &painted{out: out, paint: painter}
}

type painted struct {
	out   io.Writer
	paint Painter
	rest  []byte // of a line that has not ended
}

func (p *painted) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	end := bytes.LastIndexByte(p.rest, '\n')
	if end < 0 {
		return len(b), nil
	}
	var text strings.Builder
	for line := range strings.Lines(string(p.rest[:end+1])) {
		text.WriteString(p.paint(strings.TrimSuffix(line, "\n")) + "\n")
	}
	p.rest = append(p.rest[:0], p.rest[end+1:]...)
	if _, err := io.WriteString(p.out, text.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// First paints the word that a line begins with, where it has a colour.
func First(words map[string]Colour) Painter {
	return func(line string) string {
		word, _, _ := strings.Cut(line, " ")
		return words[word].Of(word) + line[len(word):]
	}
}

// Cells paints a table whose columns are two spaces apart: its heading, and each cell that begins with one of the words.
func Cells(words map[string]Colour) Painter {
	return func(line string) string {
		if heading(line) {
			return Bold.Of(line)
		}
		var b strings.Builder
		for line != "" {
			text := strings.TrimLeft(line, " ")
			b.WriteString(line[:len(line)-len(text)])
			end := strings.Index(text, "  ")
			if end < 0 {
				end = len(text)
			}
			b.WriteString(cell(text[:end], words))
			line = text[end:]
		}
		return b.String()
	}
}

// cell paints the longest of the words that a cell begins with.
func cell(text string, words map[string]Colour) string {
	best := ""
	for word := range words {
		rest, ok := strings.CutPrefix(text, word)
		if ok && len(word) > len(best) && (rest == "" || strings.ContainsAny(rest[:1], " ,:;.")) {
			best = word
		}
	}
	return words[best].Of(best) + text[len(best):]
}

// heading tells whether a line is that of a table: capitals, in columns.
func heading(line string) bool {
	return strings.Contains(line, "  ") && line == strings.ToUpper(line) && !strings.HasPrefix(line, " ") && !strings.ContainsAny(line, "0123456789") && line != strings.ToLower(line)
}
