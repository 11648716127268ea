package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Report is what there is of one published report.
type Report struct {
	ID        string     `json:"id"`
	Revisions []Revision `json:"revisions"` // the newest first; those that can be read
	Damage    []error    `json:"-"`         // one for each file that is not what was written, by name
}

// Newest is the last revision. Where all are damaged it has only the id.
func (r *Report) Newest() Revision {
	if len(r.Revisions) == 0 {
		return Revision{Meta: Meta{ID: r.ID}}
	}
	return r.Revisions[0]
}

// List returns all reports, the one published last first. Documents are looked for and not read; Get reads one.
func (a *Archive) List() ([]Report, error) {
	names, err := os.ReadDir(a.reports)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the published reports: %w", err)
	}
	var all []Report
	for _, d := range names {
		if !d.IsDir() || CheckID(d.Name()) != nil {
			continue
		}
		switch r, err := a.Report(d.Name()); {
		case errors.Is(err, ErrNone): // a kill left a folder without a revision
		case err != nil:
			return nil, err
		default:
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y Report) int {
		return cmp.Or(y.Newest().At.Compare(x.Newest().At), cmp.Compare(x.ID, y.ID))
	})
	return all, nil
}

// Report returns what there is of one report. The error of one that was never published holds ErrNone.
func (a *Archive) Report(id string) (Report, error) {
	r := Report{ID: id}
	if err := CheckID(id); err != nil {
		return r, fmt.Errorf("%w: %w", err, ErrNone)
	}
	dir := filepath.Join(a.reports, id)
	numbers, err := numbersOf(dir)
	if err != nil {
		return r, fmt.Errorf("look for report %s: %w", id, err)
	}
	for _, n := range slices.Backward(numbers) {
		one, err := record(dir, id, n)
		if err == nil {
			err = there(filepath.Join(dir, documentName(one.SHA256)), one.Bytes)
			r.Revisions = append(r.Revisions, one)
		}
		if err != nil {
			r.Damage = append(r.Damage, err)
		}
	}
	if len(numbers) == 0 {
		return r, fmt.Errorf("report %s: %w; nabz-collector report list names those that are published", id, ErrNone)
	}
	return r, nil
}

// Get returns a revision and its document, byte for byte as it was published; revision 0 is the newest. The error of one that is not there holds ErrNone, of
// one that cannot be vouched for ErrDamaged.
func (a *Archive) Get(id string, revision int) (Revision, []byte, error) {
	if err := CheckID(id); err != nil {
		return Revision{}, nil, fmt.Errorf("%w: %w", err, ErrNone)
	}
	if revision == 0 {
		newest, err := newestOf(filepath.Join(a.reports, id))
		if err != nil {
			return Revision{}, nil, fmt.Errorf("look for report %s: %w", id, err)
		}
		if revision = newest; revision == 0 {
			return Revision{}, nil, fmt.Errorf("report %s: %w; nabz-collector report list names those that are published", id, ErrNone)
		}
	}
	r, doc, err := a.read(id, revision)
	if errors.Is(err, fs.ErrNotExist) || revision < 1 {
		err = ErrNone
	}
	if err != nil {
		return Revision{}, nil, fmt.Errorf("revision %d of report %s: %w", revision, id, err)
	}
	return r, doc, nil
}

func (a *Archive) read(id string, number int) (Revision, []byte, error) {
	dir := filepath.Join(a.reports, id)
	r, err := record(dir, id, number)
	if err != nil {
		return r, nil, err
	}
	doc, err := document(filepath.Join(dir, documentName(r.SHA256)), r.SHA256, r.Bytes)
	return r, doc, err
}

// there tells a document that is missing or has another length from one that may be right.
func there(file string, size int64) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return damaged(file, "it is not there any more")
	case err != nil:
		return err
	case info.Size() != size:
		return damaged(file, fmt.Sprintf("it has %d bytes and not %d", info.Size(), size))
	}
	return nil
}

// numbersOf lists the revisions of a report's folder, the oldest first; none where there is no such folder.
func numbersOf(dir string) ([]int, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []int
	for _, d := range names {
		if n := recordNumber(d.Name()); n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, err
}

// newestOf is the number of the newest revision; 0 where there is none.
func newestOf(dir string) (int, error) {
	all, err := numbersOf(dir)
	if err != nil || len(all) == 0 {
		return 0, err
	}
	return all[len(all)-1], nil
}
