package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/smartvillage/nabz/collector/mosquitto"
)

type brokerCommand struct {
	Export brokerExport `cmd:"" help:"Write password, access and configuration files for an external broker."`
}

type brokerExport struct {
	Format     string `name:"format" placeholder:"mosquitto" required:"" enum:"mosquitto" help:"mosquitto: for Mosquitto 2.0."`
	Dir        string `name:"dir" placeholder:"DIR" required:"" help:"Where to write. Files there belong to whom DIR belongs."`
	Path       string `name:"path" placeholder:"DIR" help:"The same folder as the broker sees it, where it runs elsewhere."`
	Agents     string `name:"agents-listen" placeholder:"ADDRESS" help:"Where the broker listens for agents. Default: :8883, or 127.0.0.1:1883 without mqtt.tls_cert."`
	Collectors string `name:"collectors-listen" placeholder:"ADDRESS" help:"Where it listens for collectors. Default: :8884, or 127.0.0.1:1884 without mqtt.tls_cert."`
	Cert       string `name:"cert" placeholder:"FILE" help:"Its certificate. Default: mqtt.tls_cert."`
	Key        string `name:"key" placeholder:"FILE" help:"The certificate's key. Default: mqtt.tls_key."`
	fileFlag
}

func (e *brokerExport) do(stderr io.Writer) error {
	r, c, err := e.open()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(e.Dir)
	if err != nil {
		return err
	}
	secret, err := filepath.Abs(cmp.Or(c.MQTT.SecretFile, filepath.Join(c.DataDir, "broker.secret")))
	if err != nil {
		return err
	}
	x := mosquitto.Config{Dir: dir, Secret: secret, Path: cmp.Or(e.Path, dir), Agents: e.Agents, Collectors: e.Collectors,
		Cert: cmp.Or(e.Cert, c.MQTT.TLSCert), Key: cmp.Or(e.Key, c.MQTT.TLSKey), Insecure: c.MQTT.Insecure}
	if x.Cert != "" {
		x.Agents, x.Collectors = cmp.Or(x.Agents, ":8883"), cmp.Or(x.Collectors, ":8884")
	} else {
		x.Agents, x.Collectors = cmp.Or(x.Agents, "127.0.0.1:1883"), cmp.Or(x.Collectors, "127.0.0.1:1884")
	}
	agents := r.Verifiers()
	without, err := mosquitto.Export(x, agents)
	if err != nil {
		return err
	}
	for _, a := range without {
		fmt.Fprintf(stderr, "agent %s cannot sign in there: it enrolled before its verifier was kept; nabz-collector agent rotate %s lets it enrol anew\n", a, a)
	}
	_, err = fmt.Fprintf(stderr, "%d agents are in %s\nnext: have Mosquitto load %s and read the files again (systemctl reload mosquitto; restart it the first time), and set\n"+
		"  [mqtt] listen = \"\", broker = \"…\" (its collectors' listener), user = %q and secret_file = %q\n",
		len(agents)-len(without), filepath.Join(dir, mosquitto.AgentsFile), filepath.Join(dir, mosquitto.ConfFile), mosquitto.User, secret)
	return err
}
