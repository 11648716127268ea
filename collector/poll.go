package collector

import (
	"context"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// pollEvery is how often a board asks InfluxDB what others have stored. An agent that reports each minute and is silent is unreachable after 90 s: this is
// a part of the 30 s between.
const pollEvery = 10 * time.Second

// polling is a board's look at InfluxDB.
type polling struct {
	mu           sync.Mutex
	err, stalled error
}

// faults are why InfluxDB cannot be asked, and why it may be that nobody stores anything there; nil when all is well.
func (w *polling) faults() (err, stalled error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err, w.stalled
}

func (w *polling) set(err, stalled error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.stalled = err, stalled
}

// poll asks until ctx ends. A lasting fault is told once when it begins.
func (p *parts) poll(ctx context.Context) {
	poller := fleet.NewPoller(p.live, p.store)
	for sleep(ctx, pollEvery) {
		if p.influx.fault() != nil { // told there; and before it was ready there is nothing to go on from
			continue
		}
		err := poller.Poll(ctx)
		if ctx.Err() != nil {
			return
		}
		before, stalledBefore := p.polling.faults()
		stalled := stalledBefore
		if err == nil {
			stalled = poller.Stalled()
		}
		p.polling.set(err, stalled)
		if err != nil && before == nil {
			p.log.Error("the board cannot ask InfluxDB what was stored", "error", err)
		}
		if stalled != nil && stalledBefore == nil {
			p.log.Error("nothing is being stored", "error", stalled)
		}
	}
}
