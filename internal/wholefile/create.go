package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a file that is not there yet, whole or not at all, and never over another: where the name is taken, by another process at the same
// instant too, the error is fs.ErrExist and what is there stays. The file belongs to the owner of its folder.
func Create(file string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = KeepOwner(f, f.Name()+".none", dir)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Link(f.Name(), file) // which, unlike a rename, refuses a name that is taken
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return err
	}
	return SyncFolder(dir)
}

// Folder makes a folder where there is none, with those above it. What root makes belongs to the owner of the one above.
func Folder(dir string, mode os.FileMode) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if err := Folder(above, mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); errors.Is(err, fs.ErrExist) {
		return nil // somebody else was quicker, and gives it its owner
	} else if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(KeepOwner(d, above, above), d.Close(), SyncFolder(above))
}
