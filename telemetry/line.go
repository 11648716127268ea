package telemetry

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Line is one line of InfluxDB line protocol, taken apart. Time is in milliseconds since the epoch.
type Line struct {
	Measurement string
	Tags        []Tag // in order of key
	Fields      []Field
	Time        int64
}

// Tag is an indexed key and value.
type Tag struct{ Key, Value string }

// Field is a measured value. An integer, a float, a string or a boolean; the schema says which.
type Field struct {
	Key   string
	Value lineprotocol.Value
}

// NewLine begins a line. The time is cut to milliseconds.
func NewLine(measurement string, at time.Time) *Line {
	return &Line{Measurement: measurement, Time: at.UnixMilli()}
}

// Tag adds a tag at its place in the order of keys. An empty value means "not said" and is left out.
func (l *Line) Tag(key, value string) *Line {
	if value == "" {
		return l
	}
	i, _ := slices.BinarySearchFunc(l.Tags, key, func(t Tag, k string) int { return strings.Compare(t.Key, k) })
	l.Tags = slices.Insert(l.Tags, i, Tag{key, value})
	return l
}

// Int adds an integer field, rounded as the schema says.
func (l *Line) Int(key string, v int64) *Line {
	l.Fields = append(l.Fields, Field{key, lineprotocol.IntValue(spec(l.Measurement, key).roundInt(v))})
	return l
}

// Float adds a float field, rounded as the schema says. A value that is not finite was not measured, so it is left out.
func (l *Line) Float(key string, v float64) *Line {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return l
	}
	f, _ := lineprotocol.FloatValue(spec(l.Measurement, key).roundFloat(v))
	l.Fields = append(l.Fields, Field{key, f})
	return l
}

// Bool adds a boolean field.
func (l *Line) Bool(key string, v bool) *Line {
	l.Fields = append(l.Fields, Field{key, lineprotocol.BoolValue(v)})
	return l
}

// Str adds a string field. Control characters become spaces, so that a line stays one physical line; bytes
// that are not UTF-8 become the replacement character; what is longer than MaxString is cut.
func (l *Line) Str(key, v string) *Line {
	v = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(v, "\uFFFD"))
	for len(v) > MaxString {
		_, n := utf8.DecodeLastRuneInString(v)
		v = v[:len(v)-n]
	}
	s, _ := lineprotocol.StringValue(v)
	l.Fields = append(l.Fields, Field{key, s})
	return l
}

// Append encodes the line with its newline behind dst.
func (l *Line) Append(dst []byte) ([]byte, error) {
	var e lineprotocol.Encoder
	e.SetPrecision(lineprotocol.Millisecond)
	e.SetBuffer(dst)
	e.StartLine(l.Measurement)
	for _, t := range l.Tags {
		e.AddTag(t.Key, t.Value)
	}
	for _, f := range l.Fields {
		e.AddField(f.Key, f.Value)
	}
	e.EndLine(time.UnixMilli(l.Time))
	if err := e.Err(); err != nil {
		return dst, fmt.Errorf("encode %s line: %w", l.Measurement, err)
	}
	return e.Bytes(), nil
}

// GetTag returns the value of a tag, "" when the line has none.
func (l *Line) GetTag(key string) string {
	for _, t := range l.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

func (l *Line) field(key string, kind lineprotocol.ValueKind) (v lineprotocol.Value, ok bool) {
	for _, f := range l.Fields {
		if f.Key == key {
			return f.Value, f.Value.Kind() == kind
		}
	}
	return v, false
}

// GetInt returns an integer field; false when it is missing or not an integer.
func (l *Line) GetInt(key string) (int64, bool) {
	v, ok := l.field(key, lineprotocol.Int)
	if !ok {
		return 0, false
	}
	return v.IntV(), true
}

// GetFloat returns a float field; false when it is missing or not a float.
func (l *Line) GetFloat(key string) (float64, bool) {
	v, ok := l.field(key, lineprotocol.Float)
	if !ok {
		return 0, false
	}
	return v.FloatV(), true
}

// GetStr returns a string field; false when it is missing or not a string.
func (l *Line) GetStr(key string) (string, bool) {
	v, ok := l.field(key, lineprotocol.String)
	if !ok {
		return "", false
	}
	return v.StringV(), true
}

// GetBool returns a boolean field; false when it is missing or not a boolean.
func (l *Line) GetBool(key string) (bool, bool) {
	v, ok := l.field(key, lineprotocol.Bool)
	if !ok {
		return false, false
	}
	return v.BoolV(), true
}
