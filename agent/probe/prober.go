package probe

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// The quick rounds of an outage. A dead link costs the villagers nothing, a sleeping agent costs them truth. A round lasts as long as
// an answer is waited for, so the next one may begin later than this.
const (
	quickEvery = time.Second
	quickFor   = time.Minute
	downEvery  = 5 * time.Second
	namesShare = 8 // a dead resolver is asked again after an eighth of the time that it is dead: the link is alive then, and each question paid for
)

const (
	afterTraffic  = 10 * time.Second       // first gap between two questions after traffic that stopped; it doubles
	lookEvery     = 30 * time.Second       // how long a route is taken as it was, where changes are told
	settleFor     = 250 * time.Millisecond // a lease that is renewed takes a route away for a moment
	eventLate     = 20 * time.Millisecond  // how late the kernel tells of a carrier at most …
	eventLateNext = time.Second            // … and when it told of another just before
	filteredAfter = 3                      // how often evidence must contradict silent anchors until their silence says little
)

// Prober asks on a schedule. Run is for one goroutine.
type Prober struct {
	c      Config
	rounds rounds
	known  known
	flow   flow
	route  atomic.Pointer[Route]

	looked     time.Time // when the route was read
	event      time.Time // when the kernel last told of a change
	broken     finding   // the interface has lost its carrier; zero: it has not
	mistrusted Route     // this interface was said to be down while the link worked
	mistrusts  bool      // there is such a one

	sampleAt, dnsAt, readAt time.Time // when each is due
	askedAt                 time.Time // start of the last round
	silent                  time.Time // when all anchors were asked last in vain
	askNow                  bool
	back                    proof     // that the link works again, before names were asked for
	reported                time.Time // when a verdict was last told

	exact     time.Time     // the evidence that was seen last
	step      time.Duration // least age of the last proof for an extra question
	lull      int           // readings since traffic stopped
	doubtWait time.Duration
	filtered  int
}

// New makes a prober that asks n.
func New(c Config, n *Net) *Prober { return newProber(c, n) }

func newProber(c Config, n network) *Prober {
	if c.DownEvery <= 0 {
		c.DownEvery = downEvery
	}
	p := &Prober{c: c, rounds: rounds{c: c, net: n}, filtered: filteredAfter, step: c.Every}
	p.route.Store(&Route{})
	return p
}

// Route is the way out as the prober saw it last. Safe for concurrent use.
func (p *Prober) Route() Route { return *p.route.Load() }

// Run asks until ctx ends and hands every verdict to tell, in order. It returns nil.
func (p *Prober) Run(ctx context.Context, tell func(Verdict)) error {
	now := time.Now()
	p.known.begun, p.known.named = now, now
	p.rounds.extra = newExtra(p.c.ExtraPerHour, now)
	p.sampleAt, p.dnsAt, p.readAt, p.askNow = now, now, now, true
	p.look(now)
	changed, doubt := p.c.Changed, p.c.Doubt
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case at, ok := <-changed:
			if !ok {
				changed, p.c.Changed = nil, nil
			} else if !p.changed(ctx, at) {
				continue
			}
		case _, ok := <-doubt:
			if !ok {
				doubt = nil
			} else if !p.doubted(time.Now()) {
				continue
			}
		}
		p.work(ctx, tell)
		if ctx.Err() != nil {
			return nil // a round that was cut short says nothing
		}
		t.Reset(time.Until(p.next()))
	}
}

// work reads what costs nothing, asks what is due and tells what came of it.
func (p *Prober) work(ctx context.Context, tell func(Verdict)) {
	now := time.Now()
	if p.c.Changed == nil || now.Sub(p.looked) >= lookEvery {
		p.askNow = p.look(now) || p.askNow
	}
	gather := p.gather
	if p.known.trouble() && !now.Before(p.askAt()) {
		gather = p.mark
	}
	for _, pr := range gather(now) {
		if v, ok := p.proved(pr); ok {
			p.tell(v, tell)
		}
	}
	if p.disconnects() {
		p.tell(p.disconnected(), tell)
		p.askedAt, p.askNow = now, false
		return
	}
	due := !now.Before(p.dnsAt)
	plan := p.plan(now)
	if !plan.any() {
		return
	}
	r := p.rounds.ask(ctx, plan, p.Route(), p.known.state)
	p.askedAt = r.start
	if ctx.Err() != nil {
		return
	}
	v, ok := p.judge(r)
	switch {
	case ok:
	case p.knowsNoMore(r.start):
		v, ok = p.known.forget(), true
	case p.known.state != "": // what was measured is told, even when it says nothing of the state
		v, ok = p.known.still(), r.internet.Sent+r.dns.Sent > 0
	}
	if plan.sample {
		v.Gateway, v.Internet = r.gateway, r.internet
	}
	if due {
		v.DNS = r.dns
	}
	if ok {
		p.tell(v, tell)
	}
}

func (p *Prober) tell(v Verdict, tell func(Verdict)) {
	p.reported = time.Now()
	tell(v)
}

