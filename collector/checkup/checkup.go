package checkup

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/finding"
)

// Grade and Finding are those of every check.
type (
	Grade   = finding.Grade
	Finding = finding.Finding
)

// The grades, from good to bad.
const (
	Pass = finding.Pass
	Warn = finding.Warn
	Fail = finding.Fail
)

// answerWait bounds one question to a listener.
const answerWait = 5 * time.Second

// Options say what is looked at. Config is one that Validate has passed.
type Options struct {
	Config     collector.Config
	File       string // the configuration
	Given      bool   // somebody named it: that it is missing is then a fault, and was told before
	Service    string // user of the collector's service, where the machine has it; "": nabz-collector
	GrafanaDir string // of Grafana's configuration, where it is on this machine; "": /etc/grafana
	Version    string // of this program
	Now        func() time.Time
	Synced     func() (synced, known bool) // whether something keeps the machine's clock right; nil: the kernel is asked
}

// checkup is one walk through all matters.
type checkup struct {
	Options
	c        collector.Config
	tell     func(Finding)
	as       *account // the service's user; nil: the collector runs as who asks
	runs     *running // the collector that answers at web.listen; nil: none does
	registry *fleet.Registry
	noStore  bool // InfluxDB cannot be used: the test line need not be tried
}

// Run looks at everything in order and tells each finding as soon as it is known. It returns the worst grade.
func Run(ctx context.Context, o Options, tell func(Finding)) (worst Grade) {
	o.Service, o.GrafanaDir = cmp.Or(o.Service, "nabz-collector"), cmp.Or(o.GrafanaDir, "/etc/grafana")
	if o.Synced == nil {
		o.Synced = synced
	}
	k := &checkup{Options: o, c: o.Config, as: accountOf(o.Service)}
	k.tell = func(f Finding) {
		worst = max(worst, f.Grade)
		tell(f)
	}
	for _, look := range []func(context.Context){k.configuration, k.clock, k.data, k.certificates, k.influx, k.line, k.collector, k.broker, k.enrolment, k.names, k.board,
		k.users, k.sites, k.agents, k.alerts, k.grafana, k.files} {
		if ctx.Err() != nil {
			return Fail
		}
		look(ctx)
	}
	return worst
}

func (k *checkup) pass(matter, format string, args ...any) {
	k.tell(Finding{Matter: matter, Found: fmt.Sprintf(format, args...)})
}

// intakeOnly is a collector beside a board: it has no board, and nobody enrols there.
func (k *checkup) intakeOnly() bool { return k.c.Role == "intake" }

// clock looks at the machine's clock, which every agent goes by.
func (k *checkup) clock(context.Context) {
	now := k.Now().UTC()
	f := Finding{Matter: "clock", Found: now.Format("2006-01-02 15:04:05 UTC")}
	switch synced, known := k.Synced(); {
	case now.Year() < 2024:
		f.Grade, f.Found, f.Next = Fail, f.Found+": not set", "let NTP set it (timedatectl set-ntp true): agents take the time from the collector"
	case known && !synced:
		f.Grade, f.Found, f.Next = Warn, f.Found+", and nothing keeps it right", "timedatectl set-ntp true, or install chrony: agents take the time from the collector"
	case known:
		f.Found += ", kept right by NTP"
	}
	k.tell(f)
}

// addressOf is where a listener of this machine is reached from this machine.
func addressOf(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// hostOf is the name in an address that agents are told.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// told are the names by which agents are told to come.
func (k *checkup) told() (hosts []string) {
	seen := map[string]bool{"": true}
	for _, a := range append([]string{k.c.Agents.URL}, k.c.Agents.Brokers...) {
		if h := hostOf(a); !seen[h] {
			seen[h] = true
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// exists tells whether there is such a file or folder.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
