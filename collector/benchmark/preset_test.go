package benchmark

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func loaded(t *testing.T) []Benchmark {
	t.Helper()
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	return s.All()
}

func preset(t *testing.T, id string) *Benchmark {
	t.Helper()
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Choose([]string{id})
	if err != nil {
		t.Fatal(err)
	}
	return &b[0]
}

func TestEveryPresetParsesAndTellsItsSource(t *testing.T) {
	var ids []string
	for _, b := range loaded(t) {
		ids = append(ids, b.ID)
		if err := b.Check(); err != nil {
			t.Errorf("%s, with its defaults filled in: %v", b.ID, err)
		}
		if b.Note == "" || b.Source.URL == "" {
			t.Errorf("%s says not how it departs from its source, or where that is", b.ID)
		}
	}
	if want := []string{"fcc-80-80", "giga", "itu-un-2030", "pta-qos-2022", "pta-survey"}; !slices.Equal(ids, want) {
		t.Errorf("got %q, want %q", ids, want)
	}
}

func TestThePageNamesEveryPresetWithItsSourceDateAndCriteria(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "figures.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Benchmarks\n")
	if !ok {
		t.Fatal("docs/figures.md has no section Benchmarks")
	}
	for _, b := range loaded(t) {
		for _, want := range []string{"`" + b.ID + "`", b.Source.Date, b.Source.URL, b.Source.Title} {
			if !strings.Contains(section, want) {
				t.Errorf("docs/figures.md says nothing of %q, which is in %s", want, b.ID)
			}
		}
		for _, c := range b.Criteria {
			if !strings.Contains(section, "| "+c.Name+" |") {
				t.Errorf("docs/figures.md has no row for %q of %s", c.Name, b.ID)
			}
		}
	}
	for _, m := range Measured() {
		if !strings.Contains(section, "`"+m.Name+"`") {
			t.Errorf("docs/figures.md does not explain the measure %s", m.Name)
		}
	}
	for _, r := range Reasons() {
		if !strings.Contains(section, "`"+string(r)+"`") {
			t.Errorf("docs/figures.md does not explain the reason %s", r)
		}
	}
}

func TestAPresetIsShownAsItIsAndACopyNeedsAnIDOfItsOwn(t *testing.T) {
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := s.Show(&text, "giga"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("ours.toml", text.String())
	put("notes.txt", "not a benchmark")
	if _, err := Load(dir); err == nil || !strings.HasSuffix(err.Error(), `ours.toml: the id "giga" is of a benchmark that comes with nabz; give this one an id of its own`) {
		t.Errorf("a copy under the same id: got %v", err)
	}
	changed := strings.NewReplacer(`id = "giga"`, `id = "ours"`, "at_least_of_target = 0.8", "at_least_of_target = 0.9", "\n", "\r\n").Replace(text.String())
	put("ours.toml", changed)
	if s, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	b, err := s.Choose([]string{"ours", "giga"})
	if err != nil || b[0].Criteria[0].AtLeastOfTarget != 0.9 || b[1].Criteria[0].AtLeastOfTarget != 0.8 || b[0].Note != b[1].Note {
		t.Errorf("got %+v, %v", b, err)
	}
	text.Reset()
	if err := errors.Join(s.List(&text), s.Show(&text, "ours")); err != nil || !strings.HasSuffix(text.String(), changed) ||
		!strings.Contains(text.String(), filepath.Join(dir, "ours.toml")) {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.toml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "pipe.toml: it is not a file") {
		t.Errorf("a pipe: got %v", err)
	}
	put("twice.toml", changed)
	put("bad.toml", "id = 1\nnmae = \"x\"")
	_, err = Load(dir)
	if err == nil || !strings.Contains(err.Error(), `did you mean "name"?`) || !strings.Contains(err.Error(), `twice.toml: the id "ours" is that of `+filepath.Join(dir, "ours.toml")) {
		t.Errorf("the faults of all files: got %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "report.benchmarks_dir") {
		t.Errorf("a folder that is not there: got %v", err)
	}
}

func TestWhatIsChosenIsKnownAndChosenOnce(t *testing.T) {
	s, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Choose([]string{"giga", "gigs", "giga"})
	want := `benchmark "gigs" is not known; there are: fcc-80-80, giga, itu-un-2030, pta-qos-2022, pta-survey` + "\n" + `benchmark "giga" is asked for twice`
	if !errors.Is(err, ErrUnknown) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := s.Show(new(bytes.Buffer), "gigs"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestWhatAReportHoldsOfABenchmarkReadsBackAndIsChecked(t *testing.T) {
	for _, b := range loaded(t) {
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var back Benchmark
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, b) || back.Check() != nil {
			t.Errorf("got %+v, %v, %v; want %+v", back, err, back.Check(), b)
		}
		back.Criteria[0].LeastTests, back.Criteria[0].Window = 0, ""
		if err := back.Check(); err == nil || strings.Contains(err.Error(), ".toml") {
			t.Errorf("%s without what a file may leave to defaults: got %v", b.ID, err)
		}
	}
}

func TestTheExampleOfThePageIsTaken(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "figures.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(page), "```toml\nid = ")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("docs/figures.md has no example of a benchmark")
	}
	b, err := Parse("figures.md", []byte("id = "+example))
	if err != nil || len(b.Criteria) != 2 || b.ShareOfSites != 0.9 {
		t.Errorf("got %+v, %v", b, err)
	}
}
