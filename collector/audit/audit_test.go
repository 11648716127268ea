package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func at() time.Time { return noon }

// entries reads one file of the log; a line that is torn is counted and left out.
func entries(t *testing.T, file string) (all []Entry, torn int) {
	t.Helper()
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e Entry
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			torn++
			continue
		}
		all = append(all, e)
	}
	return all, torn
}

func TestWhatWasDoneAndWhatWasRefusedLieApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "audit")
	l := New(dir, at)
	for _, e := range []Entry{{Who: "aisha", From: "192.0.2.1", What: "sign in", Outcome: Done}, {From: "192.0.2.66", What: "sign in", Outcome: Refused, Detail: "wrong password"},
		{Who: "aisha", From: "192.0.2.1", What: "command speedtest", On: "gokina/main", Outcome: Failed, Detail: strings.Repeat("ش", 1000) + "\xff"}} {
		if err := l.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	done, torn := entries(t, filepath.Join(dir, "done.jsonl"))
	if len(done) != 2 || torn != 0 || done[0].Who != "aisha" || !done[0].At.Equal(noon) || done[1].On != "gokina/main" || len(done[1].Detail) > maxText || !strings.HasSuffix(done[1].Detail, "ش…") {
		t.Errorf("done: %+v, %d torn", done, torn)
	}
	if refused, _ := entries(t, filepath.Join(dir, "refused.jsonl")); len(refused) != 1 || refused[0].From != "192.0.2.66" {
		t.Errorf("refused: %+v", refused)
	}
	if info, _ := os.Stat(filepath.Join(dir, "done.jsonl")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
	text, _ := os.ReadFile(filepath.Join(dir, "refused.jsonl"))
	if want := `{"at":"2026-11-27T12:00:00Z","who":"","from":"192.0.2.66","what":"sign in","outcome":"refused","detail":"wrong password"}` + "\n"; string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestTheLogIsBoundedAndTheOldestGoes(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, at)
	l.maxFile = 1000
	for i := range 200 {
		if err := l.Record(Entry{Who: fmt.Sprint("n", i), What: "sign in", Outcome: Done}); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != older+1 {
		t.Errorf("files are %v, want %d", files, older+1)
	}
	next := 199
	for n := range older + 1 { // from the newest file to the oldest, each from its end
		all, _ := entries(t, l.name("done", n))
		if info, _ := os.Stat(l.name("done", n)); info.Size() > l.maxFile {
			t.Errorf("%s has %d bytes", info.Name(), info.Size())
		}
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Who != fmt.Sprint("n", next) {
				t.Fatalf("%s stands where n%d should", all[i].Who, next)
			}
			next--
		}
	}
	if next > 199-older*5 {
		t.Errorf("only %d entries are left", 199-next)
	}
}

func TestATornLineCostsOnlyItself(t *testing.T) {
	dir := t.TempDir()
	l := New(dir, at)
	file := filepath.Join(dir, "done.jsonl")
	if err := l.Record(Entry{Who: "before", Outcome: Done}); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(file)
	for cut := range len(whole) { // a power cut at each byte of a second line
		if err := os.WriteFile(file, append(append([]byte{}, whole...), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Record(Entry{Who: "after", Outcome: Done}); err != nil {
			t.Fatal(err)
		}
		all, torn := entries(t, file)
		if len(all) < 2 || all[0].Who != "before" || all[len(all)-1].Who != "after" || torn > 1 {
			t.Fatalf("cut at %d: %+v, %d torn", cut, all, torn)
		}
	}
}

func TestWhatCannotBeRecordedIsSaid(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := New(filepath.Join(file, "audit"), at).Record(Entry{What: "sign in", Outcome: Done})
	if err == nil || !strings.HasPrefix(err.Error(), `record "sign in" in the audit log: `) || !strings.Contains(err.Error(), "; see to the disk and to the owner of ") {
		t.Errorf("got %v", err)
	}
}

// recorder names a folder that this test binary, started as a process of its own, records into.
const recorder = "NABZ_TEST_RECORD_INTO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(recorder); dir != "" {
		l := New(dir, time.Now)
		l.maxFile = 8000
		for i := range 100 {
			if err := l.Record(Entry{Who: fmt.Sprint(os.Getpid(), "-", i), What: "sign in", Outcome: Done}); err != nil {
				panic(err)
			}
		}
		return
	}
	os.Exit(m.Run())
}

func TestProcessesThatRecordAtOnceLoseNothing(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			c := exec.CommandContext(t.Context(), self)
			c.Env = append(os.Environ(), recorder+"="+dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	l := New(dir, at)
	for n := range older + 1 {
		all, torn := entries(t, l.name("done", n))
		if torn > 0 {
			t.Errorf("%d lines are torn", torn)
		}
		for _, e := range all {
			seen[e.Who]++
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d entries are there, want 300", len(seen))
	}
	for who, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", who, n)
		}
	}
}
