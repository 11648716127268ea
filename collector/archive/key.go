package archive

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
)

// key is what tells an element of a list from the others: a text or a number.
type key struct {
	raw    json.RawMessage
	text   string
	number bool
}

// id is the same for the same key, however it is written.
func (k key) id() string {
	if k.number {
		return string(k.raw)
	}
	return `"` + k.text
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	plainKey  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:+/-]*$`)
)

// String is the key in a path. A text that could be taken for something else is quoted.
func (k key) String() string {
	if !k.number && plainKey.MatchString(k.text) && !json.Valid([]byte(k.text)) {
		return k.text
	}
	return string(k.raw)
}

func (k key) compare(l key) int {
	if k.number && l.number {
		a, _ := strconv.ParseFloat(string(k.raw), 64)
		b, _ := strconv.ParseFloat(string(l.raw), 64)
		return cmp.Or(cmp.Compare(a, b), cmp.Compare(string(k.raw), string(l.raw)))
	}
	return cmp.Compare(k.id(), l.id())
}

// word is the name of a member in a path.
func word(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	quoted, _ := json.Marshal(name) // a string always can be
	return string(quoted)
}

// step is a member in a path.
func step(name string, first bool) string {
	switch plain := word(name); {
	case plain[0] == '"':
		return "[" + plain + "]"
	case first:
		return plain
	default:
		return "." + plain
	}
}

// element is one of a list, with its key.
type element struct {
	key key
	raw json.RawMessage
}

// keysOf are the elements of a list that is told apart by that member.
func keysOf(list []json.RawMessage, name string) []element {
	out := make([]element, len(list))
	for i, raw := range list {
		k, _ := keyOf(taken[map[string]json.RawMessage](raw)[name])
		out[i] = element{k, raw}
	}
	return out
}

func keyOf(raw json.RawMessage) (key, bool) {
	switch {
	case len(raw) == 0:
	case raw[0] == '"':
		return key{raw: raw, text: text(raw)}, true
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return key{raw: raw, number: true}, true
	}
	return key{}, false
}

// tellsApart is the member by which the elements of both lists can be told apart: site, id or name; else the one with texts, of those that have most in common
// the first by name.
func tellsApart(was, is []json.RawMessage) (string, bool) {
	var names []map[string]map[string]bool // of each list, by member, the keys
	for _, list := range [][]json.RawMessage{was, is} {
		of := map[string]map[string]bool{}
		for i, raw := range list {
			if raw[0] != '{' {
				return "", false
			}
			members := taken[map[string]json.RawMessage](raw)
			if i == 0 {
				for name := range members {
					of[name] = make(map[string]bool, len(list))
				}
			}
			for name, seen := range of {
				k, ok := keyOf(members[name])
				if id := k.id(); !ok || seen[id] || k.number && !preferred(name) {
					delete(of, name)
				} else {
					seen[id] = true
				}
			}
		}
		names = append(names, of)
	}
	switch { // where one is empty the other decides
	case len(was) == 0:
		names[0] = names[1]
	case len(is) == 0:
		names[1] = names[0]
	}
	best, common := "", 0
	for _, name := range slices.Sorted(maps.Keys(names[0])) {
		other, ok := names[1][name]
		if !ok {
			continue
		}
		n := 0
		for id := range names[0][name] {
			if other[id] {
				n++
			}
		}
		if n > common {
			best, common = name, n
		}
	}
	for _, name := range []string{"site", "id", "name"} {
		if names[0][name] != nil && names[1][name] != nil {
			return name, true
		}
	}
	return best, best != ""
}

func preferred(name string) bool { return name == "site" || name == "id" || name == "name" }

// arranged is the order in which the elements of a list stand when nobody has moved them.
func arranged(was, is []element) []element {
	byKey := func(a, b element) int { return a.key.compare(b.key) }
	if slices.IsSortedFunc(was, byKey) {
		return slices.SortedFunc(slices.Values(is), byKey)
	}
	now := make(map[string]element, len(is))
	for _, e := range is {
		now[e.key.id()] = e
	}
	var out []element
	for _, e := range was {
		if n, ok := now[e.key.id()]; ok {
			out = append(out, n)
			delete(now, e.key.id())
		}
	}
	for _, e := range is {
		if _, fresh := now[e.key.id()]; fresh {
			out = append(out, e)
		}
	}
	return out
}
