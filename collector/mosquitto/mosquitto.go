package mosquitto

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	_ "embed"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// User is who the collectors are at the broker.
const User = "nabz-collector"

// The files of an export.
const (
	ConfFile        = "nabz.conf"
	AgentsFile      = "agents.passwd"
	AgentsRules     = "agents.acl"
	CollectorsFile  = "collectors.passwd"
	CollectorsRules = "collectors.acl"
)

// Config is where the broker listens and its files lie.
type Config struct {
	Dir        string // where to write
	Secret     string // file of the collectors' secret, for mqtt.secret_file; made where it is missing
	Path       string // the same folder as the broker sees it
	Agents     string // host:port for agents; "" in front of the colon is all interfaces
	Collectors string // host:port for collectors
	Cert, Key  string // of both, as the broker sees them; "": plain
	Insecure   bool   // allow plain on an address that is not loopback
}

//go:embed nabz.conf.tmpl
var confText string

// agentRules give an agent its own topics; %u is its user name, site/agent.
func agentRules() string {
	b := "# What agents may do. %u is the user name, which is site/agent; the password file of this listener holds agents only.\n"
	for _, k := range []telemetry.Kind{telemetry.KindData, telemetry.KindPresence, telemetry.KindResult, telemetry.KindAck, telemetry.KindCommand} {
		may := "read"
		if k.FromAgent() {
			may = "write"
		}
		b += "pattern " + may + " " + strings.Replace(telemetry.Filter(k), "+/+", "%u", 1) + "\n"
	}
	return b
}

// collectorRules are the other ends of the same topics.
func collectorRules() string {
	b := "# What the collectors may do.\nuser " + User + "\n"
	for _, k := range []telemetry.Kind{telemetry.KindData, telemetry.KindPresence, telemetry.KindResult, telemetry.KindAck, telemetry.KindCommand} {
		may := "write"
		if k.FromAgent() {
			may = "read"
		}
		b += "topic " + may + " " + telemetry.Filter(k) + "\n"
	}
	return b
}

// Export writes the files. It returns the agents that cannot sign in at a Mosquitto, since they enrolled when no verifier was sent yet.
func Export(c Config, agents []fleet.Verifier) (without []telemetry.Address, err error) {
	conf, err := confOf(c)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of the broker's files: %w", err)
	}
	own, err := collectorsLine(c.Secret)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for _, a := range agents {
		if a.Mosquitto == "" {
			without = append(without, a.Address)
			continue
		}
		fmt.Fprintf(&b, "%s:%s\n", a.Address, a.Mosquitto)
	}
	for _, f := range []struct {
		name, text string
		mode       fs.FileMode
	}{{AgentsRules, agentRules(), 0o644}, {CollectorsRules, collectorRules(), 0o644}, {CollectorsFile, own, 0o600}, {AgentsFile, b.String(), 0o600}, {ConfFile, conf, 0o644}} {
		file := filepath.Join(c.Dir, f.name)
		if err := wholefile.Replace(file, []byte(f.text), f.mode); err != nil { // the broker gives up root before it reads: the folder's owner has them
			return nil, fmt.Errorf("write %s: %w", file, err)
		}
	}
	return without, nil
}

// collectorsLine is the password file of the collectors. Their secret is made where there is none.
func collectorsLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	secret := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		secret = telemetry.NewSecret()
		if err := wholefile.Replace(file, []byte(secret+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("write %s: %w", file, err)
		}
	case err != nil:
		return "", fmt.Errorf("read the collectors' secret: %w", err)
	case len(secret) < 52:
		return "", fmt.Errorf("%s does not hold a secret that was made here; remove it, and another is made", file)
	}
	return User + ":" + telemetry.MosquittoVerifier(secret) + "\n", nil
}

// confOf is the piece of mosquitto.conf.
func confOf(c Config) (string, error) {
	if (c.Cert == "") != (c.Key == "") {
		return "", errors.New("a certificate and its key go together; one of them is missing")
	}
	type listener struct{ Port, Bind string }
	var at [2]listener
	for i, address := range []string{c.Agents, c.Collectors} {
		host, port, err := net.SplitHostPort(address)
		if err != nil || port == "" {
			return "", fmt.Errorf("%q is not an address to listen on; write it as \":8883\" or \"127.0.0.1:1883\"", address)
		}
		if ip := net.ParseIP(host); c.Cert == "" && !c.Insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", fmt.Errorf("%s can be reached from other machines, and without TLS so can every secret and every line; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true", address)
		}
		at[i] = listener{port, host}
	}
	for _, file := range []string{c.Path, c.Cert, c.Key} {
		if strings.ContainsAny(file, "\n\r") || file != "" && !path.IsAbs(file) {
			return "", fmt.Errorf("the broker needs %q as a path from the root", file)
		}
	}
	t, err := template.New("").Parse(confText)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"C": c, "Agents": at[0], "Collectors": at[1], "MaxPacket": telemetry.MaxMessage + 1024,
		"AgentsFile": path.Join(c.Path, AgentsFile), "AgentsRules": path.Join(c.Path, AgentsRules),
		"CollectorsFile": path.Join(c.Path, CollectorsFile), "CollectorsRules": path.Join(c.Path, CollectorsRules)})
	return b.String(), err
}
