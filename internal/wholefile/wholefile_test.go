package wholefile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two and longer", ""} {
		if err := Replace(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if info, _ := os.Stat(file); err != nil || string(got) != text || info.Mode().Perm() != 0o600 {
			t.Errorf("got %q %v %v, want %q", got, info.Mode(), err, text)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(dir, "d"), []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatRootMakesBelongsToTheOwnerOfItsFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		testneed.Missing(t, "root", "run the tests as root: it gives files away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 4321, 4322); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "f")
	for range 2 { // a new one, and one that was there
		if err := Replace(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if uid, gid := owner(t, file); uid != 4321 || gid != 4322 {
			t.Errorf("owner is %d:%d, want 4321:4322", uid, gid)
		}
	}
}
