package influxd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Version is the release that Find installs when the machine has none.
const Version = "1.8.10"

const source = "github.com/influxdata/influxdb/cmd/influxd@v" + Version

// Find returns the path of an influxd 1.x: the one on PATH, else the one in the cache folder, else it is built
// into the cache folder through the go command, once, which takes about a minute and is told on log.
// Any number of processes may call it at the same time.
func Find(ctx context.Context, log io.Writer) (string, error) {
	if path, ok := onPath(ctx, "1.", log); ok {
		return path, nil
	}
	dir, err := cacheFor(Version)
	if err != nil {
		return "", err
	}
	return once(ctx, dir, "1.", log, func(path string) error {
		fmt.Fprintf(log, "influxd: building InfluxDB %s with the go command, about a minute, once; kept in %s\n", Version, dir)
		return install(ctx, dir, path)
	})
}

// onPath is the influxd that the machine has, when it is of the major version wanted, such as "1.".
func onPath(ctx context.Context, major string, log io.Writer) (string, bool) {
	path, err := exec.LookPath("influxd")
	if err != nil {
		return "", false
	}
	if err := check(ctx, path, major); err != nil {
		fmt.Fprintf(log, "influxd: passing over %s: %v\n", path, err)
		return "", false
	}
	return path, true
}

// cacheFor is the folder that one version is kept in.
func cacheFor(version string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder for influxd: %w; set HOME or XDG_CACHE_HOME, or put influxd %s on PATH", err, version)
	}
	return filepath.Join(cache, "nabz", "influxd-"+version), nil
}

// once returns the program in dir, which build makes when it is missing; one process builds, others wait for it.
func once(ctx context.Context, dir, major string, log io.Writer, build func(path string) error) (string, error) {
	path := filepath.Join(dir, "influxd")
	if check(ctx, path, major) == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a cache folder for influxd: %w", err)
	}
	unlock, err := waitLock(ctx, filepath.Join(dir, "lock"), log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if check(ctx, path, major) == nil { // another process has built it meanwhile
		return path, nil
	}
	return path, build(path)
}

// install builds in a folder of its own and moves the finished program into place, so that path is either
// absent or whole.
func install(ctx context.Context, dir, path string) error {
	tmp, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return fmt.Errorf("build influxd: %w", err)
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "go", "install", source)
	cmd.Dir = tmp
	cmd.Env = append(os.Environ(), "GOBIN="+tmp, "GO111MODULE=on", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %w; put influxd %s on PATH or name a running InfluxDB in INFLUX_URL\n%s", source, err, Version, out)
	}
	built := filepath.Join(tmp, "influxd")
	return keep(ctx, built, path, "1.")
}

// keep moves a program that works into place.
func keep(ctx context.Context, built, path, major string) error {
	if err := check(ctx, built, major); err != nil {
		return fmt.Errorf("try the influxd just built: %w", err)
	}
	if err := os.Rename(built, path); err != nil {
		return fmt.Errorf("keep influxd: %w", err)
	}
	return nil
}

// check tells why path is not an influxd of that major version.
func check(ctx context.Context, path, major string) error {
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return err
	}
	// 1.x says "InfluxDB v1.8.10 (git: …)", or "InfluxDB vunknown" when built by go install.
	version, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "InfluxDB v")
	if !ok || !strings.HasPrefix(version, major) && !(major == "1." && strings.HasPrefix(version, "unknown")) {
		return fmt.Errorf("it is not InfluxDB %sx but says %.60q", major, out)
	}
	return nil
}

// waitLock takes the lock file, waiting for whoever holds it.
func waitLock(ctx context.Context, file string, log io.Writer) (unlock func(), err error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; {
		f, err := lock(file)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, ErrInUse) {
			return nil, err
		}
		if !told {
			fmt.Fprintf(log, "influxd: waiting for another process that builds it (lock %s)\n", file)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the build of influxd: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
