package npmpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unpack gets the package through the npm client and writes all its files under dir, once the whole has the pinned Integrity. Files need not be pinned.
func (p Package) Unpack(ctx context.Context, npm, dir string) error {
	tgz, err := p.pack(ctx, npm)
	if err != nil {
		return err
	}
	z, err := gzip.NewReader(bytes.NewReader(tgz))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", p.Name, err)
	}
	for r := tar.NewReader(io.LimitReader(z, maxExpanded)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", p.Name, err)
		}
		_, name, _ := strings.Cut(h.Name, "/") // the first folder is "package"
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
}

// pack returns the bytes of the package, whose integrity is right.
func (p Package) pack(ctx context.Context, npm string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "npmpack-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, npm, "pack", p.Name+"@"+p.Version, "--ignore-scripts", "--prefer-offline", "--loglevel=error", "--pack-destination="+dir)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm pack %s@%s: %w\n%s", p.Name, p.Version, err, out)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("npm pack %s@%s left %d packages (%v), want one", p.Name, p.Version, len(found), err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return nil, err
	}
	return data, p.checkWhole(data)
}

// checkWhole tells when the bytes of a package are not what is pinned.
func (p Package) checkWhole(tgz []byte) error {
	sum := sha512.Sum512(tgz)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != p.Integrity {
		return fmt.Errorf("%s %s: integrity is %s, pinned is %s", p.Name, p.Version, got, p.Integrity)
	}
	return nil
}
