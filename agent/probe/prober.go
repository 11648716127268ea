package probe

import (
	"context"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// The quick rounds of an outage. A dead link costs the villagers nothing, a sleeping agent costs them truth.
const (
	quickEvery = time.Second
	quickFor   = time.Minute
	downEvery  = 5 * time.Second
)

// Verdict is what one round says.
type Verdict struct {
	State telemetry.State
	Cause telemetry.Cause
	At    time.Time     // the state holds from here; the same as Until when it did not change
	Err   time.Duration // the true moment of the change lies within At ± Err
	Until time.Time     // the state was still seen here

	// Pending says that this round failed and none has confirmed it yet: State is the one before, and must not be
	// told as lasting until another verdict comes, within seconds.
	Pending bool

	// Samples of the schedule, for loss and round trip; Sent is 0 where nothing was asked or the round was an extra one.
	Gateway, Internet, DNS Sample
}

// Prober asks on a schedule.
type Prober struct {
	rounds rounds
	state  telemetry.State
	cause  telemetry.Cause
	named  time.Time // a name was last resolved
	good   time.Time // the link was last seen to work, up or degraded
	bad    time.Time // start of the last failing round
	failed time.Time // start of the first failing round of this outage, or of its latest cause; zero: none
	begun  time.Time
}

// New makes a prober that asks n.
func New(c Config, n *Net) *Prober { return newProber(c, n) }

func newProber(c Config, n network) *Prober { return &Prober{rounds: rounds{c: c, net: n}} }

// Run asks until ctx ends and hands every verdict to tell, in order. It returns nil.
func (p *Prober) Run(ctx context.Context, tell func(Verdict)) error {
	p.begun = time.Now()
	due := p.begun // of the next scheduled round
	for {
		now := time.Now()
		scheduled := !now.Before(due)
		if scheduled {
			due = due.Add(p.rounds.c.Every)
			if !due.After(now) {
				due = now.Add(p.rounds.c.Every) // the machine slept
			}
		}
		r := p.rounds.ask(ctx, scheduled, !p.failed.IsZero())
		if ctx.Err() != nil {
			return nil // a round that was cut short says nothing
		}
		if v, ok := p.judge(r); ok {
			if scheduled {
				v.Gateway, v.Internet, v.DNS = r.gateway, r.internet, r.dns
			}
			tell(v)
		}
		if p.failed.IsZero() && r.internet.Sent == 0 {
			if next := r.good.Add(p.rounds.c.Every); next.Before(due) {
				due = next // so that no two proofs of a working link are further apart than Every
			}
		}
		t := time.NewTimer(p.wait(r.start, due))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// wait is the time to the next round, which began last at start.
func (p *Prober) wait(start, due time.Time) time.Duration {
	now := time.Now()
	next := due
	if !p.failed.IsZero() {
		quick := now.Sub(p.failed) < quickFor
		switch {
		case quick:
			next = start.Add(quickEvery)
		case p.cause != telemetry.CauseDNS: // the link is alive then, and every question is paid for
			next = start.Add(downEvery)
		}
	}
	if next.After(due) {
		next = due
	}
	return max(next.Sub(now), 0)
}

// judge turns a round into a verdict. The first failing round only raises a suspicion.
func (p *Prober) judge(r round) (Verdict, bool) {
	s, c, ok := ledger.Judge(r.reach, p.rounds.c.Limits)
	if !ok {
		return Verdict{}, false
	}
	unsure := !r.scheduled || r.reach.Internet == ledger.NotAsked
	if s == telemetry.StateUp && p.state == telemetry.StateDegraded && unsure {
		s = p.state // only a full sample can say that the quality is good again
	}
	first := p.state == ""
	v := Verdict{State: s, Cause: c, Until: r.end, At: r.end}
	switch {
	case s == telemetry.StateDown && p.state != telemetry.StateDown:
		if p.failed.IsZero() {
			p.failed, p.bad = r.start, r.start
			if r.evidence.After(p.good) {
				p.good = r.evidence
			}
			return Verdict{State: p.state, Cause: p.cause, At: p.good, Until: p.good, Pending: true}, true
		}
		from := p.good
		if c == telemetry.CauseDNS {
			from = p.named // names are asked for less often
		}
		v.At, v.Err = between(from, p.failed)
	case s == telemetry.StateDown && c != p.cause:
		v.At, v.Err = between(p.bad, r.start)
		p.failed = r.start // something moves: be quick again
	case s != telemetry.StateDown && p.state == telemetry.StateDown:
		v.At, v.Err = between(p.bad, r.good)
	case s != p.state:
		v.At, v.Err = between(p.good, r.good)
	}
	if first {
		v.At, v.Err = p.begun, 0
	}
	if s == telemetry.StateDown {
		p.bad = r.start
	} else {
		p.failed, p.good = time.Time{}, r.good
		if r.reach.DNS == ledger.Answered || p.named.IsZero() {
			p.named = r.good
		}
	}
	p.state, p.cause = s, c
	return v, true
}

// between is the best guess for a change that came after from and before to, and how far off it can be.
func between(from, to time.Time) (at time.Time, err time.Duration) {
	if from.IsZero() || !to.After(from) {
		return to, 0
	}
	half := to.Sub(from) / 2
	return from.Add(half), half
}
