package manual

import (
	"fmt"
	"strings"
)

// walkBash finds out where on the line the cursor is: at which command, how many arguments behind it, and behind which flag.
const walkBash = `# Completion of NAME for bash, made from its help.
_ID() {
	local cur=${COMP_WORDS[COMP_CWORD]} at='' flag='' config='' args=0 i w
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		if [[ $w == = ]]; then
			continue
		elif [[ -n $flag ]]; then
			if [[ $flag == --config ]]; then config=$w; fi
			flag=''
		elif [[ $w == -* ]]; then
			if _ID_takes "$at" "$w"; then flag=$w; fi
		elif ((args == 0)) && _ID_command "${at:+$at }$w"; then
			at=${at:+$at }$w
		else
			((args++))
		fi
	done
	if [[ $cur == = ]]; then cur=''; fi
	if [[ -n $flag ]]; then
		_ID_value "$at" "$flag" "$1"
	elif [[ $cur == -* ]]; then
		_ID_flags "$at"
	else
		_ID_words "$at" "$args" "$1"
	fi
}

_ID_offer() { # words
	local one
	while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -W "$1" -- "$cur")
}

_ID_files() { # -f or -d
	local one
	compopt -o filenames 2>/dev/null
	while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen "$1" -- "$cur")
}
`

func (p Program) bash() string {
	var b strings.Builder
	fill := strings.NewReplacer("NAME", p.Name, "ID", p.id())
	b.WriteString(fill.Replace(walkBash))
	all := p.offers()
	p.bashCase(&b, "command", `"$1"`, func(row func(pattern, do string)) {
		for _, o := range all {
			if o.at != "" {
				row(quoted(o.at), "return 0")
			}
		}
		row("*", "return 1")
	})
	p.bashCase(&b, "takes", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			for _, f := range o.flags {
				if f.Value != "" {
					row(o.pattern(f), "return 0")
				}
			}
		}
		row("*", "return 1")
	})
	p.bashCase(&b, "flags", `"$1"`, func(row func(pattern, do string)) {
		for _, o := range all {
			var names []string
			for _, f := range o.flags {
				names = append(names, f.Long)
			}
			row(quoted(o.at), p.id2("offer")+" "+quoted(strings.Join(names, " ")))
		}
	})
	p.bashCase(&b, "value", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			for _, f := range o.flags {
				if do := p.bashValue(f.Value, "$3"); do != "" {
					row(o.pattern(f), do)
				}
			}
		}
	})
	p.bashCase(&b, "words", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			p.bashWords(o, row)
		}
	})
	fmt.Fprintf(&b, "\ncomplete -F _%s %s\n", p.id(), p.Name)
	return b.String()
}

// bashCase writes a function that is one choice.
func (p Program) bashCase(b *strings.Builder, name, of string, rows func(row func(pattern, do string))) {
	fmt.Fprintf(b, "\n_%s_%s() {\n\tcase %s in\n", p.id(), name, of)
	rows(func(pattern, do string) { fmt.Fprintf(b, "\t%s) %s ;;\n", pattern, do) })
	b.WriteString("\tesac\n}\n")
}

func (p Program) id2(part string) string { return "_" + p.id() + "_" + part }

// pattern is a flag behind a command, by either of its names.
func (o offer) pattern(f Option) string {
	pattern := quoted(o.at + " " + f.Long)
	if f.Short != "" {
		pattern += " | " + quoted(o.at+" "+f.Short)
	}
	return pattern
}

// bashWords are the words that lead on, and the values of arguments.
func (p Program) bashWords(o offer, row func(pattern, do string)) {
	if len(o.next) > 0 {
		var names []string
		for _, n := range o.next {
			names = append(names, n.Term)
		}
		row(quoted(o.at+" 0"), p.id2("offer")+" "+quoted(strings.Join(names, " ")))
	}
	for i, a := range o.args {
		do := p.bashValue(a.value, "$3")
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

// bashValue is what offers the values of a name; "" where nothing is known.
func (p Program) bashValue(name, program string) string {
	v := p.valuesOf(name)
	var do []string
	if len(v.words) > 0 && name != "" {
		do = append(do, p.id2("offer")+" "+quoted(strings.Join(v.words, " ")))
	}
	if v.lister != "" {
		do = append(do, fmt.Sprintf(`%s "$("%s" %s ${config:+--config "$config"} 2>/dev/null)"`, p.id2("offer"), program, v.lister))
	}
	if v.files {
		do = append(do, p.id2("files")+" -f")
	}
	if v.folder {
		do = append(do, p.id2("files")+" -d")
	}
	return strings.Join(do, "; ")
}
