package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// commanding gives a closed world the means to send commands, and agents that are there.
func commanding(t *testing.T) (c *closed, sent *[]string, deaf *error) {
	t.Helper()
	c = newClosed(t, noon)
	sent, deaf = new([]string), new(error)
	c.site(fleet.Site{ID: "passu", Name: "Passu school"}, "main")
	c.site(fleet.Site{ID: "gokina", Name: "Gokina"}, "main", "second")
	c.live.Presence(telemetry.Address{Site: "passu", Agent: "main"}, telemetry.Presence{Online: true, Session: 1})
	var err error
	c.server.Commands, err = command.Open(command.Parts{File: filepath.Join(c.dir, "commands.jsonl"), Known: c.reg.Known, Now: c.now, Metrics: prometheus.NewRegistry(), Audit: c.server.Audit,
		Connected: func(a telemetry.Address) bool { return a.Agent == "main" },
		Send: func(a telemetry.Address, payload []byte) error {
			*sent = append(*sent, a.String()+" "+string(payload))
			return *deaf
		}})
	if err != nil {
		t.Fatal(err)
	}
	return c, sent, deaf
}

func TestAnOperatorAsksASitesAgentFromItsPage(t *testing.T) {
	c, sent, deaf := commanding(t)
	aisha := as(c.cookieOf("aisha"))
	res, body := c.ask(http.MethodPost, "/sites/passu/commands", url.Values{"kind": {"speedtest"}}, aisha)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/sites/passu?said=speedtest#operate" || len(*sent) != 1 || !strings.HasPrefix((*sent)[0], "passu/main 1 ") {
		t.Fatalf("the form answers %d %v %.300s; sent %q", res.StatusCode, res.Header, body, *sent)
	}
	all := c.server.Commands.Of("passu")
	if len(all) != 1 || all[0].Who != "aisha" {
		t.Errorf("the commands are %+v", all)
	}
	c.server.Commands.Result(all[0].Address(), telemetry.Result{ID: all[0].ID, State: telemetry.ResultDone, Text: "down <b>4</b> Mbit/s"}.Append(nil))
	res, body = c.ask(http.MethodGet, "/api/v1/sites/passu/commands", nil, basic("aisha", secret))
	var got struct {
		Kinds    []string
		Commands []apiCommand
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != 200 || len(got.Commands) != 1 || len(got.Kinds) != 2 {
		t.Fatalf("the list is %d %s", res.StatusCode, body)
	}
	if one := got.Commands[0]; one.ID != all[0].ID || one.State != command.Done || !one.Ended || one.Who != "aisha" || one.Text != "down <b>4</b> Mbit/s" || !one.Asked.Equal(noon) {
		t.Errorf("the list says %+v", one)
	}
	entries := c.audited("done")
	if e := entries[0]; e.Who != "aisha" || e.From != "192.0.2.1" || e.What != "command speedtest" || e.On != "passu/main" {
		t.Errorf("the audit log says %+v", entries)
	}

	for name, tt := range map[string]struct {
		path   string
		form   url.Values
		status int
		want   string
	}{
		"the second in a moment": {"/sites/passu/commands", url.Values{"kind": {"diagnostics"}}, 303, ""},
		"no kind":                {"/sites/passu/commands", url.Values{}, 400, "No such command &#34;&#34;; there are [speedtest diagnostics]"},
		"an agent of nobody":     {"/sites/passu/commands", url.Values{"kind": {"speedtest"}, "agent": {"third"}}, 404, "no such agent is enrolled"},
		"a name that is none":    {"/sites/passu/commands", url.Values{"kind": {"speedtest"}, "agent": {"../x"}}, 400, "Name the agent: agent id"},
		"a site of nobody":       {"/sites/nowhere/commands", url.Values{"kind": {"speedtest"}}, 404, "no such agent is enrolled"},
		"two agents":             {"/sites/gokina/commands", url.Values{"kind": {"speedtest"}}, 400, "Site gokina has the agents main, second: name the agent."},
		"one of them":            {"/sites/gokina/commands", url.Values{"kind": {"speedtest"}, "agent": {"main"}}, 303, ""},
		"one that is away":       {"/sites/gokina/commands", url.Values{"kind": {"speedtest"}, "agent": {"second"}}, 409, "is not connected now, so nothing was sent"},
		"too much":               {"/sites/passu/commands", url.Values{"kind": {strings.Repeat("x", 5000)}}, 413, "Nothing was sent"},
	} {
		if res, body := c.ask(http.MethodPost, tt.path, tt.form, aisha); res.StatusCode != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: answers %d, want %d with %q:\n%s", name, res.StatusCode, tt.status, tt.want, body)
		}
	}
	for range 4 {
		c.server.Commands.Result(all[0].Address(), telemetry.Result{ID: c.server.Commands.Of("passu")[0].ID, State: telemetry.ResultDone}.Append(nil))
		res, body = c.ask(http.MethodPost, "/api/v1/sites/passu/commands", url.Values{"kind": {"diagnostics"}}, aisha)
	}
	if res.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "ask again in 10m0s") {
		t.Errorf("too many in a row: %d %s", res.StatusCode, body)
	}
	c.mu.Lock()
	c.at = noon.Add(time.Hour)
	c.mu.Unlock()
	*deaf = errors.New("is connected and does not hear commands")
	if res, body = c.ask(http.MethodPost, "/api/v1/sites/gokina/commands", url.Values{"kind": {"diagnostics"}, "agent": {"main"}}, aisha); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "does not hear commands") {
		t.Errorf("a broker that cannot: %d %s", res.StatusCode, body)
	}
}

