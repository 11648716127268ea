package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// plan is what a round asks.
type plan struct {
	sample bool // an anchor, for quality, and now and then the gateway
	anchor bool // an anchor, for an answer
	all    bool // the gateway and all anchors at once
	dns    bool // a name, once the internet is known to answer
	fresh  bool // evidence shows that the internet answers
	unsure bool // the state may not be what it seems: a lost packet must not decide
	back   bool // and is newer than any question, so that silence says nothing against it
}

func (p plan) any() bool { return p.sample || p.anchor || p.all || p.dns }

// round is what one round found.
type round struct {
	start                  time.Time
	asked                  time.Time // when all anchors were asked together; zero: they were not
	reach                  ledger.Reach
	judged                 bool // the quality in reach can be relied on
	gateway, internet, dns Sample
	alive                  proof // that an anchor gave; zero: none
	ended                  time.Time
}

const (
	deadFor       = 10 // questions for which an anchor is passed over that was silent when another answered
	gatewayMute   = 3  // how often a gateway must be silent while the internet answers until it is held for mute
	gatewayAgain  = 12 // samples after which it is tried whether that is still so
	leastPatience = 500 * time.Millisecond
)

// rounds asks and remembers who never answers. One goroutine uses it.
type rounds struct {
	c       Config
	net     network
	extra   extra
	dead    []int // questions for which each anchor is passed over
	next    int   // anchor in turn
	slow    time.Duration
	gateway netip.Addr
	mute    int // silent gateway while the internet answered; -1: it has answered
	samples int // since the gateway was asked
}

// ask runs one round: the anchors, and the gateway with them where that tells local from backhaul; then a name.
// It takes at most twice the timeout and that of the resolvers, or once more when a sample must be confirmed.
func (r *rounds) ask(ctx context.Context, p plan, route Route, state telemetry.State) round {
	out := round{start: time.Now()}
	out.reach.InterfaceUp, out.reach.Evidence = route.Up, p.fresh
	if route.Gateway != r.gateway {
		r.gateway, r.mute, r.samples = route.Gateway, 0, 0
	}
	if p.sample || p.anchor || p.all {
		r.anchors(ctx, p, state, &out)
	}
	if p.dns && (p.fresh || out.reach.Internet == ledger.Answered) && ctx.Err() == nil {
		out.dns = r.net.Resolve(ctx, r.c.DNSName, r.c.DNSTimeout)
		out.reach.DNS = out.dns.Answer()
		if out.reach.DNS == ledger.Silent && out.reach.Internet == ledger.NotAsked { // or is it the link?
			r.anchors(ctx, plan{all: true, unsure: p.unsure}, state, &out)
		}
	}
	out.ended = time.Now()
	return out
}

// anchors asks the one in turn, and all of them and the gateway when it is silent. The sample is that of the anchor in
// turn, or of another when it is dead: that is not loss of the link.
func (r *rounds) anchors(ctx context.Context, p plan, state telemetry.State, out *round) {
	i, ok := r.turn()
	if !ok {
		r.gatewayAlone(ctx, out)
		return
	}
	if !p.all {
		one, count, patience := []Target{r.c.Anchors[i]}, 1, r.patience()
		if p.sample {
			count, patience = r.c.Count, r.c.Timeout
			if r.gateway.IsValid() && r.asksGateway() {
				one = append(one, Target{Addr: r.gateway})
			}
		}
		got := r.net.Ask(ctx, one, count, patience)
		out.internet = got[0]
		if len(got) > 1 {
			out.gateway = got[1]
		}
		if ctx.Err() != nil {
			return
		}
	}
	who := i // the anchor that is alive
	if !out.internet.Answered() {
		first := out.internet
		all, gateway := r.everyone(ctx, p.unsure, out)
		if ctx.Err() != nil {
			return
		}
		out.gateway.Add(gateway)
		if who = firstAnswered(all, i); who < 0 {
			who = i
		} else if !p.all && who != i {
			r.bury(i)
			first = all[who]
		}
		out.internet = all[who]
		if p.sample && !p.all {
			first.Asked, first.Heard = all[who].Asked, all[who].Heard
			out.internet = first
		}
		r.settle(p, out, all[who])
	} else {
		r.settle(p, out, out.internet)
	}
	if p.sample && out.reach.Internet == ledger.Answered {
		r.weigh(ctx, r.c.Anchors[who], state, out)
	}
}

// settle notes what became of the anchors, by the sample of one that answered if any did.
func (r *rounds) settle(p plan, out *round, s Sample) {
	out.reach.Internet = s.Answer()
	if out.reach.Internet == ledger.Silent && !p.back { // what was known before the question
		out.reach.Evidence = false
	}
	if s.Answered() {
		out.alive = proof{from: s.Heard, to: s.Asked}
		r.slow -= r.slow / 16
		for _, d := range s.RTTs {
			r.slow = max(r.slow, d)
		}
	}
	out.reach.Gateway = r.judgeGateway(out.gateway, out.reach.Internet)
}

