package influxd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/influxd"
)

// buildsTwo stands in for the go command: it counts its runs, asks for the Rust part as cgo would, and leaves a program.
const buildsTwo = `
echo "$PWD $*" >>"$XDG_CACHE_HOME/runs"
while [ "$1" != -o ]; do [ -n "$1" ] || exit 9; shift; done
case "$2" in
*influxdata-pkg-config) printf '#!/bin/sh\necho "$*" >>"$XDG_CACHE_HOME/asked"; mkdir -p "$GOCACHE/flux/libflux"; cd "$GOCACHE/flux/libflux"; exec "$CARGO" build --release --target a-b-c\n' >"$2" ;;
*) "$PKG_CONFIG" --libs flux && printf '#!/bin/sh\necho "InfluxDB v2.7.12 (git: none)"\n' >"$2" ;;
esac
chmod +x "$2"
`

// builder is a machine that can build a 2.x.
func builder(t *testing.T, goCommand, cargo string) (module, cache string) {
	t.Helper()
	_, cache = machine(t, map[string]string{"go": goCommand, "cargo": cargo, "gcc": "exit 9\n", "pkg-config": "exit 9\n"})
	return t.TempDir(), cache
}

func TestATwoIsBuiltOnceFromItsOwnModule(t *testing.T) {
	module, cache := builder(t, buildsTwo, `echo "$* in $CARGO_TARGET_DIR" >>"$XDG_CACHE_HOME/asked"`)
	want := filepath.Join(cache, "nabz/influxd-2.7.12/influxd")
	for range 2 {
		got, err := influxd.BuildTwo(t.Context(), module, &bytes.Buffer{})
		if got != want || err != nil {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	if got, err := influxd.FindTwo(t.Context()); got != want || err != nil {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
	runs, _ := os.ReadFile(filepath.Join(cache, "runs"))
	if lines := strings.Split(strings.TrimSpace(string(runs)), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], module+" build ") || !strings.HasSuffix(lines[1], "github.com/influxdata/influxdb/v2/cmd/influxd") {
		t.Errorf("the go command ran as\n%s\nwant twice, in %s", runs, module)
	}
	asked, _ := os.ReadFile(filepath.Join(cache, "asked"))
	if want := "--libs flux\nbuild --release --package flux --lib --no-default-features --features cffi --locked in target/a-b-c\n"; string(asked) != want {
		t.Errorf("pkg-config and cargo were asked for\n%s\nwant\n%s", asked, want)
	}
	if _, err := os.Stat(filepath.Join(cache, "nabz/influxd-2.7.12/build")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the build is left: %v", err)
	}
}

func TestATwoThatCannotBeBuiltSaysWhy(t *testing.T) {
	for _, tt := range []struct{ name, goCommand, cargo, want string }{
		{"no network", "echo no network >&2; exit 1\n", "exit 9\n", "no network"},
		{"a crate does not compile", buildsTwo, "echo error in flux-core >&2; exit 101\n", "error in flux-core"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			module, cache := builder(t, tt.goCommand, tt.cargo)
			_, err := influxd.BuildTwo(t.Context(), module, &bytes.Buffer{})
			if !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			left, _ := filepath.Glob(filepath.Join(cache, "nabz/influxd-2.7.12/*"))
			if len(left) != 1 || filepath.Base(left[0]) != "lock" {
				t.Errorf("left behind: %v", left)
			}
			if _, err := influxd.FindTwo(t.Context()); !strings.Contains(fmt.Sprint(err), "getinfluxd 2 builds it") {
				t.Errorf("got %v, want how to build it", err)
			}
		})
	}
	t.Run("no cargo", func(t *testing.T) {
		bin, _ := machine(t, map[string]string{"gcc": "exit 9\n"})
		t.Setenv("PATH", bin)
		if _, err := influxd.BuildTwo(t.Context(), t.TempDir(), &bytes.Buffer{}); !strings.Contains(fmt.Sprint(err), "lacks cargo, pkg-config") {
			t.Errorf("got %v, want what is missing", err)
		}
	})
}

func TestABuildThatIsCutShortEndsWithItsProgramsAndGoesOnLater(t *testing.T) {
	module, cache := builder(t, `echo $$ >"$XDG_CACHE_HOME/pid"; sleep 600`, "exit 9\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := influxd.BuildTwo(ctx, module, &bytes.Buffer{})
		ended <- err
	}()
	pid := ""
	waitFor(t, "the go command to run", func() bool {
		text, _ := os.ReadFile(filepath.Join(cache, "pid"))
		pid = strings.TrimSpace(string(text))
		return pid != ""
	})
	cancel(errors.New("it takes too long"))
	if err := <-ended; !strings.Contains(fmt.Sprint(err), "it takes too long; the next try goes on from here") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("/proc/" + pid); err == nil {
		t.Errorf("process %s still runs", pid)
	}
	if _, err := os.Stat(filepath.Join(cache, "nabz/influxd-2.7.12/build")); err != nil {
		t.Errorf("nothing is left to go on from: %v", err)
	}
}
