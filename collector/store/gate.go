package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// How requests are tried again. A short fault costs no agent anything: the request waits here. A lasting one shuts the gate: agents keep
// their batches and send them again, which costs them bytes, but the collector holds nothing for longer than agents wait for an answer.
const (
	retryFirst = 250 * time.Millisecond // doubled at each try, up to retryMost
	retryMost  = 4 * time.Second
	shutFirst  = time.Second // how long the gate stays shut before one request tries; doubled up to shutMost
	shutMost   = 15 * time.Second
)

// jitter is a random moment in the second half, so that several collectors do not come back to InfluxDB at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// gate stands in front of InfluxDB, one for each tier. While it is shut requests fail at once; from time to time one is let through to try,
// and the others wait for what it finds.
type gate struct {
	mu    sync.Mutex
	err   error         // why it is shut; nil: open
	until time.Time     // the next try
	times int           // tries in vain
	probe chan struct{} // closed when the try that is under way has ended; nil: none is
}

// enter returns nil when a request may go out, else why not. One that tries must say what it found, with open or shut.
func (g *gate) enter(ctx context.Context) (trying bool, err error) {
	for {
		g.mu.Lock()
		probe := g.probe
		switch {
		case g.err == nil:
			g.mu.Unlock()
			return false, nil
		case probe == nil && !time.Now().Before(g.until):
			g.probe = make(chan struct{})
			g.mu.Unlock()
			return true, nil
		case probe == nil:
			defer g.mu.Unlock()
			return false, g.err
		}
		g.mu.Unlock()
		select {
		case <-probe:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// open lets all requests through: InfluxDB has answered.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.times = nil, 0
	g.ended()
}

// shut lets none through for a while.
func (g *gate) shut(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil || g.probe != nil { // requests that were under way together count once
		pause := min(shutFirst<<min(g.times, 10), shutMost)
		g.until = time.Now().Add(jitter(pause))
		g.times++
	}
	g.err = err
	g.ended()
}

// ended tells those who wait for a try. The mutex is held.
func (g *gate) ended() {
	if g.probe != nil {
		close(g.probe)
		g.probe = nil
	}
}

// held is why a request that came now would not go out, or nil.
func (g *gate) held() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil && g.probe == nil && time.Now().Before(g.until) {
		return g.err
	}
	return nil
}

// needsMending tells an error that no trying again ends: somebody has to do what its text says.
func needsMending(err error) bool {
	return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNoOrg)
}

// Held is why lines would not be written now, or nil. Each batch has a line of detail, so that tier's gate speaks for all: where only the ledger
// is shut, batches of detail go on.
func (w *Writer) Held() error { return w.queues[0].gate.held() }

// write sends one request, and again where the fault may be over soon.
func (w *Writer) write(ctx context.Context, q *queue, text []byte) error {
	begun := time.Now()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		trying, err := q.gate.enter(ctx)
		if err != nil {
			return err
		}
		err = w.once(ctx, q.tier, text)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) {
			q.gate.open()
			return err
		}
		wait := jitter(pause)
		if trying || needsMending(err) || ctx.Err() != nil || time.Since(begun)+wait > w.o.Patience {
			q.gate.shut(err)
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}
