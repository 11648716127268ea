package conf

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// decoder walks the file's tree and the struct side by side and gathers every fault.
type decoder struct {
	doc    *Doc
	faults []fault
	gone   map[string]string
}

// Goner is a configuration that had other keys in releases before. Gone gives for each, by its full name such as "speedtest.listen", what to write
// instead; who still has it is told so.
type Goner interface{ Gone() map[string]string }

type fault struct {
	at  place
	err error
}

func (d *decoder) add(key string, err error) {
	d.faults = append(d.faults, fault{d.doc.at[key], err})
}

func (d *decoder) faultf(key, format string, a ...any) {
	d.add(key, d.doc.Faultf(key, format, a...))
}

// err joins the faults in the order of the files and their lines.
func (d *decoder) err() error {
	slices.SortStableFunc(d.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.at.order, b.at.order), cmp.Compare(a.at.line, b.at.line))
	})
	errs := make([]error, len(d.faults))
	for i, f := range d.faults {
		errs[i] = f.err
	}
	return errors.Join(errs...)
}

func (d *decoder) table(path string, tree map[string]any, v reflect.Value) {
	if path == "" {
		if g, ok := v.Addr().Interface().(Goner); ok {
			d.gone = g.Gone()
		}
	}
	known := fields(v.Type())
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, key := range sortedKeys(tree) {
		i, ok := known[key]
		if !ok {
			d.unknown(path, key, tree[key], names)
			continue
		}
		d.value(join(path, key), tree[key], v.Field(i))
	}
}

func (d *decoder) unknown(path, key string, value any, names []string) {
	full := join(path, key)
	what := fmt.Sprintf("unknown key %q", key)
	if _, isTable := value.(map[string]any); isTable {
		what = fmt.Sprintf("unknown section [%s]", full)
	} else if path != "" {
		what += fmt.Sprintf(" in [%s]", path)
	}
	if instead, ok := d.gone[full]; ok {
		d.add(full, fmt.Errorf("%s%s was taken out; %s", d.doc.where(full), full, instead))
		return
	}
	hint := "known here: " + strings.Join(names, ", ")
	if near := Nearest(key, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.add(full, fmt.Errorf("%s%s; %s", d.doc.where(full), what, hint))
}

// value puts one value of the file into v, or notes why it cannot.
func (d *decoder) value(key string, value any, v reflect.Value) {
	if reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		d.text(key, value, v)
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		panic("conf: " + key + " is a time.Duration; use conf.Duration")
	}
	want := ""
	switch v.Kind() {
	case reflect.Struct:
		if t, ok := value.(map[string]any); ok {
			d.table(key, t, v)
			return
		}
		want = fmt.Sprintf("a section [%s]", key)
	case reflect.Map:
		if t, ok := value.(map[string]any); ok {
			d.mapping(key, t, v)
			return
		}
		want = fmt.Sprintf("a section [%s]", key)
	case reflect.Slice:
		if list, ok := elements(value); ok {
			d.list(key, list, v)
			return
		}
		want = "a list in square brackets"
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(key, value, p.Elem())
		v.Set(p)
		return
	default:
		if want = scalar(value, v); want == "" {
			return
		}
	}
	d.faultf(key, "got %s, want %s", describe(value), want)
}

func (d *decoder) text(key string, value any, v reflect.Value) {
	s, isText := value.(string)
	if !isText {
		s = fmt.Sprint(value)
	}
	p := reflect.New(v.Type())
	switch err := p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); {
	case err != nil:
		d.faultf(key, "%w", err)
	case !isText:
		d.faultf(key, "got %s, want text in quotes", describe(value))
	default:
		v.Set(p.Elem())
	}
}

func (d *decoder) list(key string, list []any, v reflect.Value) {
	s := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, e := range list {
		d.value(fmt.Sprintf("%s[%d]", key, i), e, s.Index(i))
	}
	v.Set(s)
}

func (d *decoder) mapping(key string, tree map[string]any, v reflect.Value) {
	m := reflect.MakeMap(v.Type())
	for _, k := range sortedKeys(tree) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(join(key, k), tree[k], e)
		m.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
	}
	v.Set(m)
}

// scalar sets v, or says what would be accepted in place of value.
func scalar(value any, v reflect.Value) (want string) {
	switch k := v.Kind(); {
	case k == reflect.String:
		if s, ok := value.(string); ok {
			v.SetString(s)
			return ""
		}
		return "text in quotes"
	case k == reflect.Bool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
			return ""
		}
		return "true or false"
	case v.CanInt():
		n, ok := value.(int64)
		if ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return ""
		}
		half := int64(1) << (v.Type().Bits() - 1)
		return wholeNumber(ok, fmt.Sprint(-half), fmt.Sprint(uint64(half)-1))
	case v.CanUint():
		n, ok := value.(int64)
		if ok && n >= 0 && !v.OverflowUint(uint64(n)) {
			v.SetUint(uint64(n))
			return ""
		}
		top := ^uint64(0) >> (64 - v.Type().Bits())
		return wholeNumber(ok, "0", fmt.Sprint(min(top, math.MaxInt64)))
	case v.CanFloat():
		switch n := value.(type) {
		case int64:
			v.SetFloat(float64(n))
			return ""
		case float64:
			if !math.IsNaN(n) && !math.IsInf(n, 0) {
				v.SetFloat(n)
				return ""
			}
			return "a finite number"
		}
		return "a number"
	}
	panic("conf: no way to fill in a " + v.Type().String())
}

func wholeNumber(outOfRange bool, low, high string) string {
	if outOfRange {
		return "a whole number from " + low + " to " + high
	}
	return "a whole number"
}

// Keys lists every key that v, a struct or a pointer to one, can take, sections taken apart: "probe.every".
// A list or map counts as one key. It is for a test that the shipped example leaves none out.
func Keys(v any) []string {
	var keys []string
	var walk func(path string, t reflect.Type)
	walk = func(path string, t reflect.Type) {
		for name, i := range fields(t) {
			key, ft := join(path, name), t.Field(i).Type
			if ft.Kind() == reflect.Struct && !reflect.PointerTo(ft).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
				walk(key, ft)
				continue
			}
			keys = append(keys, key)
		}
	}
	walk("", reflect.Indirect(reflect.ValueOf(v)).Type())
	slices.Sort(keys)
	return keys
}

// fields maps the toml names of a struct to their index.
func fields(t reflect.Type) map[string]int {
	m := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name != "" && name != "-" {
			m[name] = i
		}
	}
	return m
}

// elements gives a TOML list one shape, whether it was written [1, 2] or [[section]].
func elements(value any) ([]any, bool) {
	switch list := value.(type) {
	case []any:
		return list, true
	case []map[string]any:
		out := make([]any, len(list))
		for i, t := range list {
			out[i] = t
		}
		return out, true
	}
	return nil, false
}
