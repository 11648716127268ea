package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module is a throw-away module with these files, which becomes the working folder.
func module(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	files["go.mod"] = "module example.test/m\n\ngo 1.26\n"
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "")
}

func TestRealRunsAreSummedUp(t *testing.T) {
	const head = "package a\nimport (\"os\"; \"testing\")\nvar _ = os.Exit\n"
	tests := []struct {
		name   string
		files  map[string]string
		bad    bool
		last   string
		said   []string
		unsaid string
	}{
		{"all is well", map[string]string{"a/a_test.go": head + `
func TestOne(t *testing.T) { t.Log("chatter") }
func TestTable(t *testing.T) { t.Run("x", func(t *testing.T) {}); t.Run("y", func(t *testing.T) {}) }`},
			false, "3 passed, 0 failed, 0 skipped", []string{"ok      example.test/m/a "}, "chatter"},
		{"a skipped test gives its reason", map[string]string{"a/a_test.go": head + `
func TestOne(t *testing.T) {}
func TestTwo(t *testing.T) { t.Skip("needs a moon") }`},
			false, "1 passed, 0 failed, 1 skipped", []string{"skipped example.test/m/a TestTwo: needs a moon"}, ""},
		{"a failed row counts once and shows what it said", map[string]string{"a/a_test.go": head + `
func TestTable(t *testing.T) { t.Run("x", func(t *testing.T) { t.Log("got 1, want 2"); t.Fail() }); t.Run("y", func(t *testing.T) {}) }`},
			true, "1 passed, 1 failed, 0 skipped", []string{"--- FAIL: example.test/m/a TestTable/x\n", "got 1, want 2", "FAIL    example.test/m/a "}, ""},
		{"a parent that fails by itself counts", map[string]string{"a/a_test.go": head + `
func TestTable(t *testing.T) { t.Run("x", func(t *testing.T) {}); t.Error("too few") }`},
			true, "1 passed, 1 failed, 0 skipped", []string{"too few"}, ""},
		{"a panic counts and is shown", map[string]string{"a/a_test.go": head + `
func TestOne(t *testing.T) {}
func TestTwo(t *testing.T) { panic("out of rope") }`},
			true, "1 passed, 1 failed, 0 skipped", []string{"out of rope", "TestTwo"}, ""},
		{"a process that exits counts", map[string]string{"a/a_test.go": head + `
func TestTwo(t *testing.T) { os.Exit(4) }`},
			true, "0 passed, 1 failed, 0 skipped", []string{"TestTwo"}, ""},
		{"a package that does not build counts, the others are run", map[string]string{
			"a/a_test.go": head + "func TestOne(t *testing.T) { undefinedName() }", "b/b_test.go": strings.Replace(head, "package a", "package b", 1) + "func TestB(t *testing.T) {}"},
			true, "1 passed, 1 failed, 0 skipped", []string{"undefined: undefinedName", "FAIL    example.test/m/a "}, ""},
		{"a failure after the tests counts", map[string]string{"a/a_test.go": head + `
func TestOne(t *testing.T) {}
func TestMain(m *testing.M) { m.Run(); println("goroutine left behind"); os.Exit(1) }`},
			true, "1 passed, 1 failed, 0 skipped", []string{"goroutine left behind"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			module(t, tt.files)
			var out, errs bytes.Buffer
			err := run(t.Context(), []string{"-vet=off", "./..."}, &out, &errs)
			if (err != nil) != tt.bad {
				t.Errorf("got error %v, want one: %v", err, tt.bad)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if lines[len(lines)-1] != tt.last {
				t.Errorf("last line %q, want %q", lines[len(lines)-1], tt.last)
			}
			for _, want := range tt.said {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not say %q", want)
				}
			}
			if tt.unsaid != "" && strings.Contains(out.String(), tt.unsaid) {
				t.Errorf("says %q", tt.unsaid)
			}
			if t.Failed() {
				t.Log(out.String(), errs.String())
			}
		})
	}
}
