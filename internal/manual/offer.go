package manual

import (
	"fmt"
	"slices"
	"strings"
)

// Program is a program whose typed lines are completed: a page for itself, and one for each command.
type Program struct {
	Name  string
	Pages []Page
	// Lister is the command that prints what one kind of value can be, one a line, such as {"SITE": "completion sites"}; those that are not
	// here are not known to a shell.
	Lister map[string]string
}

// Split makes a program of a page that tells all commands at once.
func Split(whole Page) Program {
	p := Program{Name: whole.Name, Pages: []Page{whole}}
	for _, c := range whole.Section(Commands).Items {
		one := Page{Name: whole.Name + " " + c.Term, Brief: c.Text, Sections: []Section{{Title: Synopsis}, whole.Section(Options)}}
		for _, line := range whole.Section(Synopsis).Lines {
			if words := strings.Fields(line); len(words) > 1 && slices.Contains(strings.Split(strings.Trim(words[1], "[]"), "|"), c.Term) {
				words[1] = c.Term
				one.Sections[0].Lines = append(one.Sections[0].Lines, strings.Join(words, " "))
			}
		}
		p.Pages = append(p.Pages, one)
	}
	return p
}

// offer is what can be typed at one place.
type offer struct {
	at    string   // the command so far, without the program: "site import"; "" for none
	next  []Item   // the words that lead on
	flags []Option // what may be given here
	args  []arg
}

// arg is a value without a flag. Many may be given any number of times.
type arg struct {
	value string
	many  bool
}

// offers are the places of a program, the shortest command first.
func (p Program) offers() []offer {
	var all []offer
	for _, page := range p.Pages {
		o := offer{at: strings.TrimSpace(strings.TrimPrefix(page.Name, p.Name))}
		for _, line := range page.Section(Synopsis).Lines {
			o.read(strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(line, page.Name), " [run]")), page)
		}
		o.add(Option{Long: "--help", Text: "Print what there is to know."})
		if o.at == "" {
			o.args = nil
			o.add(Option{Long: "--version", Text: "Print the version."})
		}
		all = append(all, o)
	}
	for i := range all {
		all[i].next = p.below(all[i].at)
	}
	return all
}

// below are the words that may follow a command, with what they do.
func (p Program) below(at string) []Item {
	var next []Item
	for _, page := range p.Pages {
		path := strings.TrimSpace(strings.TrimPrefix(page.Name, p.Name))
		rest, ok := strings.CutPrefix(path, at)
		if rest = strings.TrimSpace(rest); !ok || rest == "" || strings.Contains(rest, " ") || at != "" && !strings.HasPrefix(path, at+" ") {
			continue
		}
		next = append(next, Item{rest, sentence(page.Brief)})
	}
	return next
}

// read takes what a command line says may be given.
func (o *offer) read(line string, page Page) {
	known := page.Flags()
	words := together(line)
	for i := 0; i < len(words); i++ {
		word := strings.TrimSuffix(words[i], "...")
		many := word != words[i]
		word = strings.Trim(word, "[]")
		name, _, _ := strings.Cut(word, " ")
		switch {
		case strings.HasPrefix(name, "-"):
			for _, f := range known {
				if f.Long != name && f.Short != name {
					continue
				}
				if o.add(f); f.Value != "" && word == name && i+1 < len(words) {
					i++ // its value, where it must be given
				}
			}
		case name == "|" || name == "COMMAND" || name == "ARGUMENT":
		case name != "":
			o.args = append(o.args, arg{name, many})
		}
	}
	if strings.HasSuffix(line, "]...") { // "and so on"
		for _, f := range known {
			if len(f.Of) == 0 {
				o.add(f)
			}
		}
	}
}

func (o *offer) add(f Option) {
	if !slices.ContainsFunc(o.flags, func(g Option) bool { return g.Long == f.Long }) {
		o.flags = append(o.flags, f)
	}
}

// values is what a shell offers where a value is wanted: words, files, folders, and the output of a lister.
type values struct {
	words         []string
	files, folder bool
	lister        string
}

// valuesOf reads what a value is called.
func (p Program) valuesOf(name string) (v values) {
	for _, one := range strings.Split(name, "|") {
		switch {
		case one == "FILE":
			v.files = true
		case one == "DIR":
			v.folder = true
		case p.Lister[one] != "":
			v.lister = p.Lister[one]
		case one == strings.ToLower(one):
			v.words = append(v.words, one)
		}
	}
	return v
}

// sentence is the first one of a text, short enough for the line of a menu.
func sentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	text = strings.TrimSuffix(text, ".")
	if r := []rune(text); len(r) > 70 {
		text = strings.TrimRight(string(r[:69]), " ,;:") + "…"
	}
	return text
}

// quoted is a text as one word of any of the shells.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// id is the name of a program where only letters and "_" are allowed.
func (p Program) id() string { return strings.ReplaceAll(p.Name, "-", "_") }

// Completion is the text that a shell reads to complete lines of the program: bash, zsh or fish.
func (p Program) Completion(shell string) (string, error) {
	switch shell {
	case "bash":
		return p.bash(), nil
	case "zsh":
		return p.zsh(), nil
	case "fish":
		return p.fish(), nil
	}
	return "", fmt.Errorf("%q is no shell that is known here; there are bash, zsh and fish", shell)
}
