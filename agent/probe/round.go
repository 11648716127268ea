package probe

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
)

// network is what a round needs of the network.
type network interface {
	Ask(ctx context.Context, to Target, count int) Sample
	Resolve(ctx context.Context, name string, timeout time.Duration) Sample
}

// Config says whom to ask and how often.
type Config struct {
	Every       time.Duration // between two rounds while all is well
	SampleEvery time.Duration // between two paid samples of quality while there is evidence
	Count       int           // probes to one target in a round
	Confirm     int           // further ones when one was lost or slow, to tell degraded from chance
	Anchors     []Target
	DNSName     string // "" asks none
	DNSTimeout  time.Duration
	DNSEvery    int // rounds between two questions for a name while all is well
	Limits      ledger.Limits
	Route       func() Route          // the way out, as it is now
	Evidence    func() (at time.Time) // when internet traffic was last seen to flow; zero: never
	Log         *slog.Logger
}

// round is what one round found.
type round struct {
	start, end             time.Time
	reach                  ledger.Reach
	gateway, internet, dns Sample
	scheduled              bool
	evidence               time.Time // when internet traffic had last been seen to flow, at the start
	good                   time.Time // when the last proof of a working internet came; zero: none
}

// deadFor is how many rounds an anchor is passed over that was silent when another answered.
const deadFor = 10

// gatewayMute is how often a gateway must be silent while the internet answers until it is held for mute.
const gatewayMute = 3

// rounds asks and remembers who never answers. One goroutine uses it.
type rounds struct {
	c       Config
	net     network
	n       int
	sampled time.Time
	dead    []int // rounds for which each anchor is passed over
	next    int   // anchor in turn
	gateway netip.Addr
	mute    int // silent gateway while the internet answered; -1: it has answered
}

// ask runs one round. Scheduled rounds are samples of quality; the others only look for an answer. In a suspicious
// one everything is asked. It takes at most twice the timeout, or three times when answers are slow or lost.
func (r *rounds) ask(ctx context.Context, scheduled, suspicious bool) round {
	out := round{start: time.Now(), scheduled: scheduled}
	route := r.c.Route()
	out.reach.InterfaceUp = route.Up
	out.evidence = r.c.Evidence()
	fresh := !out.evidence.IsZero() && out.start.Sub(out.evidence) <= r.c.Every/2
	count := 1
	if scheduled {
		count = r.c.Count
	}
	paid := suspicious || !fresh || out.start.Sub(r.sampled) >= r.c.SampleEvery
	var g sync.WaitGroup
	if route.Gateway.IsValid() {
		g.Go(func() { out.gateway = r.net.Ask(ctx, Target{Addr: route.Gateway}, count) })
	}
	if r.c.DNSName != "" && (suspicious || r.n%r.c.DNSEvery == 0) {
		g.Go(func() { out.dns = r.net.Resolve(ctx, r.c.DNSName, r.c.DNSTimeout) })
	}
	if paid {
		r.sampled = out.start
		out.internet, out.reach.InternetLoss = r.anchors(ctx, count, scheduled)
		out.good = time.Now()
	}
	g.Wait()
	out.end = time.Now()
	r.n++
	out.reach.Internet, out.reach.DNS = out.internet.Answer(), out.dns.Answer()
	out.reach.Gateway = r.judgeGateway(route.Gateway, out.gateway, out.reach.Internet)
	r.settle(&out, fresh)
	return out
}

// settle weighs the evidence against the answers.
func (r *rounds) settle(out *round, fresh bool) {
	evidence := r.c.Evidence()
	switch {
	case out.reach.Internet == ledger.Answered:
		return
	case out.reach.Internet == ledger.Silent:
		fresh = evidence.After(out.start)
		out.reach.InternetLoss = ledger.Quality{} // either down, or the anchors are filtered and tell nothing
	}
	out.good = time.Time{}
	if out.reach.Evidence = fresh; fresh {
		out.good = evidence
	}
}

// anchors asks the one in turn, and all others at once when it is silent. The sample is that of the first anchor in
// turn that answered: loss of a dead anchor is not loss of the link.
func (r *rounds) anchors(ctx context.Context, count int, scheduled bool) (sample Sample, judged ledger.Quality) {
	i, ok := r.turn()
	if !ok {
		return Sample{}, ledger.Quality{}
	}
	sample = r.net.Ask(ctx, r.c.Anchors[i], count)
	if !sample.Answered() && ctx.Err() == nil && len(r.c.Anchors) > 1 {
		all := make([]Sample, len(r.c.Anchors))
		var g sync.WaitGroup
		for j := range all {
			if j != i {
				g.Go(func() { all[j] = r.net.Ask(ctx, r.c.Anchors[j], count) })
			}
		}
		g.Wait()
		for k := 1; k < len(all); k++ {
			if j := (i + k) % len(all); all[j].Answered() {
				r.bury(i)
				i, sample = j, all[j]
				break
			}
		}
	}
	judged = sample.Quality
	if scheduled && sample.Answered() && judged.Degraded(ledger.Limits{MedianRTT: r.c.Limits.MedianRTT}) {
		more := sample // the extra probes only judge; counted in, they would make bad minutes weigh more than good ones
		more.RTTs = append([]time.Duration(nil), sample.RTTs...)
		more.Add(r.net.Ask(ctx, r.c.Anchors[i], r.c.Confirm))
		judged = more.Quality
	}
	return sample, judged
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
	r.c.Log.Info("an anchor is silent while another answers", "anchor", r.c.Anchors[i].Addr.String(), "rounds_passed_over", deadFor)
}

// judgeGateway holds a gateway for mute that never answers although the internet beyond it does. Its silence
// says nothing then.
func (r *rounds) judgeGateway(addr netip.Addr, s Sample, internet ledger.Answer) ledger.Answer {
	if addr != r.gateway {
		r.gateway, r.mute = addr, 0
	}
	a := s.Answer()
	switch {
	case a == ledger.Answered:
		r.mute = -1
	case a == ledger.Silent && internet == ledger.Answered && r.mute >= 0:
		r.mute++
	}
	if a == ledger.Silent && r.mute >= gatewayMute {
		return ledger.NotAsked
	}
	return a
}
