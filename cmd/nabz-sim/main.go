// Command nabz-sim is a fleet of simulated villages with known ground truth.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/sim"
)

const description = `Sends what the agents of simulated villages would send, and knows the truth.

Each simulated agent has its own MQTT connection and credentials. First all that is new since the last run is
sent (at the first run: the history), as fast as the collector acknowledges it; then time goes on at the speed
of --speed, with connections cut while a site is cut. All is a function of seed, site and time.

The truth file gets one JSON object a line: {site, start, end, state, cause}, with state up, degraded, down, off
or unknown, for all that the collector has acknowledged, each instant once, run after run.

Exit status: 0 after --once, --for, SIGINT or SIGTERM; 1 when it cannot go on; 2 for a wrong command line.

Example:
  nabz-sim --secrets secrets --state state.json --truth truth.jsonl --force-outage gokina=30s/3m`

type options struct {
	Broker      []string         `default:"tcp://127.0.0.1:1883" placeholder:"URL" help:"MQTT broker; repeat it for others to fall back on. Default: ${default}."`
	Secrets     string           `required:"" type:"path" placeholder:"FILE" help:"Credentials: a line \"site/agent secret\" for each agent."`
	Sites       int              `default:"12" placeholder:"N" help:"How many: twelve real villages of Pakistan, then numbered ones. Default: ${default}."`
	Seed        uint64           `default:"1" placeholder:"N" help:"Another seed is another world. Default: ${default}."`
	History     time.Duration    `default:"720h" placeholder:"DURATION" help:"What a site that is new tells of the time before now. Default: ${default}."`
	Speed       float64          `default:"1" placeholder:"X" help:"Simulated seconds in a second, after the history. Above 1 the sites' clocks run ahead of this machine's. Default: ${default}."`
	Once        bool             `help:"Stop when all up to now is acknowledged."`
	For         time.Duration    `placeholder:"DURATION" help:"Stop after this time, exit status 0. Default: run until interrupted."`
	ForceOutage []string         `placeholder:"SITE=DOWN/EVERY" help:"For a demonstration: the site loses its link for DOWN at the start of every EVERY, as in gokina=30s/3m."`
	State       string           `type:"path" placeholder:"FILE" help:"How far each site has come; the next run goes on from there."`
	Truth       string           `type:"path" placeholder:"FILE" help:"Where the true spans are written."`
	Verbose     bool             `short:"v" help:"Log connections and retries."`
	Version     kong.VersionFlag `help:"Print the version, with the commit that was built."`
}

func main() { os.Exit(command.Run("nabz-sim", run, os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	helped := false
	k, err := kong.New(&o, kong.Name("nabz-sim"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Vars{"version": command.About("nabz-sim")}, kong.Exit(func(int) { helped = true }), kong.ConfigureHelp(kong.HelpOptions{WrapUpperBound: 110}))
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	_, err = k.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return command.Usage(err)
	}
	forced, err := o.check()
	if err != nil {
		return command.Usage(err)
	}
	secrets, err := sim.ReadSecrets(o.Secrets)
	if err != nil {
		return err
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	level := slog.LevelWarn
	if o.Verbose {
		level = slog.LevelDebug
	}
	return sim.Run(ctx, sim.Config{
		Brokers: o.Broker, Sites: sim.Fleet(o.Sites), Secrets: secrets, Seed: o.Seed, History: o.History, Speed: o.Speed, Once: o.Once,
		Forced: forced, StateFile: o.State, TruthFile: o.Truth, Out: stdout, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})),
	})
}

// check joins every fault of the flags.
func (o *options) check() (forced []sim.Forced, err error) {
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(format, a...)) }
	if o.Sites < 1 || o.Sites > 100_000 {
		fault("--sites %d: 1 to 100000", o.Sites)
	}
	if o.History < 0 || o.History > 390*24*time.Hour {
		fault("--history %v: 0 to 9360h; a collector refuses lines that are older than 400 days", o.History)
	}
	if o.Speed <= 0 || o.Speed > 1000 {
		fault("--speed %v: above 0 and at most 1000", o.Speed)
	}
	if o.For < 0 {
		fault("--for %v: a time from now", o.For)
	}
	for _, text := range o.ForceOutage {
		site, rest, _ := strings.Cut(text, "=")
		down, every, _ := strings.Cut(rest, "/")
		d, err1 := time.ParseDuration(down)
		e, err2 := time.ParseDuration(every)
		if err1 != nil || err2 != nil || d < time.Second || e <= d || site == "" {
			fault("--force-outage %s: write it as SITE=DOWN/EVERY with DOWN at least 1s and shorter than EVERY, as in gokina=30s/3m", text)
			continue
		}
		forced = append(forced, sim.Forced{Site: site, Down: d, Every: e})
	}
	return forced, errors.Join(faults...)
}
