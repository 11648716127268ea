package walk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/machine"
	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
)

// hour is the first hour of a programme: a machine at the NOC, a router in a village, and a cable between them for all that lies there.
type hour struct {
	t           *testing.T
	noc, router *machine.Machine
	board       string // user and password of the first operator
	began       time.Time
}

// step tells how long all took so far.
func (h *hour) step(what string) {
	h.t.Helper()
	h.t.Logf("%5.1f s  %s", time.Since(h.began).Seconds(), what)
}

// nocAddress is in a network for documentation; so are the anchors, which the NOC's machine answers for, as the internet would.
const (
	nocAddress = "198.51.100.1"
	anchors    = `"203.0.113.1", "203.0.113.2", "203.0.113.3"`
)

// site is what the board's API says of a site.
type siteNow struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Agents []struct {
		Agent string `json:"agent"`
	} `json:"agents"`
}

// ask asks the board, on its own machine, as somebody who signed in.
func (h *hour) ask(path string) (string, error) {
	return h.noc.Try("curl", "-sS", "--fail", "-u", h.board, "http://127.0.0.1:8080"+path)
}

func (h *hour) state(site string) string {
	said, err := h.ask("/api/v1/sites/" + site)
	if err != nil {
		return said
	}
	var now siteNow
	if err := json.Unmarshal([]byte(said), &now); err != nil {
		h.t.Fatalf("%v: %s", err, said)
	}
	return now.State
}

// TestTheFirstHour goes the way of the README on real machines: packages, certificates, users that are not root. Nothing in it knows more than a newcomer.
func TestTheFirstHour(t *testing.T) {
	testneed.Long(t)
	h := &hour{t: t, noc: machine.New(t, "noc"), router: machine.New(t, "router")}
	first := packtest.Make(t, "0.7.0~first", "collector:amd64.deb", "agent:amd64.deb")
	second := packtest.Make(t, "0.7.0~second", "collector:amd64.deb", "agent:amd64.deb")
	h.wire()
	h.noc.Boot()
	h.router.Boot()
	h.influx()

	h.began = time.Now()
	h.setUp(first[0])
	token := h.invite()
	h.enrol(first[1], token)
	h.green()
	h.check()
	h.upgrade(second)
}

// wire lays the cable: the router reaches the NOC and three anchors beyond it.
func (h *hour) wire() {
	machine.Cable(h.noc, "eth0", nocAddress+"/24", h.router, "wan", "198.51.100.2/24")
	for _, a := range strings.Split(strings.ReplaceAll(anchors, `"`, ""), ", ") {
		h.noc.Net("ip addr add " + a + "/32 dev eth0")
	}
	h.router.Net("ip route add default via " + nocAddress)
	h.noc.Knows("noc.example.org", nocAddress)
	h.router.Knows("noc.example.org", nocAddress)
}

// influx is an InfluxDB on the NOC's machine, as its package would have it: a user and a service of its own.
func (h *hour) influx() {
	program, err := influxd.Find(context.Background(), testWriter{h.t})
	if err != nil {
		testneed.Missing(h.t, "InfluxDB 1.8", err.Error())
	}
	h.noc.Copy(program, "/usr/bin/influxd", 0o755)
	h.noc.Run("useradd", "--system", "--home", "/var/lib/influxdb", "influxdb")
	h.noc.Write("/etc/influxdb/influxdb.conf", "reporting-disabled = true\n[meta]\n dir = \"/var/lib/influxdb/meta\"\n[data]\n dir = \"/var/lib/influxdb/data\"\n wal-dir = \"/var/lib/influxdb/wal\"\n[http]\n bind-address = \"127.0.0.1:8086\"\n log-enabled = false\n", 0o644)
	h.noc.Write("/etc/systemd/system/influxdb.service", "[Service]\nUser=influxdb\nStateDirectory=influxdb\nExecStart=/usr/bin/influxd -config /etc/influxdb/influxdb.conf\n", 0o644)
	h.noc.Run("systemctl", "daemon-reload")
	h.noc.Start("influxdb")
	h.noc.Until(time.Minute, "InfluxDB", func() bool { _, err := h.noc.Try("curl", "-sf", "http://127.0.0.1:8086/ping"); return err == nil })
}

