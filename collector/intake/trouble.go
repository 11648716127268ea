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
	err     error
	since   time.Time
	last    time.Time
	batches int
}

// calm is how long after the last failure a success means that the trouble is over: a server on its way down or
// up answers now so, now so.
const calm = 5 * time.Second

// note hears how a batch ended.
func (t *trouble) note(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil && t.err == nil:
		return
	case err != nil && t.err == nil:
		t.since, t.batches = t.now(), 0
		t.log.Error("InfluxDB does not take batches; none is acknowledged until it does, and agents keep them", "error", err)
	case err == nil && t.now().Sub(t.last) < calm:
		return
	case err == nil:
		t.log.Info("InfluxDB takes batches again", "after_s", int64(t.now().Sub(t.since).Seconds()), "batches_not_stored", t.batches)
	}
	if t.err = err; err != nil {
		t.last = t.now()
		t.batches++
	}
}

func (t *trouble) present() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
