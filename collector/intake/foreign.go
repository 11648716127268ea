package intake

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/smartvillage/nabz/telemetry"
)

// Bounds on what a foreign line may bring, beside those of telemetry.ParseLine on its fields and its length.
const (
	maxForeignName = 64  // bytes of a measurement, a tag's key, a field's key
	maxForeignTag  = 256 // bytes of a tag's value
	maxForeignTags = telemetry.MaxTags - 2
)

// CheckExtra tells why a name cannot be one of extra_measurements.
func CheckExtra(name string) error {
	for _, m := range append(telemetry.Schema(), telemetry.OwnSchema()...) {
		if m.Name == name {
			return fmt.Errorf("%q is a measurement of nabz itself, which no other program may write; have the sender use another name (in Telegraf: name_override or name_prefix)", name)
		}
	}
	ok := name != "" && len(name) <= maxForeignName && name[0] != '_'
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !ok {
		return fmt.Errorf("%q is not a name of a measurement that can be admitted; use letters, digits, \"_\", \"-\" and \".\", not beginning with \"_\", at most %d characters", name, maxForeignName)
	}
	return nil
}

// isForeign tells whether a text comes from another program than our agent: foreign measurements are admitted, and it does not begin with a header.
func (r *rules) isForeign(text []byte) bool {
	rest, header := bytes.CutPrefix(text, []byte("batch"))
	return len(r.extra) > 0 && !(header && len(rest) > 0 && (rest[0] == ' ' || rest[0] == ','))
}

// parseForeign is telemetry.Parse for lines of another program. They are detail, whatever they say.
func (r *rules) parseForeign(text []byte) (good []telemetry.Parsed, bad []telemetry.BadLine, err error) {
	if n := bytes.Count(text, []byte{'\n'}); n > telemetry.MaxLines {
		return nil, nil, fmt.Errorf("message of %d lines: %w of %d", n, telemetry.ErrTooLarge, telemetry.MaxLines)
	}
	for number := 1; len(text) > 0; number++ {
		raw, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if len(raw) == 0 {
			continue
		}
		l, err := foreignLine(raw)
		if err == nil {
			err = r.checkForeign(&l)
		}
		if err != nil {
			bad = append(bad, telemetry.BadLine{Number: number, Raw: raw, Err: err})
			continue
		}
		good = append(good, telemetry.Parsed{Line: l, Raw: raw, Tier: telemetry.Detail})
	}
	return good, bad, nil
}

// foreignLine decodes a line whose timestamp is in s, ms, µs or ns, told apart by its size: between 1973 and 5138 no two of them
// can be mistaken. It is kept in milliseconds.
func foreignLine(raw []byte) (telemetry.Line, error) {
	if len(raw) > telemetry.MaxLineBytes {
		return telemetry.ParseLine(raw) // tells the bound
	}
	cut := bytes.LastIndexByte(raw, ' ') + 1
	at, err := strconv.ParseInt(string(raw[cut:]), 10, 64)
	if err != nil || cut == 0 {
		l, err := telemetry.ParseLine(raw)
		if err == nil {
			err = fmt.Errorf("no timestamp that can be read: %w", telemetry.ErrMalformed)
		}
		return l, err
	}
	return telemetry.ParseLine(strconv.AppendInt(bytes.Clone(raw[:cut]), milliseconds(at), 10))
}

func milliseconds(at int64) int64 {
	switch size := math.Abs(float64(at)); {
	case size >= 1e17:
		return at / 1e6
	case size >= 1e14:
		return at / 1e3
	case size >= 1e11:
		return at
	}
	return at * 1e3
}

// errForeign is in the error of a line that no schema knows.
var errForeign = errors.New("not admitted")

func (r *rules) checkForeign(l *telemetry.Line) error {
	if !r.extra[l.Measurement] {
		if CheckExtra(l.Measurement) != nil && len(l.Measurement) <= maxForeignName {
			return fmt.Errorf("measurement %.60q without a batch header: %w: it is for nabz agents, or no name that can be admitted", l.Measurement, errForeign)
		}
		return fmt.Errorf("measurement %.60q: %w: it is not in intake.extra_measurements", l.Measurement, errForeign)
	}
	if len(l.Tags) > maxForeignTags {
		return fmt.Errorf("%s: %d tags: %w of %d", l.Measurement, len(l.Tags), telemetry.ErrTooLarge, maxForeignTags)
	}
	for _, t := range l.Tags {
		switch {
		case t.Key == "site" || t.Key == "agent":
			return fmt.Errorf("%s: tag %q is for the collector to set, from the topic; have the sender leave it out", l.Measurement, t.Key)
		case len(t.Key) > maxForeignName || len(t.Value) > maxForeignTag:
			return fmt.Errorf("%s: tag %.40q: %w of %d bytes for its name and %d for its value", l.Measurement, t.Key, telemetry.ErrTooLarge, maxForeignName, maxForeignTag)
		case strings.HasSuffix(t.Key, `\`) || strings.HasSuffix(t.Value, `\`):
			return fmt.Errorf("%s: tag %.40q ends in a backslash: %w", l.Measurement, t.Key, telemetry.ErrMalformed)
		}
	}
	for _, f := range l.Fields {
		switch {
		case len(f.Key) > maxForeignName:
			return fmt.Errorf("%s: field %.40q: %w of %d bytes for its name", l.Measurement, f.Key, telemetry.ErrTooLarge, maxForeignName)
		case f.Value.Kind() == lineprotocol.Uint:
			return fmt.Errorf("%s: field %.40q is an unsigned integer, which InfluxDB 1.8 does not keep; in Telegraf: influx_uint_support = false", l.Measurement, f.Key)
		}
	}
	if _, err := l.Append(nil); err != nil { // what is decoded can be written again, by the decoder's word; the collector must not rest on it
		return fmt.Errorf("%w: %w", telemetry.ErrMalformed, err)
	}
	return nil
}

// appendForeign writes the line behind dst with the two tags that only the collector may set.
func appendForeign(dst []byte, l telemetry.Line, a telemetry.Address) ([]byte, error) {
	tags := make([]telemetry.Tag, 0, len(l.Tags)+2)
	l.Tags = append(tags, l.Tags...)
	l.Tag("agent", a.Agent).Tag("site", a.Site)
	return l.Append(dst)
}
