package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Bounds on what a decoder takes in. A minute of a busy router is about 1 KiB in 8 lines.
const (
	MaxMessage   = 1 << 20 // bytes of one MQTT payload
	MaxExpanded  = 8 << 20 // bytes of one batch after decompression
	MaxLines     = 20000   // lines in one batch
	MaxLineBytes = 8 << 10 // bytes in one line
	MaxTags      = 16      // tags on one line
	MaxFields    = 64      // fields on one line
	MaxString    = 512     // bytes in one string field
)

// ErrTooLarge marks input that breaks one of the bounds.
var ErrTooLarge = errors.New("over the limit")

// ErrNewer marks what only a newer program can read: a batch that it alone can open, or a line with fields that it alone knows. It is whole, and worth
// keeping until there is one.
var ErrNewer = errors.New("made by a newer program")

// ErrMalformed marks input that cannot be what it should be.
var ErrMalformed = errors.New("malformed")

// Parsed is a line that has passed the schema. Raw is its text without the newline; it aliases the input, unless fields that are not known here were left out.
type Parsed struct {
	Line
	Raw  []byte
	Tier Tier
}

// BadLine is a line that was refused, and why. Number counts from 1; Raw aliases the input. With ErrNewer it was refused in part: its fields that are
// known here are among the good lines.
type BadLine struct {
	Number int
	Raw    []byte
	Err    error
}

// Parse decodes a batch's text and checks each line against the schema. A bad line never costs its
// neighbours. The error speaks of the batch as a whole: more text or more lines than a batch may have.
func Parse(text []byte) (good []Parsed, bad []BadLine, err error) {
	return new(Parser).Parse(text)
}

// Parser is Parse for who reads many batches, one after the other. What it returns is good until it parses the next.
type Parser struct {
	Fields []string // measurements into whose fields the reader looks: Fields of others are nil. Nil: all. Every line is checked in any case

	good []Parsed
	q    quick
}

// keepLines is the largest batch whose memory a Parser uses again.
const keepLines = 256

// Parse is as Parse.
func (p *Parser) Parse(text []byte) (good []Parsed, bad []BadLine, err error) {
	if len(text) > MaxExpanded {
		return nil, nil, fmt.Errorf("batch text of %d bytes: %w of %d", len(text), ErrTooLarge, MaxExpanded)
	}
	n := bytes.Count(text, []byte{'\n'})
	if n > MaxLines {
		return nil, nil, fmt.Errorf("batch of %d lines: %w of %d", n, ErrTooLarge, MaxLines)
	}
	if cap(p.good) > keepLines { // one large batch is no reason to hold so much for all that come after it
		p.good, p.q = nil, quick{}
	}
	if p.good == nil {
		p.good = make([]Parsed, 0, min(n+1, 64))
	}
	good = p.good[:0]
	p.q.keep, p.q.fields, p.q.tags = p.Fields, p.q.fields[:0], p.q.tags[:0]
	for number := 1; len(text) > 0; number++ {
		raw, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if len(raw) == 0 {
			continue
		}
		whole := raw
		l, tier, ok := p.q.line(raw)
		if !ok {
			var rest error
			if l, raw, tier, rest, err = slow(raw); rest != nil {
				bad = append(bad, BadLine{Number: number, Raw: whole, Err: rest})
			}
			if err != nil {
				bad = append(bad, BadLine{Number: number, Raw: whole, Err: err})
				continue
			}
		}
		good = append(good, Parsed{Line: l, Raw: raw, Tier: tier})
	}
	p.good = good
	return good, bad, nil // err is that of a line
}

// slow reads a line that quick has left. Fields that are not known here are left out, as if the line had never had them: a newer agent adds what changes
// nothing beside it. Rest says so. What would change the meaning, such as a tag or a state, costs the line.
func slow(raw []byte) (l Line, known []byte, tier Tier, rest, err error) {
	if l, err = ParseLine(raw); err != nil {
		return l, raw, 0, nil, err
	}
	unknown, some := index[l.Measurement].split(l.Fields)
	if len(unknown) == 0 || len(some) == 0 {
		tier, err = Check(&l)
		return l, raw, tier, nil, err
	}
	l.Fields = some
	if tier, err = Check(&l); err != nil {
		return l, raw, 0, nil, err
	}
	if known, err = l.Append(nil); err != nil {
		return l, raw, 0, nil, err
	}
	rest = fmt.Errorf("%s: field %.60q is not known here; the others are stored, and the line is kept for a newer collector: %w", l.Measurement, unknown[0].Key, ErrNewer)
	return l, bytes.TrimSuffix(known, []byte{'\n'}), tier, rest, nil
}

