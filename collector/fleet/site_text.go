package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

var (
	siteHeader = regexp.MustCompile(`^\s*\[\[\s*(?:"site"|'site'|site)\s*\]\]`)
	keyLine    = regexp.MustCompile(`^(\s*)["']?([A-Za-z0-9_-]+)["']?\s*=\s*`)
	// oneLine is a value that ends on its line, and what comes behind it.
	oneLine = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"|'[^']*'|[^#"'\s][^#"']*?)(\s*(?:#.*)?)$`)
)

// siteText is the sites file as lines, so that a value can be changed without touching what people wrote around it. It
// need not understand all of TOML: who changes the text reads it again and looks whether it says what it should.
type siteText struct {
	lines  []string
	blocks map[string]siteBlock // by id
}

// siteBlock is where one [[site]] stands.
type siteBlock struct {
	head, last int            // its header, and its last line that is not blank or a comment
	keys       map[string]int // key to its line
}

func readSiteText(text string) *siteText {
	t := &siteText{lines: strings.SplitAfter(text, "\n"), blocks: map[string]siteBlock{}}
	var b *siteBlock
	id, inside := "", "" // inside a text of several lines: what ends it
	end := func() {
		if b != nil && id != "" {
			t.blocks[id] = *b
		}
		b, id = nil, ""
	}
	for i, line := range t.lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case inside != "":
			if strings.Contains(line, inside) {
				inside = ""
			}
			if b != nil {
				b.last = i
			}
		case trimmed == "" || trimmed[0] == '#':
		case trimmed[0] == '[':
			end()
			if siteHeader.MatchString(line) {
				b = &siteBlock{head: i, last: i, keys: map[string]int{}}
			}
		default:
			m := keyLine.FindStringSubmatch(line)
			if m == nil || b == nil {
				continue
			}
			b.keys[m[2]], b.last = i, i
			value := line[len(m[0]):]
			for _, q := range []string{`"""`, `'''`} {
				if strings.HasPrefix(value, q) && !strings.Contains(value[3:], q) {
					inside = q
				}
			}
			if v := oneLine.FindStringSubmatch(strings.TrimRight(value, "\r\n")); m[2] == "id" && v != nil {
				id = strings.Trim(v[1], `"'`)
			}
		}
	}
	end()
	return t
}

// set changes the values in which the new site differs from the old one; a key that is not there yet comes last.
func (t *siteText) set(old, site Site) error {
	b, ok := t.blocks[old.ID]
	if !ok {
		return fmt.Errorf("site %q is not written as a section [[site]] of its own; change it by hand", old.ID)
	}
	eol, more := "\n", ""
	if strings.HasSuffix(t.lines[b.head], "\r\n") {
		eol = "\r\n"
	}
	was := old.Fields()
	for i, f := range site.Fields() {
		if f == was[i] {
			continue
		}
		text, err := toml.Marshal(map[string]any{f.Key: f.Value})
		if err != nil {
			return fmt.Errorf("write %s of site %q as TOML: %w", f.Key, site.ID, err)
		}
		_, value, _ := strings.Cut(strings.TrimSpace(string(text)), "= ")
		if at, there := b.keys[f.Key]; there {
			line := t.lines[at]
			start := len(keyLine.FindString(line))
			rest := strings.TrimRight(line[start:], "\r\n")
			m := oneLine.FindStringSubmatch(rest)
			if m == nil {
				return fmt.Errorf("line %d: %s of site %q is a text over several lines; change it by hand", at+1, f.Key, site.ID)
			}
			t.lines[at] = line[:start] + value + m[2] + line[start+len(rest):]
			continue
		}
		more += indentOf(t.lines[b.last]) + f.Key + " = " + value + eol
	}
	if last := &t.lines[b.last]; more != "" { // lines that are added share its element, so that the numbers of the others stay
		if !strings.HasSuffix(*last, "\n") {
			*last += eol
		}
		*last += more
	}
	return nil
}

func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

// remove takes a site out, with the comment that stands right above it, unless that begins the file. What stands below
// its last value belongs to whatever comes next.
func (t *siteText) remove(id string) error {
	b, ok := t.blocks[id]
	if !ok {
		return fmt.Errorf("site %q is not written as a section [[site]] of its own; take it out by hand", id)
	}
	from := b.head
	for from > 0 && strings.HasPrefix(strings.TrimSpace(t.lines[from-1]), "#") {
		from--
	}
	if from == 0 {
		from = b.head
	}
	to := b.last + 1
	for to < len(t.lines) && from > 0 && strings.TrimSpace(t.lines[from-1]) == "" && strings.TrimSpace(t.lines[to]) == "" {
		to++ // one gap is enough
	}
	for strings.Join(t.lines[to:], "") == "" && from > 0 && strings.TrimSpace(t.lines[from-1]) == "" {
		from-- // nor does the file end with one
	}
	t.lines = slices.Delete(t.lines, from, to)
	t.blocks = nil // their line numbers are past
	return nil
}

// append puts new sites behind all else.
func (t *siteText) append(sites []Site) error {
	text, err := sitesTOML(sites...)
	if err != nil {
		return err
	}
	if before := strings.TrimRight(t.String(), "\n"); before != "" {
		text = before + "\n\n" + text
	}
	t.lines, t.blocks = []string{text}, nil
	return nil
}

func (t *siteText) String() string { return strings.Join(t.lines, "") }
