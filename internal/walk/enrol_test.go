package walk

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/influxd"
)

// office runs a command of the collector's as somebody at the NOC would.
func (c *centre) office(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(programOf(c.t, c.bin, "nabz-collector"), append(args, "--config", c.config())...)
	cmd.Env = append(clean(os.Environ(), "NABZ_", "INFLUX_"), c.env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("nabz-collector %v: %v\n%s", args, err, said.String())
	}
	return string(out)
}

// tries is office for a command that may end otherwise.
func (c *centre) tries(args ...string) (text string, status int) {
	c.t.Helper()
	cmd := exec.Command(program(c.t, "nabz-collector"), append(args, "--config", c.config())...)
	cmd.Env = append(clean(os.Environ(), "NABZ_", "INFLUX_"), c.env...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// foundCentre sets a collector up from nothing, with the command that a programme uses.
func foundCentre(t *testing.T, hosts ...string) (c *centre, port int) {
	t.Helper()
	return foundCentreOn(t, influxd.ForTest(t), "", hosts...)
}

// foundCentreOf is foundCentre with the programs in a folder.
func foundCentreOf(t *testing.T, bin string) (c *centre, port int) {
	t.Helper()
	return foundCentreOn(t, influxd.ForTest(t), bin)
}

func foundCentreOn(t *testing.T, server *influxd.Server, bin string, hosts ...string) (c *centre, port int) {
	t.Helper()
	web := freePort(t)
	c = &centre{t: t, dir: t.TempDir(), bin: bin, web: fmt.Sprintf("http://127.0.0.1:%d", web)}
	c.env = []string{"INFLUX_URL=" + server.URL, "INFLUX_TOKEN=" + server.Token, "INFLUX_ORG=" + server.Org}
	port = twoFreePorts(t)
	named := []string{"init"}
	for _, h := range append(hosts, "127.0.0.1") { // agents are told the first
		named = append(named, "--host", h)
	}
	c.office(append(named, "--data-dir", filepath.Join(c.dir, "data"), "--mqtt-port", fmt.Sprint(port), "--https-port", fmt.Sprint(port+1))...)
	template := filepath.Join(c.dir, "agents.toml.template")
	c.edit(map[string]string{`listen = "127.0.0.1:8080"`: fmt.Sprintf("listen = \"127.0.0.1:%d\"", web), `config_file = ""`: fmt.Sprintf("config_file = %q", template),
		`detail_bucket = "nabz"`: fmt.Sprintf("detail_bucket = %q", server.Database(t, "enrol_detail")), `ledger_bucket = "nabz_ledger"`: fmt.Sprintf("ledger_bucket = %q", server.Database(t, "enrol_ledger"))})
	// What the programme wants all agents to have: here, to be quick and to ask nobody beyond this machine.
	_, quick, _ := strings.Cut(agentTOML, "data_dir = %q\n")
	if err := os.WriteFile(template, []byte(quick), 0o600); err != nil {
		t.Fatal(err)
	}
	c.office("init") // for these databases
	t.Cleanup(func() {
		if c.cmd != nil {
			c.stop()
		}
		if t.Failed() {
			t.Log(tail(c.log()))
		}
	})
	return c, port
}

// edit replaces texts of the configuration, each of which has to be there.
func (c *centre) edit(with map[string]string) {
	c.t.Helper()
	b, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(b)
	for old, now := range with {
		if !strings.Contains(text, old) {
			c.t.Fatalf("the configuration that init wrote has no %q:\n%s", old, text)
		}
		text = strings.Replace(text, old, now, 1)
	}
	if err := os.WriteFile(c.config(), []byte(text), 0o640); err != nil {
		c.t.Fatal(err)
	}
}

// enroll takes a token as a field engineer would.
func (e *edge) enroll(token string) (text string, status int) {
	e.t.Helper()
	return e.ask("enroll", token, "--no-start", "--secret-file", filepath.Join(e.dir, "secret"), "--data-dir", e.data())
}

// acknowledged waits until the collector has stored something of this run of the agent.
func (e *edge) acknowledged() {
	e.t.Helper()
	waitFor(e.t, 60*time.Second, "the agent's word that the collector has stored something", func() bool {
		s, err := agent.ReadStatus(e.t.Context(), e.data())
		return err == nil && s.Broker.Connected && s.Broker.LastAckS != nil
	})
}

func TestAProgrammeBeginsWithThreeCommandsAndARouterJoinsWithOne(t *testing.T) {
	c, port := foundCentre(t)
	c.start()
	c.ready()
	c.office("site", "add", "gokina", "--time-zone", "Asia/Karachi")
	token := c.office("agent", "add", "gokina/main")

	e := &edge{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		if e.cmd != nil {
			e.stop()
		}
		if t.Failed() {
			t.Log(tail(filepath.Join(e.dir, "agent.log")))
		}
	})
	if out, status := e.enroll(token); status != 0 || !strings.Contains(out, "next: nabz-agent run") {
		t.Fatalf("enroll ended with %d and says\n%s", status, out)
	}
	e.start()
	e.acknowledged()
	if out, status := e.ask("check"); status != 0 {
		t.Errorf("check ended with %d and says\n%s", status, out)
	}

	// The token is good once.
	thief := &edge{t: t, dir: t.TempDir()}
	if out, status := thief.enroll(token); status != 1 || !strings.Contains(out, "this token was used already") {
		t.Errorf("the token in somebody else's hands: status %d\n%s", status, out)
	}

	// Rotated, the agent goes on until it has enrolled anew; then the old secret is worth nothing.
	token = c.office("agent", "rotate", "gokina/main")
	if s, err := agent.ReadStatus(t.Context(), e.data()); err != nil || !s.Broker.Connected {
		t.Errorf("the agent that is to enrol anew is not connected: %+v (%v)", s.Broker, err)
	}
	old, err := os.ReadFile(filepath.Join(e.dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if out, status := e.enroll(token); status != 0 || !strings.Contains(out, "which is of this agent already") {
		t.Fatalf("enroll ended with %d and says\n%s", status, out)
	}
	refused := func() bool {
		return strings.Contains(tail(filepath.Join(e.dir, "agent.log")), "broker refuses this agent's name and secret")
	}
	waitFor(t, 30*time.Second, "the running agent, which has the old secret, to be refused", refused)
	if log := read(t, c.log()); strings.Count(log, "agent has enrolled anew; a machine that has its former secret is refused from now on") != 1 {
		t.Error("the collector's log does not tell once that an agent has another secret:\n" + tail(c.log()))
	}
	e.stop()
	if now, err := os.ReadFile(filepath.Join(e.dir, "secret")); err != nil || string(now) == string(old) {
		t.Errorf("the secret has not changed (%v)", err)
	}
	e.start()
	e.acknowledged()

	// A renewed certificate is in use without a restart, and the agents' connections stay.
	before := shown(t, port)
	c.office("init", "--host", "localhost")
	waitFor(t, 60*time.Second, "the renewed certificate", func() bool { return shown(t, port) != before })
	if s, err := agent.ReadStatus(t.Context(), e.data()); err != nil || !s.Broker.Connected {
		t.Errorf("the agent has lost its connection over a renewed certificate: %+v (%v)", s.Broker, err)
	}

	// Revoked, it is out.
	if err := os.Truncate(filepath.Join(e.dir, "agent.log"), 0); err != nil {
		t.Fatal(err)
	}
	c.office("agent", "revoke", "gokina/main")
	waitFor(t, 30*time.Second, "the revoked agent to be refused", refused)
}

// shown is the serial number of the certificate that the broker shows.
func shown(t *testing.T, port int) string {
	t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}
