//go:build unix

package demo

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// play is what the children of these tests do.
func play(part string) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM, os.Interrupt)
	switch part {
	case "faithful":
		fmt.Fprintln(os.Stderr, "level=INFO msg=ready")
		fmt.Fprintln(os.Stderr, "level=WARN msg=careful")
		<-terminated
		fmt.Fprint(os.Stderr, "bye") // no newline
		return 0
	case "stillborn":
		for i := range 20 {
			fmt.Fprintf(os.Stderr, "level=ERROR msg=%d\n", i)
		}
		return 3
	case "sleeper":
		<-terminated
		return 0
	case "parent": // starts a child of its own, in the way under test, and is then killed
		os.Setenv(role, "sleeper")
		c, err := start(os.Getenv("DEMO_TEST_DIR"), "grandchild", os.Args[0], nil, nil, nil)
		if err != nil {
			return 1
		}
		fmt.Println(c.cmd.Process.Pid)
		select {}
	}
	return 2
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func startPart(t *testing.T, part string, warn *safeBuffer) *child {
	t.Helper()
	t.Setenv(role, part)
	c, err := start(t.TempDir(), part, os.Args[0], nil, nil, warn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.stop() })
	return c
}

func TestAChildIsStoppedAndItsLogKept(t *testing.T) {
	var warn safeBuffer
	c := startPart(t, "faithful", &warn)
	waitFor(t, "a warning", 10*time.Second, func() bool { return warn.String() != "" })
	if pgid, err := syscall.Getpgid(c.cmd.Process.Pid); err != nil || pgid != c.cmd.Process.Pid {
		t.Errorf("process group %d, %v; want its own, %d", pgid, err, c.cmd.Process.Pid)
	}
	if err := c.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := warn.String(); got != "faithful: level=WARN msg=careful\n" {
		t.Errorf("passed on %q", got)
	}
	if b, err := os.ReadFile(c.log); err != nil || string(b) != "level=INFO msg=ready\nlevel=WARN msg=careful\nbye\n" {
		t.Errorf("log %q, %v", b, err)
	}
	if err := c.stop(); err != nil { // a second stop has nothing to do
		t.Errorf("stop again: %v", err)
	}
}

func TestAChildThatDiesIsQuoted(t *testing.T) {
	c := startPart(t, "stillborn", &safeBuffer{})
	waitFor(t, "its end", 10*time.Second, func() bool { return !c.alive() })
	got := c.died().Error()
	if !strings.Contains(got, "stillborn died: exit status 3; the whole log is "+c.log) || !strings.HasSuffix(got, "msg=18\n  level=ERROR msg=19") || strings.Contains(got, "msg=11\n") {
		t.Errorf("got %s", got)
	}
}

func TestAProgramThatIsNotThereSaysHowToGetIt(t *testing.T) {
	_, err := start(t.TempDir(), "collector", "/nowhere/nabz-collector", nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "start collector: ") || !strings.HasSuffix(err.Error(), "build the programs with make build") {
		t.Errorf("got %v", err)
	}
}

func TestATakenPortGivesOneLineThatSaysWhatToSet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	other := free(taken, nil)
	for _, c := range []struct {
		name  string
		ports []port
		want  string
	}{
		{"taken", []port{{taken, "WEB_PORT", "--web-port"}}, fmt.Sprintf("port %d is taken; choose another: make demo WEB_PORT=%d", taken, other)},
		{"twice", []port{{other, "WEB_PORT", "--web-port"}, {other, "MQTT_PORT", "--mqtt-port"}}, fmt.Sprintf("port %d is given to both --web-port and --mqtt-port; choose another: make demo MQTT_PORT=", other)},
		{"no port", []port{{70000, "WEB_PORT", "--web-port"}}, "--web-port 70000: want a port, 1 to 65535"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := checkPorts(c.ports); err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v\nwant %s…", err, c.want)
			}
		})
	}
	if err := checkPorts([]port{{other, "WEB_PORT", "--web-port"}}); err != nil {
		t.Errorf("free port: %v", err)
	}
}

func TestNoChildOutlivesADemoThatIsKilled(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("needs Linux: only there does the kernel kill the children of a killed process")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=parent", "DEMO_TEST_DIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the grandchild is not there: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	waitFor(t, "the grandchild to go", 10*time.Second, func() bool { return gone(pid) })
}

// gone tells whether a process has ended; one that nobody has waited for yet counts as ended.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}
