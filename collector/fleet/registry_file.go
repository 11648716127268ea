package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// source is one file and what was last read from it without a fault.
type source[T any] struct {
	file  string
	parse func(file string, data []byte) (T, error)
	value T
	seen  os.FileInfo // of the file as it was last looked at; nil when it was missing
	fault error       // of the file as it is now, when value is older

	revision uint64 // how often value was taken in
}

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
		s.revision++
	}
	return true, err
}

// refresh takes a changed file in. A broken one is told once, and what was read before stays.
func (s *source[T]) refresh(log *slog.Logger) {
	switch changed, err := s.look(); {
	case err != nil && changed:
		log.Error("changed file is not taken in; what it held before stays in force", "file", s.file, "error", err)
	case changed:
		log.Info("file has changed and is taken in", "file", s.file)
	}
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// add puts an entry behind the text of the file, comments and all.
func (s *source[T]) add(mode os.FileMode, entry func(T) (string, error)) error {
	return s.change(mode, func(value T, text string) (string, error) {
		more, err := entry(value)
		if text != "" {
			more = strings.TrimRight(text, "\n") + "\n\n" + more
		}
		return more, err
	})
}

// change replaces the file in one step by what comes of it. Two processes that change it at once wait for each other. A broken
// file is left as it is, and so is a good one that would be broken afterwards.
func (s *source[T]) change(mode os.FileMode, with func(value T, text string) (string, error)) error {
	dir := filepath.Dir(s.file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", s.file, err)
	}
	unlock, err := wholefile.Lock(dir)
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
	text, err := with(s.value, string(data))
	if err == nil && text == string(data) {
		return nil // there is nothing to write
	}
	if err == nil {
		_, err = s.parse(s.file, []byte(text))
	}
	if err != nil {
		return err
	}
	if err := wholefile.Replace(s.file, []byte(text), mode); err != nil {
		return fmt.Errorf("write %s: %w", s.file, err)
	}
	_, err = s.look()
	return err
}
