package packaging

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/internal/npmpack"
)

// Part is something that others made and that a program carries.
type Part struct {
	Name, Version string
	Purl          string // package URL, as the purl specification has it
	Sum           string // Go's own h1 sum, or npm's integrity
	Licence       string // SPDX
	Texts         []string
}

// partsOf lists what is linked into a program: its modules, the Go library, and for one that carries them the browser libraries and fonts.
func partsOf(ctx context.Context, dir, program string, browser bool) ([]Part, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read what is linked into %s: %w", program, err)
	}
	var paths []string
	for _, d := range info.Deps {
		paths = append(paths, d.Path)
	}
	folders, err := moduleFolders(ctx, dir, paths)
	if err != nil {
		return nil, err
	}
	std, err := goLibrary(ctx, dir, info.GoVersion)
	if err != nil {
		return nil, err
	}
	parts := []Part{std}
	for _, d := range info.Deps {
		if d.Replace != nil {
			return nil, fmt.Errorf("module %s is replaced by %s; packages are made of what is published", d.Path, d.Replace.Path)
		}
		p := Part{Name: d.Path, Version: d.Version, Sum: d.Sum, Purl: "pkg:golang/" + d.Path + "@" + d.Version}
		if p.Licence, p.Texts, err = licenceIn(folders[d.Path]); err != nil {
			return nil, fmt.Errorf("module %s %s: %w", d.Path, d.Version, err)
		}
		parts = append(parts, p)
	}
	if browser {
		for _, room := range []string{"web", "fonts"} {
			more, err := npmParts(filepath.Join(dir, "third_party", room))
			if err != nil {
				return nil, err
			}
			parts = append(parts, more...)
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return strings.Compare(a.Purl, b.Purl) })
	return parts, nil
}

// knows fails when a program does not know the commit that its package is named after, where it is: Go looks for it in a clone alone, and GOFLAGS may forbid it.
func knows(program string, s Source) error {
	if !s.Told {
		return nil
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read what is linked into %s: %w", program, err)
	}
	for _, set := range info.Settings {
		if set.Key == "vcs.revision" && set.Value == s.Commit {
			return nil
		}
	}
	return fmt.Errorf("%s does not know that it is of commit %s, as go build could not read it here; make packages in a clone (git clone), not in a linked worktree, or name a version with VERSION", filepath.Base(program), s.Commit[:12])
}

// moduleFolders says where the source of each module lies.
func moduleFolders(ctx context.Context, dir string, paths []string) (map[string]string, error) {
	c := exec.CommandContext(ctx, "go", append([]string{"list", "-m", "-json=Path,Dir"}, paths...)...)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	folders := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return folders, nil
		} else if err != nil {
			return nil, err
		}
		folders[m.Path] = m.Dir
	}
}

// goLibrary is the library and runtime that the compiler links into each program.
func goLibrary(ctx context.Context, dir, version string) (Part, error) {
	p := Part{Name: "std", Version: strings.TrimPrefix(version, "go"), Purl: "pkg:golang/std@" + strings.TrimPrefix(version, "go")}
	c := exec.CommandContext(ctx, "go", "env", "GOROOT")
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		return p, fmt.Errorf("go env GOROOT: %w", err)
	}
	root := strings.TrimSpace(string(out))
	for _, place := range []string{root, filepath.Dir(root), "/usr/share/doc/golang-go"} { // Debian keeps it elsewhere
		if p.Licence, p.Texts, err = licenceIn(place); err == nil {
			return p, nil
		}
	}
	return p, fmt.Errorf("the Go library: %w", err)
}

// npmParts are the browser libraries or fonts of a room of third_party.
func npmParts(room string) ([]Part, error) {
	all, err := npmpack.Read(filepath.Join(room, "packages.toml"))
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, n := range all {
		p := Part{Name: n.Name, Version: n.Version, Sum: n.Integrity, Licence: n.Licence, Purl: "pkg:npm/" + strings.Replace(n.Name, "@", "%40", 1) + "@" + n.Version}
		for file := range n.Files {
			if !isLicence(filepath.Base(file)) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(room, n.Target(file)))
			if err != nil {
				return nil, err
			}
			p.Texts = append(p.Texts, string(text))
		}
		if len(p.Texts) == 0 {
			return nil, fmt.Errorf("package %s in %s has no licence file", n.Name, room)
		}
		slices.Sort(p.Texts)
		parts = append(parts, p)
	}
	return parts, nil
}
