package archive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What follows applies changes to a document, by their paths alone, as somebody would who has nothing but the list.

// stepTo is one step of a path: a member, a place, or the element whose member has a value.
type stepTo struct {
	member string
	place  int
	key    json.RawMessage // of the member; nil: not by key
}

var (
	plainStep = regexp.MustCompile(`^\.?([A-Za-z_][A-Za-z0-9_-]*)`)
	placeStep = regexp.MustCompile(`^\[([0-9]+)\]`)
	keyStep   = regexp.MustCompile(`^\[([A-Za-z_][A-Za-z0-9_-]*)=`)
)

// jsonAt is the JSON value with which a text begins.
func jsonAt(s string) (json.RawMessage, string) {
	d := json.NewDecoder(strings.NewReader(s))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		panic(fmt.Sprintf("no JSON at %q", s))
	}
	return raw, s[d.InputOffset():]
}

func parsePath(path string) (out []stepTo) {
	for path != "" {
		key := ""
		if m := keyStep.FindStringSubmatch(path); m != nil {
			key, path = m[1], path[len(m[0]):]
		} else if m := placeStep.FindStringSubmatch(path); m != nil {
			n, _ := strconv.Atoi(m[1])
			out, path = append(out, stepTo{place: n}), path[len(m[0]):]
			continue
		} else if strings.HasPrefix(path, `["`) {
			raw, rest := jsonAt(path[1:])
			if rest[0] == ']' {
				out, path = append(out, stepTo{member: text(raw)}), rest[1:]
				continue
			}
			key, path = text(raw), rest[1:]
		} else if m := plainStep.FindStringSubmatch(path); m != nil {
			out, path = append(out, stepTo{member: m[1]}), path[len(m[0]):]
			continue
		} else {
			panic(fmt.Sprintf("no step at %q", path))
		}
		bare, rest, _ := strings.Cut(path, "]")
		raw := json.RawMessage(bare)
		if path[0] == '"' {
			raw, rest = jsonAt(path)
			rest = rest[1:]
		} else if !json.Valid(raw) {
			raw, _ = json.Marshal(bare)
		}
		out, path = append(out, stepTo{member: key, key: raw}), rest
	}
	return out
}

// decoded is JSON as maps, lists and json.Number.
func decoded(raw []byte) (v any) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// applied is the old document with the changes made.
func applied(old []byte, changes []Change) any {
	doc := decoded(old)
	sorted := map[string]string{} // lists that were sorted at first, by path, and the member by which
	for _, c := range changes {
		steps := parsePath(c.Path)
		note(doc, steps, sorted)
		doc = set(doc, steps, c)
	}
	for path, name := range sorted {
		doc = rearranged(doc, parsePath(path), name)
	}
	for _, c := range changes { // an order is of what is there in the end
		if c.Order {
			doc = ordered(doc, parsePath(c.Path), decoded(c.New).([]any))
		}
	}
	return doc
}

// note remembers lists that a path leads into by key and that are sorted.
func note(doc any, steps []stepTo, sorted map[string]string) {
	path := ""
	for i, s := range steps {
		if s.key != nil {
			list, ok := find(doc, steps[:i]).([]any)
			if ok && sortedBy(list, s.member) {
				sorted[path] = s.member
			} else if _, known := sorted[path]; !known {
				sorted[path] = ""
			}
			path += "[" + word(s.member) + "=" + string(s.key) + "]"
			continue
		}
		if s.member == "" && s.key == nil && i > 0 && isList(find(doc, steps[:i])) || i == 0 && isList(doc) {
			path += fmt.Sprintf("[%d]", s.place)
		} else {
			path += step(s.member, i == 0)
		}
	}
}

func isList(v any) bool { _, ok := v.([]any); return ok }

func rank(v any) (number bool, n float64, s string) {
	if x, ok := v.(json.Number); ok {
		f, _ := x.Float64()
		return true, f, x.String()
	}
	s, _ = v.(string)
	return false, 0, s
}

