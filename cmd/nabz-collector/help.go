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
                 [--data-dir DIR] [--role all|intake|board] [--log-level LEVEL]
  nabz-collector site add ID [--name NAME] [--district NAME] [--operator NAME]
                 [--upstream NAME] [--technology NAME] [--latitude DEGREES] [--longitude DEGREES]
                 [--population N] [--students N] [--service-hours HOURS] [--target-down MBITS]
                 [--target-up MBITS] [--data-budget MB] [--time-zone ZONE] [--config FILE]
  nabz-collector site import FILE [--dry-run] [--update] [--sheet NAME] [--map HEADER=KEY]
                 [--id-from name|id] [--time-zone ZONE] [--config FILE]
  nabz-collector site list [--json] [--config FILE]
  nabz-collector site show ID [--json] [--config FILE]
  nabz-collector site remove ID [--config FILE]
  nabz-collector agent add SITE/AGENT... [--every-site] [--secret] [--config FILE]
  nabz-collector agent list [--json] [--config FILE]
  nabz-collector agent rotate|revoke SITE/AGENT... [--config FILE]
  nabz-collector agent ask SITE/AGENT speedtest|diagnostics --as USER [--board URL]
                 [--config FILE]
  nabz-collector user add NAME [--role viewer|operator] [--generate] [--config FILE]
  nabz-collector user list [--config FILE]
  nabz-collector user password NAME [--generate] [--config FILE]
  nabz-collector user remove NAME [--config FILE]
  nabz-collector init --host NAME... [--programme NAME] [--mqtt-port PORT]
                 [--https-port PORT] [--web-port PORT] [--data-dir DIR]
                 [--first-operator NAME] [--admin-token-file FILE] [--config FILE]
  nabz-collector broker export --format mosquitto --dir DIR [--path DIR]
                 [--agents-listen ADDRESS] [--collectors-listen ADDRESS]
                 [--cert FILE --key FILE] [--config FILE]
  nabz-collector check [--json] [--ready] [--grafana-dir DIR] [--config FILE]
  nabz-collector renew [--config FILE]
  nabz-collector dead-letters list [--json] [--config FILE]
  nabz-collector dead-letters show ID [--json] [--config FILE]
  nabz-collector dead-letters replay ID... | --all [--dry-run] [--config FILE]
  nabz-collector alert list [--json] [--config FILE]
  nabz-collector alert test [CHANNEL] [--config FILE]
  nabz-collector report [--period PERIOD] [--sites SITES]... [--time-zone ZONE]
                 [--peak-hours HOURS] [--benchmarks ID] [--format FORM] [-o FILE]
                 [--language en|ur] [--config FILE]
  nabz-collector report verify FILE|ID[/REVISION] [--json] [--config FILE]
  nabz-collector report benchmarks [--show ID] [--config FILE]
  nabz-collector report publish [--period PERIOD] [--sites SITES]... [--title TEXT]
                 [--as NAME] [--config FILE]
  nabz-collector report list|shares [--json] [--config FILE]
  nabz-collector report show ID[/REVISION] [--format FORM] [-o FILE] [--language en|ur]
  nabz-collector report share ID --label TEXT [--days N] [--as NAME] [--config FILE]
  nabz-collector report revoke LINK [--as NAME] [--config FILE]
  nabz-collector dashboards install --grafana-dir DIR [--board-url URL] [--influx-url URL]
                 [--token-file FILE] [--config FILE]
  nabz-collector dashboards check [--range LENGTH] [--config FILE]
  nabz-collector config
  nabz-collector --help | --version

DESCRIPTION
  Agents send what they measure over MQTT. The collector checks it, stores it in InfluxDB
  1.8 or later, acknowledges what InfluxDB has, and shows every site on a board. It waits
  for an InfluxDB that is not there, and says so on /readyz.

