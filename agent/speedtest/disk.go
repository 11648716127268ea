package speedtest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// disk is what the budget needs of a folder. Tests put one in that crashes between any two steps.
type disk interface {
	read(name string) ([]byte, error)
	write(name string, b []byte) error // made anew; the bytes are durable after it
	rename(from, to string) error
	sync() error // makes names durable
}

// replace writes the file so that a crash leaves the old one or the new one. When it returns without error, it is the new one.
func replace(d disk, b []byte) error {
	if err := d.write(budgetTemp, b); err != nil {
		return err
	}
	if err := d.rename(budgetTemp, budgetName); err != nil {
		return err
	}
	return d.sync()
}

// osDisk is a folder of the operating system, which must exist.
type osDisk string

func (d osDisk) read(name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, budgetMax))
}

func (d osDisk) write(name string, b []byte) error {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (d osDisk) rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d osDisk) sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
