//go:build unix

package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

// host is this machine as a site of the programme.
const host = "this-host"

// folder names what lies in the demo's folder.
type folder string

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

// lock keeps a second demo out of the folder, until the file is closed or this process ends.
func (f folder) lock() (*os.File, error) {
	l, err := os.OpenFile(f.file("lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the folder: %w", err)
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.Close()
		return nil, fmt.Errorf("another demo runs in %s; stop it, or choose another folder: make demo DEMO_DIR=.demo2", f)
	}
	return l, nil
}

// goesWith refuses another InfluxDB than the one that the folder is tied to: what was sent to one is not in the other.
func (f folder) goesWith(influx string) error {
	b, err := os.ReadFile(f.file("influxdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if was := strings.TrimSpace(string(b)); was != influx {
		return fmt.Errorf("%s goes with %s, not with %s; choose another folder: make demo DEMO_DIR=.demo2", f, was, influx)
	}
	return nil
}

// bind ties the folder to an InfluxDB that answers.
func (f folder) bind(influx string) error { return write(f.file("influxdb"), influx+"\n", 0o644) }

// prepare writes sites, credentials and configuration, keeping those of the run before.
func (f folder) prepare(c *Config, db influx) error {
	reg, err := fleet.OpenRegistry(f.file("sites.toml"), f.file("agents.toml"))
	if err != nil {
		return err
	}
	villages := sim.Villages()
	sites := []fleet.Site{{ID: host, Name: "This machine", District: "here", TimeZone: localZone()}}
	own := telemetry.Address{Site: host, Agent: "main"}
	agents := []telemetry.Address{own}
	for _, v := range villages {
		sites = append(sites, fleet.Site{ID: v.ID, Name: v.Name, District: v.District, Operator: v.Operator, Technology: string(v.Technology),
			Latitude: v.Latitude, Longitude: v.Longitude, Population: v.Population, TimeZone: v.TimeZone})
		agents = append(agents, v.Address())
	}
	for _, s := range sites {
		if err := reg.AddSite(s); err != nil && !errors.Is(err, fleet.ErrExists) {
			return err
		}
	}
	secrets, err := f.credentials(reg, agents)
	if err != nil {
		return err
	}
	if err := write(f.file("agent.secret"), secrets[own]+"\n", 0o600); err != nil {
		return err
	}
	err = writeExample(f.file("collector.toml"), collector.Example, []setting{
		{"data_dir", text(f.file("collector"))},
		{"sites_file", text(f.file("sites.toml"))},
		{"agents_file", text(f.file("agents.toml"))},
		{"mqtt.listen", text(port{number: c.MQTTPort}.address())},
		{"web.listen", text(port{number: c.WebPort}.address())},
		{"web.open", "true"}, // all is on this machine
		{"influx.url", text(db.url)},
		{"influx.token", text(db.token)},
		{"influx.org", text(db.org)},
		{"influx.detail_bucket", text(db.detail)},
		{"influx.ledger_bucket", text(db.ledger)},
	})
	if err != nil {
		return err
	}
	settings := []setting{
		{"site", text(own.Site)}, {"agent", text(own.Agent)}, {"secret_file", text(f.file("agent.secret"))}, {"data_dir", text(f.file("agent"))},
		{"brokers", list([]string{"mqtt://" + port{number: c.MQTTPort}.address()})},
		{"detail_every", text("15s")}, {"report_every", text("15s")}, {"probe.every", text("15s")}, {"probe.sample_every", text("15s")}, // quick to see; bytes cost nothing here
		{"uplink.max_backoff", text("5s")},
	}
	if len(c.Anchors) > 0 {
		settings = append(settings, setting{"probe.anchors", list(c.Anchors)}, setting{"probe.dns_name", text("")})
		if onLoopback(c.Anchors[0]) { // nothing is to leave this machine
			settings = append(settings, setting{"probe.gateway", text(withoutPort(c.Anchors[0]))})
		}
	}
	return writeExample(f.file("agent.toml"), agent.Example, settings)
}

// credentials gives each agent that has none a secret, by the way that nabz-collector agent add goes, and keeps
// it, since the registry holds only its hash.
func (f folder) credentials(reg *fleet.Registry, agents []telemetry.Address) (map[telemetry.Address]string, error) {
	file := f.file("secrets")
	secrets := map[telemetry.Address]string{}
	if _, err := os.Stat(file); err == nil {
		if secrets, err = sim.ReadSecrets(file); err != nil {
			return nil, err
		}
	}
	body := strings.Builder{}
	for _, a := range agents {
		if secret, ok := secrets[a]; !ok || !reg.Authenticate(a, secret) {
			made, err := reg.AddAgent(a)
			if errors.Is(err, fleet.ErrExists) {
				return nil, fmt.Errorf("the secret of %s is lost; remove %s and %s to make new ones", a, f.file("agents.toml"), file)
			}
			if err != nil {
				return nil, err
			}
			secrets[a] = made
		}
		fmt.Fprintf(&body, "%s %s\n", a, secrets[a])
		// After each one: a secret that is in force is never only in memory for long.
		if err := write(file, "# Made by nabz-demo: site/agent and its secret.\n"+body.String(), 0o600); err != nil {
			return nil, err
		}
	}
	return secrets, nil
}

// onLoopback tells whether an address, with or without a port, is this machine's own.
func onLoopback(address string) bool { return net.ParseIP(withoutPort(address)).IsLoopback() }

// withoutPort is an address without its port.
func withoutPort(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// localZone is the IANA name of this machine's time zone, "" where it cannot be told.
func localZone() string {
	target, err := os.Readlink("/etc/localtime")
	if err != nil {
		return ""
	}
	_, name, ok := strings.Cut(target, "zoneinfo/")
	if !ok {
		return ""
	}
	return name
}
