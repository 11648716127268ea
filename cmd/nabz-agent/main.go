// Program nabz-agent takes the pulse of a site's internet link.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/mdlayher/sdnotify"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/conf"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

// exitCode tells the error, each fault on a line of its own, and picks the status: 2 for a wrong command line, 1 for
// all else.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	for _, e := range flatten(err) {
		fmt.Fprintf(stderr, "nabz-agent: %v\n", e)
	}
	if usage := (*kong.ParseError)(nil); errors.As(err, &usage) {
		fmt.Fprintln(stderr, "nabz-agent: see nabz-agent --help")
		return 2
	}
	return 1
}

func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	done := false
	parser, err := kong.New(&c, kong.Name("nabz-agent"), kong.Writers(stdout, stderr),
		kong.Exit(func(int) { done = true }), kong.Help(help), kong.Vars{"version": version()})
	if err != nil {
		return fmt.Errorf("set up the command line: %w", err)
	}
	k, err := parser.Parse(args)
	if done { // --help or --version has had its say
		return nil
	}
	if err != nil {
		return err
	}
	if k.Command() == "config" {
		_, err := io.WriteString(stdout, agent.Example)
		return err
	}
	return c.Run.start(ctx, stderr)
}

type commands struct {
	Run     runCommand       `cmd:"" default:"withargs" help:"Measure and report until stopped (the default)."`
	Config  struct{}         `cmd:"" help:"Print the example configuration."`
	Version kong.VersionFlag `help:"Print the version."`
}

type runCommand struct {
	ConfigFile string   `name:"config" placeholder:"FILE" env:"NABZ_CONFIG" help:"Configuration. Default: /etc/nabz/agent.toml where that is."`
	Site       string   `placeholder:"ID" env:"NABZ_SITE" help:"Site that is measured (site)."`
	Agent      string   `placeholder:"ID" env:"NABZ_AGENT" help:"Name of this agent within the site (agent)."`
	Broker     []string `placeholder:"URL" env:"NABZ_BROKER" help:"MQTT broker; repeat it, or separate by commas, for several (brokers)."`
	SecretFile string   `placeholder:"FILE" env:"NABZ_SECRET_FILE" help:"File with the secret (secret_file)."`
	DataDir    string   `placeholder:"DIR" env:"NABZ_DATA_DIR" help:"Folder of the spool (data_dir)."`
	LogLevel   string   `placeholder:"LEVEL" env:"NABZ_LOG_LEVEL" help:"debug, info, warn or error (log_level)."`
}

// defaultFile is read when no --config is given, and may be missing then.
const defaultFile = "/etc/nabz/agent.toml"

func (r *runCommand) start(ctx context.Context, stderr io.Writer) error {
	c, err := r.load()
	if err != nil {
		return err
	}
	c.Version = version()
	if n, err := sdnotify.New(); err == nil { // there is a service manager that waits for it
		defer n.Close()
		c.Notify = func(state ...string) { _ = n.Notify(state...) }
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	return agent.Run(ctx, c, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
}

// load reads the file, lets flags and environment win, and checks the whole.
func (r *runCommand) load() (agent.Config, error) {
	c := agent.Defaults()
	file, given := r.ConfigFile, r.ConfigFile != ""
	if !given {
		file = defaultFile
	}
	doc, err := conf.Load(file, &c)
	if doc == nil {
		if given || !errors.Is(err, os.ErrNotExist) {
			return c, err
		}
		if doc, err = conf.Parse(file, nil, &c); err != nil {
			return c, err
		}
	}
	set := func(to *string, key, flag, env, value string) {
		if value != "" {
			*to = value
			doc.Override(key, source(flag, env, value))
		}
	}
	set(&c.Site, "site", "--site", "NABZ_SITE", r.Site)
	set(&c.Agent, "agent", "--agent", "NABZ_AGENT", r.Agent)
	set(&c.SecretFile, "secret_file", "--secret-file", "NABZ_SECRET_FILE", r.SecretFile)
	set(&c.DataDir, "data_dir", "--data-dir", "NABZ_DATA_DIR", r.DataDir)
	set(&c.LogLevel, "log_level", "--log-level", "NABZ_LOG_LEVEL", r.LogLevel)
	if len(r.Broker) > 0 {
		c.Brokers = r.Broker
		for i, b := range r.Broker {
			doc.Override(fmt.Sprintf("brokers[%d]", i), source("--broker", "NABZ_BROKER", b))
		}
	}
	return c, errors.Join(err, c.Validate(doc))
}

// source names where a value came from that is not in the file.
func source(flag, env, value string) string {
	if in := os.Getenv(env); in == value || slices.Contains(strings.Split(in, ","), value) {
		return "environment " + env
	}
	return "flag " + flag
}

// version is the module's version as the Go tool stamped it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
