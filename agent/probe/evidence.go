package probe

import (
	"context"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// gather reads what proves the link at no cost, and asks soon where traffic has stopped.
func (p *Prober) gather(now time.Time) (proofs []proof) {
	if p.c.Evidence != nil {
		if at := p.c.Evidence(); at.After(p.exact) {
			p.exact, p.doubtWait = at, 0
			proofs = append(proofs, proof{at, at})
		}
	}
	if p.c.Counters == nil || now.Before(p.readAt) {
		return proofs
	}
	p.readAt = onwards(p.readAt, readEvery, now)
	iface := p.Route().Interface
	c, ok := p.c.Counters(iface)
	if !ok {
		p.flow = flow{}
		return proofs
	}
	pr, m := p.flow.read(now, iface, c)
	if m == moving {
		p.step, p.lull = 0, 0
		return append(proofs, pr)
	}
	p.lull++
	if !p.known.trouble() && len(proofs) == 0 && p.stopped(now, m) {
		p.askNow = true
		p.step = max(afterTraffic, 2*p.step)
	}
	return proofs
}

// stopped tells whether traffic was flowing a while ago, flows no longer, and a question is worth its price. A cut shows as a link
// on which packets only leave; where neither side speaks, one reading more is waited for.
func (p *Prober) stopped(now time.Time, m mood) bool {
	if p.step >= p.c.Every {
		return false
	}
	age := now.Sub(p.known.good)
	if m == oneWay {
		return age >= max(p.step, readEvery) && p.rounds.extra.take(1, forOneWay, now)
	}
	share := forSilence
	if p.step == 0 {
		share = forLull
	}
	return p.lull >= 2 && age >= max(p.step, 2*readEvery) && p.rounds.extra.take(1, share, now)
}

// together is how far apart a question and the reading that goes before it are at most.
const together = gap + 50*time.Millisecond

// newer tells whether a proof that begins at from is of the time after a question.
func newer(from, asked time.Time) bool { return from.After(asked.Add(-together)) }

// mark reads the counters now, so that the next proof begins here.
func (p *Prober) mark(now time.Time) (proofs []proof) {
	p.readAt = now
	proofs = p.gather(now)
	p.flow.forget()
	return proofs
}

// proved weighs evidence. Against anchors that were asked and are silent only what came after the question counts, and of names it
// says nothing.
func (p *Prober) proved(pr proof) (Verdict, bool) {
	k := &p.known
	up := finding{state: telemetry.StateUp, first: pr.to, last: pr.from}
	doubted := !k.suspect.first.IsZero() && k.suspect.cause != telemetry.CauseDNS
	if !newer(pr.from, p.silent) && pr.to.After(p.silent) {
		return Verdict{}, false // before the silence, or after it?
	}
	switch {
	case k.state == telemetry.StateDown && k.cause != telemetry.CauseDNS:
		if !newer(pr.from, k.bad) || k.suspect.cause == telemetry.CauseDNS { // or the link is back already, and it is names that are asked for
			return Verdict{}, false
		}
		if r := p.Route(); !r.Up {
			p.mistrusted, p.mistrusts, p.broken = r, true, finding{}
		}
		p.back, p.askNow = pr, true
		return Verdict{}, false
	case doubted:
		k.good = later(k.good, pr.from)
		if !newer(pr.from, k.suspect.last) {
			return Verdict{}, false
		}
		p.contradicted()
		if k.cause == telemetry.CauseDNS {
			k.suspect = finding{}
			return k.still(), true
		}
	default:
		k.good = later(k.good, pr.from)
		if k.trouble() || k.state != "" && time.Since(p.reported) < p.c.Every {
			return Verdict{}, false
		}
	}
	return k.find(up), true
}

// contradicted notes that the link works although the anchors are silent.
func (p *Prober) contradicted() {
	if p.filtered++; p.filtered == filteredAfter {
		p.c.Log.Warn("the link works but no anchor answers; their silence counts less from now on", "anchors", len(p.c.Anchors))
	}
}

// doubted tells whether to ask now, because bytes wait for the far end. A link that answers although they wait is asked less and
// less often, until they have moved.
func (p *Prober) doubted(now time.Time) bool {
	if p.known.trouble() || now.Sub(p.known.good) < p.doubtWait {
		return false
	}
	p.doubtWait = min(max(afterTraffic, 2*p.doubtWait), p.c.Every)
	p.askNow = true
	return true
}

// look reads the route, and tells whether it is another. Without a carrier the link is down, whoever might be asked; without a default
// route there may be another way.
func (p *Prober) look(now time.Time) bool {
	p.looked = now
	r, before := p.c.Route(), p.Route()
	p.route.Store(&r)
	switch {
	case r.Up || p.mistrusts && r == p.mistrusted:
		p.broken = finding{}
	case p.broken.first.IsZero():
		p.broken = finding{state: telemetry.StateDown, cause: telemetry.CauseLocal, first: now, last: now}
	}
	p.broken.certain = r.Interface != ""
	return r != before
}

// changed hears that the kernel told of an interface or a route at a moment that may be past, when a round was under way, and tells
// whether there is something to do.
func (p *Prober) changed(ctx context.Context, at time.Time) bool {
	late := eventLate
	if !p.event.IsZero() && at.Sub(p.event) <= eventLateNext+eventLate {
		late = eventLateNext // it tells of carriers once a second at most
	}
	p.event = at
	was := p.broken
	moved := p.look(time.Now())
	if !p.Route().Up { // for good, or for the moment that a lease is renewed?
		t := time.NewTimer(settleFor)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
		moved = p.look(time.Now()) || moved
		if was.first.IsZero() && !p.broken.first.IsZero() {
			p.broken.from = at.Add(-late)
		}
	}
	if moved {
		p.flow, p.askNow = flow{}, true
	}
	return moved || p.known.trouble()
}

// disconnects tells whether the interface is known to have no carrier.
func (p *Prober) disconnects() bool { return p.broken.certain && !p.broken.first.IsZero() }

// disconnected says that the interface has no carrier, for as long as this is so. No packet is needed to know.
func (p *Prober) disconnected() Verdict {
	k, f := &p.known, p.broken
	switch {
	case k.state == telemetry.StateDown && k.cause == telemetry.CauseLocal:
		f.last = time.Now()
	case !f.from.IsZero() && k.good.After(f.from) && k.good.Before(f.first):
		f.from = k.good
	}
	return k.find(f)
}
