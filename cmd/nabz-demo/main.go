//go:build unix

// Command nabz-demo shows the main job on one machine: what make demo runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/demo"
)

const description = `Measures this machine's own link and shows it on a board, beside twelve simulated villages.

Runs in the foreground: an InfluxDB (the one that INFLUX_URL, INFLUX_TOKEN and INFLUX_ORG name, else one of its
own), nabz-collector, nabz-agent for this machine, and nabz-sim, which first lays down the villages' history.
Ctrl-C stops all of them, last first. Everything listens on 127.0.0.1 only. A second run goes on from the folder.

Files in the folder: configuration of collector and agent, sites.toml, logs/NAME.log, truth.jsonl (the true spans
of the villages), the data of InfluxDB.

Exit status: 0 after an orderly stop, 1 when something failed, 2 for a wrong command line.`

type options struct {
	For        time.Duration    `placeholder:"DURATION" help:"Stop by itself after this time, which counts from when InfluxDB answers: the building of InfluxDB at the first run is not in it, the laying down of the history is. Default: run until interrupted."`
	Dir        string           `default:".demo" placeholder:"DIR" help:"Folder of data, configuration and logs. Default: ${default}."`
	WebPort    int              `default:"8080" placeholder:"PORT" help:"Of the board. Default: ${default}."`
	MqttPort   int              `default:"1883" placeholder:"PORT" help:"Of the collector's MQTT broker. Default: ${default}."`
	InfluxPort int              `default:"8086" placeholder:"PORT" help:"Of the InfluxDB that the demo runs itself. Default: ${default}."`
	Bin        string           `placeholder:"DIR" help:"Where nabz-collector, nabz-agent and nabz-sim are. Default: beside this program."`
	Anchors    []string         `placeholder:"ADDRESS" help:"What this machine's agent asks instead of its default anchors; names are not resolved then. One on loopback stands for the gateway too, and nothing leaves this machine."`
	Seed       uint64           `default:"1" placeholder:"N" help:"Another seed is another past of the villages; it needs another folder. Default: ${default}."`
	History    time.Duration    `default:"720h" placeholder:"DURATION" help:"How much past the villages get. Default: ${default}."`
	Version    kong.VersionFlag `help:"Print the version, with the commit that was built."`
}

func main() { os.Exit(command.Run("nabz-demo", run, os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	helped := false
	k, err := kong.New(&o, kong.Name("nabz-demo"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Vars{"version": command.About("nabz-demo")}, kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 110}))
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	_, err = k.Parse(args)
	if helped {
		return nil
	}
	if err == nil && (o.For < 0 || o.History < 0 || o.History > 390*24*time.Hour) {
		err = errors.New("--for and --history take a length of time, at most 9360h of history")
	}
	if err != nil {
		return command.Usage(err)
	}
	if o.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the other programs: %w; name their folder with --bin", err)
		}
		o.Bin = filepath.Dir(self)
	}
	return demo.Run(ctx, demo.Config{
		For: o.For, Dir: o.Dir, Bin: o.Bin, WebPort: o.WebPort, MQTTPort: o.MqttPort, InfluxPort: o.InfluxPort, Anchors: o.Anchors,
		Seed: o.Seed, History: o.History, InfluxURL: os.Getenv("INFLUX_URL"), InfluxToken: os.Getenv("INFLUX_TOKEN"), InfluxOrg: os.Getenv("INFLUX_ORG"),
		Out: stdout, Err: stderr, Now: time.Now,
	})
}
