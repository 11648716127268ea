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
			var items []Item
			for _, f := range o.flags {
				items = append(items, Item{f.Long, sentence(f.Text)})
			}
			row(quoted(o.at), described("-o option", items))
		}
	})
	p.bashCase(&b, "value", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			for _, f := range o.flags {
				if do := p.zshValue(f.Value); do != "" {
					row(o.pattern(f), do)
				}
			}
		}
	})
	p.bashCase(&b, "words", `"$1 $2"`, func(row func(pattern, do string)) {
		for _, o := range all {
			p.zshWords(o, row)
		}
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

func (p Program) zshWords(o offer, row func(pattern, do string)) {
	if len(o.next) > 0 {
		row(quoted(o.at+" 0"), described("command", o.next))
	}
	for i, a := range o.args {
		do := p.zshValue(a.value)
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
