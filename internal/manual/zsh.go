package manual

import (
	"fmt"
	"strings"
)

const walkZsh = `#compdef NAME
# Completion of NAME for zsh, made from its help.

_ID() {
	local at flag config w program=$words[1]
	local -i i args=0
	local -a list
	for ((i = 2; i < CURRENT; i++)); do
		w=$words[i]
		if [[ -n $flag ]]; then
			[[ $flag == --config ]] && config=$w
			flag=
		elif [[ $w == --config=* ]]; then
			config=${w#--config=}
		elif [[ $w == --*=* ]]; then
			:
		elif [[ $w == -* ]]; then
			_ID_takes "$at" "$w" && flag=$w
		elif ((args == 0)) && _ID_command "${at:+$at }$w"; then
			at=${at:+$at }$w
		else
			((args++))
		fi
	done
	if [[ -z $flag && $words[CURRENT] == --*=* ]]; then
		flag=${words[CURRENT]%%=*}
		compset -P '*='
	fi
	if [[ -n $flag ]]; then
		_ID_value "$at" "$flag"
	elif [[ $words[CURRENT] == -* ]]; then
		_ID_flags "$at"
	else
		_ID_words "$at" "$args"
	fi
}

_ID_list() {
	list=(${(f)"$($program "$@" ${config:+--config} $config 2>/dev/null)"})
	compadd -- $list
}
`

func (p Program) zsh() string {
	var b strings.Builder
	b.WriteString(strings.NewReplacer("NAME", p.Name, "ID", p.id()).Replace(walkZsh))
	p.choices(&b, dialect{
		flags: func(all []Option) string {
			var items []Item
			for _, f := range all {
				items = append(items, Item{f.Long, sentence(f.Text)})
			}
			return described("-o option", items)
		},
		next:  func(all []Item) string { return described("command", all) },
		value: p.zshValue,
	})
	fmt.Fprintf(&b, "\nif [[ $funcstack[1] == _%[2]s ]]; then\n\t_%[1]s \"$@\"\nelse\n\tcompdef _%[1]s %[2]s\nfi\n", p.id(), p.Name)
	return b.String()
}

// described offers words, each with what it means.
func described(how string, items []Item) string {
	var b strings.Builder
	b.WriteString("list=(")
	for i, item := range items {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(quoted(strings.ReplaceAll(item.Term, ":", `\:`) + ":" + item.Text))
	}
	fmt.Fprintf(&b, "); _describe %s list", how)
	return b.String()
}

func (p Program) zshValue(name string) string {
	if name == "" {
		return ""
	}
	v := p.valuesOf(name)
	var do []string
	if len(v.words) > 0 {
		do = append(do, "compadd -- "+strings.Join(v.words, " "))
	}
	if v.lister != "" {
		do = append(do, "_"+p.id()+"_list "+v.lister)
	}
	if v.files {
		do = append(do, "_files")
	}
	if v.folder {
		do = append(do, "_files -/")
	}
	return strings.Join(do, "; ")
}
