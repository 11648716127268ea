package wholefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Replace writes a file beside the old one and renames it into place, so that at any instant one of the two is
// there whole. The owner stays who it was; a new file gets the owner of its folder, so that an entry made by
// root can be read by the daemon.
func Replace(file string, data []byte, mode os.FileMode) error {
	d, err := Prepare(file, data, mode)
	if err != nil {
		return err
	}
	return d.Put()
}

// Draft is a file that is on disk whole, beside the one that it is to replace. Either Put or Drop ends it; what a process that was killed has left, Sweep
// removes.
type Draft struct{ name, file string }

const draftEnd = ".new"

// Prepare writes a draft of a file. All that needs room on the disk is done then; several files are replaced as nearly at once as can be by preparing all before
// the first is put in place.
func Prepare(file string, data []byte, mode os.FileMode) (d *Draft, err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*"+draftEnd)
	if err != nil {
		return nil, err
	}
	d = &Draft{f.Name(), file}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = KeepOwner(f, file, dir)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, d.Drop())
	}
	return d, nil
}

// Name is where the draft is.
func (d *Draft) Name() string { return d.name }

// Put renames the draft into place.
func (d *Draft) Put() error {
	if err := os.Rename(d.name, d.file); err != nil {
		return errors.Join(err, d.Drop())
	}
	return SyncFolder(filepath.Dir(d.file))
}

// Drop removes the draft.
func (d *Draft) Drop() error { return os.Remove(d.name) }

// Sweep removes the drafts of a file that nobody will put in place. Nobody else may be at work on it.
func Sweep(file string) error {
	entries, err := os.ReadDir(filepath.Dir(file))
	for _, e := range entries {
		middle, ok := strings.CutPrefix(e.Name(), filepath.Base(file)+".")
		if middle, ok2 := strings.CutSuffix(middle, draftEnd); ok && ok2 && middle != "" && strings.Trim(middle, "0123456789") == "" {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(file), e.Name())))
		}
	}
	return err
}

// SyncFolder makes names that were made, changed or removed in a folder survive a power cut.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
