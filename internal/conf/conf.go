package conf

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/BurntSushi/toml"
)

// Doc is a configuration file that has been read. It knows on which line each key stands.
// A nil Doc is a configuration without a file; its Faultf names the key alone.
type Doc struct {
	file  string
	lines map[string]int
	from  map[string]string
}

// Load reads file into v, a pointer to a struct that holds the defaults.
//
// Only fields with a `toml` tag are read, and a key must match its tag letter for letter. A list or map in
// the file replaces the default one. The error joins every fault. The Doc is nil only when the file could
// not be read or is not TOML at all; otherwise v holds what was good, and the caller adds its own checks.
func Load(file string, v any) (*Doc, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(file, data, v)
}

// Parse does what Load does, with the text of the file at hand. File is used in messages only.
func Parse(file string, data []byte, v any) (*Doc, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: want a pointer to a struct, got %T", v))
	}
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("%s:%d: %s", file, pe.Position.Line, pe.Message)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &Doc{file: file, lines: lines(data), from: map[string]string{}}
	dec := decoder{doc: d}
	dec.table("", tree, rv.Elem())
	return d, dec.err()
}

// Faultf is the error for one key: "FILE:LINE: probe.every: …", with the line where the file sets the key,
// and without a line where the fault is in a default or in a key that is missing. Elements of a list are
// counted from zero: "service[1].name".
func (d *Doc) Faultf(key, format string, a ...any) error {
	return fmt.Errorf("%s%s: %w", d.where(key), key, fmt.Errorf(format, a...))
}

// Override notes that the value of key came from elsewhere, such as "environment NABZ_BROKER" or
// "flag --broker", so that a fault in it names that place and not the file.
func (d *Doc) Override(key, source string) {
	if d != nil {
		d.from[key] = source
	}
}

// Has tells whether the file sets key.
func (d *Doc) Has(key string) bool {
	if d == nil {
		return false
	}
	_, ok := d.lines[key]
	return ok
}

// where is what a message about key begins with.
func (d *Doc) where(key string) string {
	switch {
	case d == nil:
		return ""
	case d.from[key] != "":
		return d.from[key] + ": "
	case d.lines[key] > 0:
		return fmt.Sprintf("%s:%d: ", d.file, d.lines[key])
	}
	return d.file + ": "
}
