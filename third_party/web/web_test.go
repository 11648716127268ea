package web_test

import (
	"bytes"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/npmpack"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/third_party/web"
)

// offline is how npm says that it did not reach its registry.
var offline = regexp.MustCompile(`\bE(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)\b`)

func pinned(t *testing.T) []npmpack.Package {
	t.Helper()
	packages, err := npmpack.Read("packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func TestEveryFileIsPinnedAndUnchanged(t *testing.T) {
	var want, got []string
	for _, p := range pinned(t) {
		hasLicence := false
		for name := range p.Files {
			want = append(want, p.Target(name))
			hasLicence = hasLicence || strings.HasPrefix(p.Target(name), p.Name+"/LICEN")
			data, err := web.Files.ReadFile(p.Target(name))
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
	err := fs.WalkDir(web.Files, ".", func(path string, d fs.DirEntry, err error) error {
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

func TestTheTreeEqualsThePublishedPackages(t *testing.T) {
	npm := testneed.Program(t, "npm", "apt-get install npm")
	for _, p := range pinned(t) {
		files, err := p.Fetch(t.Context(), npm)
		if err != nil && offline.MatchString(err.Error()) {
			testneed.Missing(t, "the npm registry", err.Error())
		}
		if err != nil {
			t.Errorf("fetch %s: %v", p.Name, err)
			continue
		}
		for name, data := range files {
			here, err := web.Files.ReadFile(p.Target(name))
			if err != nil || !bytes.Equal(here, data) {
				t.Errorf("%s differs from %s of %s %s (%v); run make third-party", p.Target(name), name, p.Name, p.Version, err)
			}
		}
	}
}