func TestAProgramAsksInJSON(t *testing.T) {
	c, sent, _ := commanding(t)
	post := func(body string) (*http.Response, string) {
		return c.ask(http.MethodPost, "/api/v1/sites/passu/commands", nil, basic("aisha", secret), header("Content-Type", "application/json"), func(r *http.Request) {
			r.Body = http.NoBody
			if body != "" {
				r.Body = readCloser{strings.NewReader(body)}
			}
		})
	}
	res, body := post(`{"kind":"diagnostics"}`)
	var one apiCommand
	if err := json.Unmarshal([]byte(body), &one); err != nil || res.StatusCode != http.StatusAccepted || one.State != command.Sent || one.Kind != telemetry.CommandDiagnostics || len(*sent) != 1 {
		t.Errorf("answers %d %s; sent %q", res.StatusCode, body, *sent)
	}
	if all := c.notes.Of("passu"); len(all) != 1 || all[0].Who != "aisha" || all[0].Text != "diagnostics asked of main" {
		t.Errorf("the site's journal has %+v", all)
	}
	for _, bad := range []string{"", "null x", `{"kind":"diagnostics","force":true}`, `{"kind":7}`} {
		if res, body := post(bad); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "the request cannot be read") {
			t.Errorf("%q: answers %d %s", bad, res.StatusCode, body)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestOnlyOperatorsSendAndSeeCommands(t *testing.T) {
	c, sent, _ := commanding(t)
	for name, tt := range map[string]struct {
		with []func(*http.Request)
		want int
	}{
		"nobody":                      {nil, 401},
		"a viewer":                    {[]func(*http.Request){as(c.cookieOf("wall"))}, 403},
		"a viewer's script":           {[]func(*http.Request){basic("wall", secret)}, 403},
		"an operator by another site": {[]func(*http.Request){as(c.cookieOf("aisha")), header("Sec-Fetch-Site", "cross-site")}, 403},
	} {
		for _, path := range []string{"/sites/passu/commands", "/api/v1/sites/passu/commands"} {
			if res, body := c.ask(http.MethodPost, path, url.Values{"kind": {"speedtest"}}, tt.with...); res.StatusCode != tt.want && !(res.StatusCode == 401 && name == "a viewer's script") {
				t.Errorf("%s at %s: answers %d, want %d: %.200s", name, path, res.StatusCode, tt.want, body)
			}
		}
	}
	for _, who := range []func(*http.Request){as(nil), as(c.cookieOf("wall"))} {
		if res, body := c.ask(http.MethodGet, "/api/v1/sites/passu/commands", nil, who); res.StatusCode != 401 && res.StatusCode != 403 || strings.Contains(body, "commands\":") {
			t.Errorf("the list is told: %d %s", res.StatusCode, body)
		}
	}
	if len(*sent) > 0 {
		t.Errorf("sent %q", *sent)
	}
}
