package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

const helpHead = `NAME
  nabz-agent - takes the pulse of a site's internet link

SYNOPSIS
  nabz-agent [run] [--config FILE] [--site ID] [--agent ID] [--broker URL]...
             [--secret-file FILE] [--data-dir DIR] [--log-level LEVEL]
  nabz-agent config
  nabz-agent --help | --version

DESCRIPTION
  Measures gateway, internet, name resolution, traffic and the machine, keeps what it
  found on disk, and sends it to the collector over MQTT until the collector has stored it.

COMMANDS
  run      Measure and report until stopped. This is the default.
  config   Print an example configuration with every key at its default.

OPTIONS
  A flag wins over its environment variable, and that over the key of the file.
`

const helpTail = `
FILES
  /etc/nabz/agent.toml   configuration; begin with: nabz-agent config > agent.toml
  /etc/nabz/secret       this agent's secret, on the first line; never on the command line
  /var/lib/nabz-agent    batches that wait for the collector

EXIT STATUS
  0 after a stop by SIGINT or SIGTERM
  1 when configuration, disk or network forbid to work
  2 for a wrong command line

EXAMPLE
  nabz-agent --site gokina --broker mqtts://noc.example.org:8883
`

// help prints the whole manual for every command: it fits a screen. The options come from the flags themselves.
func help(_ kong.HelpOptions, ctx *kong.Context) error {
	var b strings.Builder
	b.WriteString(helpHead)
	for _, n := range ctx.Model.Leaves(true) {
		for _, f := range n.Flags {
			env := ""
			if len(f.Envs) > 0 {
				env = "  " + f.Envs[0]
			}
			fmt.Fprintf(&b, "  %s\n        %s\n", "--"+f.Name+" "+f.PlaceHolder+env, f.Help)
		}
	}
	b.WriteString("  --help, --version\n        Print this, or the version.\n")
	b.WriteString(helpTail)
	_, err := fmt.Fprint(ctx.Stdout, b.String())
	return err
}
