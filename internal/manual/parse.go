package manual

import (
	"fmt"
	"strings"
)

// Parse reads what --help prints. The error names the line that it does not understand.
func Parse(text string) (Page, error) {
	r := reader{lines: strings.Split(strings.TrimRight(text, "\n"), "\n")}
	for r.at < len(r.lines) {
		line := r.lines[r.at]
		switch {
		case line == "":
			r.at++
		case strings.TrimLeft(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") != "" || strings.HasPrefix(line, " "):
			return r.page, fmt.Errorf("line %d of the help: %q is no heading", r.at+1, line)
		default:
			r.at++
			if err := r.section(line); err != nil {
				return r.page, err
			}
		}
	}
	if r.page.Name == "" {
		return r.page, fmt.Errorf("the help has no section NAME")
	}
	return r.page, nil
}

type reader struct {
	lines []string
	at    int
	page  Page
}

// block is the lines up to the next heading.
func (r *reader) block() (all []string) {
	for ; r.at < len(r.lines) && (r.lines[r.at] == "" || strings.HasPrefix(r.lines[r.at], " ")); r.at++ {
		all = append(all, r.lines[r.at])
	}
	return all
}

func (r *reader) section(title string) error {
	first := r.at + 1
	block := r.block()
	s := Section{Title: title}
	for i, line := range block {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		body := strings.TrimSpace(line)
		switch {
		case body == "":
		case indent < len(margin):
			return fmt.Errorf("line %d of the help: %q stands too far left", first+i, line)
		case title == "NAME":
			name, brief, ok := strings.Cut(body, " - ")
			if !ok || r.page.Name != "" {
				return fmt.Errorf("line %d of the help: %q is not \"name - what it does\"", first+i, line)
			}
			r.page.Name, r.page.Brief = name, brief
		case lined(title):
			s.line(indent, body)
		default:
			deeper := i+1 < len(block) && strings.HasPrefix(block[i+1], margin+" ")
			if err := s.entry(indent, body, deeper, i > 0 && block[i-1] == ""); err != nil {
				return fmt.Errorf("line %d of the help: %w", first+i, err)
			}
		}
	}
	if title != "NAME" {
		r.page.Sections = append(r.page.Sections, s)
	}
	return nil
}

// line takes a command line, or the rest of the one before.
func (s *Section) line(indent int, body string) {
	if indent > len(margin) && len(s.Lines) > 0 {
		s.Lines[len(s.Lines)-1] += " " + body
		return
	}
	s.Lines = append(s.Lines, body)
}

// entry takes a line of a paragraph, or of an item. Deeper tells that the next line stands deeper, apart that an empty one is above.
func (s *Section) entry(indent int, body string, deeper, apart bool) error {
	n := len(s.Items)
	if indent > len(margin) {
		if n == 0 {
			return fmt.Errorf("%q stands too deep: there is no word above that it is about", body)
		}
		s.Items[n-1].Text = strings.TrimSpace(s.Items[n-1].Text + " " + body)
		return nil
	}
	term, text, beside := strings.Cut(body, "  ")
	flag := strings.HasPrefix(body, "-") // its environment variable stands beside it
	switch {
	case deeper && flag:
		s.Items = append(s.Items, Item{Term: body})
	case beside:
		s.Items = append(s.Items, Item{term, strings.TrimSpace(text)})
	case deeper:
		s.Items = append(s.Items, Item{Term: body})
	case n > 0:
		return fmt.Errorf("%q is neither a word with its meaning nor part of one", body)
	case len(s.Text) == 0 || apart:
		s.Text = append(s.Text, body)
	default:
		s.Text[len(s.Text)-1] += " " + body
	}
	return nil
}
