package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoHistory says that git does not have the commit here: the clone is shallow, or this is no clone at all.
var ErrNoHistory = errors.New("git does not have the commit of that release here; in a clone, git fetch --unshallow")

// programs are what a release is made of, as far as anybody runs it in the field.
func programs() []string { return []string{"nabz-agent", "nabz-collector"} }

// Build returns the folder that holds the programs of a release, as "go build" made them of its commit. It builds them once; ErrNoHistory is in
// the error where it cannot. Any number of processes may call it at the same time: the first to be ready is taken by all.
func (r Release) Build(ctx context.Context) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder for release %s: %w; set HOME or XDG_CACHE_HOME", r.Version, err)
	}
	dir = filepath.Join(cache, "nabz", "release-"+r.Commit)
	if whole(dir) {
		return dir, nil
	}
	if _, err := git(ctx, ".", "cat-file", "-e", r.Commit+"^{commit}"); err != nil {
		return "", fmt.Errorf("release %s: %w", r.Version, errors.Join(ErrNoHistory, err))
	}
	top, err := git(ctx, ".", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", fmt.Errorf("release %s: %w", r.Version, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make a cache folder for release %s: %w", r.Version, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "release-build-")
	if err != nil {
		return "", fmt.Errorf("make a folder to build release %s in: %w", r.Version, err)
	}
	defer os.RemoveAll(work)
	tree, bin := filepath.Join(work, "tree"), filepath.Join(work, "bin")
	// A clone and not an archive: so the programs know their commit, as those in the field do.
	if _, err := git(ctx, top, "clone", "--quiet", "--shared", "--no-checkout", top, tree); err != nil {
		return "", fmt.Errorf("release %s: %w", r.Version, err)
	}
	if _, err := git(ctx, tree, "checkout", "--quiet", "--detach", r.Commit); err != nil {
		return "", fmt.Errorf("release %s: %w", r.Version, err)
	}
	args := []string{"build", "-trimpath", "-buildvcs=auto", "-o", bin + string(filepath.Separator)}
	for _, p := range programs() {
		args = append(args, "./cmd/"+p)
	}
	if _, err := run(ctx, tree, "go", args...); err != nil {
		return "", fmt.Errorf("build release %s: %w", r.Version, err)
	}
	if err := os.Rename(bin, dir); err != nil && !whole(dir) { // else another process was quicker
		return "", fmt.Errorf("keep release %s: %w", r.Version, err)
	}
	return dir, nil
}

// whole tells whether every program is in a folder. It came there at once or not at all.
func whole(dir string) bool {
	for _, p := range programs() {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			return false
		}
	}
	return true
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	return run(ctx, dir, "git", args...)
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
