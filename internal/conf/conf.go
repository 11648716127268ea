package conf

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// Doc is a configuration that has been read, of one file or several. It knows where each key stands.
// A nil Doc is a configuration without a file; its Faultf names the key alone.
type Doc struct {
	file string // the first
	at   map[string]place
	from map[string]string
}

// place is a line of a file.
type place struct {
	file  string
	order int // of the file among all
	line  int
}

// Source is a file and its text. File is used in messages only.
type Source struct {
	File string
	Data []byte
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
func Parse(file string, data []byte, v any) (*Doc, error) { return ParseAll(v, Source{file, data}) }

// ParseAll reads several files as one: a key of a later file wins over the same one of those before it, and its list, or list of sections,
// replaces theirs.
func ParseAll(v any, sources ...Source) (*Doc, error) {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() || rv.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: want a pointer to a struct, got %T", v))
	}
	d := &Doc{at: map[string]place{}, from: map[string]string{}}
	all := map[string]any{}
	var errs []error
	for i, s := range sources {
		if i == 0 {
			d.file = s.File
		}
		var tree map[string]any
		if err := toml.Unmarshal(s.Data, &tree); err != nil {
			errs = append(errs, syntax(s.File, err))
			continue
		}
		d.lay("", all, tree)
		for key, line := range lines(s.Data) {
			d.at[key] = place{s.File, i, line}
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	dec := decoder{doc: d}
	dec.table("", all, rv.Elem())
	return d, dec.err()
}

// syntax is the error of a text that is not TOML.
func syntax(file string, err error) error {
	var pe toml.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s:%d: %s", file, pe.Position.Line, pe.Message)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// lay puts the keys of a later file over those of the ones before. Where a list stood that is replaced, its elements are forgotten.
func (d *Doc) lay(path string, under, over map[string]any) {
	for key, value := range over {
		full := join(path, key)
		below, isTable := under[key].(map[string]any)
		if above, too := value.(map[string]any); isTable && too {
			d.lay(full, below, above)
			continue
		}
		under[key] = value
		for old := range d.at {
			if rest, within := strings.CutPrefix(old, full); within && rest != "" && (rest[0] == '.' || rest[0] == '[') {
				delete(d.at, old)
			}
		}
	}
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

// Has tells whether a file sets key.
func (d *Doc) Has(key string) bool {
	if d == nil {
		return false
	}
	_, ok := d.at[key]
	return ok
}

// where is what a message about key begins with.
func (d *Doc) where(key string) string {
	switch {
	case d == nil:
		return ""
	case d.from[key] != "":
		return d.from[key] + ": "
	case d.at[key].line > 0:
		return fmt.Sprintf("%s:%d: ", d.at[key].file, d.at[key].line)
	}
	return d.file + ": "
}
