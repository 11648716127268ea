package walk

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programs is where this run builds what it tests.
var programs = struct {
	sync.Mutex
	dir   string
	built map[string]bool
}{built: map[string]bool{}}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if programs.dir != "" {
			_ = os.RemoveAll(programs.dir)
		}
		os.Exit(code)
	}))
}

// program builds one of cmd/ once for this run of the tests, with the race detector when the tests have it.
func program(t *testing.T, name string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "nabz-walk-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir = dir
	}
	path := filepath.Join(programs.dir, name)
	if programs.built[name] {
		return path
	}
	args := []string{"build", "-o", path}
	if raceOn {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/smartvillage/nabz/cmd/"+name)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", name, err, out)
	}
	programs.built[name] = true
	return path
}

// programOf is the program in a folder of a release's, or that of this tree where the folder is "".
func programOf(t *testing.T, bin, name string) string {
	t.Helper()
	if bin != "" {
		return filepath.Join(bin, name)
	}
	return program(t, name)
}

// freePort finds a TCP port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// twoFreePorts finds a port of 127.0.0.1 that nobody listens on, nor on the one after it.
func twoFreePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		p := freePort(t)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p+1)); err == nil {
			_ = l.Close()
			return p
		}
	}
	t.Fatal("no two free ports side by side")
	return 0
}

// waitFor asks until the answer is yes, and fails the test with what was waited for when it never is.
func waitFor(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}

// tail is the end of a log, for a failure's message.
func tail(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > 4000 {
		b = b[len(b)-4000:]
	}
	return fmt.Sprintf("%s:\n%s", file, b)
}
