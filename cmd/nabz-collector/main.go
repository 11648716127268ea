// Command nabz-collector takes in, stores and shows the pulse of all sites.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"github.com/mdlayher/sdnotify"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/command"
)

func main() { os.Exit(command.Run("nabz-collector", run, os.Args[1:], os.Stdout, os.Stderr)) }

// commands are the flags. Run is first, so that its flags come first in the manual.
type commands struct {
	Run         runCommand         `cmd:"" default:"withargs" help:"Collect until stopped (the default)."`
	Site        siteCommand        `cmd:"" help:"The programme's sites."`
	Agent       agentCommand       `cmd:"" help:"The agents that may sign in."`
	User        userCommand        `cmd:"" help:"The people who may sign in at the board."`
	Broker      brokerCommand      `cmd:"" help:"An external broker."`
	Init        initCommand        `cmd:"" help:"Set this collector up: certificates, configuration, databases. Safe to run again."`
	Renew       renewCommand       `cmd:"" help:"Make a new server certificate where the one in use ends within two months."`
	DeadLetters deadLettersCommand `cmd:"" name:"dead-letters" help:"What could not be stored."`
	Alert       alertCommand       `cmd:"" help:"What wakes a person."`
	Report      reportCommand      `cmd:"" help:"Figures that can be cited."`
	Dashboards  dashboardsCommand  `cmd:"" help:"What Grafana shows."`
	Config      struct{}           `cmd:"" help:"Print the example configuration."`
	Completion  completionCommand  `cmd:"" help:"Print what completes a typed line in bash, zsh or fish."`
	Version     kong.VersionFlag   `help:"Print the version."`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	done := false
	parser, err := kong.New(&c, kong.Name("nabz-collector"), kong.Writers(stdout, stderr),
		kong.Exit(func(int) { done = true }), kong.Help(help), kong.WithHyphenPrefixedParameters(true), kong.Vars{"version": command.About("nabz-collector")})
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	k, err := parser.Parse(args)
	if done { // --help or --version has had its say
		return nil
	}
	if err != nil {
		return command.Usage(meant(parser.Model.Node, args, err))
	}
	switch k.Command() {
	case "completion <what>":
		err = c.Completion.do(k.Model.Node, stdout)
	case "config":
		_, err = io.WriteString(stdout, collector.Example)
	case "site add <id>":
		err = c.Site.Add.do(stderr)
	case "site import <file>":
		err = c.Site.Import.do(stdout, stderr)
	case "site list":
		err = c.Site.List.do(stdout)
	case "site show <id>":
		err = c.Site.Show.do(stdout)
	case "site remove <id>":
		err = c.Site.Remove.do(stderr)
	case "agent add", "agent add <address>":
		err = c.Agent.Add.do(stdout, stderr)
	case "agent rotate <address>":
		err = c.Agent.Rotate.do(stdout, stderr)
	case "agent revoke <address>":
		err = c.Agent.Revoke.do(stderr)
	case "agent ask <address> <what>":
		err = c.Agent.Ask.do(ctx, os.Stdin, stdout, stderr)
	case "broker export":
		err = c.Broker.Export.do(stderr)
	case "init":
		err = c.Init.do(ctx, stdout)
	case "renew":
		err = c.Renew.do(stdout)
	case "agent list":
		err = c.Agent.List.do(stdout)
	case "user add <name>":
		err = c.User.Add.do(ctx, os.Stdin, stdout, stderr)
	case "user list":
		err = c.User.List.do(stdout)
	case "user password <name>":
		err = c.User.Password.do(ctx, os.Stdin, stdout, stderr)
	case "user remove <name>":
		err = c.User.Remove.do(stderr)
	case "dead-letters list", "dead-letters show <id>", "dead-letters replay", "dead-letters replay <id>":
		err = c.DeadLetters.do(ctx, k.Command(), stdout, stderr)
	case "alert list":
		err = c.Alert.List.do(stdout)
	case "alert test", "alert test <channel>":
		err = c.Alert.Test.do(ctx, stdout)
	case "report make":
		err = c.Report.Make.do(ctx, stdout, stderr)
	case "report verify <file>":
		err = c.Report.Verify.do(ctx, stdout, stderr)
	case "report benchmarks":
		err = c.Report.Benchmarks.do(stdout)
	case "report publish":
		err = c.Report.Publish.do(ctx, stdout, stderr)
	case "report list":
		err = c.Report.List.do(stdout)
	case "report show <id>":
		err = c.Report.Show.do(stdout, stderr)
	case "report share <id>":
		err = c.Report.Share.do(stdout, stderr)
	case "report shares":
		err = c.Report.Shares.do(stdout)
	case "report revoke <id>":
		err = c.Report.Revoke.do(stderr)
	case "dashboards install":
		err = c.Dashboards.Install.do(stdout)
	case "dashboards check":
		err = c.Dashboards.Check.do(ctx, stdout)
	default:
		err = c.Run.do(ctx, stderr)
	}
	return err
}

// do runs the daemon.
func (r *runCommand) do(ctx context.Context, stderr io.Writer) error {
	c, err := r.load()
	if err != nil {
		return err
	}
	c.Version = command.Version()
	if n, err := sdnotify.New(); err == nil { // there is a service manager that waits for it
		defer n.Close()
		c.Notify = func(state ...string) { _ = n.Notify(state...) }
		if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
			c.Watchdog = time.Duration(us) * time.Microsecond
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	return collector.Run(ctx, c, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
}
