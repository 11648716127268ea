package manual

import (
	"fmt"
	"strings"
)

// dialect is how a shell of Bourne's family offers words. An empty answer offers nothing.
type dialect struct {
	flags func(all []Option) string
	next  func(all []Item) string // words that lead on to a command
	value func(name string) string
}

// choices writes the functions that bash and zsh share: what is a command, which flags take a value, and what is offered where.
func (p Program) choices(b *strings.Builder, d dialect) {
	all := p.offers()
	p.choice(b, "command", `"$1"`, func(row func(pattern, do string)) {
		for _, o := range all {
			if o.at != "" {
				row(quoted(o.at), "return 0")
			}
		}
		row("*", "return 1")
	})
	p.choice(b, "takes", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			for _, f := range o.flags {
				if f.Value != "" {
					row(o.pattern(f), "return 0")
				}
			}
		}
		row("*", "return 1")
	})
	p.choice(b, "flags", `"$1"`, func(row func(pattern, do string)) {
		for _, o := range all {
			row(quoted(o.at), d.flags(o.flags))
		}
	})
	p.choice(b, "value", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			for _, f := range o.flags {
				if do := d.value(f.Value); do != "" {
					row(o.pattern(f), do)
				}
			}
		}
	})
	p.choice(b, "words", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			o.words(d, row)
		}
	})
}

// words are those that lead on, and the values of arguments.
func (o offer) words(d dialect, row func(pattern, do string)) {
	if len(o.next) > 0 {
		row(quoted(o.at+" 0"), d.next(o.next))
	}
	for i, a := range o.args {
		do := d.value(a.value)
		if do == "" {
			continue
		}
		pattern := quoted(fmt.Sprintf("%s %d", o.at, i))
		if a.many {
			pattern = quoted(o.at+" ") + "[0-9]*"
		}
		row(pattern, do)
	}
}

// choice writes a function that is one choice.
func (p Program) choice(b *strings.Builder, name, of string, rows func(row func(pattern, do string))) {
	fmt.Fprintf(b, "\n_%s_%s() {\n\tcase %s in\n", p.id(), name, of)
	rows(func(pattern, do string) { fmt.Fprintf(b, "\t%s) %s ;;\n", pattern, do) })
	b.WriteString("\tesac\n}\n")
}

// pattern is a flag behind a command, by either of its names.
func (o offer) pattern(f Option) string {
	pattern := quoted(o.at + " " + f.Long)
	if f.Short != "" {
		pattern += " | " + quoted(o.at+" "+f.Short)
	}
	return pattern
}
