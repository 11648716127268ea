package walk

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// user runs nabz-collector user, as a person does beside the daemon.
func (c *centre) user(stdin string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command(programOf(c.t, c.bin, "nabz-collector"), append(append([]string{"user"}, args...), "--config", c.config())...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = clean(os.Environ(), "INFLUX_", "NABZ_")
	var fault strings.Builder
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("nabz-collector user %v: %v\n%s", args, err, fault.String())
	}
	return strings.TrimSpace(string(out))
}

// TestSessionsOutliveTheCollectorAndSignOutsDoToo kills the daemon with people at the board. InfluxDB is not there: the board is.
func TestSessionsOutliveTheCollectorAndSignOutsDoToo(t *testing.T) {
	c := newCentre(t, "http://127.0.0.1:1", "", "", "detail", "ledger", telemetry.Address{Site: "gokina", Agent: "main"})
	text, err := os.ReadFile(c.config())
	if err == nil {
		err = os.WriteFile(c.config(), []byte(strings.Replace(string(text), "open = true\n", "", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	const secret = "umbrella glacier ladder apricot"
	c.user(secret+"\n", "add", "aisha", "--role", "operator")
	generated := c.user("", "add", "wall", "--generate")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, form url.Values, cookie *http.Cookie) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, c.web+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if cookie != nil {
			req.AddCookie(cookie)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res
	}
	begin := func() {
		t.Helper()
		c.start()
		waitFor(t, 60*time.Second, "the collector lives", func() bool {
			res, err := client.Get(c.web + "/healthz")
			if err == nil {
				res.Body.Close()
			}
			return err == nil && res.StatusCode == http.StatusOK
		})
	}
	signIn := func(name, password string) *http.Cookie {
		t.Helper()
		res := ask(http.MethodPost, "/sign-in", url.Values{"name": {name}, "password": {password}}, nil)
		if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
			t.Fatalf("%s signs in and is answered %s", name, res.Status)
		}
		return res.Cookies()[0]
	}
	sees := func(when string, cookie *http.Cookie, want int) {
		t.Helper()
		if res := ask(http.MethodGet, "/api/v1/sites", nil, cookie); res.StatusCode != want {
			t.Errorf("%s the board answers %s, want %d", when, res.Status, want)
		}
	}

	begin()
	sees("to a stranger", nil, 401)
	hers, wall := signIn("aisha", secret), signIn("wall", generated)
	c.kill()
	begin()
	sees("after kill -9", hers, 200)
	sees("after kill -9, on the wall,", wall, 200)
	ask(http.MethodPost, "/sign-out", nil, hers)
	c.kill()
	begin()
	sees("signed out, and after kill -9", hers, 401)
	sees("after the second kill -9, on the wall,", wall, 200)
	c.user("", "remove", "wall")
	waitFor(t, 20*time.Second, "a user who was removed is signed out", func() bool {
		return ask(http.MethodGet, "/api/v1/sites", nil, wall).StatusCode == 401
	})
	ask(http.MethodPost, "/sign-in", url.Values{"name": {"aisha"}, "password": {generated}}, nil)

	for name, want := range map[string][]string{
		"done":    {`"what":"user add","on":"aisha"`, `"what":"user add","on":"wall"`, `"who":"aisha","from":"127.0.0.1","what":"sign in"`, `"who":"wall","from":"127.0.0.1","what":"sign in"`, `"who":"aisha","from":"127.0.0.1","what":"sign out"`, `"what":"user remove","on":"wall"`},
		"refused": {`"who":"aisha","from":"127.0.0.1","what":"sign in"`},
	} {
		log, err := os.ReadFile(filepath.Join(c.dir, "audit", name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		if len(lines) != len(want) {
			t.Errorf("%s.jsonl has %d lines, want %d:\n%s", name, len(lines), len(want), log)
			continue
		}
		for i := range want {
			if !strings.Contains(lines[i], want[i]) {
				t.Errorf("%s.jsonl, line %d: got %s, want %s", name, i+1, lines[i], want[i])
			}
		}
	}
	for _, file := range []string{c.log(), filepath.Join(c.dir, "users.toml"), filepath.Join(c.dir, "sessions.jsonl"), filepath.Join(c.dir, "audit", "done.jsonl"), filepath.Join(c.dir, "audit", "refused.jsonl")} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, secret := range map[string]string{"a password": secret, "a generated password": generated, "a token": wall.Value} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %s", file, what)
			}
		}
	}
}
