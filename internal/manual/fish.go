package manual

import (
	"fmt"
	"strings"
)

const walkFish = `# Completion of NAME for fish, made from its help.

# __ID_at COMMAND [NUMBER]: whether the cursor is behind that command, and behind so many arguments of it.
function __ID_at
    set -l at ''
    set -l args 0
    set -l flag ''
    for w in (commandline -opc)[2..-1]
        if test -n "$flag"
            set flag ''
        else if string match -q -- '-*' $w
            contains -- "$at $w" $__ID_takes; and set flag $w
        else if test $args = 0; and contains -- (string trim "$at $w") $__ID_commands
            set at (string trim "$at $w")
        else
            set args (math $args + 1)
        end
    end
    test "$at" = "$argv[1]"; and begin
        test (count $argv) = 1; or test $args = $argv[2]
    end
end

function __ID_list
    set -l words (commandline -opc)
    set -l config
    if set -l i (contains -i -- --config $words); and test (count $words) -gt $i
        set config --config $words[(math $i + 1)]
    end
    for w in (string replace -f -r '^--config=' '' -- $words)
        set config --config $w
    end
    $words[1] $argv $config 2>/dev/null
end

complete -c NAME -f
`

func (p Program) fish() string {
	var b strings.Builder
	all := p.offers()
	for _, o := range all {
		if o.at != "" {
			fmt.Fprintf(&b, "set -g -a __%s_commands %s\n", p.id(), quoted(o.at))
		}
		for _, f := range o.flags {
			for _, name := range []string{f.Long, f.Short} {
				if f.Value != "" && name != "" {
					fmt.Fprintf(&b, "set -g -a __%s_takes %s\n", p.id(), quoted(o.at+" "+name))
				}
			}
		}
	}
	b.WriteString("\n" + strings.NewReplacer("NAME", p.Name, "ID", p.id()).Replace(walkFish))
	for _, o := range all {
		b.WriteString("\n")
		at := fmt.Sprintf("__%s_at %s", p.id(), quoted(o.at))
		for _, n := range o.next {
			p.fishLine(&b, at+" 0", "-a "+quoted(n.Term), n.Text)
		}
		for _, f := range o.flags {
			how := "-l " + strings.TrimPrefix(f.Long, "--")
			if f.Short != "" {
				how += " -s " + strings.TrimPrefix(f.Short, "-")
			}
			p.fishLine(&b, at, how+p.fishValue(f.Value, true), sentence(f.Text))
		}
		for i, a := range o.args {
			if how := p.fishValue(a.value, false); how != "" {
				if number := fmt.Sprint(" ", i); !a.many {
					p.fishLine(&b, at+number, strings.TrimSpace(how), "")
				} else {
					p.fishLine(&b, at, strings.TrimSpace(how), "")
				}
			}
		}
	}
	return b.String()
}

func (p Program) fishLine(b *strings.Builder, when, how, text string) {
	fmt.Fprintf(b, "complete -c %s -n %s %s", p.Name, fishQuoted(when), how)
	if text != "" {
		fmt.Fprintf(b, " -d %s", fishQuoted(text))
	}
	b.WriteString("\n")
}

// fishQuoted is a text as one word of fish, which knows the backslash within quotation marks.
func fishQuoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

// fishValue is the flags of complete for a value. Without a known value a flag takes one all the same.
func (p Program) fishValue(name string, flag bool) string {
	if name == "" {
		return ""
	}
	v, how := p.valuesOf(name), ""
	var offered []string
	offered = append(offered, v.words...)
	if v.lister != "" {
		offered = append(offered, fmt.Sprintf("(__%s_list %s)", p.id(), v.lister))
	}
	if v.folder {
		offered = append(offered, "(__fish_complete_directories (commandline -ct))")
	}
	if v.files {
		how = " -F"
	}
	if len(offered) > 0 {
		how += " -a " + fishQuoted(strings.Join(offered, " "))
	}
	switch {
	case !flag:
		return how
	case v.files:
		return " -r" + how
	}
	return " -x" + how
}
