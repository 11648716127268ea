package npmpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/smartvillage/nabz/internal/conf"
)

// maxExpanded bounds what a package may unpack to, in bytes.
const maxExpanded = 64 << 20

// Package is one pinned npm package.
type Package struct {
	Name      string            `toml:"name"`
	Version   string            `toml:"version"`
	Licence   string            `toml:"licence"`   // SPDX name
	Integrity string            `toml:"integrity"` // npm's own: "sha512-" and base64 of the whole package
	Files     map[string]string `toml:"files"`     // path in the package to the sha256 of the file, in hex
}

// Read reads a packages.toml.
func Read(file string) ([]Package, error) {
	var list struct {
		Package []Package `toml:"package"`
	}
	if _, err := conf.Load(file, &list); err != nil {
		return nil, err
	}
	return list.Package, nil
}

// Folder is the package's own: its name, without the @ of a scope, which go:embed refuses.
func (p Package) Folder() string { return strings.TrimPrefix(p.Name, "@") }

// Target is where a file of the package lands: "uplot/uPlot.esm.js".
func (p Package) Target(file string) string { return path.Join(p.Folder(), path.Base(file)) }

// CheckFile tells when data is not what is pinned for file.
func (p Package) CheckFile(file string, data []byte) error {
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != p.Files[file] {
		return fmt.Errorf("%s of %s %s: sha256 is %s, pinned is %s", file, p.Name, p.Version, got, p.Files[file])
	}
	return nil
}

// Fetch gets the package through the npm client and returns its pinned files, every hash checked.
func (p Package) Fetch(ctx context.Context, npm string) (map[string][]byte, error) {
	data, err := p.pack(ctx, npm)
	if err != nil {
		return nil, err
	}
	return p.Open(data)
}

// Open takes the pinned files out of a package's bytes, every hash checked.
func (p Package) Open(tgz []byte) (map[string][]byte, error) {
	if err := p.checkWhole(tgz); err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", p.Name, err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(io.LimitReader(z, maxExpanded)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", p.Name, err)
		}
		_, name, _ := strings.Cut(h.Name, "/") // the first folder is "package"
		if _, pinned := p.Files[name]; !pinned {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", h.Name, err)
		}
		if err := p.CheckFile(name, data); err != nil {
			return nil, err
		}
		files[name] = data
	}
	for name := range p.Files {
		if files[name] == nil {
			return nil, fmt.Errorf("%s %s has no file %s", p.Name, p.Version, name)
		}
	}
	return files, nil
}

// Write puts the files under dir, each in one step, and removes what else is in the package's folder there.
func (p Package) Write(dir string, files map[string][]byte) error {
	folder := filepath.Join(dir, p.Folder())
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	keep := map[string]bool{}
	for name, data := range files {
		target := filepath.Join(dir, p.Target(name))
		keep[filepath.Base(target)] = true
		if err := os.WriteFile(target+".new", data, 0o644); err != nil {
			return err
		}
		if err := os.Rename(target+".new", target); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
