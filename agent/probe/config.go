package probe

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
)

// Config says whom to ask and how often. The link proves itself through Evidence and Counters at no cost; what is
// asked beside that is paid for by the village.
type Config struct {
	// Every is the longest gap between two proofs of a working link. Where nothing proves it for so long, one anchor is
	// asked. It belongs a little above the gap between two batches, so that a batch that is on time spares the probe.
	Every time.Duration
	// SampleEvery is the gap between two samples of quality, paid for whatever the evidence.
	SampleEvery time.Duration
	// DNSEvery is the gap between two questions for DNSName while all is well.
	DNSEvery time.Duration
	// DownEvery is the gap between two rounds of an outage that is older than a minute; before that they come each second. The end of the
	// outage is known to half of it, or of Timeout if that is longer. 0: 5 s.
	DownEvery time.Duration
	// ExtraPerHour is how many probes an hour may be spent beyond the schedule, in the mean over a day: when traffic that was flowing
	// stops, and to tell a degraded link from chance. What a quiet night leaves over a busy evening may use. 0 spends none.
	ExtraPerHour int

	Count      int           // probes of one sample
	Confirm    int           // further ones when a sample contradicts the state, to tell a degraded link from chance; they count as extra
	Timeout    time.Duration // how long an answer is waited for
	Anchors    []Target      // asked in rotation; an outage is believed when none of them answers
	DNSName    string        // "" asks none
	DNSTimeout time.Duration // for all resolvers together
	Limits     ledger.Limits

	// Route is the way out, as it is now.
	Route func() Route
	// Changed says that an interface or a route is not what it was, see Watch. Nil where the platform does not tell: then
	// Route is read before each question.
	Changed <-chan time.Time
	// Doubt says that bytes wait too long for the far end: the link is asked at once.
	Doubt <-chan struct{}
	// Evidence is a moment at which the far end had bytes of ours, or we some of the far end's; zero: never. Nil: there is no such evidence.
	Evidence func() time.Time
	// Counters reads what the interface has received and sent. Nil where traffic on it proves nothing about the internet.
	Counters func(iface string) (Counters, bool)
	// Neighbour tells what is known of a gateway that answers no echo, see Neighbour. Nil: nothing.
	Neighbour func(netip.Addr) ledger.Answer

	Log *slog.Logger
}

// network is what a round needs of the network.
type network interface {
	// Ask sends count probes to each target, all at the same time, and waits for the answers as long as the timeout.
	Ask(ctx context.Context, to []Target, count int, timeout time.Duration) []Sample
	Resolve(ctx context.Context, name string, timeout time.Duration) Sample
}
