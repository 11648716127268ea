package walk

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// boots starts the agent on a machine of this boot id.
func (e *edge) boots(id string) {
	e.t.Helper()
	file := filepath.Join(e.dir, "boot_id")
	if err := os.WriteFile(file, []byte(id+"-0000-4000-8000-000000000000\n"), 0o600); err != nil {
		e.t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(e.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, file, program(e.t, "nabz-agent"), "run", "--config", filepath.Join(e.dir, "agent.toml"))
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.Env = clean(os.Environ(), "NABZ_")
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) status() agent.Status {
	s, err := agent.ReadStatus(e.t.Context(), e.data())
	if err != nil {
		return agent.Status{} // it has not come up yet
	}
	return s
}

// siteNow is what the API says of a site.
type siteNow struct {
	TwinsSince *time.Time     `json:"twins_since"`
	Day        report.Figures `json:"last_24h"`
	History    struct {
		Events []struct{ Kind, Detail string } `json:"events"`
	} `json:"history"`
}

func (c *centre) site(id string) (s siteNow, text string) {
	c.t.Helper()
	code, body := get(c.t, c.web+"/api/v1/sites/"+id)
	if err := json.Unmarshal([]byte(body), &s); err != nil || code != 200 {
		c.t.Fatalf("the API says %d %.300s (%v)", code, body, err)
	}
	return s, body
}

// A router's card was copied: two machines have one secret. Each is thrown out by the other, in turns, and both are measured.
func TestTwoMachinesWithOneSecretAreToldToBothAndToTheNOC(t *testing.T) {
	if os.Getuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		testneed.Missing(t, "mount namespaces", "run the test as root on linux")
	}
	server := influxd.ForTest(t)
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	c := newCentre(t, server.URL, server.Token, server.Org, server.Database(t, "twin_detail"), server.Database(t, "twin_ledger"), a)
	c.env = []string{"INFLUX_URL=" + server.URL, "INFLUX_TOKEN=" + server.Token, "INFLUX_ORG=" + server.Org}
	text := read(t, c.config())
	if err := os.WriteFile(c.config(), []byte(text+"[alert]\ngrace = \"90s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.ready()
	began := time.Now()
	first, second := newEdge(t, c, a), newEdge(t, c, a)

	// One machine that restarts its agent, and then itself, is one.
	first.boots("aaaaaaaa")
	first.acknowledged()
	first.stop()
	first.boots("aaaaaaaa")
	first.acknowledged()
	first.stop()
	first.boots("bbbbbbbb")
	first.acknowledged()
	if s, _ := c.site("gokina"); s.TwinsSince != nil || first.status().Twin != "" {
		t.Fatalf("one machine that has restarted counts as two: %v %q", s.TwinsSince, first.status().Twin)
	}

	second.boots("cccccccc")
	waitFor(t, 90*time.Second, "the board's word that there are two", func() bool { s, _ := c.site("gokina"); return s.TwinsSince != nil })
	waitFor(t, 60*time.Second, "both machines to know of each other", func() bool { return first.status().Twin == "cccccccc" && second.status().Twin == "bbbbbbbb" })
	for e, other := range map[*edge]string{first: "cccccccc", second: "bbbbbbbb"} {
		out, status := e.ask("check")
		if status != 1 || !strings.Contains(out, "FAIL  credentials   another machine signs in as gokina/main with the same secret") {
			t.Errorf("check ended with %d and says\n%s", status, out)
		}
		if out, _ := e.ask("status"); !strings.Contains(out, "twin      another machine signs in as gokina/main with the same secret (its boot is "+other) {
			t.Errorf("status says\n%s", out)
		}
		if log := read(t, filepath.Join(e.dir, "agent.log")); !strings.Contains(log, "another machine signs in as this agent, with the same secret") {
			t.Error("the log does not tell of it:\n" + log)
		}
	}
	if _, page := get(t, c.web+"/sites/gokina"); !strings.Contains(page, "<b>Two machines sign in as gokina/main</b> with the same secret") {
		t.Error("the page of the site does not tell of it")
	}
	if log := read(t, c.log()); strings.Count(log, "two machines work as one agent with the same secret") != 1 {
		t.Error("the collector's log does not tell of it once:\n" + tail(c.log()))
	}
	if testneed.Minutes() { // there are none in the first minute and a half
		waitFor(t, 2*time.Minute, "an alert", func() bool {
			_, body := get(t, c.web+"/api/v1/alerts")
			return strings.Contains(body, `"twins"`) && strings.Contains(body, "has two machines that work as one agent")
		})
	}
	waitFor(t, 60*time.Second, "the ledger's word, for reports of years to come", func() bool {
		s, _ := c.site("gokina")
		for _, e := range s.History.Events {
			if e.Kind == "twin" && strings.Contains(e.Detail, "another machine, of boot") {
				return true
			}
		}
		return false
	})

	// Both say that they are up all the time; time is counted once all the same.
	s, shown := c.site("gokina")
	if up, limit := s.Day.Times.UpMs, time.Since(began); up <= 0 || time.Duration(up)*time.Millisecond > limit {
		t.Errorf("%v ms up were counted within %v:\n%.600s", up, limit, shown)
	}

	// With another secret on the right one the other is out, and hears why.
	c.office("agent", "revoke", "gokina/main")
	secret := c.office("agent", "add", "--secret", "gokina/main")
	first.stop()
	if err := os.WriteFile(filepath.Join(first.dir, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	first.boots("dddddddd")
	first.acknowledged()
	waitFor(t, 60*time.Second, "the other to be refused", func() bool {
		return strings.Contains(read(t, filepath.Join(second.dir, "agent.log")), "broker refuses this agent's name and secret")
	})
	if out, status := second.ask("check"); status != 1 || !strings.Contains(out, "it was revoked, or another machine has enrolled as gokina/main since") {
		t.Errorf("check ended with %d and says\n%s", status, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(fmt.Errorf("read a log: %w", err))
	}
	return string(b)
}
