package walk

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
)

// watch remembers the command lines of all processes, as any user of the machine may see them.
type watch struct {
	mu   sync.Mutex
	seen map[string]bool
	over chan struct{}
	done sync.WaitGroup
}

func watchProcesses(t *testing.T) *watch {
	w := &watch{seen: map[string]bool{}, over: make(chan struct{})}
	w.done.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-w.over:
				return
			case <-tick.C:
			}
			names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range names {
				if b, err := os.ReadFile(name); err == nil {
					w.mu.Lock()
					w.seen[string(b)] = true
					w.mu.Unlock()
				}
			}
		}
	})
	t.Cleanup(w.end)
	return w
}

func (w *watch) end() {
	select {
	case <-w.over:
	default:
		close(w.over)
	}
	w.done.Wait()
}

// secrets of a whole programme, by what they are.
type secrets map[string]string

// missing fails the test where a text has one of them in it.
func (s secrets) missing(t *testing.T, where, text string) {
	t.Helper()
	for what, secret := range s {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("%s shows %s", where, what)
		}
	}
}

// A programme is founded, used, and used wrongly, with secrets that are known here. None is in any argument of a process, log, error, answer or file that others may read.
func TestNoSecretIsShownAnywhere(t *testing.T) {
	all := watchProcesses(t)
	server := influxd.SignInForTest(t)
	c, _ := foundCentreOn(t, server, "")
	_, influx, _ := strings.Cut(server.Token, ":")
	s := secrets{"the database's password": influx, "an operator's password": "umbrella glacier ladder apricot", "a wrong password": "lantern quarry thistle orbit", "the address of a channel": "hook-jq2vyn6k3h"}
	said := map[string]string{}
	tell := func(what string, out string) { said[what] += out }

	ways := filepath.Join(c.dir, "channels")
	if err := os.WriteFile(ways, []byte("phones warning generic+http://127.0.0.1:1/"+s["the address of a channel"]+"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	c.edit(map[string]string{`urls_file = ""`: fmt.Sprintf("urls_file = %q", ways)})
	c.user(s["an operator's password"]+"\n", "add", "aisha", "--role", "operator")
	c.start()
	c.ready()
	c.office("site", "add", "gokina")
	token := strings.TrimSpace(c.office("agent", "add", "gokina/main"))
	s["an enrolment token"] = token[6:]
	text, _ := c.tries("alert", "test")
	tell("alert test", text)
	text, _ = c.tries("dashboards", "install", filepath.Join(c.dir, "grafana"))
	tell("dashboards install", text)

	// Enrolled by standard input, as the pages for field engineers have it, after some that go wrong.
	e := &edge{t: t, dir: t.TempDir()}
	r := &router{t: t, dir: e.dir, data: e.data()}
	out, _ := r.enroll(token[:len(token)-5])
	tell("enroll", out)
	out, status := r.enroll(token)
	if tell("enroll", out); status != 0 {
		t.Fatalf("ended with %d and says\n%s", status, out)
	}
	s["an agent's secret"] = strings.TrimSpace(read(t, r.file("secret")))
	e.start()
	e.acknowledged()
	for _, args := range [][]string{{"check"}, {"status"}, {"status", "--json"}, {"config"}} {
		out, _ := e.ask(args...)
		tell("nabz-agent "+args[0], out)
	}
	ask := exec.Command(program(t, "nabz-collector"), "agent", "ask", "gokina/main", "diagnostics", "--as", "aisha", "--config", c.config())
	ask.Env, ask.Stdin = clean(os.Environ(), "NABZ_", "INFLUX_"), strings.NewReader(s["an operator's password"]+"\n")
	answer, err := ask.CombinedOutput()
	if tell("agent ask", string(answer)); err != nil {
		t.Errorf("agent ask: %v\n%s", err, answer)
	}
	for _, path := range []string{"/", "/sites/gokina", "/api/v1/sites/gokina", "/alerts", "/api/v1/alerts", "/metrics", "/readyz", "/reports"} {
		tell("the board", c.browse(t, path, s["an operator's password"]))
	}
	if res, err := http.PostForm(c.web+"/sign-in", url.Values{"name": {"aisha"}, "password": {s["a wrong password"]}}); err == nil {
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		tell("the board", string(b))
	}

	// A wrong secret on the router, and a wrong credential of the database.
	e.stop()
	s["a secret that is not right"] = "zq7m3wrongwrongwrongwrongwrong"
	if err := os.WriteFile(r.file("secret"), []byte(s["a secret that is not right"]+"\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	out, _ = e.ask("check")
	tell("nabz-agent check", out)
	c.stop()
	was := c.env[1]
	s["a wrong credential of the database"] = "wr0ngwr0ngwr0ng"
	c.env[1] = "INFLUX_TOKEN=nabz:" + s["a wrong credential of the database"]
	text, _ = c.tries("init", "--host", "127.0.0.1")
	tell("init with a wrong credential", text)
	c.env[1] = was

	all.end()
	for line := range all.seen {
		s.missing(t, "the list of processes: "+strings.ReplaceAll(line, "\x00", " "), line)
	}
	for what, text := range said {
		s.missing(t, "what "+what+" says", text)
	}
	s.missing(t, "the agent's log", read(t, filepath.Join(e.dir, "agent.log")))
	s.missing(t, "the collector's log", read(t, c.log()))
	s.inNoFileForAll(t, c.dir)
	s.inNoFileForAll(t, e.dir)
	if len(all.seen) < 5 || !strings.Contains(said["agent ask"], "gokina") || !strings.Contains(said["nabz-agent check"], "refuses the name gokina/main") {
		t.Errorf("too little was seen: %d command lines; %v", len(all.seen), said)
	}
}

// inNoFileForAll looks at all files below a folder: what holds a secret is for its owner and its group, and logs hold none at all.
func (s secrets) inNoFileForAll(t *testing.T, dir string) {
	t.Helper()
	holders := 0
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for what, secret := range s {
			if secret == "" || !bytes.Contains(b, []byte(secret)) {
				continue
			}
			holders++
			if info.Mode().Perm()&0o007 != 0 {
				t.Errorf("%s holds %s, and all may read it: %v", path, what, info.Mode())
			}
			if strings.HasSuffix(path, ".log") || strings.HasSuffix(path, ".jsonl") {
				t.Errorf("%s holds %s", path, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if holders == 0 {
		t.Errorf("no file below %s holds any secret: the test does not look where they are", dir)
	}
}

// browse is a page as an operator sees it.
func (c *centre) browse(t *testing.T, path, password string) string {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, c.web+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.SetBasicAuth("aisha", password)
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A token that stands on the command line is gone from the list of processes as soon as the program runs.
func TestATokenOnTheCommandLineIsGoneFromTheListOfProcesses(t *testing.T) {
	c, _ := foundCentre(t) // which does not run: the agent asks again and again
	c.office("site", "add", "gokina")
	token := strings.TrimSpace(c.office("agent", "add", "gokina/main"))
	cmd := exec.Command(program(t, "nabz-agent"), "enroll", token[:70], token[70:], "--config", filepath.Join(t.TempDir(), "agent.toml"))
	cmd.Env = clean(os.Environ(), "NABZ_")
	out := &lines{}
	begun := make(chan struct{})
	out.each = func(text string) {
		if strings.Contains(text, "next try in") {
			select {
			case <-begun:
			default:
				close(begun)
			}
		}
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	select {
	case <-begun:
	case <-time.After(30 * time.Second):
		t.Fatal("it never began:\n" + out.text())
	}
	line := read(t, fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	if strings.Contains(line, token[6:20]) || strings.Contains(line, token[70:]) || !strings.Contains(line, "enroll\x00xxxxxxxx") {
		t.Errorf("the list of processes shows %q", line)
	}
	if env := read(t, fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid)); strings.Contains(env, token[6:20]) {
		t.Errorf("the environment shows the token: %q", env)
	}
}
