package manual

import "strings"

// Option is a flag as the help tells it.
type Option struct {
	Short, Long string   // "-o", "--output"; Short may be ""
	Value       string   // what it takes, such as FILE or "all|intake|board"; "" for nothing
	Env         string   // the environment variable that says the same
	Text        string   // what it is for
	Of          []string // the commands that take it, where it is not all
}

// Flags are the options of a page, one for each long name.
func (p Page) Flags() []Option {
	var all []Option
	for _, item := range p.Section(Options).Items {
		head, env, _ := strings.Cut(item.Term, "  ")
		var of []string
		if rest, ok := strings.CutPrefix(item.Text, "Of "); ok {
			who, _, _ := strings.Cut(rest, ":")
			of = strings.Split(strings.ReplaceAll(who, " and ", ", "), ", ")
		}
		short := ""
		for _, one := range strings.Split(head, ", ") {
			name, value, _ := strings.Cut(one, " ")
			if !strings.HasPrefix(name, "--") {
				short = name
				continue
			}
			all = append(all, Option{Short: short, Long: name, Value: value, Env: strings.TrimSpace(env), Text: item.Text, Of: of})
			short = ""
		}
	}
	return all
}
