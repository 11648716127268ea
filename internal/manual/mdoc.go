package manual

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Mdoc is a program as a manual page of a section, such as 8: its own page, and each of its commands below a heading of its own.
func (p Program) Mdoc(section int, on time.Time) string {
	var m mdoc
	m.head(p.Name, section, on)
	whole := p.Pages[0]
	m.line(".Sh NAME")
	m.line(".Nm " + escaped(whole.Name))
	m.line(".Nd " + escaped(whole.Brief))
	for _, s := range whole.Sections {
		m.section(s, whole.Name)
		if s.Title == Commands {
			for _, page := range p.Pages[1:] {
				m.command(page, p.Name)
			}
		}
	}
	return m.String()
}

// command is one of the program's, as a part of its page.
func (m *mdoc) command(page Page, program string) {
	text, known := page.Section(About), page.Section(Synopsis)
	if len(text.Text) == 0 { // told in the list, or a group of others
		return
	}
	m.line(".Ss " + escaped(strings.TrimPrefix(page.Name, program+" ")))
	for i, l := range known.Lines {
		if i > 0 {
			m.line(".br")
		}
		m.synopsis(l, program)
	}
	m.line(".Pp")
	m.body(text)
	if o := page.Section(Options); len(o.Items) > 0 {
		m.list(o)
	}
	if e := page.Section(Examples); len(e.Lines) > 0 {
		m.examples(e.Lines)
	}
}

// mdoc writes the language of manual pages.
type mdoc struct{ strings.Builder }

func (m *mdoc) line(text string) { m.WriteString(text + "\n") }

// head is what every manual page begins with.
func (m *mdoc) head(name string, section int, on time.Time) {
	m.line(`.\" Made from the help of the program and from its code; change it there.`)
	m.line(".Dd " + on.UTC().Format("January 2, 2006"))
	m.line(fmt.Sprintf(".Dt %s %d", strings.ToUpper(name), section))
	m.line(".Os nabz")
}

func (m *mdoc) section(s Section, program string) {
	m.line(".Sh " + s.Title)
	switch s.Title {
	case Synopsis:
		for i, l := range s.Lines {
			if i > 0 {
				m.line(".br")
			}
			m.synopsis(l, program)
		}
		return
	case Examples:
		m.examples(s.Lines)
		return
	}
	m.body(s)
	if len(s.Items) > 0 {
		m.list(s)
	}
}

func (m *mdoc) body(s Section) {
	for i, t := range s.Text {
		if i > 0 {
			m.line(".Pp")
		}
		m.text(t)
	}
}

// examples are typed as they stand.
func (m *mdoc) examples(lines []string) {
	m.line(".Bd -literal -offset indent")
	for _, l := range lines {
		m.line(escaped(l))
	}
	m.line(".Ed")
}

// text is prose, a sentence a line.
func (m *mdoc) text(t string) {
	for _, s := range strings.SplitAfter(t, ". ") {
		if s = strings.TrimSpace(s); s != "" {
			m.line(escaped(s))
		}
	}
}

// list is words to look up.
func (m *mdoc) list(s Section) {
	m.line(".Bl -tag -width Ds")
	for _, i := range s.Items {
		head, env, _ := strings.Cut(i.Term, "  ")
		switch {
		case strings.HasPrefix(head, "-"):
			m.line(".It " + strings.Join(flagWords(head), " "))
		case s.Title == "FILES":
			m.line(".It Pa " + escaped(head))
		case s.Title == "ENVIRONMENT":
			m.line(".It Ev " + escaped(head))
		case s.Title == Commands:
			m.line(".It Cm " + escaped(head))
		default:
			m.line(".It " + escaped(head))
		}
		m.text(i.Text)
		if env != "" {
			m.line("The same in the environment:")
			m.line(".Ev " + escaped(strings.TrimSpace(env)))
		}
	}
	m.line(".El")
}

// synopsis is a command line: what is typed as it stands in bold, what is filled in underlined.
func (m *mdoc) synopsis(line, program string) {
	words := together(strings.TrimSpace(strings.TrimPrefix(line, program)))
	m.line(".Nm " + escaped(program))
	for _, w := range words {
		rest := ""
		if short, ok := strings.CutSuffix(w, "..."); ok {
			w, rest = short, " ..."
		}
		inner, optional := strings.CutPrefix(w, "[")
		parts := strings.Join(flagWords(strings.TrimSuffix(inner, "]")), " ")
		switch {
		case w == "|":
			m.line(w)
		case optional && rest != "":
			m.line(".Oo " + parts + " Oc Ns" + rest)
		case optional:
			m.line(".Op " + parts)
		default:
			m.line("." + parts + rest)
		}
	}
}

// flagWords marks up "-o, --output FILE", "TOKEN", "status|speedtest".
func flagWords(text string) (marked []string) {
	for _, w := range strings.Fields(strings.ReplaceAll(text, ",", " ,")) {
		switch {
		case w == ",":
			marked = append(marked, w)
		case strings.HasPrefix(w, "-"):
			marked = append(marked, "Fl "+escaped(strings.TrimPrefix(w, "-")))
		case strings.IndexFunc(w, unicode.IsUpper) >= 0:
			marked = append(marked, "Ar "+escaped(w))
		default:
			marked = append(marked, "Cm "+escaped(w))
		}
	}
	return marked
}

// escaped is a text that means itself: no sign of the language is left in it, and each minus is one that can be copied.
func escaped(text string) string {
	var b strings.Builder
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		b.WriteString(`\&`)
	}
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r > unicode.MaxASCII:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
