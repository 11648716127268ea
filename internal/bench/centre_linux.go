package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
)

// The far end of the link, in addresses set aside for documentation (RFC 5737), in a namespace of its own.
const (
	brokerHost = "noc.example.org"
	brokerAddr = "203.0.113.1"
	brokerPort = 8883
	proxyHost  = "proxy.example.org" // in front of the broker, as on the way over a satellite
	proxyAddr  = "203.0.113.2"
	nameServer = "203.0.113.53"
	someHost   = "203.0.113.80" // what every other name resolves to
	webAddr    = "127.0.0.1:8080"
)

// anchors answer echo requests.
func anchors() []string { return []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} }

// Programs are the paths of what is run.
type Programs struct{ Agent, Collector, Influxd string }

// centre is everything at the far end: name server, anchors, InfluxDB, collector.
type centre struct {
	programs  Programs
	dir       string
	trust     trust
	influx    *influxd.Server
	collector *child
	secrets   map[string]string // by site
}

// openCentre sets the far end up in the present network namespace, which has to be empty, and lets an agent of each site sign in.
func openCentre(ctx context.Context, p Programs, dir string, sites []string, log io.Writer) (_ *centre, err error) {
	c := &centre{programs: p, dir: dir, secrets: map[string]string{}}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.trust, err = newTrust(dir, brokerHost, proxyHost); err != nil {
		return nil, err
	}
	if _, err = command(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	// Local addresses are looked up late, so that a rule can cut a link before.
	for _, rule := range [][]string{{"add", "pref", "100", "lookup", "local"}, {"del", "pref", "0"}} {
		if _, err = command(ctx, "ip", append([]string{"rule"}, rule...)...); err != nil {
			return nil, err
		}
	}
	for _, a := range append(anchors(), brokerAddr, proxyAddr, nameServer, someHost) {
		if _, err = command(ctx, "ip", "address", "add", a+"/32", "dev", "lo"); err != nil {
			return nil, err
		}
	}
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(nameServer, "53"))
	if err != nil {
		return nil, fmt.Errorf("answer names: %w", err)
	}
	go func() {
		_ = serveNames(ctx, conn, map[string]netip.Addr{brokerHost: netip.MustParseAddr(brokerAddr), proxyHost: netip.MustParseAddr(proxyAddr), "": netip.MustParseAddr(someHost)})
	}()
	if err = openProxy(ctx, net.JoinHostPort(proxyAddr, strconv.Itoa(brokerPort)), net.JoinHostPort(brokerAddr, strconv.Itoa(brokerPort))); err != nil {
		return nil, err
	}
	if c.influx, err = influxd.Start(ctx, influxd.Options{Path: p.Influxd, Dir: filepath.Join(dir, "influxdb"), Log: log}); err != nil {
		return nil, err
	}
	if err = c.configure(); err != nil {
		return nil, err
	}
	for _, site := range sites {
		if err = c.enrol(ctx, site); err != nil {
			return nil, err
		}
	}
	return c, c.startCollector(ctx)
}

func (c *centre) config() string { return filepath.Join(c.dir, "collector.toml") }

func (c *centre) configure() error {
	text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n[influx]\nurl = %q\n[mqtt]\nlisten = %q\ntls_cert = %q\ntls_key = %q\n[web]\nlisten = %q\nopen = true\n",
		filepath.Join(c.dir, "sites.toml"), filepath.Join(c.dir, "agents.toml"), filepath.Join(c.dir, "collector"), c.influx.URL,
		fmt.Sprintf("%s:%d", brokerAddr, brokerPort), c.trust.cert, c.trust.key, webAddr)
	return os.WriteFile(c.config(), []byte(text), 0o600)
}

func (c *centre) startCollector(ctx context.Context) error {
	said, err := os.Create(filepath.Join(c.dir, "collector.log"))
	if err != nil {
		return err
	}
	defer said.Close()
	cmd := exec.Command(c.programs.Collector, "run", "--config", c.config())
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), said, said
	if c.collector, err = start("nabz-collector", cmd); err != nil {
		return err
	}
	return ready(ctx, c.collector, webAddr, said.Name())
}

// ready waits until a collector says on /readyz that it is; its log tells why when it ends instead.
func ready(ctx context.Context, collector *child, web, log string) error {
	err := until(ctx, 2*time.Minute, "the collector is ready", func() bool {
		if collector.ended() != nil {
			return true
		}
		r, err := http.Get("http://" + web + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if gone := collector.ended(); gone != nil {
		return fmt.Errorf("%w:\n%s", gone, tail(log))
	}
	return err
}

// enrol lets an agent of a new site sign in.
func (c *centre) enrol(ctx context.Context, site string) error {
	for _, args := range [][]string{{"site", "add", site}, {"agent", "add", "--secret", site + "/main"}} {
		cmd := exec.CommandContext(ctx, c.programs.Collector, append(args, "--config", c.config())...)
		cmd.Env = clean()
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("nabz-collector %s: %w", strings.Join(args, " "), err)
		}
		c.secrets[site] = strings.TrimSpace(string(out))
	}
	return nil
}

func (c *centre) close() {
	if c.collector != nil {
		_ = c.collector.stop() // what it wrote is thrown away
	}
	if c.influx != nil {
		_ = c.influx.Kill()
	}
}

// tail is the end of a log.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}
