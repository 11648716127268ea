package reference

import (
	"regexp"
	"strings"
)

// entry is a key of an example file: its value as it is written, and the comment above it, which it may share with its neighbours.
type entry struct{ key, value, comment string }

// example is an example file, read: the keys in order, and what is said of each section as a whole.
type example struct {
	keys   []entry
	about  map[string]string // by the section's name
	before string            // at the head of the file
}

// read takes an example file apart. A comment belongs to the keys below it, up to an empty line or another comment; one that an empty line follows belongs to
// the section.
func read(text string) example {
	e := example{about: map[string]string{}}
	section, comment, used := "", "", false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		name, value, isKey := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "#"):
			if used {
				comment, used = "", false
			}
			comment += strings.TrimPrefix(line, "#")
		case line == "":
			if !used && comment != "" {
				if len(e.keys) == 0 && section == "" {
					e.before = strings.TrimSpace(comment)
				} else {
					e.about[section] = strings.TrimSpace(comment)
				}
			}
			comment, used = "", false
		case strings.HasPrefix(line, "["):
			section, comment, used = strings.Trim(line, "[]"), "", false
		case isKey:
			key := name
			if section != "" {
				key = section + "." + name
			}
			e.keys, used = append(e.keys, entry{key, value, strings.TrimSpace(comment)}), true
		}
	}
	return e
}

// bracket is how a comment of the agent's example tells the default of the profile metered.
var bracket = regexp.MustCompile(` \[[0-9a-z.]+\]`)

// sentences is a comment without what a page tells apart from it.
func sentences(comment string) string {
	text := strings.ReplaceAll(bracket.ReplaceAllString(comment, ""), "; those in brackets are its", "")
	return strings.Join(strings.Fields(text), " ")
}