// everyone asks the gateway and all anchors at the same moment, and twice where a change is in question: a link that loses a third of all
// packets must not be taken for one that is cut.
func (r *rounds) everyone(ctx context.Context, unsure bool, out *round) (anchors []Sample, gateway Sample) {
	to := r.c.Anchors[:len(r.c.Anchors):len(r.c.Anchors)]
	if r.gateway.IsValid() {
		to = append(to, Target{Addr: r.gateway})
	}
	out.asked = time.Now()
	count := 1
	if unsure {
		count = 2
		out.asked = out.asked.Add(gap) // the second time
	}
	got := r.net.Ask(ctx, to, count, r.c.Timeout)
	if n := len(r.c.Anchors); len(got) > n {
		return got[:n], got[n]
	}
	return got, Sample{}
}

// gatewayAlone is all that can be asked where there are no anchors.
func (r *rounds) gatewayAlone(ctx context.Context, out *round) {
	if r.gateway.IsValid() {
		out.asked = time.Now()
		out.gateway = r.net.Ask(ctx, []Target{{Addr: r.gateway}}, 1, r.c.Timeout)[0]
		out.reach.Gateway = r.judgeGateway(out.gateway, ledger.NotAsked)
	}
}

// firstAnswered is the first sample from i on that was answered, or -1.
func firstAnswered(all []Sample, i int) int {
	for k := range all {
		if j := (i + k) % len(all); all[j].Answered() {
			return j
		}
	}
	return -1
}

// weigh judges the quality. A sample that contradicts the state is not believed before further probes say so too. These
// only judge; counted in, they would make bad minutes weigh more than good ones.
func (r *rounds) weigh(ctx context.Context, to Target, state telemetry.State, out *round) {
	q := out.internet.Quality
	out.judged = true
	bad := q.Degraded(ledger.Limits{MedianRTT: r.c.Limits.MedianRTT})
	if bad != (state == telemetry.StateDegraded) && r.c.Confirm > 0 {
		if out.judged = r.extra.take(r.c.Confirm, forConfirm, time.Now()); !out.judged {
			return
		}
		more := Sample{Quality: ledger.Quality{Sent: q.Sent, Lost: q.Lost, RTTs: append([]time.Duration(nil), q.RTTs...)}}
		more.Add(r.net.Ask(ctx, []Target{to}, r.c.Confirm, r.c.Timeout)[0])
		q = more.Quality
	}
	out.reach.InternetLoss = q
}

// patience is how long the anchor in turn may take before the others are asked too.
func (r *rounds) patience() time.Duration {
	if r.slow == 0 {
		return r.c.Timeout
	}
	return min(max(3*r.slow, leastPatience), r.c.Timeout)
}

// margin is how long after a question its answer could still have come: a link that is cut after that has answered.
func (r *rounds) margin() time.Duration {
	if r.slow == 0 {
		return r.c.Timeout
	}
	return min(2*r.slow, r.c.Timeout)
}

// turn is the next anchor in rotation that is not passed over.
func (r *rounds) turn() (int, bool) {
	n := len(r.c.Anchors)
	if n == 0 {
		return 0, false
	}
	if r.dead == nil {
		r.dead = make([]int, n)
	}
	first := r.next
	for k := range n {
		i := (first + k) % n
		if r.dead[i] > 0 {
			r.dead[i]--
			continue
		}
		r.next = (i + 1) % n
		return i, true
	}
	r.next = (first + 1) % n
	return first, true
}

func (r *rounds) bury(i int) {
	r.dead[i] = deadFor
	r.c.Log.Info("an anchor is silent while another answers", "anchor", r.c.Anchors[i].Addr.String(), "questions_passed_over", deadFor)
}

// asksGateway tells whether this sample must learn if the gateway answers at all.
func (r *rounds) asksGateway() bool {
	r.samples++
	if r.mute >= 0 && r.mute < gatewayMute || r.samples > gatewayAgain {
		r.samples = 0
		return true
	}
	return false
}

// judgeGateway holds a gateway for mute that never answers although the internet beyond it does. Its silence says
// nothing then; the table of neighbours may. It is asked of a gateway that has not answered yet, too: that may be mute, and the outage older than
// this agent.
func (r *rounds) judgeGateway(s Sample, internet ledger.Answer) ledger.Answer {
	a := s.Answer()
	switch {
	case a == ledger.Answered:
		r.mute = -1
	case a == ledger.Silent && internet == ledger.Answered && r.mute < gatewayMute:
		r.mute = max(r.mute, 0) + 1
	}
	if a != ledger.Silent || r.mute < 0 {
		return a
	}
	n := ledger.NotAsked
	if r.c.Neighbour != nil {
		n = r.c.Neighbour(r.gateway)
	}
	if n == ledger.NotAsked && r.mute < gatewayMute {
		return a
	}
	return n
}
