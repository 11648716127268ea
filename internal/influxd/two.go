//go:build unix

package influxd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// VersionTwo is the 2.x that BuildTwo makes.
const VersionTwo = "2.7.12"

// FindTwo returns the path of an influxd 2.x: the one on PATH, else the one that BuildTwo has left in the cache folder.
// It builds nothing, since that takes many minutes.
func FindTwo(ctx context.Context) (string, error) {
	if path, ok := onPath(ctx, "2.", io.Discard); ok {
		return path, nil
	}
	dir, err := cacheFor(VersionTwo)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "influxd")
	if err := check(ctx, path, "2."); errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("it is not built; go run ./internal/tools/getinfluxd 2 builds it once, with cargo, gcc and pkg-config")
	} else if err != nil {
		return "", fmt.Errorf("%s: %w; delete it, and go run ./internal/tools/getinfluxd 2", path, err)
	}
	return path, nil
}

// BuildTwo is FindTwo that builds where there is none, from the Go modules and Rust crates that the go.mod in module
// pins, and tells on log how far it is. A build that ctx has cut short goes on from there at the next call.
func BuildTwo(ctx context.Context, module string, log io.Writer) (string, error) {
	if path, ok := onPath(ctx, "2.", log); ok {
		return path, nil
	}
	dir, err := cacheFor(VersionTwo)
	if err != nil {
		return "", err
	}
	return once(ctx, dir, "2.", log, func(path string) error {
		var missing []string
		for _, name := range []string{"cargo", "gcc", "pkg-config"} {
			if _, err := exec.LookPath(name); err != nil {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("build InfluxDB %s: this machine lacks %s", VersionTwo, strings.Join(missing, ", "))
		}
		fmt.Fprintf(log, "influxd: building InfluxDB %s with go and cargo, many minutes, once; kept in %s\n", VersionTwo, dir)
		return buildTwo(ctx, module, dir, path, log)
	})
}

// The two programs that stand between go build and cargo. Influxdata's pkg-config builds libflux, the Rust part, in the
// folder that it takes for Go's cache, and tells cgo where it is. Cargo gets the machine's own compiler instead of
// the one of 2023 that rust-toolchain.toml names, leaves out the feature that makes each warning of a newer compiler
// an error, and is not told that the target is this machine: it would build every crate twice, for its own build scripts too.
const (
	pkgConfigScript = "#!/bin/sh\nGOCACHE=%[1]q CARGO=%[2]q exec %[3]q \"$@\"\n"
	cargoScript     = `#!/bin/sh
# Called as: cargo build --release [--target TRIPLE], in libflux; the library is looked for in target/TRIPLE/release.
rm -f ../rust-toolchain.toml
CARGO_TARGET_DIR="target/$4" exec cargo "$1" "$2" --package flux --lib --no-default-features --features cffi --locked >>%[1]q 2>&1
`
)

// buildTwo works in a folder of its own, which stays when it was cut short.
func buildTwo(ctx context.Context, module, dir, path string, log io.Writer) error {
	work := filepath.Join(dir, "build")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return fmt.Errorf("build influxd: %w", err)
	}
	file := func(name string) string { return filepath.Join(work, name) }
	for name, text := range map[string]string{
		"pkg-config": fmt.Sprintf(pkgConfigScript, file("cache"), file("cargo"), file("influxdata-pkg-config")),
		"cargo":      fmt.Sprintf(cargoScript, file("cargo.log")),
		"cargo.log":  "",
	} {
		if err := os.WriteFile(file(name), []byte(text), 0o755); err != nil {
			return fmt.Errorf("build influxd: %w", err)
		}
	}
	// Neither Flux nor the SQLite of the metadata is what the tests are about: no time is spent on making them fast.
	env := append(os.Environ(), "GO111MODULE=on", "GOFLAGS=", "GOOS=", "GOARCH=", "GOWORK=off", "CGO_ENABLED=1", "PKG_CONFIG="+file("pkg-config"),
		"CARGO_PROFILE_RELEASE_LTO=off", "CARGO_PROFILE_RELEASE_OPT_LEVEL=0", "CGO_CFLAGS=-O0")
	err := step(ctx, module, env, file("cargo.log"), log, "build", "-o", file("influxdata-pkg-config"), "github.com/influxdata/pkg-config")
	if err == nil {
		err = step(ctx, module, env, file("cargo.log"), log, "build", "-v", "-tags", "sqlite_foreign_keys,sqlite_json", "-ldflags", "-s -w -X main.version=v"+VersionTwo,
			"-o", file("influxd"), "github.com/influxdata/influxdb/v2/cmd/influxd")
	}
	if ctx.Err() != nil {
		return fmt.Errorf("build InfluxDB %s: %w; the next try goes on from here", VersionTwo, context.Cause(ctx))
	}
	if err == nil {
		err = keep(ctx, file("influxd"), path, "2.")
	}
	return errors.Join(err, os.RemoveAll(work))
}

// step runs go in module, in a process group of its own that ends as a whole with ctx, and tells every half minute what it is at.
func step(ctx context.Context, module string, env []string, cargoLog string, log io.Writer, args ...string) error {
	var out said
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = module, env, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	began, tick := time.Now(), time.NewTicker(30*time.Second)
	defer tick.Stop()
	for {
		rust := said{}
		select {
		case err := <-ended:
			rust.file(cargoLog)
			if err != nil {
				return fmt.Errorf("build InfluxDB %s: go %s: %w\n%s\n%s", VersionTwo, args[0], err, out.end(), rust.end())
			}
			return nil
		case <-tick.C:
			rust.file(cargoLog)
			fmt.Fprintf(log, "influxd: building for %v; Go: %d packages, %s; Rust: %s\n", time.Since(began).Round(time.Second), out.count(), out.last(), rust.last())
		}
	}
}

// said keeps the end of what a program says.
type said struct {
	mu    sync.Mutex
	text  []byte
	lines int
}

// Write takes in some more.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 2000
	s.lines += bytes.Count(p, []byte{'\n'})
	s.text = append(s.text, p...)
	s.text = s.text[max(0, len(s.text)-most):]
	return len(p), nil
}

// file takes in a file, which may not be there yet.
func (s *said) file(name string) {
	text, _ := os.ReadFile(name)
	_, _ = s.Write(text)
}

func (s *said) end() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(s.text), "?"))
}

func (s *said) last() string {
	text := s.end()
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

func (s *said) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines
}