func compareRank(a, b any) int {
	an, af, as := rank(a)
	bn, bf, bs := rank(b)
	switch {
	case an && bn:
		return cmp.Or(cmp.Compare(af, bf), cmp.Compare(as, bs))
	case an == bn:
		return cmp.Compare(as, bs)
	case an: // a digit or a minus against a quotation mark
		return cmp.Compare(as, `"`+bs)
	default:
		return cmp.Compare(`"`+as, bs)
	}
}

func sortedBy(list []any, name string) bool {
	return slices.IsSortedFunc(list, func(a, b any) int {
		return compareRank(a.(map[string]any)[name], b.(map[string]any)[name])
	})
}

func same(v any, raw json.RawMessage) bool { return encoded(v) == encoded(decoded(raw)) }

func index(list []any, s stepTo) int {
	if s.key == nil {
		if s.place < len(list) {
			return s.place
		}
		return -1
	}
	return slices.IndexFunc(list, func(v any) bool {
		m, ok := v.(map[string]any)
		return ok && same(m[s.member], s.key)
	})
}

func find(v any, steps []stepTo) any {
	for _, s := range steps {
		switch x := v.(type) {
		case map[string]any:
			v = x[s.member]
		case []any:
			i := index(x, s)
			if i < 0 {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// set makes one change and returns what there is then.
func set(v any, steps []stepTo, c Change) any {
	if c.Order {
		return v
	}
	if len(steps) == 0 {
		return decoded(c.New)
	}
	s, rest := steps[0], steps[1:]
	switch x := v.(type) {
	case map[string]any:
		if len(rest) == 0 && c.New == nil {
			delete(x, s.member)
		} else {
			x[s.member] = set(x[s.member], rest, c)
		}
		return x
	case []any:
		i := index(x, s)
		switch {
		case i < 0 && c.New == nil: // it went with the tail
			return x
		case i < 0:
			return append(x, decoded(c.New))
		case len(rest) == 0 && c.New == nil && s.key == nil:
			return x[:i] // the tail is taken out place by place
		case len(rest) == 0 && c.New == nil:
			return slices.Delete(x, i, i+1)
		}
		x[i] = set(x[i], rest, c)
		return x
	}
	panic(fmt.Sprintf("path %v leads into %v", steps, v))
}

// at changes what a path leads to.
func at(v any, steps []stepTo, change func(any) any) any {
	if len(steps) == 0 {
		return change(v)
	}
	switch x := v.(type) {
	case map[string]any:
		if inner, ok := x[steps[0].member]; ok {
			x[steps[0].member] = at(inner, steps[1:], change)
		}
	case []any:
		if i := index(x, steps[0]); i >= 0 {
			x[i] = at(x[i], steps[1:], change)
		}
	}
	return v
}

func rearranged(doc any, steps []stepTo, name string) any {
	if name == "" {
		return doc
	}
	return at(doc, steps, func(v any) any {
		list, ok := v.([]any)
		if ok {
			slices.SortStableFunc(list, func(a, b any) int { return compareRank(a.(map[string]any)[name], b.(map[string]any)[name]) })
		}
		return v
	})
}

// ordered puts a list into the order of these keys. Which member they are of is that under which all are found.
func ordered(doc any, steps []stepTo, keys []any) any {
	return at(doc, steps, func(v any) any {
		list := v.([]any)
		for name := range list[0].(map[string]any) {
			out := make([]any, 0, len(list))
			for _, k := range keys {
				raw := json.RawMessage(encoded(k))
				i := slices.IndexFunc(list, func(e any) bool { return same(e.(map[string]any)[name], raw) })
				if i >= 0 {
					out = append(out, list[i])
				}
			}
			if len(out) == len(list) {
				return out
			}
		}
		panic("no member has these keys")
	})
}
