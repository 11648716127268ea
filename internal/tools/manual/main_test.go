package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/smartvillage/nabz/internal/reference"
	"github.com/smartvillage/nabz/internal/testneed"
)

func files(t *testing.T) []reference.File {
	t.Helper()
	all, err := reference.Files(".", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheConfigurationPageIsWhatTheCodeSays(t *testing.T) {
	t.Chdir("../../..")
	made := filepath.Join(t.TempDir(), "configuration.md")
	if err := run(t.Context(), []string{"reference", made}, os.Stdout, os.Stderr); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/configuration.md is not what the code says; run make docs")
	}
}

func TestTheFilesOfThePackagesAreTheSameEachTime(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795838400")
	t.Chdir("../../..")
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if out, err := exec.Command("scripts/manual", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, name := range []string{"nabz-agent.8", "nabz-agent.toml.5", "nabz-collector.8", "nabz-collector.toml.5", "nabz-agent.bash", "_nabz-agent", "nabz-agent.fish",
		"nabz-collector.bash", "_nabz-collector", "nabz-collector.fish"} {
		a, err := os.ReadFile(filepath.Join(one, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(two, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from one time to the next", name)
		}
	}
	if all, err := os.ReadDir(one); err != nil || len(all) != 10 {
		t.Errorf("%d files, want 10 (%v)", len(all), err)
	}
	t.Run("mandoc finds nothing to warn of", func(t *testing.T) {
		lint(t, one, testneed.Program(t, "mandoc", "apt-get install mandoc"), "-Tlint", "-Wwarning")
	})
	t.Run("groff finds nothing to warn of", func(t *testing.T) {
		lint(t, one, testneed.Program(t, "groff", "apt-get install groff"), "-ww", "-mdoc", "-z")
	})
}

// lint has a program look at each manual page; it is to say nothing.
func lint(t *testing.T, dir, program string, args ...string) {
	pages, err := filepath.Glob(filepath.Join(dir, "*.[58]"))
	if err != nil || len(pages) != 4 {
		t.Fatalf("%d manual pages, want 4 (%v)", len(pages), err)
	}
	for _, page := range pages {
		if out, err := exec.Command(program, append(args, page)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, out)
		}
	}
}
