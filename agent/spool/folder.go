package spool

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// folder is what the spool needs of a file system: one flat folder. Tests put one in that tears, fills up and loses power.
type folder interface {
	open(name string, create bool) (file, error) // create: made when missing, emptied when not
	remove(name string) error
	rename(from, to string) error
	list() ([]string, error)
	sync() error // makes names durable
	close() error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
	size() (int64, error)
}

type osFolder struct {
	path string
	dir  *os.File
}

// osFile is a file on a real file system. Where that is read-only the file can still be read, and why it takes nothing is told by each
// write, until it does.
type osFile struct {
	*os.File
	path     string
	readOnly error // why it was not opened for writing
}

// openFolder makes dir when missing and locks it against a second process.
func openFolder(path string) (*osFolder, error) {
	_, missing := os.Stat(path)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	// Where it was there already its name is durable, but for a crash just after it was made: worth a try, and no more. The folder above
	// may be a read-only image, which cannot be synced, or closed to us.
	if err := syncFolder(filepath.Dir(path)); err != nil && missing != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lock(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &osFolder{path: path, dir: dir}, nil
}

// syncFolder makes the names in a folder durable, here that of the spool's own.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f *osFolder) open(name string, create bool) (file, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE | os.O_TRUNC
	}
	path := filepath.Join(f.path, name)
	h, err := os.OpenFile(path, flags, 0o600)
	if err == nil {
		return &osFile{File: h, path: path}, nil
	}
	why := err
	if create || !errors.Is(err, syscall.EROFS) && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if h, err = os.Open(path); err != nil {
		return nil, err
	}
	return &osFile{h, path, why}, nil
}

// writable opens the file anew when it could only be read so far.
func (f *osFile) writable() error {
	if f.readOnly == nil {
		return nil
	}
	h, err := os.OpenFile(f.path, os.O_RDWR, 0o600)
	if err != nil {
		return f.readOnly
	}
	old := f.File
	f.File, f.readOnly = h, nil
	return old.Close()
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.writable(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, off)
}

func (f *osFile) Truncate(size int64) error {
	if err := f.writable(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *osFolder) remove(name string) error { return os.Remove(filepath.Join(f.path, name)) }

func (f *osFolder) rename(from, to string) error {
	return os.Rename(filepath.Join(f.path, from), filepath.Join(f.path, to))
}

func (f *osFolder) list() ([]string, error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (f *osFolder) sync() error  { return f.dir.Sync() }
func (f *osFolder) close() error { return f.dir.Close() }

func (f *osFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
