package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

const helpHead = `NAME
  nabz-collector - takes in, stores and shows the pulse of all sites

SYNOPSIS
  nabz-collector [run] [--config FILE] [--mqtt-listen ADDRESS] [--web-listen ADDRESS]
                 [--data-dir DIR] [--log-level LEVEL]
  nabz-collector site add ID [--name NAME] [--district NAME] [--operator NAME]
                 [--technology NAME] [--latitude DEGREES] [--longitude DEGREES]
                 [--population N] [--time-zone ZONE] [--config FILE]
  nabz-collector site list [--config FILE]
  nabz-collector agent add SITE/AGENT [--config FILE]
  nabz-collector agent list [--config FILE]
  nabz-collector dead-letters list [--json] [--config FILE]
  nabz-collector dead-letters show ID [--json] [--config FILE]
  nabz-collector dead-letters replay ID... | --all [--dry-run] [--config FILE]
  nabz-collector config
  nabz-collector --help | --version

DESCRIPTION
  Agents send what they measure over MQTT. The collector checks it, stores it in InfluxDB
  1.8 or later, acknowledges what InfluxDB has, and shows every site on a board. It waits
  for an InfluxDB that is not there, and says so on /readyz.

COMMANDS
  run         Collect until stopped. This is the default.
  site add    Write a new site into the sites file. A collector that runs takes it in.
  site list   Print the sites: id and name, one a line, with a tab between.
  agent add   Let a new agent sign in, and print its secret, once.
  agent list  Print the agents, one a line.
  dead-letters list, show, replay
              Print what could not be stored, batch by batch, with the reason; print the lines
              of one; write them again, as when the type of a field was mended in InfluxDB or
              max_age was raised. What InfluxDB takes is taken away from the dead letters, what it
              refuses stays with the new reason. Works beside a collector that runs.
  config      Print an example configuration with every key at its default.

OPTIONS
  A flag wins over its environment variable, and that over the key of the file.
`

const helpTail = `  --help, --version
        Print this, or the version.

ENVIRONMENT
  INFLUX_URL, INFLUX_TOKEN, INFLUX_ORG
        Where InfluxDB is, and who we are there (influx.url, influx.token, influx.org).

FILES
  /etc/nabz/collector.toml             configuration; begin with: nabz-collector config
  /etc/nabz/sites.toml                 the programme's sites; keep it under version control
  /var/lib/nabz-collector/agents.toml  who may sign in, with the hash of each secret
  /var/lib/nabz-collector/dead-letters what could never be stored, with the reason

EXIT STATUS
  0 after a stop by SIGINT or SIGTERM
  1 when configuration, disk or network forbid to work
  2 for a wrong command line

EXAMPLE
  nabz-collector site add gokina --name Gokina --time-zone Asia/Karachi
  nabz-collector agent add gokina/main > gokina.secret
  nabz-collector dead-letters replay --all --dry-run
`

// help prints the whole manual for every command: it fits a screen or two. The options come from the flags themselves.
func help(_ kong.HelpOptions, ctx *kong.Context) error {
	var b strings.Builder
	b.WriteString(helpHead)
	seen := map[string]bool{}
	for _, n := range ctx.Model.Leaves(true) {
		for _, f := range n.Flags {
			if seen[f.Name] || f.Hidden {
				continue
			}
			seen[f.Name] = true
			env := ""
			if len(f.Envs) > 0 {
				env = "  " + f.Envs[0]
			}
			fmt.Fprintf(&b, "  --%s %s%s\n        %s\n", f.Name, f.PlaceHolder, env, f.Help)
		}
	}
	b.WriteString(helpTail)
	_, err := fmt.Fprint(ctx.Stdout, b.String())
	return err
}