// setUp installs the collector's package and sets it up.
func (h *hour) setUp(deb string) {
	h.noc.Install(deb)
	h.step("the collector's package is installed")
	said := h.noc.Run("nabz-collector", "init", "--host", "noc.example.org", "--programme", "Gokina programme", "--first-operator", "aisha")
	found := regexp.MustCompile(`the password is shown this once: (\S+)`).FindStringSubmatch(said)
	if found == nil {
		h.t.Fatalf("init does not tell the password:\n%s", said)
	}
	h.board = "aisha:" + found[1]
	// What all agents of this programme are to have: the anchors of this test's internet, which has three addresses and no name server.
	h.noc.Write("/etc/nabz/agents.toml", "[probe]\nanchors = ["+anchors+"]\ndns_name = \"\"\n", 0o644)
	h.noc.Run("sed", "-i", `s|^config_file = ""|config_file = "/etc/nabz/agents.toml"|`, "/etc/nabz/collector.toml")
	h.noc.Run("systemctl", "enable", "--now", "nabz-collector", "nabz-collector-renew.timer")
	h.noc.Until(time.Minute, "the collector to be ready", func() bool {
		_, err := h.noc.Try("curl", "-sf", "http://127.0.0.1:8080/readyz")
		return err == nil
	})
	h.step("init, and the collector runs")
	if user := h.user(h.noc, "nabz-collector"); user != "nabz-collector" {
		h.t.Errorf("the collector runs as %s", user)
	}
}

// user is whom a service runs as.
func (h *hour) user(m *machine.Machine, unit string) string {
	return strings.TrimSpace(m.Run("ps", "-o", "user:20=", "-p", m.Status(unit, "MainPID")))
}

// invite takes the villages in and makes a token.
func (h *hour) invite() string {
	h.noc.Copy("../../docs/examples/sites.csv", "/root/villages.csv", 0o644)
	h.noc.Run("nabz-collector", "site", "import", "/root/villages.csv")
	h.step("four villages are imported")
	said := h.noc.Run("nabz-collector", "agent", "add", "gokina/main")
	token := regexp.MustCompile(`nabz1-\S+`).FindString(said)
	if token == "" {
		h.t.Fatalf("agent add tells no token:\n%s", said)
	}
	h.noc.Until(10*time.Second, "the board to know the villages", func() bool { return h.state("gokina") != "" })
	if state := h.state("gokina"); strings.HasPrefix(state, "up") {
		h.t.Errorf("gokina is %q before an agent was there", state)
	}
	return token
}

// enrol installs the agent's package on the router, and makes it an agent.
func (h *hour) enrol(deb, token string) {
	h.router.Install(deb)
	h.step("the agent's package is installed")
	said := h.router.Run("nabz-agent", "enroll", token)
	for _, want := range []string{"enrolling gokina/main at https://noc.example.org:8443", "wrote /etc/nabz/agent.toml", "starting the agent: systemctl enable nabz-agent"} {
		if !strings.Contains(said, want) {
			h.t.Errorf("enroll does not say %q:\n%s", want, said)
		}
	}
	h.step("enrolled")
	h.router.Until(20*time.Second, "the agent to run", func() bool { return h.router.Status("nabz-agent", "ActiveState") == "active" })
	if user := h.user(h.router, "nabz-agent"); user != "nabz-agent" {
		h.t.Errorf("the agent runs as %s", user)
	}
	if strings.Contains(h.router.Read("/etc/nabz/agent.toml"), "mqtt://") {
		h.t.Error("it was told to speak without TLS")
	}
	if again, err := h.router.Try("nabz-agent", "enroll", "--config", "/root/other.toml", "--secret-file", "/root/secret", "--no-start", token); err == nil {
		h.t.Errorf("the token is good twice:\n%s", again)
	}
}

