package machine

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groupName begins the name of each machine's control group; the process id of its test follows.
const groupName = "nabz-machine-"

// group is the control group that holds every process of a machine, and is the root of all groups to its systemd.
type group struct {
	dir  string
	file *os.File
}

func newGroup() (*group, error) {
	top, err := groups()
	if err != nil {
		return nil, err
	}
	sweep(top)
	dir := filepath.Join(top, fmt.Sprintf("%s%d-%s", groupName, os.Getpid(), rand.Text()[:8]))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &group{dir, f}, nil
}

// groups is where control groups of version 2 are mounted.
func groups() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if before, after, ok := strings.Cut(line, " - "); ok && strings.HasPrefix(after, "cgroup2 ") {
			return strings.Fields(before)[4], nil
		}
	}
	return "", errors.New("no cgroup2 is mounted; mount -t cgroup2 cgroup2 /sys/fs/cgroup")
}

// sweep removes empty groups whose test was killed.
func sweep(top string) {
	left, _ := filepath.Glob(filepath.Join(top, groupName+"*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupName), "-")
		n, err := strconv.Atoi(pid)
		if err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = prune(dir)
		}
	}
}

// kill ends every process in the group at once.
func (g *group) kill() {
	_ = os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0o600) // a kernel before 5.14 has none: the end of the first process ends the others
}

// remove waits for the last process to be gone, and removes the group.
func (g *group) remove() error {
	g.file.Close()
	end := time.Now().Add(20 * time.Second)
	for {
		events, err := os.ReadFile(filepath.Join(g.dir, "cgroup.events"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.Contains(events, []byte("populated 0")) {
			if err = prune(g.dir); err == nil {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s: %s%w", g.dir, events, errors.Join(err, errors.New("it cannot be removed")))
		}
		<-time.After(20 * time.Millisecond)
	}
}

// prune removes a tree of groups, leaves first.
func prune(dir string) error {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	slices.Reverse(all)
	for _, d := range all {
		err = errors.Join(err, os.Remove(d))
	}
	return err
}
