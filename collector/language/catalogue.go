package language

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxForms = 6 // Arabic has as many; no language has more

var placeholder = regexp.MustCompile(`\{[a-z][a-z0-9_]*\}`)

// message is an entry of a catalogue.
type message struct {
	id, plural string
	forms      []string // one; with a plural as many as the language has
	line       int
	fuzzy      bool
	comments   []string // for translators, in a template
}

// catalogue is a gettext file, read strictly: what gettext would pass over is a fault, because a translator would look for it in vain.
type catalogue struct {
	header   map[string]string // keys in lower case
	messages []message
	count    int // plural forms
	form     plural
}

// parse reads a catalogue. A message that is marked fuzzy counts as not translated, as with gettext. Errors name file and line.
func parse(file, text string) (*catalogue, error) {
	c := &catalogue{header: map[string]string{}}
	var m message
	var into *string
	wrong := func(line int, format string, a ...any) error {
		return fmt.Errorf("%s:%d: %s", file, line, fmt.Sprintf(format, a...))
	}
	flush := func() {
		if m.line > 0 {
			c.messages = append(c.messages, m)
		}
		m, into = message{}, nil
	}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "#~"): // what is not used any more
			continue
		case strings.HasPrefix(line, "#"):
			if len(m.forms) > 0 {
				flush()
			}
			if strings.HasPrefix(line, "#.") {
				m.comments = append(m.comments, strings.TrimSpace(line[2:]))
			}
			m.fuzzy = m.fuzzy || strings.HasPrefix(line, "#,") && strings.Contains(line, "fuzzy")
			continue
		case word == "msgid":
			if len(m.forms) > 0 {
				flush()
			}
			if m.line > 0 {
				return nil, wrong(i+1, "the msgid of line %d has no msgstr", m.line)
			}
			m.line, into = i+1, &m.id
		case word == "msgid_plural" && m.line > 0 && m.forms == nil:
			into = &m.plural
		case strings.HasPrefix(word, "msgstr") && m.line > 0:
			want := "msgstr"
			if m.plural != "" {
				want = fmt.Sprintf("msgstr[%d]", len(m.forms))
			}
			if word != want || m.plural == "" && m.forms != nil {
				return nil, wrong(i+1, "%s does not belong here; write %s", word, want)
			}
			m.forms = append(m.forms, "")
			into = &m.forms[len(m.forms)-1]
		case strings.HasPrefix(line, `"`) && into != nil:
			rest = line
		default:
			return nil, wrong(i+1, "%.40q is not of a catalogue; write msgid, msgid_plural, msgstr or a text in quotes", line)
		}
		s, err := strconv.Unquote(strings.TrimSpace(rest))
		if err != nil || !strings.HasPrefix(strings.TrimSpace(rest), `"`) {
			return nil, wrong(i+1, `%.40s is not a text; write it in "quotes", with \" and \\ within`, rest)
		}
		*into += s
	}
	if m.line > 0 && m.forms == nil {
		return nil, wrong(m.line, "the msgid has no msgstr")
	}
	flush()
	if err := c.readHeader(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, c.check(file)
}

// readHeader takes the message of the empty id, and how plurals are made.
func (c *catalogue) readHeader() error {
	i := slices.IndexFunc(c.messages, func(m message) bool { return m.id == "" })
	if i < 0 {
		return fmt.Errorf(`there is no header; begin the file with msgid "" and a msgstr with Language and Plural-Forms`)
	}
	for line := range strings.Lines(c.messages[i].forms[0]) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			c.header[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	c.messages = slices.Delete(c.messages, i, i+1)
	count, form, ok := strings.Cut(c.header["plural-forms"], ";")
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(count), "nplurals=")))
	form = strings.TrimSuffix(strings.TrimSpace(form), ";")
	if !ok || err != nil || n < 1 || n > maxForms || !strings.HasPrefix(form, "plural=") {
		return fmt.Errorf(`its Plural-Forms are %q; write them as gettext has them, such as "nplurals=2; plural=(n != 1);"`, c.header["plural-forms"])
	}
	if c.form, err = compilePlural(strings.TrimPrefix(form, "plural=")); err != nil {
		return fmt.Errorf("its Plural-Forms say %q: %w", form, err)
	}
	c.count = n
	for k := range uint64(1000) {
		if f := c.form(k); f >= uint64(n) {
			return fmt.Errorf("its Plural-Forms give %d the form %d of %d; take the line that gettext has for the language", k, f, n)
		}
	}
	return nil
}

// check holds each message against its English.
func (c *catalogue) check(file string) error {
	seen := map[string]int{}
	for _, m := range c.messages {
		if at := seen[m.id]; at > 0 {
			return fmt.Errorf("%s:%d: %.60q is in line %d already; take one out", file, m.line, m.id, at)
		}
		seen[m.id] = m.line
		if m.plural != "" && len(m.forms) != c.count {
			return fmt.Errorf("%s:%d: %.60q has %d forms, the language has %d", file, m.line, m.id, len(m.forms), c.count)
		}
		english := m.plural
		if english == "" {
			english = m.id
		}
		want := placeholders(english)
		for _, f := range m.forms {
			got := placeholders(f)
			if f == "" || m.fuzzy || slices.Equal(got, want) {
				continue
			}
			if m.plural != "" && len(got) == len(want)-1 && !slices.Contains(got, "{n}") { // "one site": the number may go without saying
				continue
			}
			return fmt.Errorf("%s:%d: %.60q has the placeholders %v, its translation has %v; they must be the same", file, m.line, m.id, want, got)
		}
	}
	return nil
}

// placeholders are the names in braces, sorted, each once.
func placeholders(text string) []string {
	all := placeholder.FindAllString(text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}
