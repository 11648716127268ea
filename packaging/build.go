package packaging

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/ipk"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// Made is a package on disk.
type Made struct {
	File string // its name
	Size int64  // bytes
	Sum  string // SHA-256, hex
}

// Build makes packages into a folder, with SHA256SUMS, and tells each step.
func Build(ctx context.Context, s Source, chosen []Package, out string, say io.Writer) ([]Made, error) {
	work := filepath.Join(out, ".build")
	if err := errors.Join(os.MkdirAll(work, 0o755), os.RemoveAll(filepath.Join(out, "SHA256SUMS"))); err != nil {
		return nil, fmt.Errorf("make a folder for packages: %w", err)
	}
	if err := clear(out); err != nil {
		return nil, err
	}
	manual := filepath.Join(work, "manual")
	if slices.ContainsFunc(chosen, func(p Package) bool { return p.Kind == "deb" }) {
		fmt.Fprintln(say, "manual pages and completions")
		if err := script(ctx, s, "manual", manual); err != nil {
			return nil, err
		}
	}
	var made []Made
	for i, p := range chosen {
		fmt.Fprintf(say, "[%d/%d] %s\n", i+1, len(chosen), p.File(s.Version))
		program := ProgramIn(out, p.Program, p.Target)
		if !slices.ContainsFunc(chosen[:i], func(q Package) bool { return q.Program == p.Program && q.Target == p.Target }) {
			if err := script(ctx, s, strings.Replace(p.Program, "nabz-", "build-", 1), p.Target, program); err != nil {
				return nil, err
			}
			if err := knows(program, s); err != nil {
				return nil, err
			}
		}
		files, err := pack(ctx, s, p, program, manual, out)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.File(s.Version), err)
		}
		made = append(made, files...)
	}
	slices.SortFunc(made, func(a, b Made) int { return strings.Compare(a.File, b.File) })
	var sums strings.Builder
	for _, m := range made {
		fmt.Fprintf(&sums, "%s  %s\n", m.Sum, m.File)
	}
	return made, wholefile.Replace(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// ProgramIn is where Build has left the program of a target, beside the packages that it made in out.
func ProgramIn(out, program, target string) string {
	return filepath.Join(out, ".build", program+"."+target)
}

// clear takes away what was made before: a folder never holds two versions.
func clear(out string) error {
	for _, pattern := range []string{"*.deb", "*.ipk", "*.cdx.json"} {
		old, err := filepath.Glob(filepath.Join(out, pattern))
		if err != nil {
			return err
		}
		for _, file := range old {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("take away what was made before: %w", err)
			}
		}
	}
	return nil
}

// script runs one of scripts/, on the day of the commit. What it says is told when it ends badly.
func script(ctx context.Context, s Source, name string, args ...string) error {
	for i, a := range args {
		if strings.ContainsRune(a, filepath.Separator) {
			whole, err := filepath.Abs(a)
			if err != nil {
				return err
			}
			args[i] = whole
		}
	}
	c := exec.CommandContext(ctx, filepath.Join("scripts", name), args...)
	c.Dir, c.Env = s.Dir, append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", s.Time.Unix()))
	said, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("scripts/%s: %w\n%s", name, err, said)
	}
	return nil
}

// pack makes one package, and the list of its parts beside it.
func pack(ctx context.Context, s Source, p Package, program, manual, out string) ([]Made, error) {
	parts, err := partsOf(ctx, s.Dir, program, p.Program == "nabz-collector")
	if err != nil {
		return nil, err
	}
	name := p.File(s.Version)
	bom, err := bill(s, p.Program, name, parts)
	if err != nil {
		return nil, err
	}
	t := &tray{dir: filepath.Join(out, ".build", name), time: s.Time}
	if err := errors.Join(os.RemoveAll(t.dir), os.MkdirAll(t.dir, 0o755)); err != nil {
		return nil, err
	}
	t.program(program, "/usr/bin/"+p.Program)
	if p.Kind == "deb" {
		t.debian(p, s, manual, licences(p.Program, parts), bom)
	} else {
		t.openwrt(s, licences(p.Program, parts), bom)
	}
	if t.err != nil {
		return nil, t.err
	}
	info := describe(s, p)
	info.Contents = t.list
	if p.Kind == "ipk" {
		if info.Scripts.PreInstall, err = addressed(info.Scripts.PreInstall, t.dir, p.Arch); err != nil {
			return nil, err
		}
	}
	var b strings.Builder
	packager := nfpm.Packager(deb.Default)
	if p.Kind == "ipk" {
		packager = ipk.Default
	}
	if err := packager.Package(nfpm.WithDefaults(info), &b); err != nil {
		return nil, err
	}
	first, err := put(out, name, b.String())
	if err != nil {
		return nil, err
	}
	second, err := put(out, name+".cdx.json", string(bom))
	return []Made{first, second}, err
}

