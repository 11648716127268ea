package packtest

import (
	"bytes"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/npmpack"
	"github.com/smartvillage/nabz/internal/testneed"
)

// offline is how npm says that it did not reach its registry.
var offline = regexp.MustCompile(`\bE(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)\b`)

// Pinned fails the test unless files are exactly what the packages.toml pins, licences among them.
func Pinned(t *testing.T, toml string, files fs.FS) {
	t.Helper()
	var want, got []string
	for _, p := range read(t, toml) {
		hasLicence := false
		for name := range p.Files {
			want = append(want, p.Target(name))
			hasLicence = hasLicence || strings.HasPrefix(p.Target(name), p.Folder()+"/LICEN")
			data, err := fs.ReadFile(files, p.Target(name))
			if err != nil {
				t.Errorf("%v; run make third-party", err)
				continue
			}
			if err := p.CheckFile(name, data); err != nil {
				t.Errorf("%v; run make third-party", err)
			}
		}
		if !hasLicence || p.Licence == "" {
			t.Errorf("%s comes without its licence", p.Name)
		}
	}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, path)
		}
		return err
	})
	slices.Sort(want)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("embedded %v (%v)\nwant     %v", got, err, want)
	}
}

// Published fails the test unless files are, byte for byte, those of the published packages.
func Published(t *testing.T, toml string, files fs.FS) {
	t.Helper()
	npm := testneed.Program(t, "npm", "apt-get install npm")
	for _, p := range read(t, toml) {
		published, err := p.Fetch(t.Context(), npm)
		if err != nil && offline.MatchString(err.Error()) {
			testneed.Missing(t, "the npm registry", err.Error())
		}
		if err != nil {
			t.Errorf("fetch %s: %v", p.Name, err)
			continue
		}
		for name, data := range published {
			here, err := fs.ReadFile(files, p.Target(name))
			if err != nil || !bytes.Equal(here, data) {
				t.Errorf("%s differs from %s of %s %s (%v); run make third-party", p.Target(name), name, p.Name, p.Version, err)
			}
		}
	}
}

func read(t *testing.T, toml string) []npmpack.Package {
	t.Helper()
	packages, err := npmpack.Read(toml)
	if err != nil {
		t.Fatal(err)
	}
	return packages
}
