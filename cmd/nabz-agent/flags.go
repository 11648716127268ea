package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/conf"
)

// The standard library's flags serve here: a command library costs a fifth of the binary, on a router with 16 MB of flash.

// option is one flag with its environment variable. Key is what it overrides in the configuration, "" for none.
type option struct {
	name, value, env, key, help string
}

func options() []option {
	return []option{
		{"config", "FILE", "NABZ_CONFIG", "", "Configuration. Default: /etc/nabz/agent.toml where that is."},
		{"site", "ID", "NABZ_SITE", "site", "Site that is measured (site)."},
		{"agent", "ID", "NABZ_AGENT", "agent", "Name of this agent within the site (agent)."},
		{"profile", "standard|metered", "NABZ_PROFILE", "profile", "standard, 15 MB a month, or metered, 4 MB (profile)."},
		{"broker", "URL", "NABZ_BROKER", "brokers", "MQTT broker; repeat it, or separate by commas, for several (brokers)."},
		{"secret-file", "FILE", "NABZ_SECRET_FILE", "secret_file", "File with the secret (secret_file)."},
		{"data-dir", "DIR", "NABZ_DATA_DIR", "data_dir", "Folder of the spool (data_dir)."},
		{"log-level", "debug|info|warn|error", "NABZ_LOG_LEVEL", "log_level", "debug, info, warn or error (log_level)."},
	}
}

// setting is the value of one option and where it came from, such as "flag --site" or "environment NABZ_SITE".
type setting struct{ value, source string }

// commandLine is what a person asked for.
type commandLine struct {
	command  string // run, enroll, check, status, speedtest, config, help, version
	json     bool   // of status and speedtest
	token    string // of enroll; "-": on standard input
	replace  bool   // of enroll: a configuration that is there
	stay     bool   // of enroll: start nothing
	settings map[string]setting
}

// parse reads the command line; environment variables fill what it leaves open. A fault is a command.Usage.
func parse(args []string, getenv func(string) string) (commandLine, error) {
	c := commandLine{command: "run", settings: map[string]setting{}}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		c.command, args = args[0], args[1:]
		if known := []string{"run", "enroll", "check", "status", "speedtest", "config"}; !slices.Contains(known, c.command) {
			if near := conf.Nearest(c.command, known); near != "" {
				return c, command.Usage(fmt.Errorf("unknown command %q; did you mean %s?", c.command, near))
			}
			return c, command.Usage(fmt.Errorf("unknown command %q; want run, enroll, check, status, speedtest or config", c.command))
		}
	}
	fs := flag.NewFlagSet("nabz-agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	version := fs.Bool("version", false, "")
	if c.command == "status" || c.command == "speedtest" {
		fs.BoolVar(&c.json, "json", false, "")
	}
	if c.command == "enroll" {
		fs.BoolVar(&c.replace, "overwrite", false, "")
		fs.BoolVar(&c.stay, "no-start", false, "")
	}
	for _, o := range options() {
		fs.Func(o.name, o.help, func(v string) error {
			if was, again := c.settings[o.name]; again && o.name == "broker" {
				v = was.value + "," + v
			}
			c.settings[o.name] = setting{v, "flag --" + o.name}
			return nil
		})
	}
	err := fs.Parse(args)
	if c.command == "enroll" && err == nil && fs.NArg() > 0 { // flags may stand behind the token, too
		c.token = fs.Arg(0)
		err = fs.Parse(fs.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		c.command = "help"
		return c, nil
	case err != nil:
		return c, command.Usage(plain(err))
	case fs.NArg() > 0:
		return c, command.Usage(fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	case *version:
		c.command = "version"
		return c, nil
	case c.command == "enroll" && c.token == "":
		return c, command.Usage(errors.New("enroll needs the token that \"nabz-collector agent add\" printed at the NOC, or - to read it from standard input"))
	}
	for _, o := range options() {
		if _, given := c.settings[o.name]; !given && getenv(o.env) != "" {
			c.settings[o.name] = setting{getenv(o.env), "environment " + o.env}
		}
	}
	return c, nil
}

// plain says a fault of the flag package with the two dashes that people type.
func plain(err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("unknown flag --%s", name)
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return fmt.Errorf("flag --%s needs a value", name)
	}
	return err
}

const helpHead = `NAME
  nabz-agent - takes the pulse of a site's internet link

SYNOPSIS
  nabz-agent [run] [--config FILE] [--site ID] [--agent ID] [--profile standard|metered]
             [--broker URL]... [--secret-file FILE] [--data-dir DIR]
             [--log-level debug|info|warn|error]
  nabz-agent enroll TOKEN [--config FILE] [--secret-file FILE] [--data-dir DIR]
             [--overwrite] [--no-start]
  nabz-agent check [--config FILE]...
  nabz-agent status|speedtest [--json] [--config FILE]...
  nabz-agent config [--profile standard|metered]
  nabz-agent --help | --version

DESCRIPTION
  Measures gateway, internet, name resolution, traffic and the machine, keeps what it
  found on disk, and sends it to the collector over MQTT until the collector has stored it.

COMMANDS
  run      Measure and report until stopped. This is the default.
  enroll   Make this router an agent of the programme: fetch its configuration over HTTPS
           with the token that the NOC has made for it, make its secret, start it. TOKEN
           is good once, for a day; - reads it from standard input. The same command again
           goes on where one was broken off. A configuration of the same agent is kept.
  check    Look at configuration, clock, interface, gateway, DNS, internet, broker,
           credentials, a test line to the end, disk and memory, in the order in which
           they are mended. Works beside a running agent and without one.
  status   Ask the running agent: state of the link, what waits, the last
           acknowledgement, bytes used this month. --json for programs.
  speedtest
           Have the running agent measure its throughput now, within the month's budget
           for speed tests and not while villagers use the link.
  config   Print an example configuration with every key at the profile's default.

OPTIONS
  A flag wins over its environment variable, and that over the key of the file.
`

const helpTail = `  --json
        Of status and speedtest: print JSON.
  --overwrite, --no-start
        Of enroll: replace a configuration that is there, keeping the old one as
        agent.toml.old; leave the service as it is.
  --help, --version
        Print this, or the version.

FILES
  /etc/nabz/agent.toml   configuration; enroll writes it, or: nabz-agent config > agent.toml
  /etc/nabz/secret       this agent's secret, on the first line; never on the command line
  /etc/nabz/ca.pem       the programme's certificate authority, which enroll fetches
  /var/lib/nabz-agent    batches that wait for the collector

EXIT STATUS
  0  after a stop by SIGINT or SIGTERM
  1  when configuration, disk or network forbid to work, and when a check fails
  2  for a wrong command line
  3  when a check warns and none fails

EXAMPLES
  nabz-agent enroll nabz1-Hs8Rr2...
  nabz-agent --site gokina --broker mqtts://noc.example.org:8883
`

// help is the whole manual: it fits a screen.
func help() string {
	var b strings.Builder
	b.WriteString(helpHead)
	for _, o := range options() {
		fmt.Fprintf(&b, "  --%s %s  %s\n        %s\n", o.name, o.value, o.env, o.help)
	}
	b.WriteString(helpTail)
	return b.String()
}
