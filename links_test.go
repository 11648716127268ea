package nabz_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/guide"
	"github.com/smartvillage/nabz/internal/command"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	coded   = regexp.MustCompile("`[^`\n]*`")
	links   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	titles  = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	wordsOf = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// written is the text of a page without its code.
func written(text string) string { return fence.ReplaceAllString(text, "") }

// headings are the names by which links lead to parts of a page.
func headings(text string) []string {
	var all []string
	for _, t := range titles.FindAllStringSubmatch(written(text), -1) {
		name := guide.Anchor(strings.ReplaceAll(wordsOf.ReplaceAllString(t[1], "$1"), "`", ""))
		if slices.Contains(all, name) {
			name += "-1"
		}
		all = append(all, name)
	}
	return all
}

// lost are the links of a page that lead nowhere.
func lost(files fs.FS, name string) ([]string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, l := range links.FindAllStringSubmatch(coded.ReplaceAllString(written(string(text)), ""), -1) {
		if strings.Contains(l[1], "://") {
			continue
		}
		to, part, _ := strings.Cut(l[1], "#")
		target := name
		if to != "" {
			target = path.Join(path.Dir(name), to)
		}
		there, err := fs.ReadFile(files, target)
		if info, e := fs.Stat(files, target); e == nil && info.IsDir() && part == "" {
			continue
		}
		if err != nil || part != "" && !slices.Contains(headings(string(there)), part) {
			all = append(all, l[1])
		}
	}
	return all, nil
}

func TestEveryLinkOfThePagesLeadsSomewhere(t *testing.T) {
	files, checked := os.DirFS("."), 0
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "third_party" || d.Name() == "node_modules" || d.Name() == "bin") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		checked++
		all, err := lost(files, name)
		for _, l := range all {
			t.Errorf("%s: the link to %s leads nowhere", name, l)
		}
		return err
	})
	if err != nil || checked < 10 {
		t.Errorf("%d pages are checked: %v", checked, err)
	}
}

func TestALinkThatLeadsNowhereIsSeen(t *testing.T) {
	dir := t.TempDir()
	page := "# A page\n\n## Two words, `code`\n\n[a](#two-words-code) [b](#two-word) [c](gone.md) [d](other.md#there) [e](other.md#not) `[f](gone.md)`\n\n```\n[g](gone.md)\n# no heading\n```\n[h](#no-heading)\n"
	for name, text := range map[string]string{"page.md": page, "other.md": "# There\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := lost(os.DirFS(dir), "page.md")
	if want := []string{"#two-word", "gone.md", "other.md#not", "#no-heading"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// TestTheStepsInTheVillageFitAPhone holds what has to be typed there against the width of a phone, and the names of packages against the release.
func TestTheStepsInTheVillageFitAPhone(t *testing.T) {
	page, err := os.ReadFile("docs/field-engineer.md")
	if err != nil {
		t.Fatal(err)
	}
	_, steps, _ := strings.Cut(string(page), "## Steps")
	steps, _, _ = strings.Cut(steps, "\n## ")
	blocks := fence.FindAllString(steps, -1)
	if len(blocks) < 7 {
		t.Errorf("%d blocks of code are found among the steps", len(blocks))
	}
	for _, block := range blocks {
		for line := range strings.SplitSeq(block, "\n") {
			if n := len([]rune(strings.TrimSpace(line))); n > 40 {
				t.Errorf("%q has %d columns; a phone shows 40", line, n)
			}
		}
	}
	names := regexp.MustCompile(`nabz-agent_([0-9.]+)_`).FindAllStringSubmatch(string(page), -1)
	if len(names) < 7 {
		t.Errorf("%d packages are named, want 7 at least", len(names))
	}
	for _, n := range names {
		if n[1] != command.Release {
			t.Errorf("the page names %s…, and this is release %s", n[0], command.Release)
		}
	}
}
