package packaging

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goreleaser/nfpm/v2/files"
)

// tray gathers what goes into one package. Made texts are laid down in a folder, as nfpm takes files.
type tray struct {
	dir  string // for what is made
	time time.Time
	list files.Contents
	err  error
}

func (t *tray) add(kind, source, to string, mode fs.FileMode) {
	if t.err == nil && kind != files.TypeDir {
		_, t.err = os.Stat(source)
	}
	t.list = append(t.list, &files.Content{Source: source, Destination: to, Type: kind, FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: t.time}})
}

func (t *tray) file(source, to string)    { t.add(files.TypeFile, source, to, 0o644) }
func (t *tray) program(source, to string) { t.add(files.TypeFile, source, to, 0o755) }
func (t *tray) folder(to string)          { t.add(files.TypeDir, "", to, 0o755) }

// text lays down what was made.
func (t *tray) text(text []byte, to string) {
	source := filepath.Join(t.dir, strings.ReplaceAll(strings.Trim(to, "/"), "/", "_"))
	if err := os.WriteFile(source, text, 0o644); err != nil && t.err == nil {
		t.err = err
	}
	t.file(source, to)
}

// debian is what a Debian package holds.
func (t *tray) debian(p Package, s Source, made, parts string, bom []byte) {
	name, doc := p.Program, "/usr/share/doc/"+p.Program+"/"
	t.units(s.Dir, name)
	t.manual(made, name)
	t.text([]byte(copyright(name)), doc+"copyright")
	t.text(zipped([]byte(parts)), doc+"LICENSES.gz")
	t.text(bom, doc+name+".cdx.json")
	changes, err := os.ReadFile(filepath.Join(s.Dir, "CHANGELOG.md"))
	if err != nil && t.err == nil {
		t.err = err
	}
	t.text(zipped(changes), doc+"CHANGELOG.md.gz")
	t.text(zipped([]byte(entry(name, s))), doc+"changelog.gz")
	t.text([]byte(name+": statically-linked-binary\n"), "/usr/share/lintian/overrides/"+name) // as Go's are
	if name == "nabz-collector" {
		t.tree(filepath.Join(s.Dir, "docs/examples"), doc+"examples/")
		// DEPLOY t.tree(filepath.Join(s.Dir, "deploy"), doc+"deploy/")
	}
	t.folder("/etc/nabz")
}

// units are those of systemd/ that begin with the program's name.
func (t *tray) units(dir, name string) {
	for _, place := range []string{"system", "sysusers.d", "tmpfiles.d"} {
		pattern := filepath.Join(dir, "systemd", place, name+"*")
		if place == "system" {
			pattern = filepath.Join(dir, "systemd", name+"*")
		}
		found, err := filepath.Glob(pattern)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("nothing matches %s", pattern)
		}
		if err != nil && t.err == nil {
			t.err = err
		}
		for _, file := range found {
			to := "/usr/lib/" + place + "/"
			if place == "system" {
				to = "/usr/lib/systemd/system/"
			}
			t.file(file, to+filepath.Base(file))
		}
	}
}

// manual is what scripts/manual has made of a program: pages and completions.
func (t *tray) manual(made, name string) {
	for _, page := range []string{name + ".8", name + ".toml.5"} {
		text, err := os.ReadFile(filepath.Join(made, page))
		if err != nil && t.err == nil {
			t.err = err
		}
		t.text(zipped(text), "/usr/share/man/man"+page[len(page)-1:]+"/"+page+".gz")
	}
	t.file(filepath.Join(made, name+".bash"), "/usr/share/bash-completion/completions/"+name)
	t.file(filepath.Join(made, "_"+name), "/usr/share/zsh/vendor-completions/_"+name)
	t.file(filepath.Join(made, name+".fish"), "/usr/share/fish/vendor_completions.d/"+name+".fish")
}

// tree is every file of a folder, where there is one.
func (t *tray) tree(dir, to string) {
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, ".go") {
			return err
		}
		below, err := filepath.Rel(dir, file)
		if err == nil {
			t.file(file, to+filepath.ToSlash(below))
		}
		return err
	})
	if err != nil && t.err == nil {
		t.err = err
	}
}

// openwrt is what an OpenWrt package holds: no manual, as routers have no program to read it, and flash is dear.
func (t *tray) openwrt(s Source, parts string, bom []byte) {
	from := filepath.Join(s.Dir, "packaging/openwrt")
	t.program(filepath.Join(from, "nabz-agent.init"), "/etc/init.d/nabz-agent")
	t.add(files.TypeConfig, filepath.Join(from, "nabz-agent.config"), "/etc/config/nabz-agent", 0o644)
	t.file(filepath.Join(from, "uci.awk"), "/usr/share/nabz/uci.awk")
	t.file(filepath.Join(from, "keep.d"), "/lib/upgrade/keep.d/nabz-agent")
	t.text(zipped([]byte(parts)), "/usr/share/nabz/LICENSES.gz")
	t.text(zipped(bom), "/usr/share/nabz/nabz-agent.cdx.json.gz")
}

// entry is the changelog in Debian's own form, which has to name the version; what changed stands in CHANGELOG.md.
func entry(name string, s Source) string {
	return fmt.Sprintf("%s (%s) stable; urgency=medium\n\n  * What has changed: /usr/share/doc/%s/CHANGELOG.md.gz\n\n -- %s  %s\n", name, s.Version, name, maintainer, s.Time.Format(time.RFC1123Z))
}

// copyright is for Debian, which keeps the text of the licence in one place.
func copyright(name string) string {
	return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: nabz
Source: https://github.com/smartvillage/nabz

Files: *
Copyright: 2026 the nabz authors
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
Comment:
 /usr/share/doc/` + name + `/LICENSES.gz has the licences of all that is linked into
 the program, and says what is under which.
`
}
