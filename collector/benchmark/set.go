package benchmark

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

//go:embed presets/*.toml
var presets embed.FS

// ErrUnknown is in the error of a benchmark that is not there.
var ErrUnknown = errors.New("is not known")

// maxFiles is how many benchmarks a programme may have of its own.
const maxFiles = 100

// Set is the benchmarks that can be chosen, by id.
type Set struct {
	all []entry
}

type entry struct {
	Benchmark
	file string // "" for a preset
	text string // as it stands in the file
}

// Load reads the presets and every *.toml of dir; "" is no folder. The error joins the faults of all files. A programme's own
// benchmark needs an id of its own, so that nothing changed goes by a preset's name.
func Load(dir string) (*Set, error) {
	s := &Set{}
	err := s.read(presets, "presets", "")
	if dir != "" {
		err = errors.Join(err, s.read(os.DirFS(dir), ".", dir))
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.all, func(a, b entry) int { return strings.Compare(a.ID, b.ID) })
	return s, nil
}

// read takes in the files of a folder; dir is its name for people, "" that of the presets.
func (s *Set) read(from fs.FS, under, dir string) error {
	list, err := fs.ReadDir(from, under)
	if err != nil {
		return fmt.Errorf("read the benchmarks of %s: %w; make the folder, or leave report.benchmarks_dir empty", dir, err)
	}
	var faults []error
	n := 0
	for _, f := range list {
		if !strings.HasSuffix(f.Name(), ".toml") || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		if n++; n > maxFiles {
			faults = append(faults, fmt.Errorf("%s has more than %d benchmarks; take some out", dir, maxFiles))
			break
		}
		e := entry{}
		if dir != "" {
			e.file = path.Join(dir, f.Name())
		}
		if err := e.load(from, path.Join(under, f.Name())); err != nil {
			faults = append(faults, err)
			continue
		}
		if i := slices.IndexFunc(s.all, func(o entry) bool { return o.ID == e.ID }); i >= 0 {
			where := "of a benchmark that comes with nabz"
			if s.all[i].file != "" {
				where = "that of " + s.all[i].file
			}
			faults = append(faults, fmt.Errorf("%s: the id %q is %s; give this one an id of its own", e.file, e.ID, where))
			continue
		}
		s.all = append(s.all, e)
	}
	return errors.Join(faults...)
}

func (e *entry) load(from fs.FS, name string) error {
	file := e.file
	if file == "" {
		file = name
	}
	if info, err := fs.Stat(from, name); err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return fmt.Errorf("read benchmark %s: it is not a file; take it out of the folder", file)
	}
	f, err := from.Open(name)
	if err != nil {
		return fmt.Errorf("read benchmark %s: %w", file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("read benchmark %s: %w", file, err)
	}
	e.text = string(data)
	e.Benchmark, err = Parse(file, data)
	return err
}

// All are the benchmarks, by id.
func (s *Set) All() []Benchmark {
	out := make([]Benchmark, len(s.all))
	for i, e := range s.all {
		out[i] = e.clone()
	}
	return out
}

// Choose are the benchmarks with these ids, in this order. The error joins all that are not there, ErrUnknown in it, or are there twice.
func (s *Set) Choose(ids []string) ([]Benchmark, error) {
	var out []Benchmark
	var faults []error
	for i, id := range ids {
		at := s.find(id)
		switch {
		case at < 0:
			faults = append(faults, s.unknown(id))
		case slices.Contains(ids[:i], id):
			faults = append(faults, fmt.Errorf("benchmark %q is asked for twice", id))
		default:
			out = append(out, s.all[at].clone())
		}
	}
	return out, errors.Join(faults...)
}

// List writes a table of the benchmarks for people.
func (s *Set) List(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tOF\tFROM")
	for _, e := range s.all {
		from := "nabz"
		if e.file != "" {
			from = e.file
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.ID, e.Name, e.Source.Date, from)
	}
	return t.Flush()
}

// Show writes a benchmark as its file has it, so that it can be copied and changed.
func (s *Set) Show(w io.Writer, id string) error {
	at := s.find(id)
	if at < 0 {
		return s.unknown(id)
	}
	_, err := io.WriteString(w, s.all[at].text)
	return err
}

func (s *Set) find(id string) int {
	return slices.IndexFunc(s.all, func(e entry) bool { return e.ID == id })
}

func (s *Set) unknown(id string) error {
	var ids []string
	for _, e := range s.all {
		ids = append(ids, e.ID)
	}
	return fmt.Errorf("benchmark %q %w; there are: %s", id, ErrUnknown, strings.Join(ids, ", "))
}

// clone shares nothing with the set.
func (e *entry) clone() Benchmark {
	b := e.Benchmark
	b.Criteria = slices.Clone(b.Criteria)
	return b
}
