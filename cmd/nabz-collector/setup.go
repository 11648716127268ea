package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector"
)

type initCommand struct {
	Host      []string `placeholder:"NAME" help:"Name or address by which agents reach this collector; repeat it for several. The first is what they are told."`
	Programme string   `placeholder:"NAME" help:"Name of the programme, for its certificate authority."`
	MQTTPort  int      `name:"mqtt-port" placeholder:"PORT" default:"8883" help:"Where agents connect."`
	HTTPSPort int      `name:"https-port" placeholder:"PORT" default:"8443" help:"Where agents enrol."`
	WebPort   int      `name:"web-port" placeholder:"PORT" help:"Where the board is, for other machines too, over TLS. Without it: on this machine alone, at 8080."`
	TokenFile string   `name:"admin-token-file" placeholder:"FILE" help:"Holds the credential that may make databases, in place of INFLUX_TOKEN; it is not kept."`
	DataDir   string   `name:"data-dir" placeholder:"DIR" help:"Folder of agents and dead letters (data_dir)."`
	First     string   `name:"first-operator" placeholder:"NAME" help:"Lets the first user sign in at the board, as an operator, and prints the password, once."`
	fileFlag
}

func (i *initCommand) do(ctx context.Context, stdout io.Writer) error {
	file := i.ConfigFile
	if file == "" {
		file = defaultFile
	}
	token, err := i.token()
	if err != nil {
		return err
	}
	return collector.SetUp(ctx, collector.Setup{File: file, Operator: i.First, Typist: "unix:" + typist(), Programme: i.Programme, Hosts: i.Host, DataDir: i.DataDir, MQTTPort: i.MQTTPort, HTTPSPort: i.HTTPSPort, WebPort: i.WebPort,
		Influx: collector.InfluxConfig{URL: os.Getenv("INFLUX_URL"), Token: token, Org: os.Getenv("INFLUX_ORG")}, Now: time.Now, Out: stdout})
}

// token is the right to make databases.
func (i *initCommand) token() (string, error) {
	if i.TokenFile == "" {
		return os.Getenv("INFLUX_TOKEN"), nil
	}
	b, err := os.ReadFile(i.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read --admin-token-file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", fmt.Errorf("--admin-token-file %s is empty; put an operator's API token into it (1.8: \"user:password\" of an admin)", i.TokenFile)
	}
	return token, nil
}

type renewCommand struct{ fileFlag }

func (r *renewCommand) do(stdout io.Writer) error {
	c, _, err := r.read()
	if err != nil {
		return err
	}
	return collector.Renew(c, time.Now(), stdout)
}