// split parts the fields that the schema does not have from those that it has.
func (m Measurement) split(fields []Field) (unknown, known []Field) {
	for _, f := range fields {
		if slices.ContainsFunc(m.Fields, func(s FieldSpec) bool { return s.Key == f.Key }) {
			known = append(known, f)
		} else {
			unknown = append(unknown, f)
		}
	}
	return unknown, known
}

// ParseLine decodes one physical line, without asking the schema. A line without a timestamp, with comments
// or blanks in front, with raw control characters or with a repeated key is refused.
func ParseLine(raw []byte) (Line, error) {
	if len(raw) > MaxLineBytes {
		return Line{}, fmt.Errorf("line of %d bytes: %w of %d", len(raw), ErrTooLarge, MaxLineBytes)
	}
	if len(raw) == 0 || raw[0] == '#' || raw[0] == ' ' {
		return Line{}, fmt.Errorf("line does not begin with a measurement: %w", ErrMalformed)
	}
	if !utf8.Valid(raw) {
		return Line{}, fmt.Errorf("line is not UTF-8: %w", ErrMalformed)
	}
	for _, c := range raw {
		if c < ' ' || c == 0x7f {
			return Line{}, fmt.Errorf("line holds control character 0x%02x: %w", c, ErrMalformed)
		}
	}
	d := lineprotocol.NewDecoderWithBytes(raw)
	if !d.Next() {
		return Line{}, fmt.Errorf("line is empty: %w", ErrMalformed)
	}
	l, err := decode(d)
	if err != nil {
		return Line{}, err
	}
	if d.Next() {
		return Line{}, fmt.Errorf("more than one entry on a line: %w", ErrMalformed)
	}
	return l, nil
}

func decode(d *lineprotocol.Decoder) (Line, error) {
	malformed := func(err error) (Line, error) { return Line{}, fmt.Errorf("%w: %w", ErrMalformed, err) }
	name, err := d.Measurement()
	if err != nil {
		return malformed(err)
	}
	// Names that the schema knows are not allocated again for each line: they are most of what a line holds.
	m, known := index[string(name)]
	if !known {
		m.Name = string(name)
	}
	l := Line{Measurement: m.Name, Fields: make([]Field, 0, 8)}
	for {
		k, v, err := d.NextTag()
		if err != nil {
			return malformed(err)
		}
		if k == nil {
			break
		}
		if len(l.Tags) == MaxTags {
			return Line{}, fmt.Errorf("tags: %w of %d", ErrTooLarge, MaxTags)
		}
		if l.GetTag(string(k)) != "" {
			return Line{}, fmt.Errorf("tag %.40q twice: %w", k, ErrMalformed)
		}
		l.Tag(m.tagName(k), string(v))
	}
	for {
		k, v, err := d.NextField()
		if err != nil {
			return malformed(err)
		}
		if k == nil {
			break
		}
		if len(l.Fields) == MaxFields {
			return Line{}, fmt.Errorf("fields: %w of %d", ErrTooLarge, MaxFields)
		}
		for _, f := range l.Fields {
			if f.Key == string(k) {
				return Line{}, fmt.Errorf("field %.40q twice: %w", k, ErrMalformed)
			}
		}
		if v.Kind() == lineprotocol.String { // the decoder's string is valid only until its next call
			v, _ = lineprotocol.StringValue(string(v.BytesV()))
		}
		l.Fields = append(l.Fields, Field{Key: m.fieldName(k), Value: v})
	}
	at, err := d.Time(lineprotocol.Millisecond, time.Time{})
	if err != nil {
		return malformed(err)
	}
	if at.IsZero() {
		return Line{}, fmt.Errorf("no timestamp: %w", ErrMalformed)
	}
	l.Time = at.UnixMilli()
	return l, nil
}

// tagName is the key as text, the schema's own where it has one.
func (m *Measurement) tagName(k []byte) string {
	for i := range m.Tags {
		if m.Tags[i].Key == string(k) {
			return m.Tags[i].Key
		}
	}
	return string(k)
}

// fieldName is the key as text, the schema's own where it has one.
func (m *Measurement) fieldName(k []byte) string {
	for i := range m.Fields {
		if m.Fields[i].Key == string(k) {
			return m.Fields[i].Key
		}
	}
	return string(k)
}

// AppendStamped writes the line behind dst with the two tags that only the collector may set.
func AppendStamped(dst []byte, p Parsed, a Address) []byte {
	end := len(p.Measurement) // schema names need no escaping, so the text begins with the bare name
	dst = append(dst, p.Raw[:end]...)
	dst = append(dst, ",agent="...)
	dst = append(dst, a.Agent...)
	dst = append(dst, ",site="...)
	dst = append(dst, a.Site...)
	dst = append(dst, p.Raw[end:]...)
	return append(dst, '\n')
}
