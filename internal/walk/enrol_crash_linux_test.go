package walk

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// calls are those of the system by which an enrolment leaves something behind, or is heard of.
var calls = []string{"openat", "write", "fsync", "renameat", "unlinkat", "connect", "fchmod"}

// The agent is killed at each of its calls of the system that leave something behind. What is there then is whole, and the same token comes to its end.
func TestAnEnrolmentThatIsKilledAnywhereGoesOnWithTheSameToken(t *testing.T) {
	strace := testneed.Program(t, "strace", "apt-get install strace")
	if out, err := exec.Command(strace, "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		testneed.Missing(t, "a traced process", fmt.Sprintf("run where ptrace is allowed: %v %s", err, out))
	}
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	c.office("site", "add", "gokina")
	seen := map[string]int{} // what was there after a kill
	every := 3
	if testneed.Minutes() {
		every = 1
	}
	for _, call := range calls {
		for n := 1; ; n += every {
			r, token := newRouter(t), c.office("agent", "add", fmt.Sprintf("gokina/%s-%d", call, n))
			r.by = []string{strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n)}
			text, status := r.enroll(token)
			killed := status != 0
			if !killed && n > 1 {
				break // it has come to its end without so many of them
			}
			there := left(t, r.dir)
			for i, name := range there {
				if strings.HasSuffix(name, ".new") {
					there[i] = name[:strings.Index(name, ".")] + "….new"
				}
			}
			seen[fmt.Sprint(there)]++
			for _, name := range []string{"agent.toml", "ca.pem", "secret"} {
				if b, err := os.ReadFile(r.file(name)); err == nil && (len(b) == 0 || b[len(b)-1] != '\n') {
					t.Errorf("killed at %s %d: %s is not whole: %q", call, n, name, b)
				}
			}
			r.by = nil
			if text2, status := r.enroll(token); status != 0 {
				t.Fatalf("killed at %s %d, with %v there: ended with %d and says\n%s\nafter it said\n%s", call, n, there, status, text2, text)
			}
			r.has("agent.toml", "ca.pem", "secret")
		}
	}
	t.Logf("what was there after a kill, and how often: %v", seen)
	if len(seen) < 3 {
		t.Errorf("killed at too few places: %v", seen)
	}
}

// relay stands between a router and the collector, and does to the first connections what a test tells it.
type relay struct {
	net.Listener
	mu    sync.Mutex
	left  int         // connections that are cut
	heard func() bool // the collector has taken in what the router asked for: what comes from it now is the answer
	most  int         // bytes of an answer that get through before that
	do    func()      // then
}

func newRelay(t *testing.T, listen, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(in, to) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return r
}

func (r *relay) pass(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var sent sync.WaitGroup
	sent.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.Close()
	})
	defer func() { _ = in.Close(); sent.Wait() }()
	buf := make([]byte, 512)
	through := 0
	for {
		n, err := out.Read(buf)
		if n > 0 && r.cuts(&through, n) {
			return
		}
		if _, werr := in.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cuts tells whether a connection ends here, before n more bytes of its answer.
func (r *relay) cuts(through *int, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 || !r.heard() {
		return false
	}
	if *through += n; *through <= r.most {
		return false
	}
	r.left--
	r.do()
	return true
}

// between puts a relay where agents are told to enrol.
func (c *centre) between(port int) *relay {
	c.t.Helper()
	inner := freePort(c.t)
	b, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	at := bytes.Index(b, []byte("\n[agents]"))
	if at < 0 {
		c.t.Fatalf("no [agents] in\n%s", b)
	}
	was := fmt.Sprintf("listen = \":%d\"", port)
	now := bytes.Replace(b[at:], []byte(was), fmt.Appendf(nil, "listen = \"127.0.0.1:%d\"", inner), 1)
	if bytes.Equal(now, b[at:]) {
		c.t.Fatalf("no %s in\n%s", was, b[at:])
	}
	if err := os.WriteFile(c.config(), append(b[:at:at], now...), 0o640); err != nil {
		c.t.Fatal(err)
	}
	return newRelay(c.t, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", inner))
}

// The collector takes the hash, and the answer does not arrive: it is cut off, or the collector is killed at that moment.
func TestAnAnswerThatIsLostCostsNothing(t *testing.T) {
	c, port := foundCentre(t)
	r := c.between(port + 1)
	c.start()
	c.ready()
	for _, row := range []struct {
		site string
		most int
		do   func()
	}{
		{"no-answer", 0, func() {}},
		{"half-an-answer", 700, func() {}},
		{"collector-killed", 0, c.kill},
	} {
		c.office("site", "add", row.site)
		token := c.office("agent", "add", row.site+"/main")
		r.mu.Lock()
		before := strings.Count(read(t, agentsFile(t, c)), "enrol_used_sha256")
		r.left, r.most, r.do = 1, row.most, row.do
		r.heard = func() bool { return strings.Count(read(t, agentsFile(t, c)), "enrol_used_sha256") > before }
		r.mu.Unlock()
		router := newRouter(t)
		ended := make(chan struct{})
		var text string
		var status int
		go func() { defer close(ended); text, status = router.enroll(token) }()
		if row.site == "collector-killed" {
			waitFor(t, 30e9, "the collector to be killed", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return c.cmd == nil })
			c.start()
		}
		<-ended
		if status != 0 || !strings.Contains(text, "was cut off on the way; next try in") {
			t.Errorf("%s: ended with %d and says\n%swant 0, and that the answer was cut off", row.site, status, text)
		}
		router.enrolled()
	}
}

// agentsFile is where the collector keeps who may sign in.
func agentsFile(t *testing.T, c *centre) string {
	t.Helper()
	for line := range strings.Lines(read(t, c.config())) {
		if value, ok := strings.CutPrefix(line, "agents_file = "); ok {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	t.Fatal("the configuration does not name agents_file")
	return ""
}

// Two people enrol one router at the same time, or one does so twice: one of them does it.
func TestTwoEnrolmentsAtOnceDoNotMixTheirSecrets(t *testing.T) {
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	c.office("site", "add", "gokina")
	token := c.office("agent", "add", "gokina/main")
	r := newRouter(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for range 6 {
		all.Go(func() {
			text, status := r.enroll(token)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case status == 0:
				good++
			case !strings.Contains(text, "another nabz-agent enroll is at work in "+r.dir+"; wait for its end"):
				t.Errorf("ended with %d and says\n%s", status, text)
			}
		})
	}
	all.Wait()
	if good == 0 {
		t.Error("none of them has enrolled")
	}
	r.enrolled()
}
