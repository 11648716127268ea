package telemetry

import (
	"slices"
	"strconv"
	"unsafe"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// plan is a measurement prepared for quick.
type plan struct {
	*Measurement
	needTags, needFields uint64 // bits of those that must be there
}

var plans = func() map[string]*plan {
	all := map[string]*plan{}
	for name, m := range index {
		p := &plan{Measurement: &m}
		for i, t := range m.Tags {
			if !t.Optional {
				p.needTags |= 1 << i
			}
		}
		for i, f := range m.Fields {
			if f.Required {
				p.needFields |= 1 << i
			}
		}
		all[name] = p
	}
	return all
}()

// quick reads lines as agents write them, in one pass: no escapes, no text beyond ASCII, numbers without an exponent, one blank between the parts.
// Whatever else a line may be, or whatever is wrong with it, it leaves to ParseLine and Check, which know the words for it. What it takes they
// take too, as the same line; a fuzz test holds it to that.
type quick struct {
	last   *plan
	keep   []string // measurements whose fields are wanted; nil: all
	fields []Field  // room for those of the next lines
	tags   []Tag
}

// room returns an empty slice for n elements from the slab, which is renewed when it is used up.
func room[T any](slab *[]T, n int) []T {
	if cap(*slab)-len(*slab) < n {
		*slab = make([]T, 0, max(n, 2*cap(*slab)))
	}
	at := len(*slab)
	return (*slab)[at:at:cap(*slab)]
}

// line reads one line. False says nothing about it but that another has to look.
func (q *quick) line(raw []byte) (l Line, tier Tier, ok bool) {
	i := 0
	for i < len(raw) && (raw[i] >= 'a' && raw[i] <= 'z' || raw[i] == '_') {
		i++
	}
	if i == len(raw) || len(raw) > MaxLineBytes {
		return l, 0, false
	}
	p := q.last
	if p == nil || p.Name != string(raw[:i]) {
		if p = plans[string(raw[:i])]; p == nil {
			return l, 0, false
		}
		q.last = p
	}
	l.Measurement = p.Name
	if l.Tags, i, ok = q.readTags(p, raw, i); !ok {
		return l, 0, false
	}
	if l.Fields, i, ok = q.readFields(p, raw, i); !ok {
		return l, 0, false
	}
	ms, n := number(raw[i:])
	if n == 0 || i+n != len(raw) || ms > 9e12 || ms < -9e12 { // in nanoseconds it has to fit into 64 bits
		return l, 0, false
	}
	l.Time = ms
	q.fields, q.tags = q.fields[:len(q.fields)+len(l.Fields)], q.tags[:len(q.tags)+len(l.Tags)]
	l.Fields, l.Tags = slices.Clip(l.Fields), slices.Clip(l.Tags) // whoever appends must not write into those of the next line
	return l, p.Tier, true
}

// readTags reads the tags behind the measurement, and the blank behind them.
func (q *quick) readTags(p *plan, raw []byte, i int) (tags []Tag, next int, ok bool) {
	seen := uint64(0)
	if raw[i] == ',' {
		tags = room(&q.tags, len(p.Tags))
	}
	for raw[i] == ',' {
		k := -1
		for n := range p.Tags {
			if key := p.Tags[n].Key; begins(raw[i+1:], key) {
				k, i = n, i+1+len(key)+1
				break
			}
		}
		if k < 0 || seen&(1<<k) != 0 {
			return nil, 0, false
		}
		seen |= 1 << k
		at := i
		for i < len(raw) && raw[i] > ' ' && raw[i] < 0x7f && raw[i] != ',' && raw[i] != '=' && raw[i] != '\\' {
			i++
		}
		if i == at || i-at > maxTagBytes || i == len(raw) || raw[i] != ',' && raw[i] != ' ' {
			return nil, 0, false
		}
		spec := &p.Tags[k]
		if len(tags) > 0 && tags[len(tags)-1].Key > spec.Key {
			return nil, 0, false // Line has them in order
		}
		value := ""
		if spec.Values == nil {
			value = string(raw[at:i])
		} else if n := slices.Index(spec.Values, unsafe.String(&raw[at], i-at)); n >= 0 {
			value = spec.Values[n]
		} else {
			return nil, 0, false
		}
		tags = append(tags, Tag{spec.Key, value})
	}
	return tags, i + 1, raw[i] == ' ' && seen&p.needTags == p.needTags
}

// begins tells whether b is the key and an equals sign.
func begins(b []byte, key string) bool {
	return len(b) > len(key) && b[len(key)] == '=' && string(b[:len(key)]) == key
}

// readFields reads the fields and the blank behind them, and holds each against the schema.
func (q *quick) readFields(p *plan, raw []byte, i int) (fields []Field, next int, ok bool) {
	keep := q.keep == nil || slices.Contains(q.keep, p.Name)
	if keep {
		fields = room(&q.fields, len(p.Fields))
	}
	seen := uint64(0)
	for k := 0; ; k++ {
		// They mostly come in the order of the schema, some left out.
		for n := 0; k >= len(p.Fields) || !begins(raw[i:], p.Fields[k].Key); n++ {
			if k++; n > len(p.Fields) {
				return nil, 0, false
			}
			if k >= len(p.Fields) {
				k = 0
			}
		}
		spec := &p.Fields[k]
		if seen&(1<<k) != 0 {
			return nil, 0, false
		}
		seen |= 1 << k
		i += len(spec.Key) + 1
		v, n := spec.value(raw[i:], keep)
		if i += n; n == 0 || i >= len(raw) {
			return nil, 0, false
		}
		if keep {
			fields = append(fields, Field{spec.Key, v})
		}
		switch i++; raw[i-1] {
		case ',':
		case ' ':
			return fields, i, seen&p.needFields == p.needFields
		default:
			return nil, 0, false
		}
	}
}

// value reads a value of the field at the front of b, and says how many bytes it took: 0 when it is none that quick knows.
func (s *FieldSpec) value(b []byte, keep bool) (v lineprotocol.Value, n int) {
	switch s.Type {
	case Int:
		x, n := number(b)
		if n == 0 || n == len(b) || b[n] != 'i' || float64(x) < s.Min || float64(x) > s.Max {
			return v, 0
		}
		if keep {
			v = lineprotocol.IntValue(x)
		}
		return v, n + 1
	case Float:
		x, n := decimal(b)
		if n == 0 || x < s.Min || x > s.Max {
			return v, 0
		}
		if keep {
			v, _ = lineprotocol.FloatValue(x) // it is finite
		}
		return v, n
	case String:
		if len(b) == 0 || b[0] != '"' {
			return v, 0
		}
		n := 1
		for n < len(b) && b[n] >= ' ' && b[n] < 0x7f && b[n] != '"' && b[n] != '\\' {
			n++
		}
		if n == len(b) || b[n] != '"' || n-1 > MaxString {
			return v, 0
		}
		if keep {
			v, _ = lineprotocol.StringValue(string(b[1:n])) // it is ASCII
		}
		return v, n + 1
	case Bool:
		for _, x := range [...]bool{true, false} {
			if word := strconv.FormatBool(x); len(b) >= len(word) && string(b[:len(word)]) == word {
				return lineprotocol.BoolValue(x), len(word)
			}
		}
	}
	return v, 0
}

// number reads an integer of at most 18 digits.
func number(b []byte) (x int64, n int) {
	minus := len(b) > 0 && b[0] == '-'
	if minus {
		n++
	}
	from := n
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		x = x*10 + int64(b[n]-'0')
		n++
	}
	if n == from || n-from > 18 {
		return 0, 0
	}
	if minus {
		x = -x
	}
	return x, n
}

// decimal reads a number with or without a point. Whole ones of at most 15 digits a float holds exactly; strconv takes the others.
func decimal(b []byte) (x float64, n int) {
	whole, n := number(b)
	if n == 0 {
		return 0, 0
	}
	if n == len(b) || b[n] != '.' {
		if n > 15 {
			return 0, 0
		}
		if whole == 0 && b[0] == '-' {
			return 0, 0 // a zero of its own kind
		}
		return float64(whole), n
	}
	from := n + 1
	for n = from; n < len(b) && b[n] >= '0' && b[n] <= '9'; n++ {
	}
	if n == from {
		return 0, 0
	}
	x, err := strconv.ParseFloat(unsafe.String(&b[0], n), 64)
	if err != nil {
		return 0, 0
	}
	return x, n
}