// plan is what is due now, and when each is due next.
func (p *Prober) plan(now time.Time) plan {
	k := &p.known
	out := plan{fresh: now.Sub(k.good) < p.c.Every && !k.good.IsZero(), unsure: k.state != telemetry.StateDown || !k.suspect.first.IsZero()}
	if k.state == telemetry.StateDown && k.cause != telemetry.CauseDNS {
		out.fresh = false
	}
	asks := p.askNow || !now.Before(p.askAt())
	p.askNow = false
	if !now.Before(p.sampleAt) {
		out.sample = true
		p.sampleAt = onwards(p.sampleAt, p.c.SampleEvery, now)
	}
	names := k.suspect.cause == telemetry.CauseDNS || k.cause == telemetry.CauseDNS && k.suspect.first.IsZero()
	link := k.trouble() && !names
	named := p.c.DNSName != "" && !now.Before(p.dnsAt)
	if named {
		p.dnsAt = now.Add(min(p.inVain(), p.c.DNSEvery)) // unless it comes to be asked, see judge
	}
	if !p.back.to.IsZero() {
		return plan{anchor: true, dns: p.c.DNSName != "", sample: out.sample, fresh: true, back: true}
	}
	switch {
	case link:
		out.all = asks || out.sample
	case (asks || named) && !out.fresh || asks && !names: // else the link is known to work, and only names are in question
		out.anchor = true
	}
	out.dns = p.c.DNSName != "" && (asks && names || out.all || !link && named)
	return out
}

// onwards is the first moment after now on a schedule that was due at due.
func onwards(due time.Time, every time.Duration, now time.Time) time.Time {
	if due = due.Add(every); !due.After(now) {
		due = now.Add(every) // the machine slept
	}
	return due
}

// askAt is when the link must be asked for an answer.
func (p *Prober) askAt() time.Time {
	k := &p.known
	if !k.trouble() {
		at := k.good.Add(p.c.Every)
		if again := p.askedAt.Add(p.inVain()); again.After(at) { // asked in vain, see filtered
			at = again
		}
		return at
	}
	gap := quickEvery
	lasts := p.askedAt.Sub(k.moved)
	switch {
	case k.cause == telemetry.CauseDNS || k.suspect.cause == telemetry.CauseDNS:
		gap = min(max(lasts/namesShare, quickEvery), max(p.c.Every, p.c.DownEvery))
	case lasts >= quickFor:
		gap = p.c.DownEvery
	}
	return p.askedAt.Add(gap)
}

// inVain is the gap after a question that told nothing. Where there are no anchors the gateway is all that can be asked, and tells no more
// the next time.
func (p *Prober) inVain() time.Duration {
	if len(p.c.Anchors) == 0 {
		return p.c.Every
	}
	return min(afterTraffic, p.c.Every)
}

// next is when there is something to do again.
func (p *Prober) next() time.Time {
	at := p.askAt()
	if p.sampleAt.Before(at) && !p.disconnects() { // else it waits for the carrier
		at = p.sampleAt
	}
	if p.c.DNSName != "" && p.known.state != telemetry.StateDown && p.dnsAt.Before(at) {
		at = p.dnsAt
	}
	if p.c.Counters != nil && p.readAt.Before(at) {
		at = p.readAt
	}
	if p.askNow {
		at = time.Now()
	}
	return at
}

// judge turns a round into a verdict.
func (p *Prober) judge(r round) (Verdict, bool) {
	k := &p.known
	if r.dns.Sent > 0 {
		p.dnsAt = r.start.Add(p.c.DNSEvery)
	}
	if r.dns.Answered() {
		k.named = r.dns.Heard
	}
	if r.reach.Internet == ledger.Answered {
		p.filtered = 0
		k.good = later(k.good, r.alive.from)
		if !r.reach.InterfaceUp {
			p.mistrusted, p.mistrusts, p.broken = p.Route(), true, finding{}
		}
	}
	back := p.back
	p.back = proof{}
	if !back.to.IsZero() && r.reach.Internet == ledger.Silent {
		p.contradicted()
	}
	s, c, ok := ledger.Judge(r.reach, p.c.Limits)
	if !ok {
		return Verdict{}, false
	}
	f := finding{state: s, cause: c, judged: r.judged}
	switch {
	case c == telemetry.CauseDNS:
		f.first, f.last = r.ended, r.start
	case s == telemetry.StateDown && !r.reach.InterfaceUp:
		f.first, f.last = r.start, r.start
		if b := p.broken; !b.first.IsZero() && k.state != telemetry.StateDown {
			f.first, f.from = b.first, b.from
		}
	case s == telemetry.StateDown:
		f.first, f.last, p.silent = r.asked.Add(p.rounds.margin()), r.asked, r.asked
		for _, pr := range p.mark(time.Now()) { // what came while answers were waited for
			if v, ok := p.proved(pr); newer(pr.from, r.asked) {
				return v, ok
			}
		}
		if p.believesEvidence(r.asked) {
			return Verdict{}, false
		}
	case r.reach.Internet == ledger.Answered:
		f.first, f.last = later(r.alive.to, r.dns.Asked), r.alive.from
		if r.judged && s != k.state && alive(k.state) { // how the quality is now, not when an answer came
			f.first, f.last = r.ended, r.start
		}
	case !back.to.IsZero():
		f.first, f.last = later(back.to, r.dns.Asked), back.from
	default:
		f.first, f.last = k.good, k.good
	}
	if k.cause == telemetry.CauseDNS && alive(s) {
		if !r.dns.Answered() {
			return Verdict{}, false // the link works, as it did
		}
		f.first, f.last = r.dns.Asked, r.dns.Heard
	}
	return k.find(f), true
}

// knowsNoMore tells whether nothing has said for so long what the state is that it is not known any more, or was not at the beginning. Where
// there are no anchors, nothing but evidence can say that the link works, and that it does not only the gateway.
func (p *Prober) knowsNoMore(now time.Time) bool {
	return len(p.c.Anchors) == 0 && (p.known.state != "" || !p.known.lost) && now.Sub(p.known.until()) >= 2*p.c.Every
}

// believesEvidence tells whether silent anchors say nothing, because the link proved itself to work a short while ago
// without them, more than once.
func (p *Prober) believesEvidence(asked time.Time) bool {
	return p.filtered >= filteredAfter && !p.known.trouble() && !p.known.good.IsZero() && asked.Sub(p.known.good) < 2*p.c.Every
}
