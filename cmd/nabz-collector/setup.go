package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/smartvillage/nabz/collector"
)

type initCommand struct {
	Host      []string `placeholder:"NAME" help:"Name or address by which agents reach this collector; repeat it for several. The first is what they are told."`
	Programme string   `placeholder:"NAME" help:"Name of the programme, for its certificate authority."`
	MQTTPort  int      `name:"mqtt-port" placeholder:"PORT" default:"8883" help:"Where agents connect."`
	HTTPSPort int      `name:"https-port" placeholder:"PORT" default:"8443" help:"Where agents enrol."`
	DataDir   string   `name:"data-dir" placeholder:"DIR" help:"Folder of agents and dead letters (data_dir)."`
	First     string   `name:"first-operator" placeholder:"NAME" help:"Lets the first user sign in at the board, as an operator, and prints the password, once."`
	fileFlag
}

func (i *initCommand) do(ctx context.Context, stdout io.Writer) error {
	file := i.ConfigFile
	if file == "" {
		file = defaultFile
	}
	return collector.SetUp(ctx, collector.Setup{File: file, Operator: i.First, Typist: "unix:" + typist(), Programme: i.Programme, Hosts: i.Host, DataDir: i.DataDir, MQTTPort: i.MQTTPort, HTTPSPort: i.HTTPSPort,
		Influx: collector.InfluxConfig{URL: os.Getenv("INFLUX_URL"), Token: os.Getenv("INFLUX_TOKEN"), Org: os.Getenv("INFLUX_ORG")}, Now: time.Now, Out: stdout})
}

type renewCommand struct{ fileFlag }

func (r *renewCommand) do(stdout io.Writer) error {
	c, _, err := r.read()
	if err != nil {
		return err
	}
	return collector.Renew(c, time.Now(), stdout)
}
