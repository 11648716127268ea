package manual

import (
	"fmt"
	"strings"
)

// Page is what there is to know of a program or of one of its commands.
type Page struct {
	Name     string // as it is typed: "nabz-collector site import"
	Brief    string // what it does, in a few words without a full stop
	Sections []Section
}

// Section is a heading with what stands below it: command lines, or paragraphs and then items.
type Section struct {
	Title string // "SYNOPSIS"
	Lines []string
	Text  []string
	Items []Item
}

// Item is a word to look up and what it means.
type Item struct{ Term, Text string }

// The sections that programs look for.
const (
	Synopsis = "SYNOPSIS"
	About    = "DESCRIPTION"
	Commands = "COMMANDS"
	Options  = "OPTIONS"
	Examples = "EXAMPLES"
)

// Section finds a section by its title; an empty one where there is none.
func (p Page) Section(title string) Section {
	for _, s := range p.Sections {
		if s.Title == title {
			return s
		}
	}
	return Section{Title: title}
}

// lined tells whether a section holds command lines.
func lined(title string) bool { return title == Synopsis || title == Examples }

const (
	width  = 80 // of a page, in columns
	margin = "  "
	deep   = 11 // where the meaning of a short word begins
)

// String is the page as --help prints it.
func (p Page) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "NAME\n%s%s - %s\n", margin, p.Name, p.Brief)
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "\n%s\n", s.Title)
		for _, l := range s.Lines {
			if s.Title == Examples { // stays whole, to be copied
				b.WriteString(margin + l + "\n")
				continue
			}
			b.WriteString(folded(l, len(margin), len(margin)+len(strings.Fields(l)[0])+1))
		}
		for i, t := range s.Text {
			if i > 0 {
				b.WriteString("\n")
			}
			b.WriteString(folded(t, len(margin), len(margin)))
		}
		if len(s.Text) > 0 && len(s.Items) > 0 {
			b.WriteString("\n")
		}
		s.items(&b)
	}
	return b.String()
}

// items writes short words beside their meaning, and all of a section above it where one is long.
func (s Section) items(b *strings.Builder) {
	longest := 0
	for _, i := range s.Items {
		longest = max(longest, len(i.Term))
	}
	at, beside := deep, longest <= 24
	if beside {
		at = len(margin) + longest + 2
	}
	if s.Title == Options {
		at, beside = 8, false
	}
	for _, i := range s.Items {
		if beside {
			text := folded(i.Text, at, at)
			fmt.Fprintf(b, "%s%-*s%s", margin, at-len(margin), i.Term, text[at:])
			continue
		}
		fmt.Fprintf(b, "%s%s\n%s", margin, i.Term, folded(i.Text, at, at))
	}
}

// folded breaks a text into lines of the page's width. What stands in brackets stays together.
func folded(text string, first, next int) string {
	var b strings.Builder
	line := strings.Repeat(" ", first)
	empty := true
	for _, word := range together(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", next), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	return b.String() + line + "\n"
}

// together splits at spaces, but not within brackets that hold a flag.
func together(text string) []string {
	var words []string
	for _, w := range strings.Fields(text) {
		if n := len(words); n > 0 && strings.HasPrefix(words[n-1], "[-") && !strings.Contains(words[n-1], "]") {
			words[n-1] += " " + w
			continue
		}
		words = append(words, w)
	}
	return words
}
