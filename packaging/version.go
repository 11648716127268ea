package packaging

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/command"
)

// Source is the commit that is packed.
type Source struct {
	Dir     string    // root of the tree
	Commit  string    // 40 hex digits
	Time    time.Time // of the commit, UTC; each file in a package bears it
	Version string    // as dpkg and opkg compare it
	Told    bool      // the version is the commit's, so the programs have to know that commit
}

// Look reads what is packed from git. A version that is not "" stands for the one that the commit tells.
func Look(ctx context.Context, dir, version string) (Source, error) {
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w; packages are made from a git checkout, whose commit dates and names them", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	s := Source{Dir: dir, Version: version}
	said, err := git("log", "-1", "--format=%H %cI")
	if err != nil {
		return s, err
	}
	commit, when, _ := strings.Cut(said, " ")
	at, err := time.Parse(time.RFC3339, when)
	if err != nil {
		return s, fmt.Errorf("the time of commit %s: %w", commit, err)
	}
	s.Commit, s.Time = commit, at.UTC()
	if version != "" {
		return s, allowed(version)
	}
	s.Told = true
	changed, err := git("status", "--porcelain")
	if err != nil {
		return s, err
	}
	tags, err := git("tag", "--points-at", "HEAD")
	if err != nil {
		return s, err
	}
	s.Version = VersionOf(command.Release, strings.Fields(tags), s, changed != "")
	return s, nil
}

// versions are those that dpkg and opkg both take.
var versions = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~]*(-[A-Za-z0-9.+~]+)*$`)

// allowed refuses a version that would be found wrong only where the package is installed.
func allowed(version string) error {
	if !versions.MatchString(version) {
		return fmt.Errorf("%q cannot be the version of a package: want a number first, then letters, digits, . + ~ and -, such as 0.7.0-gokina1", version)
	}
	return nil
}

// VersionOf is the release where its tag is on the commit; else one that sorts before it, and by time.
func VersionOf(release string, tags []string, s Source, changed bool) string {
	version := release + "~git" + s.Time.Format("200601021504") + "." + s.Commit[:12]
	switch {
	case changed: // also on the release's commit, or it would sort above the release
		return version + "+changed"
	case slices.Contains(tags, "v"+release):
		return release
	}
	return version
}