// addressed is a copy of preinst that knows for which processor its package is.
func addressed(preinst, dir, arch string) (string, error) {
	b, err := os.ReadFile(preinst)
	if err != nil {
		return "", err
	}
	const place = "ours=@TARGET@\n"
	if !strings.Contains(string(b), place) {
		return "", fmt.Errorf("%s has no place for the processor's name; put back the line %q", preinst, strings.TrimSpace(place))
	}
	file := filepath.Join(dir, "preinst")
	return file, wholefile.Replace(file, []byte(strings.Replace(string(b), place, "ours="+arch+"\n", 1)), 0o755)
}

func put(out, name, text string) (Made, error) {
	if err := wholefile.Replace(filepath.Join(out, name), []byte(text), 0o644); err != nil {
		return Made{}, err
	}
	return Made{File: name, Size: int64(len(text)), Sum: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}, nil
}

// maintainer has no mailbox: who has a question opens an issue at the homepage.
const maintainer = "nabz authors <smartvillage@users.noreply.github.com>"

// describe is what the package says of itself.
func describe(s Source, p Package) *nfpm.Info {
	i := &nfpm.Info{Name: p.Program, Arch: p.Arch, Platform: "linux", Version: s.Version, VersionSchema: "none", Section: "net", Priority: "optional",
		Maintainer: maintainer, Homepage: "https://github.com/smartvillage/nabz", License: "Apache-2.0", MTime: s.Time, DisableGlobbing: true,
		Description: description(p.Program)}
	i.Umask = 0o022
	dir := filepath.Join(s.Dir, "packaging")
	if p.Kind == "ipk" {
		// OpenWrt has a name for each kind of core, and opkg takes a package for its own name or for all: preinst refuses the wrong processor.
		i.Arch, i.IPK.Arch = "all", "all"
		i.Depends = []string{"ca-bundle"}
		dir = filepath.Join(dir, "openwrt")
		i.Scripts = nfpm.Scripts{PreInstall: filepath.Join(dir, "preinst"), PostInstall: filepath.Join(dir, "postinst"), PreRemove: filepath.Join(dir, "prerm"), PostRemove: filepath.Join(dir, "postrm")}
		return i
	}
	i.Deb.Arch, i.Deb.Compression = p.Arch, "xz"
	i.Depends = []string{"systemd | systemd-standalone-sysusers", "systemd | systemd-standalone-tmpfiles", "ca-certificates"}
	if p.Program == "nabz-collector" {
		i.Recommends, i.Suggests = []string{"tzdata"}, []string{"mosquitto", "influxdb", "grafana"}
	}
	dir = filepath.Join(dir, "debian")
	i.Scripts = nfpm.Scripts{PostInstall: filepath.Join(dir, p.Program+".postinst"), PreRemove: filepath.Join(dir, p.Program+".prerm"), PostRemove: filepath.Join(dir, p.Program+".postrm")}
	return i
}

// description is a line, and what more there is to say.
func description(program string) string {
	if program == "nabz-agent" {
		return "takes the pulse of a site's internet link\nMeasures gateway, internet, name resolution, traffic and the machine on a\nvillage router or kiosk, keeps a ledger of up and down with the cause on disk,\nand sends it to the collector over MQTT until the collector has stored it."
	}
	return "takes in, stores and shows the pulse of all sites\nTakes in what agents measure over MQTT with an embedded broker, stores it in\nInfluxDB, shows every site on a board, wakes people, and makes reports whose\nfigures can be cited and checked."
}
