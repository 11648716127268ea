package wholefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
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

func TestAFileThatIsWrittenOnceIsNeverWrittenOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := errors.Join(Folder(dir, 0o750), Folder(dir, 0o750)); err != nil {
		t.Fatal(err)
	}
	const writers = 8
	file := filepath.Join(dir, "f")
	made := make(chan string, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			text := strings.Repeat(strconv.Itoa(i), 100_000)
			switch err := Create(file, []byte(text), 0o440); {
			case err == nil:
				made <- text
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(made)
	want := <-made
	got, err := os.ReadFile(file)
	if info, _ := os.Stat(file); err != nil || string(got) != want || info.Mode().Perm() != 0o440 || len(made) != 0 {
		t.Errorf("%d bytes %v %v, and %d more made it too", len(got), info.Mode(), err, len(made))
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
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
	inner := filepath.Join(dir, "a", "b")
	if err := errors.Join(Folder(inner, 0o750), Create(filepath.Join(inner, "f"), nil, 0o440)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Dir(inner), inner, filepath.Join(inner, "f")} {
		if uid, gid := owner(t, name); uid != 4321 || gid != 4322 {
			t.Errorf("%s: owner is %d:%d, want 4321:4322", name, uid, gid)
		}
	}
}

func TestADraftIsPutDroppedOrSweptAway(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	names := func() (all []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all = append(all, e.Name())
		}
		return all
	}
	draft := func() *Draft {
		d, err := Prepare(file, []byte("draft"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if err := draft().Drop(); err != nil || len(names()) != 0 {
		t.Errorf("dropped: %v, %v", names(), err)
	}
	d := draft()
	if _, err := os.Stat(file); err == nil || len(names()) != 1 {
		t.Errorf("in place before it was put there: %v", names())
	}
	if err := d.Put(); err != nil || len(names()) != 1 || names()[0] != "f" {
		t.Errorf("put: %v, %v", names(), err)
	}
	keep := []string{"f.toml.12.new", "f..new", "f.new", "f.old", "g.12.new"}
	for _, name := range keep {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	draft()
	if err := Sweep(file); err != nil || len(names()) != 1+len(keep) {
		t.Errorf("swept: %v, %v", names(), err)
	}
}

func TestALockThatIsHeldIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	unlock, ok, err := TryLock(dir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := TryLock(dir); ok || err != nil {
		t.Errorf("locked twice: %v, %v", ok, err)
	}
	unlock()
	unlock, ok, err = TryLock(dir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	unlock()
}
