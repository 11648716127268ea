package agent

import (
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// What it takes to call a link degraded by the connection to the broker alone. One segment of two that was sent again is not a loss of
// half: at 10 segments the default limit of 20 % means three of them. A median of two round trips is one of them.
const (
	pathSegments = 10
	pathTrips    = 3
	pathOld      = 5 * time.Minute // what was gathered for longer says nothing of now
)

// path judges the link by what traffic of our own tells of it. It adds to the prober's word, and never says that a link is down or up.
type path struct {
	sum  ledger.Quality // not judged yet
	from time.Time      // when that began, by elapsed time
	slow bool
	at   time.Time // of the last judgement
}

// judge adds what was seen since from. It is true once there is enough to tell, or the last judgement is too old.
func (p *path) judge(q ledger.Quality, from time.Time, l ledger.Limits) (slow, judged bool) {
	if p.sum.Sent == 0 || from.Sub(p.from) > pathOld {
		p.sum, p.from = ledger.Quality{}, from
	}
	p.sum.Sent, p.sum.Lost, p.sum.RTTs = p.sum.Sent+q.Sent, p.sum.Lost+q.Lost, append(p.sum.RTTs, q.RTTs...)
	loss, trips := p.sum.Sent >= pathSegments, len(p.sum.RTTs) >= pathTrips
	if !loss && !trips || l == (ledger.Limits{}) {
		if p.slow && from.Sub(p.at) > pathOld {
			p.slow, p.from = false, from
			return false, true
		}
		return p.slow, false
	}
	sum := p.sum
	if !loss {
		sum.Sent, sum.Lost = 0, 0
	}
	if !trips {
		sum.RTTs = nil
	}
	p.slow, p.at = sum.Degraded(l), from
	p.sum = ledger.Quality{}
	return p.slow, true
}

// overrule is what the prober's word comes to: an outage ends what the path has told before it.
func (p *path) overrule(s telemetry.State) telemetry.State {
	switch {
	case s == telemetry.StateDown:
		*p = path{}
	case s == telemetry.StateUp && p.slow:
		return telemetry.StateDegraded
	}
	return s
}

// quality is what the connection told, in agreement with itself: each round trip is of a segment that was sent and not lost.
func quality(sent, lost int, rtts []time.Duration) ledger.Quality {
	lost = max(lost, 0)
	return ledger.Quality{Sent: max(sent, lost+len(rtts)), Lost: lost, RTTs: rtts}
}

// deaf tells whether what was sent brought nothing back.
func deaf(q ledger.Quality) bool { return q.Sent > 0 && len(q.RTTs) == 0 }
