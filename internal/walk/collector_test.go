package walk

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

// centre is a real nabz-collector process with its folder and its agents' secrets.
type centre struct {
	t       *testing.T
	dir     string
	web     string      // URL
	broker  string      // URL
	tls     *tls.Config // for agents; nil: plain
	speed   string      // URL of speed tests; "" where there are none
	secrets map[telemetry.Address]string
	env     []string // for commands of the NOC
	bin     string   // folder of the programs of a release; "": those of this tree
	cmd     *exec.Cmd
	done    chan error
}

// newCentre writes the configuration; start runs it.
func newCentre(t *testing.T, influxURL, influxToken, influxOrg, detail, ledger string, agents ...telemetry.Address) *centre {
	t.Helper()
	c := &centre{t: t, dir: t.TempDir(), secrets: map[telemetry.Address]string{}}
	web, mqtt := freePort(t), freePort(t)
	c.web, c.broker = fmt.Sprintf("http://127.0.0.1:%d", web), fmt.Sprintf("tcp://127.0.0.1:%d", mqtt)
	sites, agentsFile := filepath.Join(c.dir, "sites.toml"), filepath.Join(c.dir, "agents.toml")
	text := fmt.Sprintf(collectorTOML, c.dir, sites, agentsFile, influxURL, influxToken, influxOrg, detail, ledger, mqtt, web)
	if err := os.WriteFile(c.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := fleet.OpenRegistry(sites, agentsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range agents {
		if _, ok := reg.Site(a.Site); !ok {
			if err := reg.AddSite(fleet.Site{ID: a.Site, Name: a.Site, TimeZone: "Asia/Karachi"}); err != nil {
				t.Fatal(err)
			}
		}
		if c.secrets[a], err = reg.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if c.cmd != nil {
			c.stop()
		}
		if t.Failed() {
			t.Log(tail(c.log()))
		}
	})
	return c
}

// secure has the broker listen on ip and port with a certificate of the programme's own authority, whose file it names, and speed tests
// be served on the port after it.
func (c *centre) secure(ip string, port int) (ca string) {
	c.t.Helper()
	authority := testca.New(c.t)
	cert, key := authority.Files(net.ParseIP(ip), 100*24*time.Hour)
	text, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	was := fmt.Sprintf("listen = %q", strings.TrimPrefix(c.broker, "tcp://"))
	now := strings.Replace(string(text), was, fmt.Sprintf("listen = \"%s:%d\"\ntls_cert = %q\ntls_key = %q", ip, port, cert, key), 1)
	c.broker = fmt.Sprintf("tls://%s:%d", ip, port)
	c.speed = fmt.Sprintf("https://%s:%d", ip, port+1)
	now += fmt.Sprintf("[agents]\nlisten = \"%s:%d\"\n[speedtest]\nat_once = 4\n", ip, port+1)
	if err := os.WriteFile(c.config(), []byte(now), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return authority.File()
}

func (c *centre) config() string { return filepath.Join(c.dir, "collector.toml") }
func (c *centre) log() string    { return filepath.Join(c.dir, "collector.log") }

// start runs the program; it does not wait until all is well.
func (c *centre) start() {
	c.t.Helper()
	path := programOf(c.t, c.bin, "nabz-collector")
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	c.cmd = exec.Command(path, "run", "--config", c.config())
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Env = clean(os.Environ(), "INFLUX_", "NABZ_")
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(c.cmd, c.done)
}

// kill ends the process as a power cut would.
func (c *centre) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	<-c.done
	c.cmd = nil
}

// stop asks it to end, and fails the test when it does not end well.
func (c *centre) stop() {
	c.t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-c.done:
		if err != nil {
			c.t.Errorf("nabz-collector ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		c.t.Error("nabz-collector did not stop within 30 s of SIGTERM")
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	c.cmd = nil
}

// ready waits until /readyz says yes.
func (c *centre) ready() {
	c.t.Helper()
	waitFor(c.t, 60*time.Second, "the collector's /readyz says 200", func() bool {
		code, _ := get(c.t, c.web+"/readyz")
		return code == http.StatusOK
	})
}

// metric reads one series of /metrics, 0 when it is not there.
func (c *centre) metric(series string) float64 {
	c.t.Helper()
	_, body := get(c.t, c.web+"/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	var v float64
	if _, err := fmt.Sscan(m[1], &v); err != nil {
		c.t.Fatalf("metric %s is %q", series, m[1])
	}
	return v
}

func clean(env []string, prefixes ...string) (kept []string) {
next:
	for _, e := range env {
		for _, p := range prefixes {
			if strings.HasPrefix(e, p) {
				continue next
			}
		}
		kept = append(kept, e)
	}
	return kept
}

// collectorTOML is a configuration as an operator would write it.
const collectorTOML = `
data_dir = %q
sites_file = %q
agents_file = %q
[influx]
url = %q
token = %q
org = %q
detail_bucket = %q
ledger_bucket = %q
[mqtt]
listen = "127.0.0.1:%d"
[web]
listen = "127.0.0.1:%d"
open = true
`
