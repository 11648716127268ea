package wholefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a file beside the old one and renames it into place, so that at any instant one of the two is
// there whole. The owner stays who it was; a new file gets the owner of its folder, so that an entry made by
// root can be read by the daemon.
func Replace(file string, data []byte, mode os.FileMode) (err error) {
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
		err = KeepOwner(f, file, dir)
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
	return SyncFolder(dir)
}

// SyncFolder makes names that were made, changed or removed in a folder survive a power cut.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
