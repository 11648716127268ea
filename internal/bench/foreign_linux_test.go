package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
)

// TestAReleaseForARouterReportsOverTLS runs the agent as it is shipped for two kinds of router, under qemu, against a collector of this
// machine's own kind, with the programme's certificates: what it samples there is in InfluxDB.
func TestAReleaseForARouterReportsOverTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three programs and runs two of them under emulation")
	}
	emulators := map[string]string{
		"mipsle": testneed.Program(t, "qemu-mipsel-static", "apt-get install qemu-user-static"),
		"armv7":  testneed.Program(t, "qemu-arm-static", "apt-get install qemu-user-static"),
	}
	influx := influxd.ForTest(t)
	dir := t.TempDir()
	certificates, err := newTrust(dir, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	c := &centre{dir: dir, trust: certificates, secrets: map[string]string{}}
	c.programs.Collector = filepath.Join(dir, "nabz-collector")
	build(t, "go", "build", "-o", c.programs.Collector, "github.com/smartvillage/nabz/cmd/nabz-collector")
	broker, web := freePort(t), freePort(t)
	detail := influx.Database(t, "foreign")
	text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n[influx]\nurl = %q\ntoken = %q\norg = %q\ndetail_bucket = %q\nledger_bucket = %q\n[mqtt]\nlisten = %q\ntls_cert = %q\ntls_key = %q\n[web]\nlisten = %q\n",
		filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"), filepath.Join(dir, "collector"), influx.URL, influx.Token, influx.Org, detail,
		influx.Database(t, "foreign_ledger"), broker, certificates.cert, certificates.key, web)
	if err := os.WriteFile(c.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range emulators {
		if err := c.enrol(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	run(t, filepath.Join(dir, "collector.log"), c.programs.Collector, "run", "--config", c.config())
	soon(t, "the collector is ready", func() bool { return page("http://"+web+"/readyz") != "" })
	for name, emulator := range emulators {
		t.Run(name, func(t *testing.T) {
			here := filepath.Join(dir, name)
			if err := os.MkdirAll(here, 0o700); err != nil {
				t.Fatal(err)
			}
			agent := filepath.Join(here, "nabz-agent")
			build(t, "../../scripts/build-agent", name, agent)
			_, port, _ := net.SplitHostPort(broker)
			anchor, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer anchor.Close()
			config := fmt.Sprintf("site = %q\nbrokers = [\"mqtts://localhost:%s\"]\nsecret_file = %q\nca_file = %q\ndata_dir = %q\ndetail_every = \"1s\"\nreport_every = \"1s\"\n[probe]\nmethod = \"tcp\"\nanchors = [%q]\ngateway = \"127.0.0.1\"\n",
				name, port, filepath.Join(here, "secret"), certificates.ca, filepath.Join(here, "data"), anchor.Addr())
			for file, text := range map[string]string{"secret": c.secrets[name] + "\n", "agent.toml": config} {
				if err := os.WriteFile(filepath.Join(here, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := run(t, filepath.Join(here, "agent.log"), emulator, agent, "run", "--config", filepath.Join(here, "agent.toml"))
			for _, field := range []string{"cpu_pct", "mem_pct", "disk_pct", "load1", "uptime_s"} {
				soon(t, field+" is in InfluxDB", func() bool {
					if err := p.ended(); err != nil {
						t.Fatal(err)
					}
					q := fmt.Sprintf("/query?db=%s&q=SELECT+%s+FROM+host+WHERE+site='%s'+LIMIT+1", detail, field, name)
					return strings.Contains(pageAs(influx.URL+q, influx.Token), `"values"`)
				})
			}
		})
	}
}

func build(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// run starts a program until the end of the test, which has to be a clean one.
func run(t *testing.T, log, program string, args ...string) *child {
	t.Helper()
	f, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), f, f
	p, err := start(filepath.Base(program), cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with status %d", filepath.Base(program), code)
		}
		if t.Failed() {
			t.Log(tail(log))
		}
	})
	return p
}

func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	if err := until(t.Context(), time.Minute, what, so); err != nil {
		t.Fatal(err)
	}
}

func page(url string) string { return pageAs(url, "") }

// pageAs is the body of a page that answers 200.
func pageAs(url, token string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	req.Close = true
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
