package checkup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/probe"
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

// askAs is the next thing for who may not read what the agent reads.
const askAs = "check as root or as the agent's own user"

// checkup is one walk through all matters.
type checkup struct {
	c    agent.Config
	tell func(Finding)
	net  *probe.Net
	way  probe.Route
	up   bool // the internet answers
	runs *agent.Status
	shut bool // an agent may run, but does not talk with us
	bad  bool // something on the way to the broker failed: the test line need not be tried for long
}

// Run looks at everything in order and tells each finding as soon as it is known. It returns the worst grade.
func Run(ctx context.Context, c agent.Config, file string, tell func(Finding)) (worst Grade) {
	k := &checkup{c: c}
	if s, err := agent.ReadStatus(ctx, c.DataDir); err == nil {
		k.runs = &s
	} else {
		k.shut = !errors.Is(err, agent.ErrNotRunning)
	}
	k.tell = func(f Finding) {
		worst = max(worst, f.Grade)
		tell(f)
	}
	k.tell(Finding{Matter: "configuration", Found: fmt.Sprintf("%s: %s/%s, profile %s, data in %s", file, c.Site, c.Agent, c.Profile, c.DataDir)})
	for _, look := range []func(context.Context){k.clock, k.iface, k.gateway, k.names, k.internet, k.brokers, k.line, k.disk, k.memory} {
		if ctx.Err() != nil {
			return Fail
		}
		look(ctx)
	}
	return worst
}

// line sends a test line the whole way.
func (k *checkup) line(ctx context.Context) {
	f := Finding{Matter: "test line"}
	if k.bad {
		f.Grade, f.Found = Fail, "not tried: no broker lets this agent in"
		f.Next = "mend what is above first"
		k.tell(f)
		return
	}
	p, err := agent.Prove(ctx, k.c, slog.New(slog.DiscardHandler))
	how := "sent by this program, no agent is running"
	if p.Running {
		how = "sent by the running agent"
	}
	if err != nil {
		f.Grade, f.Found = Fail, err.Error()
		f.Next = "look at the collector's log and its page /readyz, which says whether InfluxDB can be used; a rejected line lies with its dead letters"
		if k.shut {
			f.Next = askAs + ", so that the running agent answers"
		}
		if errors.Is(err, syscall.EROFS) {
			f.Next = "mend the disk first: beside an agent that may run nothing was sent"
		}
		k.tell(f)
		return
	}
	f.Found = fmt.Sprintf("stored by the collector behind %s in %d ms; %s", p.Broker, p.Took.Milliseconds(), how)
	if !p.Running {
		f.Grade, f.Next = Warn, "start the agent: service nabz-agent start, or systemctl start nabz-agent"
	}
	k.tell(f)
	_, set := k.now() // else it was told
	if off := p.Ahead.Abs() - p.Took; set && off > 5*time.Second {
		word := "ahead of"
		if p.Ahead < 0 {
			word = "behind"
		}
		k.tell(Finding{Matter: "clock", Grade: Warn, Found: fmt.Sprintf("%s %s the collector's; the agent goes by the collector's", off.Round(time.Second), word),
			Next: "let NTP set this machine's clock; logs and other programs go by it"})
	}
}

// list joins what was found of several in one line.
func list(parts []string) string { return strings.Join(parts, "; ") }
