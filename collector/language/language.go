package language

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
)

// English is the language of the code, which needs no catalogue.
const English = "en"

// ErrUnknown is in the error of a language that is not there.
var ErrUnknown = errors.New("language is not known")

// maxFile bounds a catalogue.
const maxFile = 4 << 20

//go:embed catalogues/*.po
var embedded embed.FS

// Set is the languages that there are.
type Set struct{ texts map[string]*Text }

// Text says things in one language. It is not changed once it is made, so any number of goroutines may use it.
type Text struct {
	code    string
	said    map[string][]string // by English text; of a plural several
	form    plural              // nil: that of English
	rtl     bool
	numbers numerals
}

// Load reads the catalogues that come with nabz and every *.po of dir, which replaces one of the same name; "" is no folder. The name of a file is the code of its
// language: ps.po. The error joins the faults of all files.
func Load(dir string) (*Set, error) {
	s := &Set{texts: map[string]*Text{English: newText(English, nil)}}
	err := s.read(embedded, "catalogues", "")
	if dir != "" {
		err = errors.Join(err, s.read(os.DirFS(dir), ".", dir))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Set) read(from fs.FS, under, dir string) error {
	list, err := fs.ReadDir(from, under)
	if err != nil {
		return fmt.Errorf("read the languages of %s: %w; make the folder", dir, err)
	}
	var faults []error
	for _, f := range list {
		code, ok := strings.CutSuffix(f.Name(), ".po")
		if !ok || strings.HasPrefix(code, ".") {
			continue
		}
		file := path.Join(dir, f.Name())
		text, err := load(from, path.Join(under, f.Name()), file, code)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		s.texts[code] = text
	}
	return errors.Join(faults...)
}

// Default says things in English, as they stand in the code.
func Default() *Text { return newText(English, nil) }

func load(from fs.FS, name, file, code string) (*Text, error) {
	if info, err := fs.Stat(from, name); err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("read language %s: it is not a file; take it out of the folder", file)
	}
	f, err := from.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read language %s: %w", file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read language %s: %w", file, err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("read language %s: it has more than %d MiB; is it a catalogue?", file, maxFile>>20)
	}
	c, err := parse(file, string(data))
	if err != nil {
		return nil, err
	}
	if has := c.header["language"]; has != code {
		return nil, fmt.Errorf("%s: its header says Language: %s; give the file the name of its language", file, has)
	}
	t := newText(code, c)
	if err := t.numbers.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

func newText(code string, c *catalogue) *Text {
	t := &Text{code: code, said: map[string][]string{}}
	if c != nil {
		t.form = c.form
		for _, m := range c.messages {
			if !m.fuzzy && !slices.Contains(m.forms, "") {
				t.said[m.id] = m.forms
			}
		}
	}
	// translators: "default:RTL" where the language is written from right to left, else "default:LTR".
	t.rtl = t.Say("default:LTR") == "default:RTL"
	// translators: this number as the language writes it, with its digits and signs.
	t.numbers = numerals{t.Say("1,234.5")}
	return t
}

// Codes are the languages that there are, sorted.
func (s *Set) Codes() []string { return slices.Sorted(maps.Keys(s.texts)) }

// Text is the language of a code, such as "ur". The error, ErrUnknown, says which there are.
func (s *Set) Text(code string) (*Text, error) {
	if t := s.texts[code]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%q: %w; there are %s", code, ErrUnknown, strings.Join(s.Codes(), ", "))
}

// Code is the language, as HTML's lang has it.
func (t *Text) Code() string { return t.code }

// RTL tells whether the language is written from right to left.
func (t *Text) RTL() bool { return t.rtl }

// Name is the language in its own words.
func (t *Text) Name() string {
	// translators: the name of the language in itself, such as اردو.
	return t.Say("English")
}

// Say is the text in the language. with are names and values in turn: Say("{n} of {all}", "n", "3", "all", "5").
func (t *Text) Say(english string, with ...string) string {
	if forms := t.said[english]; len(forms) == 1 {
		english = forms[0]
	}
	return t.fill(english, with)
}

// Count is the text that goes with a number, in which {n} is that number.
func (t *Text) Count(n int64, one, many string, with ...string) string {
	form := many
	switch forms := t.said[one]; {
	case len(forms) > 1 && t.form != nil:
		form = forms[min(int(t.form(uint64(max(n, 0)))), len(forms)-1)]
	case len(forms) == 1 && t.form != nil && t.form(0) == 0 && t.form(1) == 0: // a language without plurals
		form = forms[0]
	case n == 1:
		form = one
	}
	return t.fill(form, append(with, "n", t.Number(n)))
}

// fill puts values in the place of their names.
func (t *Text) fill(text string, with []string) string {
	if len(with) < 2 || !strings.Contains(text, "{") {
		return text
	}
	pairs := make([]string, 0, len(with))
	for i := 0; i+1 < len(with); i += 2 {
		pairs = append(pairs, "{"+with[i]+"}", t.Isolate(with[i+1]))
	}
	return t.begin(placeholder.ReplaceAllString(text, ""), strings.NewReplacer(pairs...).Replace(text))
}

// List puts texts side by side, as the language parts them; what is "" is left out.
func (t *Text) List(parts ...string) string {
	kept := slices.DeleteFunc(slices.Clone(parts), func(p string) bool { return p == "" })
	if len(kept) < 2 {
		return strings.Join(kept, "")
	}
	// translators: between the parts of a list; keep the space at the end.
	return t.begin("", strings.Join(kept, t.Say(", ")))
}

// begin makes a text from right to left seen as one, where all its own letters are in values that are set apart.
func (t *Text) begin(own, text string) string {
	if !t.rtl || strings.ContainsFunc(own, rightToLeft) {
		return text
	}
	return "\u200f" + text
}

// Isolate sets a value apart from the sentence around it, where their directions may differ.
func (t *Text) Isolate(value string) string {
	if value == "" || !t.rtl && !strings.ContainsFunc(value, rightToLeft) {
		return value
	}
	return "\u2068" + value + "\u2069"
}

// LTR sets apart what reads from left to right whatever the language: a command, a hash, a range of numbers.
func (t *Text) LTR(value string) string {
	if !t.rtl || value == "" {
		return value
	}
	return "\u2066" + value + "\u2069"
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko)
}
