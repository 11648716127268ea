package reference

import (
	"fmt"
	"strings"

	"github.com/smartvillage/nabz/internal/manual"
)

// Page is the file as a manual page, all but its date.
func (f File) Page() manual.Program {
	p := manual.Page{Name: f.Whose[:strings.LastIndexByte(f.Whose, '-')] + "-" + strings.TrimPrefix(f.Whose, "nabz-") + ".toml", Brief: "configuration of " + f.Whose}
	p.Sections = append(p.Sections, manual.Section{Title: manual.About, Text: append(append([]string{}, f.About...),
		"A key stands behind the name of its section in square brackets. The default of each is shown.")})
	for _, s := range f.Sections {
		m := manual.Section{Title: "KEYS"}
		switch {
		case s.Many:
			m.Title = "[[" + s.Name + "]]"
		case s.Name != "":
			m.Title = "[" + s.Name + "]"
		}
		if s.About != "" {
			m.Text = []string{s.About}
		}
		for _, k := range s.Keys {
			term := k.leaf()
			if k.Default != "" {
				term += " = " + k.Default
			}
			m.Items = append(m.Items, manual.Item{Term: term, Text: strings.TrimSpace(k.About + " " + k.facts())})
		}
		p.Sections = append(p.Sections, m)
	}
	p.Sections = append(p.Sections, manual.Section{Title: "FILES", Items: []manual.Item{{Term: "/etc/nabz/" + f.Name, Text: "Read when the program starts."}}})
	return manual.Program{Name: p.Name, Pages: []manual.Page{p}}
}

// facts is what stands behind the comment in a manual page.
func (k Key) facts() string {
	var all []string
	if takes := k.Takes.String(); takes != "" {
		all = append(all, "Takes "+takes+".")
	}
	if k.Metered != "" {
		all = append(all, "Profile metered: "+k.Metered+".")
	}
	return strings.Join(all, " ")
}

// Other names a flag or an environment variable that says the same as a key.
type Other map[string][]string

// Others reads them from the pages of programs: the key stands in brackets behind what the flag is for.
func Others(programs ...manual.Program) map[string]Other {
	all := map[string]Other{}
	for _, p := range programs {
		o := Other{}
		whole := p.Pages[0]
		for _, f := range whole.Flags() {
			for _, key := range named(f.Text) {
				o[key] = append(o[key], "`"+f.Long+"`")
				if f.Env != "" {
					o[key] = append(o[key], "`"+f.Env+"`")
				}
			}
		}
		for _, i := range whole.Section("ENVIRONMENT").Items {
			names := strings.Split(i.Term, ", ")
			for n, key := range named(i.Text) {
				o[key] = append(o[key], "`"+names[min(n, len(names)-1)]+"`")
			}
		}
		all[p.Name] = o
	}
	return all
}

// named are the keys in brackets at the end of a text: "Where agents connect (mqtt.listen)."
func named(text string) []string {
	i := strings.LastIndexByte(text, '(')
	if i < 0 || !strings.HasSuffix(text, ").") {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text[i+1:], ")."), ", ")
}

// Markdown is the page docs/configuration.md: a heading a key, so that it can be read on a telephone and linked to.
func Markdown(files []File, programs ...manual.Program) string {
	var b strings.Builder
	b.WriteString(`# Configuration

Every key of every file, and every flag and environment variable. This page is made from the code by ` + "`make docs`" + `; a test fails when it is not what the code says.

A flag wins over its environment variable, that over the key of the file, and that over the default. An unknown key or a wrong value is an error with
file and line, and all of them are told at once. "Takes" is what the program accepts, bounds included.

`)
	for _, f := range files {
		fmt.Fprintf(&b, "- [%s](#%s) of %s\n", f.Name, Slug(f.Name), f.Whose)
	}
	for _, p := range programs {
		fmt.Fprintf(&b, "- [flags and environment of %s](#%s)\n", p.Name, Slug("Flags and environment of "+p.Name))
	}
	others, seen := Others(programs...), map[string]bool{}
	for _, f := range files {
		f.markdown(&b, others[f.Whose], seen)
	}
	for _, p := range programs {
		flags(&b, p)
	}
	return b.String()
}

func (f File) markdown(b *strings.Builder, others Other, seen map[string]bool) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n", f.Name, strings.Join(f.About, "\n\n"))
	for _, s := range f.Sections {
		if s.Name != "" {
			brackets := "[" + s.Name + "]"
			if s.Many {
				brackets = "[" + brackets + "]"
			}
			fmt.Fprintf(b, "\n### %s of %s\n", brackets, f.Name)
			if s.About != "" {
				b.WriteString("\n" + s.About + "\n")
			}
		}
		for _, k := range s.Keys {
			title := k.Name
			if seen[Slug(title)] { // another file has one of that name
				title += " of " + f.Name
			}
			seen[Slug(title)] = true
			k.markdown(b, title, others[k.Name])
		}
	}
}

func (k Key) markdown(b *strings.Builder, title string, others []string) {
	fmt.Fprintf(b, "\n#### %s\n\n", title)
	if k.About != "" {
		b.WriteString(literal(k.About) + "\n\n")
	}
	kind := "- " + k.Kind
	if takes := k.Takes.String(); takes != "" {
		kind += "; takes " + takes
	}
	b.WriteString(kind + "\n")
	if k.Default != "" {
		fmt.Fprintf(b, "- default `%s`", k.Default)
		if k.Metered != "" {
			fmt.Fprintf(b, ", with profile metered `%s`", k.Metered)
		}
		b.WriteString("\n")
	}
	if len(others) > 0 {
		b.WriteString("- also " + strings.Join(others, ", ") + "\n")
	}
}

// flags lists those of each command of a program.
func flags(b *strings.Builder, p manual.Program) {
	title := "Flags and environment of " + p.Name
	fmt.Fprintf(b, "\n## %s\n", title)
	for i, page := range p.Pages {
		list := page.Flags()
		if len(list) == 0 || i > 0 && len(page.Section(manual.About).Text) == 0 {
			continue
		}
		if i > 0 {
			fmt.Fprintf(b, "\n### %s\n", page.Name)
		}
		b.WriteString("\n")
		for _, f := range list {
			words := "`" + strings.TrimSpace(f.Long+" "+f.Value) + "`"
			if f.Short != "" {
				words = "`" + f.Short + "`, " + words
			}
			if f.Env != "" {
				words += ", `" + f.Env + "`"
			}
			fmt.Fprintf(b, "- %s: %s\n", words, literal(f.Text))
		}
		for _, e := range page.Section("ENVIRONMENT").Items {
			fmt.Fprintf(b, "- `%s`: %s\n", strings.ReplaceAll(e.Term, ", ", "`, `"), literal(e.Text))
		}
	}
}

// literal keeps a text from being read as Markdown.
func literal(text string) string {
	return strings.NewReplacer("<", "&lt;", "*", `\*`, "[", `\[`, "]", `\]`).Replace(text)
}

// Slug is the anchor of a heading, as Markdown on the web makes it.
func Slug(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}
