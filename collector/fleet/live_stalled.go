package fleet

import (
	"fmt"
	"time"
)

const (
	stallLeast = 3                // sites that have to be connected before all of them being overdue says something of the NOC and not of them
	stallEarly = 15 * time.Second // so long before an agent is unreachable for its silence it counts as overdue here, which is asked more rarely
)

// Stalled tells that nothing is being stored, by what a board can see: the agents of three sites or more are connected to the broker, and of
// all that are not one batch has come that was due. Then the intakes do not run, and the villages are not to blame: the time since the last batch
// counts as deaf. It is asked after each Poll.
func (p *Poller) Stalled() error {
	l := p.live
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	sites := map[string]bool{}
	newest := time.Time{}
	for a, ag := range l.agents {
		if !ag.connected || ag.head.At.IsZero() {
			continue
		}
		if now.Sub(ag.head.At) <= ag.patience(l, now)-stallEarly {
			return nil
		}
		sites[a.Site] = true
		newest = later(newest, ag.head.At)
	}
	if len(sites) < stallLeast {
		return nil
	}
	if n := len(l.deaf); n == 0 || l.deaf[n-1].from.Before(newest) && !l.deaf[n-1].to.IsZero() {
		l.deaf = append(l.deaf, deafness{from: newest})
	}
	return fmt.Errorf("of %d sites that are connected to the broker no batch was stored for %v; look whether the intakes run, and at their /readyz", len(sites), now.Sub(newest).Round(time.Second))
}
