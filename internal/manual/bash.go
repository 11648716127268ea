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
	p.choices(&b, dialect{
		flags: func(all []Option) string {
			var names []string
			for _, f := range all {
				names = append(names, f.Long)
			}
			return p.id2("offer") + " " + quoted(strings.Join(names, " "))
		},
		next: func(all []Item) string {
			var names []string
			for _, n := range all {
				names = append(names, n.Term)
			}
			return p.id2("offer") + " " + quoted(strings.Join(names, " "))
		},
		value: func(name string) string { return p.bashValue(name, "$3") },
	})
	fmt.Fprintf(&b, "\ncomplete -F _%s %s\n", p.id(), p.Name)
	return b.String()
}

func (p Program) id2(part string) string { return "_" + p.id() + "_" + part }

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
