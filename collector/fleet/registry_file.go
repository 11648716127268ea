package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// source is one file and what was last read from it without a fault.
type source[T any] struct {
	file  string
	parse func(file string, data []byte) (T, error)
	value T
	seen  os.FileInfo // of the file as it was last looked at; nil when it was missing
	fault error       // of the file as it is now, when value is older
}

func (s *source[T]) name() string { return s.file }

// look reads the file again when it is another than before. The error is told as long as the file is broken;
// changed is true only the first time.
func (s *source[T]) look() (changed bool, err error) {
	info, err := os.Stat(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = nil, nil
	}
	switch {
	case err != nil: // such as a folder that may not be read
		changed = s.fault == nil
		s.fault = fmt.Errorf("look at %s: %w", s.file, err)
		return changed, s.fault
	case sameFile(info, s.seen):
		return false, s.fault
	}
	s.seen = info
	var data []byte
	if info != nil {
		if data, err = os.ReadFile(s.file); err != nil {
			s.fault = fmt.Errorf("read %s: %w", s.file, err)
			return true, s.fault
		}
	}
	value, err := s.parse(s.file, data)
	if s.fault = err; err == nil {
		s.value = value
	}
	return true, err
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// add puts an entry behind the text of the file, comments and all.
func (s *source[T]) add(mode os.FileMode, entry func(T) (string, error)) error {
	return s.rewrite(mode, func(value T, data []byte) ([]byte, error) {
		text, err := entry(value)
		if err == nil && len(data) > 0 {
			text = strings.TrimRight(string(data), "\n") + "\n\n" + text
		}
		return []byte(text), err
	})
}

// rewrite replaces the file in one step by what edit makes of its text; nil leaves it alone. Two processes that
// write at once wait for each other. A broken file is left as it is.
func (s *source[T]) rewrite(mode os.FileMode, edit func(value T, data []byte) ([]byte, error)) error {
	dir := filepath.Dir(s.file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", s.file, err)
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return fmt.Errorf("lock the folder of %s: %w", s.file, err)
	}
	defer unlock()
	s.seen, s.fault = nil, nil // read it again, whatever its time says
	if _, err := s.look(); err != nil {
		return err
	}
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		s.value, err = s.parse(s.file, nil)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.file, err)
	}
	text, err := edit(s.value, data)
	if err != nil || text == nil {
		return err
	}
	if err := replace(s.file, text, mode); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	_, err = s.look()
	return err
}

// replace writes a file beside the old one and renames it into place, so that at any instant one of the two is
// there whole. The owner stays who it was; a new file gets the owner of its folder, so that an entry made by
// root can be read by the daemon.
func replace(file string, data []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = keepOwner(f, file, dir)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
