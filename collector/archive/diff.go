package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MostChanges is how many changes a revision lists.
const MostChanges = 200

// Changes say how one document differs from another. The same two give the same changes in the same order: what is not in a list first.
type Changes struct {
	List []Change `json:"list,omitempty"`
	More int      `json:"more,omitempty"` // so many more are not listed
}

// Change is one value that differs, as JSON. Old is nil where it was added, New where it was taken out.
type Change struct {
	Path  string          `json:"path"` // as "sites[site=gokina].up_ms", "days[3]" or, where a name is no plain word, a["x y"]; "" is the whole
	Old   json.RawMessage `json:"old,omitempty"`
	New   json.RawMessage `json:"new,omitempty"`
	Order bool            `json:"order,omitempty"` // the elements of a list stand in another order; Old and New are their keys
	Cut   bool            `json:"cut,omitempty"`   // a value was too long, and is a string with how it begins
}

// Diff lists what differs between two documents, at most so many changes; 0 is all.
//
// Objects are compared member by member. Lists of objects are compared by the member that tells their elements apart (site, id or name, else the text that most of
// both have in common), so that an element that moves, comes or goes is one change; if the old list was sorted by it, elements stand sorted, and otherwise new ones
// follow the old: only where that is not so the order is a change. Other lists are compared place by place, and those of plain values that have another
// length as a whole. The error is of bytes that are no JSON.
func Diff(old, new []byte, most int) (Changes, error) {
	for _, doc := range [][]byte{old, new} {
		if !json.Valid(doc) || !utf8.Valid(doc) {
			return Changes{}, errors.New("compare two documents: one of them is no JSON")
		}
	}
	d := differ{most: most}
	d.value("", bytes.TrimSpace(old), bytes.TrimSpace(new))
	return d.found, nil
}

func isObject(doc []byte) bool {
	return json.Valid(doc) && utf8.Valid(doc) && bytes.TrimSpace(doc)[0] == '{'
}

type differ struct {
	most  int
	found Changes
}

func (d *differ) note(c Change) {
	if d.most > 0 && len(d.found.List) >= d.most {
		d.found.More++
		return
	}
	c.Old, c.New = slices.Clone(c.Old), slices.Clone(c.New) // not the whole document for one number of it
	d.found.List = append(d.found.List, c)
}

func (d *differ) value(path string, old, new json.RawMessage) {
	switch {
	case bytes.Equal(old, new):
	case old[0] == '{' && new[0] == '{':
		d.object(path, old, new)
	case old[0] == '[' && new[0] == '[':
		d.list(path, old, new)
	case old[0] == '"' && new[0] == '"' && text(old) == text(new): // written otherwise
	default:
		d.note(Change{Path: path, Old: old, New: new})
	}
}

// taken reads what is known to be JSON.
func taken[T any](raw json.RawMessage) (v T) {
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}

func text(raw json.RawMessage) string { return taken[string](raw) }

func (d *differ) object(path string, old, new json.RawMessage) {
	was, is := taken[map[string]json.RawMessage](old), taken[map[string]json.RawMessage](new)
	all := maps.Clone(was)
	maps.Copy(all, is)
	names := slices.Sorted(maps.Keys(all))
	for _, lists := range []bool{false, true} {
		for _, name := range names {
			if (all[name][0] == '[') == lists {
				d.member(path+step(name, path == ""), was[name], is[name])
			}
		}
	}
}

// member compares what may be on one side only.
func (d *differ) member(path string, old, new json.RawMessage) {
	if old == nil || new == nil {
		d.note(Change{Path: path, Old: old, New: new})
		return
	}
	d.value(path, old, new)
}

func (d *differ) list(path string, old, new json.RawMessage) {
	was, is := taken[[]json.RawMessage](old), taken[[]json.RawMessage](new)
	if name, ok := tellsApart(was, is); ok {
		d.keyed(path, name, keysOf(was, name), keysOf(is, name))
		return
	}
	plain := func(v json.RawMessage) bool { return v[0] != '{' && v[0] != '[' }
	if len(was) != len(is) && !slices.ContainsFunc(slices.Concat(was, is), func(v json.RawMessage) bool { return !plain(v) }) {
		d.note(Change{Path: path, Old: old, New: new})
		return
	}
	at := func(l []json.RawMessage, i int) json.RawMessage {
		if i < len(l) {
			return l[i]
		}
		return nil
	}
	for i := range max(len(was), len(is)) {
		d.member(path+"["+strconv.Itoa(i)+"]", at(was, i), at(is, i))
	}
}

// keyed compares lists whose elements are told apart by a member.
func (d *differ) keyed(path, name string, was, is []element) {
	find := func(l []element) map[string]json.RawMessage {
		m := make(map[string]json.RawMessage, len(l))
		for _, e := range l {
			m[e.key.id()] = e.raw
		}
		return m
	}
	old, new := find(was), find(is)
	for _, e := range is {
		d.member(path+"["+word(name)+"="+e.key.String()+"]", old[e.key.id()], e.raw)
	}
	for _, e := range was {
		if new[e.key.id()] == nil {
			d.note(Change{Path: path + "[" + word(name) + "=" + e.key.String() + "]", Old: e.raw})
		}
	}
	if !slices.EqualFunc(arranged(was, is), is, func(a, b element) bool { return a.key.id() == b.key.id() }) {
		d.note(Change{Path: path, Order: true, Old: keyList(was), New: keyList(is)})
	}
}

func keyList(l []element) json.RawMessage {
	out := []byte{'['}
	for i, e := range l {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e.key.raw...)
	}
	return append(out, ']')
}

// String is a change on a line, with how its values begin.
func (c Change) String() string {
	short := func(v json.RawMessage) string {
		if len(v) <= 80 {
			return string(v)
		}
		return fmt.Sprintf("%s… (%d bytes)", bytes.ToValidUTF8(v[:72], nil), len(v))
	}
	switch {
	case c.Order:
		return c.Path + ": in another order"
	case c.Old == nil:
		return c.Path + ": added, " + short(c.New)
	case c.New == nil:
		return c.Path + ": taken out, was " + short(c.Old)
	}
	return c.Path + ": " + short(c.Old) + " → " + short(c.New)
}

// What of a change is kept with a revision, in bytes.
const longest = 240

// cut bounds what a record takes.
func (c *Changes) cut() {
	for i := range c.List {
		l := &c.List[i]
		for _, v := range []*json.RawMessage{&l.Old, &l.New} {
			if len(*v) > longest {
				*v, _ = json.Marshal(fmt.Sprintf("%s… (%d bytes)", bytes.ToValidUTF8((*v)[:longest-40], nil), len(*v))) // a string always can be
				l.Cut = true
			}
		}
		if len(l.Path) > longest {
			l.Path, l.Cut = string(bytes.ToValidUTF8([]byte(l.Path[:longest-len("…")]), nil))+"…", true
		}
	}
}
