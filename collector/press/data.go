package press

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Type is what a column's values are: the names of JSON Table Schema.
type Type string

// The types of columns, each with the Go types that its values may have. In any of them nil means that nothing is known.
const (
	Integer  Type = "integer"  // int, int64
	Number   Type = "number"   // float64; NaN is as nil
	String   Type = "string"   // string
	Boolean  Type = "boolean"  // bool
	Datetime Type = "datetime" // time.Time, written in UTC
)

// Field is one column of a Data.
type Field struct {
	Name        string // for programs: lower_case_with_unit
	Type        Type
	Unit        string // "ms", "bit/s", "fraction"; empty for a count or a text
	Description string
}

// Data is one table of figures.
type Data struct {
	ID          string // for file names and programs: lower-case-with-hyphens
	Title       string
	Description string
	Fields      []Field
	Rows        [][]any // as many values as Fields in each
}

// Package is the tables of one report.
type Package struct {
	Name        string // for programs: lower-case-with-hyphens
	Title       string
	Description string
	Report      string // SHA-256 of the report that the tables were taken from, in hexadecimal
	Tables      []Data
}

// check tells which value is not of its column's type.
func (d Data) check() error {
	for i, row := range d.Rows {
		if len(row) != len(d.Fields) {
			return fmt.Errorf("table %s, row %d: it has %d values for %d columns", d.ID, i+1, len(row), len(d.Fields))
		}
		for k, v := range row {
			ok := v == nil
			switch v.(type) {
			case int, int64:
				ok = d.Fields[k].Type == Integer
			case float64:
				ok = d.Fields[k].Type == Number
			case string:
				ok = d.Fields[k].Type == String
			case bool:
				ok = d.Fields[k].Type == Boolean
			case time.Time:
				ok = d.Fields[k].Type == Datetime
			}
			if !ok {
				return fmt.Errorf("table %s, row %d, column %s: a %T is no %s", d.ID, i+1, d.Fields[k].Name, v, d.Fields[k].Type)
			}
		}
	}
	return nil
}

// CSV writes the table by RFC 4180, in UTF-8, a line of names first. Texts are always quoted, so that an empty text is told from one that is not
// known. One that a spreadsheet would take for a formula gets an apostrophe before it. Errors: a value that is not of its column's type, those of w.
func (d Data) CSV(w io.Writer) error {
	if err := d.check(); err != nil {
		return err
	}
	b := make([]byte, 0, 64<<10)
	for i, f := range d.Fields {
		b = append(b, separator(i)...)
		b = append(b, quote(f.Name)...)
	}
	b = append(b, "\r\n"...)
	for _, row := range d.Rows {
		for i, v := range row {
			b = append(b, separator(i)...)
			b = appendValue(b, v)
		}
		b = append(b, "\r\n"...)
		if len(b) > 48<<10 {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(b)
	return err
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if !known(v) {
			return b
		}
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case bool:
		return strconv.AppendBool(b, v)
	case time.Time:
		return append(b, instant(v)...)
	case string:
		return append(b, quote(v)...)
	}
	return b
}

func known(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// quote is a text as a field of a CSV.
func quote(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\ufffd")
	if strings.ContainsAny(s[:min(len(s), 1)], "=+-@\t\r\n") || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") || strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		s = "'" + s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// Dictionary is the datapackage.json of the package: what each table and column means, in JSON Table Schema, and the size and hash of each CSV. Errors: as of CSV.
func (p Package) Dictionary() ([]byte, error) {
	type field struct {
		Name        string `json:"name"`
		Type        Type   `json:"type"`
		Unit        string `json:"unit,omitempty"`
		Description string `json:"description,omitempty"`
	}
	type schema struct {
		Fields  []field  `json:"fields"`
		Missing []string `json:"missingValues"`
	}
	type resource struct {
		Name        string `json:"name"`
		Path        string `json:"path"`
		Title       string `json:"title,omitempty"`
		Description string `json:"description,omitempty"`
		Profile     string `json:"profile"`
		Format      string `json:"format"`
		Mediatype   string `json:"mediatype"`
		Encoding    string `json:"encoding"`
		Bytes       int64  `json:"bytes"`
		Hash        string `json:"hash"`
		Schema      schema `json:"schema"`
	}
	out := struct {
		Profile     string     `json:"profile"`
		Name        string     `json:"name"`
		Title       string     `json:"title,omitempty"`
		Description string     `json:"description,omitempty"`
		Report      string     `json:"report_sha256,omitempty"`
		Resources   []resource `json:"resources"`
	}{"tabular-data-package", p.Name, p.Title, p.Description, p.Report, []resource{}}
	for _, t := range p.Tables {
		sum, size := sha256.New(), counter(0)
		if err := t.CSV(io.MultiWriter(sum, &size)); err != nil {
			return nil, err
		}
		r := resource{t.ID, t.ID + ".csv", t.Title, t.Description, "tabular-data-resource", "csv", "text/csv", "utf-8", int64(size), "sha256:" + hex.EncodeToString(sum.Sum(nil)),
			schema{Fields: []field{}, Missing: []string{""}}}
		for _, f := range t.Fields {
			r.Schema.Fields = append(r.Schema.Fields, field(f))
		}
		out.Resources = append(out.Resources, r)
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