COMMANDS
  run         Collect until stopped. This is the default.
  site add    Write a new site into the sites file. A collector that runs takes it in.
  site import Take in a spreadsheet of sites, CSV or XLSX: all rows, or none and every
              fault of each. Begin with --dry-run.
  site list   Print the sites as a table.
  site show   Print all that is known of one site, and its agents.
  site remove Take a site out of the sites file, if it has no agents.
  agent add   Print a token with which a router enrols as this agent, once, within a day:
              nabz-agent enroll TOKEN. With --every-site one for each site that has no
              agent. With --secret a secret for an agent that is configured by hand.
  agent list  Print the agents: enrolled, waiting to enrol, or revoked.
  agent rotate
              Print a token with which an agent enrols anew. Its secret changes when it does.
  agent revoke
              Let agents sign in no longer. Their connections end within a second.
  agent ask   Ask an agent that is connected for a speed test now, or for what status and
              check say there, by the board of a collector that runs; wait, and print the
              answer. Exit status 1 where it is not done.
  user add    Let somebody sign in at the board: a viewer looks, an operator also acts. The
              password is asked for, or read from standard input, or made by --generate.
  user list   Print the users: name and role, one a line, with a tab between.
  user password, user remove
              Give a user a new password, or take one out. Either ends the user's sessions.
  broker export
              Write the files with which a Mosquitto 2.0 lets the agents in, each on its own topics,
              and the collectors. Run it again whenever agents were added or revoked.
  init        Set this collector up: the programme's certificate authority, a certificate,
              the configuration, the list of sites, the databases in InfluxDB. What is there
              stays, so it is safe to run again.
  check       Look at configuration, clock, data folder, certificates, InfluxDB and how long it
              keeps what, a test line, broker, enrolment, board, users, sites, agents, alerts,
              Grafana and open files, in the order in which they are mended, and say of each
              fault what to do. Works beside a collector that runs and without one. Best as
              root, which tries as the collector's own user what that has to be able to do.
  renew       Make a new certificate where the one in use ends within two months. A
              collector that runs takes it in; no agent has to do anything.
  dead-letters list, show, replay
              Print what could not be stored, batch by batch, with the reason; print the lines
              of one; write them again, as when the type of a field was mended in InfluxDB or
              max_age was raised. What InfluxDB takes is taken away from the dead letters, what it
              refuses stays with the new reason. Works beside a collector that runs.
  alert list  Print the alerts that go on, as the collector has written them, and the last
              attempts to tell of them.
  alert test  Tell each channel of alert.urls_file and alert.alertmanager, or one, something
              that is no alert, and print what was sent and what was answered.
  report      Make the report of a period: availability with and without power cuts, outages,
              throughput, services and more, of all sites or some. The same question to the
              same ledger gives the same bytes.
  report verify
              Make a report again from what its file says was asked, and print what differs.
              Exit status 1 where something does.
  report benchmarks
              Print what a report can be measured against; with --show one as a file to copy.
  report publish, list, show
              Keep a report for ever, with a permanent link; when the ledger has changed it
              becomes a new revision that lists what changed. Print those that are published;
              write one in any form.
  report share, shares, revoke
              Print a link by which anybody can read a published report, and nothing else; print
              which were given out; take one back.
  dashboards install
              Write data sources and dashboards where Grafana finds them: under DIR/provisioning.
              InfluxDB's address and buckets are those of the configuration; the credential goes
              into a file of its own that only Grafana may read. Safe to run again, as after
              an upgrade; restart Grafana then.
  dashboards check
              Ask every query of every panel and variable of InfluxDB, as Grafana would: how many
              rows, how many ms, which error. 1 where a query fails. No rows is no error: nobody
              may have measured that.
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
  /etc/nabz/collector.toml             configuration; init writes it
  /etc/nabz/tls                        the programme's authority (ca.pem; ca.key: keep a copy in
                                       a safe place) and this server's certificate and key
  /etc/nabz/sites.toml                 the programme's sites; keep it under version control
  /var/lib/nabz-collector/agents.toml  who may sign in, with the hash of each secret
  /var/lib/nabz-collector/users.toml   who may sign in at the board, with hashed passwords
  /var/lib/nabz-collector/audit        who did what: done.jsonl, refused.jsonl
  /var/lib/nabz-collector/alerts.json  the alerts, and what was told of them
  /var/lib/nabz-collector/journal.jsonl
                                       what operators wrote: comments, maintenance …
  /var/lib/nabz-collector/commands.jsonl
                                       what was asked of agents, and what became of it
  /var/lib/nabz-collector/reports      published reports, each revision as it was
  /var/lib/nabz-collector/dead-letters what could never be stored, with the reason

EXIT STATUS
  0 after a stop by SIGINT or SIGTERM
  1 when configuration, disk or network forbid to work, and when a check fails
  2 for a wrong command line
  3 when a check warns and none fails

EXAMPLE
  nabz-collector init --host noc.example.org
  nabz-collector check
  nabz-collector site import sites.xlsx --dry-run --time-zone Asia/Karachi
  nabz-collector site add gokina --name Gokina --time-zone Asia/Karachi
  nabz-collector agent add gokina/main
  nabz-collector dead-letters replay --all --dry-run
  nabz-collector report --period 2026-10 --sites district=Islamabad -o october.pdf
  nabz-collector dashboards install --grafana-dir /etc/grafana --board-url https://noc.example.org
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
			place := " " + f.PlaceHolder
			if f.PlaceHolder == "" {
				place = ""
			}
			fmt.Fprintf(&b, "  --%s%s%s\n        %s\n", f.Name, place, env, f.Help)
		}
	}
	b.WriteString(helpTail)
	_, err := fmt.Fprint(ctx.Stdout, b.String())
	return err
}
