package deploy

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/machine"
	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
)

// noc is a Debian machine that the page is typed into.
type noc struct {
	*machine.Machine
	t *testing.T
}

func newNOC(t *testing.T) *noc {
	t.Helper()
	testneed.Long(t)
	n := &noc{machine.New(t, "noc"), t}
	n.Boot()
	n.Knows("noc.example.org", "127.0.0.1")
	n.bring()
	return n
}

// standIn does what cannot be done here as the page says it.
func (n *noc) standIn(what string) {
	n.t.Helper()
	switch what {
	case "influxdb":
		n.layInfluxDB()
	case "mosquitto":
		n.fromDebian("mosquitto")
	case "grafana": // its folder; there is none of it to be had
		n.Run("mkdir", "-p", "/etc/grafana")
	case "grafana-server", "influxdb2":
	default:
		n.t.Fatalf("nothing stands in for %q", what)
	}
}

// layInfluxDB has InfluxDB as the vendor's package has it: program, user, folder, configuration, unit. It does not run yet.
func (n *noc) layInfluxDB() {
	n.t.Helper()
	path, err := influxd.Find(n.t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(n.t, "InfluxDB", err.Error())
	}
	n.Copy(path, "/usr/bin/influxd", 0o755)
	n.Run("sh", "-ec", "groupadd --system influxdb; useradd --system -g influxdb -d /var/lib/influxdb -s /usr/sbin/nologin influxdb; install -d -o influxdb -g influxdb /var/lib/influxdb")
	n.Write("/etc/influxdb/influxdb.conf", "[meta]\ndir = \"/var/lib/influxdb/meta\"\n[data]\ndir = \"/var/lib/influxdb/data\"\nwal-dir = \"/var/lib/influxdb/wal\"\n", 0o644)
	n.Write("/lib/systemd/system/influxdb.service", "[Unit]\nDescription=InfluxDB\nAfter=network-online.target\n[Service]\nUser=influxdb\nGroup=influxdb\nLimitNOFILE=65536\nEnvironmentFile=-/etc/default/influxdb\n"+
		"ExecStart=/usr/bin/influxd -config /etc/influxdb/influxdb.conf\nKillMode=control-group\nRestart=on-failure\n[Install]\nWantedBy=multi-user.target\nAlias=influxd.service\n", 0o644)
	n.Run("systemctl", "daemon-reload")
}

// bring lays the collector's package of this tree where the page has it be.
func (n *noc) bring() {
	n.t.Helper()
	if runtime.GOARCH != "amd64" {
		testneed.Missing(n.t, "a machine of the page's architecture", "it is written for amd64")
	}
	deb := packtest.Make(n.t, "", "collector:amd64.deb")[0]
	n.Copy(deb, "/root/"+filepath.Base(deb), 0o644)
}

// fromDebian installs a package of Debian's. The machine has no way out, so this one fetches what that one lacks.
func (n *noc) fromDebian(name string) {
	n.t.Helper()
	dir := n.t.TempDir()
	status := filepath.Join(dir, "status")
	if err := errors.Join(os.WriteFile(status, []byte(n.Read("/var/lib/dpkg/status")), 0o644), os.Mkdir(filepath.Join(dir, "partial"), 0o755)); err != nil {
		n.t.Fatal(err)
	}
	out, err := exec.CommandContext(n.t.Context(), "apt-get", "-o", "Dir::State::status="+status, "-o", "Dir::Cache::archives="+dir, "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
		"--download-only", "-y", "--no-install-recommends", "install", name).CombinedOutput()
	debs, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) == 0 {
		testneed.Missing(n.t, "Debian's package "+name, "apt-get update, where Debian's archive can be reached: "+string(out))
	}
	n.Install(debs...)
}

// statuses are those with which a block may end.
func (b *block) statuses(t *testing.T) (all []int) {
	t.Helper()
	for _, word := range strings.Fields(b.marks["status"]) {
		status, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("%s: status %q", b.page, b.marks["status"])
		}
		all = append(all, status)
	}
	if all == nil {
		return []int{0}
	}
	return all
}

