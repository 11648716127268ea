package checkup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/mosquitto"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/mosquittod"
)

// outside has a real Mosquitto in the place of the embedded broker, with what broker export writes; change may spoil that before it starts.
func outside(t *testing.T, change func(dir string)) *noc {
	t.Helper()
	n := newNOC(t, influxd.SignInForTest(t))
	r, err := fleet.OpenRegistry(n.c.SitesFile, n.c.AgentsFile)
	n.must(err)
	dir := filepath.Join(n.dir, "mosquitto")
	agents, collectors := loopback(port(t)), loopback(port(t))
	x := mosquitto.Config{Dir: dir, Secret: filepath.Join(n.dir, "broker.secret"), Path: dir, Agents: agents, Collectors: collectors, Cert: n.c.MQTT.TLSCert, Key: n.c.MQTT.TLSKey}
	_, err = mosquitto.Export(x, r.Verifiers())
	n.must(err)
	change(dir)
	mosquittod.ForTest(t, filepath.Join(dir, mosquitto.ConfFile))
	local := func(address string) string { return "mqtts://" + strings.Replace(address, "127.0.0.1", "localhost", 1) } // for which the certificate is
	n.c.MQTT.Listen, n.c.MQTT.Broker, n.c.MQTT.User, n.c.MQTT.SecretFile, n.c.MQTT.CAFile = "", local(collectors), mosquitto.User, x.Secret, n.c.Agents.CAFile
	n.c.Agents.Brokers = []string{local(agents)}
	n.must(n.c.Validate(nil))
	return n
}

func TestAMosquittoThatExportHasSetUpPasses(t *testing.T) {
	n := outside(t, func(string) {})
	n.want("broker", Pass, "answers with TLS 1.3, lets \"nabz-collector\" in, and lets it hear and acknowledge; 0 messages", "")
	n.want("agents' door", Pass, "refuses who shows no name", "")
	n.run()
	if _, worst, text := n.check(); worst != Pass {
		t.Errorf("beside a collector: %s\n%s", worst, text)
	}
}

func TestEachFaultOfAMosquittoIsNamedWithWhatToDo(t *testing.T) {
	edit := func(file, from, to string) func(string) {
		return func(dir string) {
			path := filepath.Join(dir, file)
			b, err := os.ReadFile(path)
			if err == nil && !strings.Contains(string(b), from) {
				err = fmt.Errorf("%s lacks %q", file, from)
			}
			if err == nil {
				err = os.WriteFile(path, []byte(strings.ReplaceAll(string(b), from, to)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		spoil       func(dir string)
		after       func(*noc)
		matter      string
		found, next string
	}{
		"it lets everybody in":     {edit(mosquitto.ConfFile, "allow_anonymous false", "allow_anonymous true"), nil, "broker", "lets everybody in", "broker export"},
		"it may not acknowledge":   {edit(mosquitto.CollectorsRules, "topic write nabz/v1/+/+/ack", ""), nil, "broker", "may not publish on nabz/v1/+/+/ack", "reload mosquitto"},
		"it may not command":       {edit(mosquitto.CollectorsRules, "topic write nabz/v1/+/+/command", ""), nil, "broker", "may not publish on nabz/v1/+/+/command", "reload mosquitto"},
		"its rules count for none": {edit(mosquitto.ConfFile, "acl_file", "#"), nil, "broker", "publish on nabz/v1/+/+/data, which agents alone may", "reload mosquitto"},
		"another secret":           {func(string) {}, func(n *noc) { n.write("broker.secret", "guess\n", 0o600) }, "broker", "does not let \"nabz-collector\" in", "broker export"},
		"no secret":                {func(string) {}, func(n *noc) { n.must(os.Remove(n.c.MQTT.SecretFile)) }, "broker", "cannot read it", "makes it"},
		"nobody listens":           {func(string) {}, func(n *noc) { n.c.MQTT.Broker = fmt.Sprintf("mqtts://localhost:%d", port(n.t)) }, "broker", "connection refused", "systemctl status mosquitto"},
		"nobody listens for agents": {func(string) {}, func(n *noc) { n.c.Agents.Brokers = []string{fmt.Sprintf("mqtts://localhost:%d", port(n.t))} },
			"agents' door", "connection refused", "firewall"},
		"agents come in without a name": {edit(mosquitto.ConfFile, "use_username_as_clientid true\nallow_anonymous false", "allow_anonymous true"), nil, "agents' door", "lets everybody in", "broker export"},
	} {
		t.Run(name, func(t *testing.T) {
			n := outside(t, row.spoil)
			if row.after != nil {
				row.after(n)
			}
			n.want(row.matter, Fail, row.found, row.next)
		})
	}
}
