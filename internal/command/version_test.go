package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

func TestAVersionSaysWhatTheBuildKnowsAndNoMore(t *testing.T) {
	set := func(pairs ...string) *debug.BuildInfo {
		var info debug.BuildInfo
		for i := 0; i < len(pairs); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return &info
	}
	const revision = "161f83ad0c1f5a6b7c8d9e0f161f83ad0c1f5a6b"
	on := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	for _, row := range []struct {
		name        string
		info        *debug.BuildInfo
		short, long string
	}{
		{"no build information", nil, Release, "nabz-agent " + Release + " (commit unknown" + on},
		{"a build without its commit", set("GOOS", "linux"), Release, "nabz-agent " + Release + " (commit unknown" + on},
		{"a clean tree", set("vcs.revision", revision, "vcs.time", "2026-11-28T03:50:00Z", "vcs.modified", "false"),
			Release + "+161f83ad0c1f", "nabz-agent " + Release + " (161f83ad0c1f, 2026-11-28" + on},
		{"a tree that was changed", set("vcs.revision", revision, "vcs.time", "2026-11-28T03:50:00Z", "vcs.modified", "true"),
			Release + "+161f83ad0c1f.changed", "nabz-agent " + Release + " (161f83ad0c1f changed, 2026-11-28" + on},
		{"a commit without a date", set("vcs.revision", "abc"), Release + "+abc", "nabz-agent " + Release + " (abc" + on},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := stampOf(row.info, row.info != nil)
			if got := s.short(); got != row.short {
				t.Errorf("short: got %q, want %q", got, row.short)
			}
			if got := s.long("nabz-agent"); got != row.long {
				t.Errorf("long: got %q, want %q", got, row.long)
			}
		})
	}
}

func TestAReleaseIsSemanticVersioning(t *testing.T) {
	if !regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`).MatchString(Release) {
		t.Errorf("%q is no version as semver.org has it", Release)
	}
}

// A program that is really built from a repository, with and without a change in it, tells its commit.
func TestAProgramThatWasBuiltTellsItsCommit(t *testing.T) {
	git := testneed.Program(t, "git", "apt-get install git")
	dir := t.TempDir()
	here := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	text, err := os.ReadFile("version.go")
	if err != nil {
		t.Fatal(err)
	}
	main := "\nfunc main() { println(Version()); println(About(\"p\")) }\n"
	for name, content := range map[string]string{"go.mod": "module p\n\ngo 1.26\n", "p.go": strings.Replace(string(text), "package command", "package main", 1) + main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(t.TempDir(), "p")
	built := func() string {
		here("go", "build", "-buildvcs=true", "-o", bin, ".")
		return here(bin)
	}
	here(git, "init", "-q")
	here(git, "add", ".")
	here(git, "-c", "user.name=n", "-c", "user.email=n@example.org", "commit", "-q", "-m", "p")
	commit := here(git, "rev-parse", "HEAD")[:12]

	got := built()
	if want := Release + "+" + commit + "\np " + Release + " (" + commit + ", 20"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "q.go"), []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := built(), Release+"+"+commit+".changed\np "+Release+" ("+commit+" changed, "; !strings.HasPrefix(got, want) {
		t.Errorf("after a change got %q, want it to begin with %q", got, want)
	}
}
