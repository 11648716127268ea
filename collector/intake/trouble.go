package intake

import (
	"log/slog"
	"sync"
	"time"
)

// trouble is the state of the way to InfluxDB, told once when it ends working and once when it works again.
type trouble struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	err     error     // of the last failure; nil when the trouble is over and told
	since   time.Time // when it began
	failed  time.Time // the last failure
	stored  time.Time // the last success
	batches int
}

const (
	// calm is how long after the last failure a success means that the trouble is over: a server on its way down
	// or up answers now so, now so.
	calm = 5 * time.Second
	// stale is when a failure says nothing any more: agents would have sent their batches again.
	stale = 5 * time.Minute
)

// note hears how a batch ended.
func (t *trouble) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if err == nil {
		if t.stored = now; t.err != nil && now.Sub(t.failed) >= calm {
			t.over(now)
		}
		return
	}
	if t.err == nil {
		t.since, t.batches = now, 0
		t.log.Error("InfluxDB does not take batches; none is acknowledged until it does, and agents keep them", "error", err)
	}
	t.err, t.failed = err, now
	t.batches++
}

func (t *trouble) over(now time.Time) {
	t.log.Info("InfluxDB takes batches again", "after_s", int64(now.Sub(t.since).Seconds()), "batches_not_stored", t.batches)
	t.err = nil
}

// present is why a batch that came now would not be stored, as far as is known.
func (t *trouble) present() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	age := t.now().Sub(t.failed)
	if t.err != nil && age >= calm && (t.stored.After(t.failed) || age >= stale) {
		return nil
	}
	return t.err
}

// recovered ends the trouble, because InfluxDB is known to have come back.
func (t *trouble) recovered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		t.over(t.now())
	}
}