// green waits for the site on the board.
func (h *hour) green() {
	h.router.Until(3*time.Minute, "gokina to be up on the board", func() bool { return h.state("gokina") == "up" })
	h.step("gokina is up on the board")
	user, password, _ := strings.Cut(h.board, ":")
	h.noc.Feed([]byte("name="+user+"&password="+password), "curl", "-sS", "--fail", "-o", "/dev/null", "-c", "/root/jar", "-H", "Origin: http://127.0.0.1:8080", "--data", "@-", "http://127.0.0.1:8080/sign-in")
	if page, err := h.noc.Try("curl", "-sS", "--fail", "-b", "/root/jar", "http://127.0.0.1:8080/"); err != nil || !regexp.MustCompile(`(?s)href="/sites/gokina".{1,900}\bup\b`).MatchString(page) {
		h.t.Errorf("the board's page does not show it (%v): %s", err, page)
	}
	if said := h.noc.Run("sh", "-c", "curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/api/v1/sites"); said != "401" {
		h.t.Errorf("the board answers a stranger: %s", said)
	}
}

// check has the router look at itself.
func (h *hour) check() {
	said, err := h.router.Try("nabz-agent", "check")
	h.t.Logf("nabz-agent check:\n%s", said)
	if strings.Contains(said, "FAIL") || !regexp.MustCompile(`pass\s+test line\s+stored`).MatchString(said) {
		h.t.Errorf("check does not pass: %v\n%s", err, said)
	}
	h.step("nabz-agent check passes")
}

// upgrade installs the next version of both, the collector first, while data flow.
func (h *hour) upgrade(debs []string) {
	files := map[*machine.Machine][]string{h.noc: {"/etc/nabz/collector.toml", "/etc/nabz/sites.toml", "/etc/nabz/tls/server.pem"}, h.router: {"/etc/nabz/agent.toml", "/etc/nabz/secret", "/etc/nabz/ca.pem"}}
	before := map[string]string{}
	for m, names := range files {
		for _, f := range names {
			before[m.Name+f] = m.Read(f)
		}
	}
	start := time.Now()
	h.noc.Install(debs[0])
	h.router.Install(debs[1])
	h.step("both are upgraded")
	for m, names := range files {
		for _, f := range names {
			if m.Read(f) != before[m.Name+f] {
				h.t.Errorf("%s: the upgrade changed %s", m.Name, f)
			}
		}
	}
	h.router.Until(2*time.Minute, "gokina to be up again after the upgrade", func() bool {
		return h.state("gokina") == "up" && strings.Contains(h.boots(), "2")
	})
	h.step("up again, and the agent's second start is stored")
	// An agent that is started anew is off for that long, by cause "agent", and nothing else: no power cut, no outage.
	said := h.query(`SELECT sum("ms") FROM "span" WHERE "site"='gokina' AND "state"='down'`)
	if strings.Contains(said, `"sum"`) {
		h.t.Errorf("the upgrade was taken for an outage: %s", said)
	}
	said = h.query(`SELECT "ms" FROM "span" WHERE "site"='gokina' AND "cause"='power'`)
	if strings.Contains(said, `"values"`) {
		h.t.Errorf("the upgrade was taken for a power cut: %s", said)
	}
	var off struct {
		Results []struct {
			Series []struct{ Values [][]any }
		}
	}
	said = h.query(`SELECT sum("ms") FROM "span" WHERE "site"='gokina' AND "state"='off'`)
	if err := errors.Join(json.Unmarshal([]byte(said), &off)); err != nil {
		h.t.Fatalf("%v: %s", err, said)
	}
	if len(off.Results) == 1 && len(off.Results[0].Series) == 1 {
		ms, _ := off.Results[0].Series[0].Values[0][1].(float64)
		h.t.Logf("the agent was off for %.1f s, of %.1f s that both upgrades took", ms/1000, time.Since(start).Seconds())
		if ms > float64(time.Since(start).Milliseconds()) {
			h.t.Errorf("off for %v ms, longer than the upgrade", ms)
		}
	}
}

// boots is how often the agent has told that it began.
func (h *hour) boots() string {
	return h.query(`SELECT count("detail") FROM "event" WHERE "site"='gokina' AND "kind"='boot'`)
}

// query asks the ledger.
func (h *hour) query(q string) string {
	return h.noc.Run("curl", "-sS", "--fail", "-G", "http://127.0.0.1:8086/query", "--data-urlencode", "db=nabz_ledger", "--data-urlencode", "q="+q)
}

// testWriter tells a test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(fmt.Sprint(strings.TrimSpace(string(p))))
	return len(p), nil
}
