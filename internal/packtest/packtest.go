package packtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/packaging"
)

// Root is the top of the tree, where go.mod is.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above")
		}
		dir = filepath.Dir(dir)
	}
}

// Make makes packages of the tree as it is and returns their files, in the order of the names.
func Make(t testing.TB, version string, names ...string) []string {
	t.Helper()
	return MakeIn(t, Root(t), version, names...)
}

// MakeIn does so of another checkout.
func MakeIn(t testing.TB, root, version string, names ...string) []string {
	t.Helper()
	testneed.Program(t, "git", "apt-get install git")
	if out, err := exec.CommandContext(t.Context(), "git", "-C", root, "rev-parse", "--show-toplevel").CombinedOutput(); err != nil {
		testneed.Missing(t, "a git checkout", "git clone: "+strings.TrimSpace(string(out)))
	}
	source, err := packaging.Look(t.Context(), root, version)
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := packaging.Choose(names)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var said strings.Builder
	if _, err := packaging.Build(t.Context(), source, chosen, dir, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var files []string
	for _, p := range chosen {
		files = append(files, filepath.Join(dir, p.File(source.Version)))
	}
	return files
}
