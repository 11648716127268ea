package influxd_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/smartvillage/nabz/internal/influxd"
)

// machine is a PATH and a cache folder of its own; each program is a shell script.
func machine(t *testing.T, programs map[string]string) (bin, cache string) {
	t.Helper()
	bin, cache = t.TempDir(), t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	t.Setenv("XDG_CACHE_HOME", cache)
	return bin, cache
}

const (
	one = "echo 'InfluxDB v1.8.10 (git: 1.8 688e697)'\n"
	two = "echo 'InfluxDB v2.7.11 (git: fbf5d4ab5e)'\n"
	// builds stands in for the go command: it counts its runs and leaves a program in GOBIN.
	builds = "[ \"$1 $2\" = 'install github.com/influxdata/influxdb/cmd/influxd@v1.8.10' ] || exit 9\n" +
		"echo run >>\"$XDG_CACHE_HOME/runs\"\nprintf '#!/bin/sh\\necho InfluxDB vunknown\\n' >\"$GOBIN/influxd\"\nchmod +x \"$GOBIN/influxd\"\n"
)

func TestTheInfluxdOnPathComesFirst(t *testing.T) {
	bin, _ := machine(t, map[string]string{"influxd": one, "go": "exit 9"})
	var log bytes.Buffer
	got, err := influxd.Find(t.Context(), &log)
	if want := filepath.Join(bin, "influxd"); got != want || err != nil || log.Len() > 0 {
		t.Errorf("got %q, %v, log %q; want %q and nothing said", got, err, &log, want)
	}
}

func TestAnotherMajorVersionOnPathIsPassedOver(t *testing.T) {
	_, cache := machine(t, map[string]string{"influxd": two, "go": builds})
	var log bytes.Buffer
	got, err := influxd.Find(t.Context(), &log)
	if want := filepath.Join(cache, "nabz/influxd-1.8.10/influxd"); got != want || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, want := range []string{"passing over", "InfluxDB v2.7.11", "building InfluxDB 1.8.10 with the go command, about a minute, once"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log %q lacks %q", &log, want)
		}
	}
}

func TestManyProcessesBuildOnce(t *testing.T) {
	_, cache := machine(t, map[string]string{"influxd": two, "go": "sleep 0.5\n" + builds})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			var log bytes.Buffer
			if _, err := influxd.Find(t.Context(), &log); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	runs, err := os.ReadFile(filepath.Join(cache, "runs"))
	if string(runs) != "run\n" || err != nil {
		t.Errorf("the go command ran %q (%v), want once", runs, err)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "nabz/influxd-1.8.10/build-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestABuildThatFailsSaysWhyAndWhatElseWouldDo(t *testing.T) {
	_, cache := machine(t, map[string]string{"influxd": two, "go": "echo no network >&2; exit 1"})
	_, err := influxd.Find(t.Context(), &bytes.Buffer{})
	for _, want := range []string{"no network", "put influxd 1.8.10 on PATH", "INFLUX_URL"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want it to hold %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(cache, "nabz/influxd-1.8.10/influxd")); err == nil {
		t.Error("a failed build left a program")
	}
}
