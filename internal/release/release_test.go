package release

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/command"
)

func TestEveryReleaseIsOlderThanWhatThisTreeBecomes(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no release is in the table")
	}
	for _, r := range all {
		if Compare(r.Version, command.Release) >= 0 {
			t.Errorf("%s was released, and this tree becomes %s: raise command.Release", r.Version, command.Release)
		}
	}
}

func TestEveryReleaseIsAnAncestorOfThisCommit(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if err := exec.Command("git", "cat-file", "-e", r.Commit+"^{commit}").Run(); err != nil {
			t.Skipf("release %s: %v (%v)", r.Version, ErrNoHistory, err)
		}
		if err := exec.Command("git", "merge-base", "--is-ancestor", r.Commit, "HEAD").Run(); err != nil {
			t.Errorf("the commit of %s is not in the history of this one: %v", r.Version, err)
		}
	}
}

func TestALineThatIsNoReleaseIsNamed(t *testing.T) {
	hash := strings.Repeat("0a", 20)
	for _, tt := range []struct{ name, text, want string }{
		{"no commit", "0.6.0 2026-11-28\n", "releases.txt:1: want a version"},
		{"a short commit", "# two\n0.6.0 161f83a 2026-11-28\n", "releases.txt:2: want a version"},
		{"not a version", "v0.6 " + hash + " 2026-11-28", "releases.txt:1: want a version"},
		{"no day", "0.6.0 " + hash + " 28.11.2026", `releases.txt:1: day "28.11.2026": write it as 2026-11-28`},
		{"the wrong order", "0.10.0 " + hash + " 2027-01-01\n0.9.0 " + hash + " 2027-02-01", "releases.txt:2: 0.9.0 comes after 0.10.0"},
		{"twice", "0.9.0 " + hash + " 2027-01-01\n0.9.0 " + hash + " 2027-02-01", "releases.txt:2: 0.9.0 comes after 0.9.0"},
	} {
		if all, err := parse(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: got %v and %v, want %s", tt.name, all, err, tt.want)
		}
	}
}

func TestACommitThatGitDoesNotHaveIsSaidToBeMissing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	r := Release{Version: "9.9.9", Commit: strings.Repeat("0", 40)}
	if dir, err := r.Build(t.Context()); !errors.Is(err, ErrNoHistory) {
		t.Errorf("got %q, %v", dir, err)
	}
}
