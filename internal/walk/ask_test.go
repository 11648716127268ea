package walk

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/collector/audit"
)

const operatorSecret = "umbrella glacier ladder apricot"

// staff closes the board and makes an operator and a viewer.
func (c *centre) staff() {
	c.t.Helper()
	c.rewrite("open = true\n", "")
	c.user(operatorSecret+"\n", "add", "aisha", "--role", "operator")
	c.user(operatorSecret+"\n", "add", "wall")
}

// rewrite replaces a text of the configuration, which has to be there.
func (c *centre) rewrite(old, now string) {
	c.t.Helper()
	b, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		c.t.Fatalf("the configuration has no %q:\n%s", old, b)
	}
	if err := os.WriteFile(c.config(), []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// configure puts lines in front of an agent's configuration, and further sections behind it.
func (e *edge) configure(ca, sections string) {
	e.t.Helper()
	file := filepath.Join(e.dir, "agent.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		e.t.Fatal(err)
	}
	now := "ca_file = \"" + ca + "\"\n" + strings.Replace(string(text), "tls://", "mqtts://", 1) + sections
	if err := os.WriteFile(file, []byte(now), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) kill() {
	e.t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		e.t.Fatal(err)
	}
	_ = e.cmd.Wait()
	e.cmd = nil
}

// told is a command as the API tells it.
type told struct {
	ID, Kind, Site, Agent, Who, State, Text, Data string
	Ended                                         bool
	Error, Do                                     string
}

// request asks the board as a user's script.
func (c *centre) request(method, path, who string, form url.Values) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.web+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.SetBasicAuth(who, operatorSecret)
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// command asks a site's agent for something.
func (c *centre) command(site, kind string) (int, told) {
	c.t.Helper()
	code, body := c.request(http.MethodPost, "/api/v1/sites/"+site+"/commands", "aisha", url.Values{"kind": {kind}})
	var one told
	if err := json.Unmarshal([]byte(body), &one); err != nil {
		c.t.Fatalf("asking for a %s of %s is answered %d %s", kind, site, code, body)
	}
	return code, one
}

// commands lists what was asked of a site.
func (c *centre) commands(site string) []told {
	code, body := c.request(http.MethodGet, "/api/v1/sites/"+site+"/commands", "aisha", nil)
	var all struct{ Commands []told }
	if err := json.Unmarshal([]byte(body), &all); code != http.StatusOK || err != nil {
		return nil
	}
	return all.Commands
}

// becomes waits until a command is in one of the states.
func (c *centre) becomes(site, id string, states ...string) (now told) {
	c.t.Helper()
	waitFor(c.t, 90*time.Second, fmt.Sprintf("command %s is one of %v", id, states), func() bool {
		for _, one := range c.commands(site) {
			if one.ID == id {
				now = one
				for _, s := range states {
					if one.State == s {
						return true
					}
				}
			}
		}
		return false
	})
	return now
}

// connected waits until the board shows the site's agent connected and its link up, and the agent can be asked.
func (c *centre) connected(site string) {
	c.t.Helper()
	waitFor(c.t, 60*time.Second, site+" is connected and up", func() bool {
		_, body := c.request(http.MethodGet, "/api/v1/sites/"+site, "wall", nil)
		var st struct {
			Connected bool
			State     string
		}
		return json.Unmarshal([]byte(body), &st) == nil && st.Connected && st.State == "up"
	})
}

func (c *centre) audited(name string) (all []audit.Entry) {
	b, err := os.ReadFile(filepath.Join(c.dir, "audit", name+".jsonl"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(e.What, "command ") || e.Outcome == audit.Refused {
			all = append(all, e)
		}
	}
	return all
}