// does types a block, as root in the folder /root.
func (n *noc) does(b block) (said string) {
	n.t.Helper()
	if what, ok := b.marks["stand-in"]; ok {
		n.standIn(what)
		return ""
	}
	name, rest, _ := strings.Cut(b.text, "\n")
	switch name = strings.TrimPrefix(name, "# "); b.kind {
	case "ini":
		n.Write(name, rest, 0o644)
	case "toml":
		n.set(name, rest)
	case "sh":
		ctx, cancel := context.WithTimeout(n.t.Context(), 3*time.Minute)
		defer cancel()
		out, err := n.Command(ctx, "sh", "-ec", "cd /root\n"+b.text).CombinedOutput()
		status := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			status = exit.ExitCode()
		} else if err != nil {
			n.t.Fatal(err)
		}
		n.t.Logf("%s, %s:\n%s%s", b.page, b.heading, b.text, out)
		if !slices.Contains(b.statuses(n.t), status) {
			n.t.Fatalf("%s, %s: it ends with %d, want %v\n%s%s\n%s", b.page, b.heading, status, b.statuses(n.t), b.text, out, n.Journal())
		}
		return string(out)
	default:
		n.t.Fatalf("%s, %s: a block of kind %q, which nobody types", b.page, b.heading, b.kind)
	}
	return ""
}

// set writes keys into a configuration, as the page shows them.
func (n *noc) set(file, keys string) {
	n.t.Helper()
	text, section := n.Read(file), ""
	for line := range strings.Lines(keys) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, " = ")
		if !ok {
			n.t.Fatalf("%s: what is %q?", file, line)
		}
		text = conf.Set(text, section+"."+key, value)
	}
	n.Feed([]byte(text), "sh", "-c", "cat >"+file) // its owner and mode stay
}

func TestThePageOfDebianIsTypedIntoADebianMachine(t *testing.T) {
	n := newNOC(t)
	began := time.Now()
	for _, b := range blocks(t, "../docs/debian.md") {
		said := n.does(b)
		t.Logf("%5.1f s  %s", time.Since(began).Seconds(), b.heading)
		if !strings.Contains(b.text, "nabz-collector check") || b.kind != "sh" || said == "" {
			continue
		}
		for _, want := range map[string][]string{
			"The collector": {"pass  configuration", "pass  data folder   /var/lib/nabz-collector is writable for user nabz-collector", "pass  authority", "pass  certificate", "pass  InfluxDB", "pass  detail", "pass  ledger",
				"pass  test line", "pass  collector     runs", "pass  broker        :8883 answers with TLS 1.3, and refuses", "pass  enrolment     :8443 answers", "pass  names", "pass  board", "pass  users", "pass  sites", "pass  agents", "pass  open files"},
			"Mosquitto": {"pass  broker        noc.example.org:8884 answers with TLS 1.3, lets \"nabz-collector\" in", "pass  agents' door  noc.example.org:8883 answers with TLS 1.3, and refuses", "pass  collector     runs"},
		}[b.heading] {
			if !strings.Contains(said, want) {
				t.Errorf("%s: check does not say %q", b.heading, want)
			}
		}
		if strings.Contains(said, "FAIL") {
			t.Errorf("%s: check fails", b.heading)
		}
	}
	for _, unit := range []string{"influxdb", "nabz-collector", "nabz-collector-renew.timer", "mosquitto", "nabz-broker.path"} {
		if got := n.Status(unit, "ActiveState"); got != "active" {
			t.Errorf("%s is %s", unit, got)
		}
	}
	for unit, want := range map[string]string{"influxdb": "influxdb", "nabz-collector": "nabz-collector", "mosquitto": "mosquitto"} {
		if got := strings.TrimSpace(n.Run("ps", "-o", "user:32=", "-p", n.Status(unit, "MainPID"))); got != want {
			t.Errorf("%s runs as %q, want %q", unit, got, want)
		}
	}
}
