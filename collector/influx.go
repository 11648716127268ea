package collector

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/store"
)

// How InfluxDB is looked after.
const (
	tryFirst  = 500 * time.Millisecond // after the first failure to prepare it; doubled until
	tryMost   = 10 * time.Second
	pingEvery = 5 * time.Second
	pingTime  = 3 * time.Second
)

// influxWatch prepares InfluxDB when it is there, reads the state of the sites back, and then asks every few seconds
// whether it still is. A lasting fault is told once when it begins and once when it ends.
type influxWatch struct {
	store   *store.Store
	restore func(context.Context) error
	back    func() // it was away and is there again
	log     *slog.Logger
	now     func() time.Time

	mu    sync.Mutex
	err   error
	since time.Time
}

func newInfluxWatch(s *store.Store, log *slog.Logger, now func() time.Time) *influxWatch {
	return &influxWatch{store: s, log: log, now: now, err: fmt.Errorf("not asked yet"), since: now()}
}

// fault is why InfluxDB cannot be used, or nil.
func (w *influxWatch) fault() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// watch works until ctx ends.
func (w *influxWatch) watch(ctx context.Context) {
	pause := tryFirst
	for told := false; ; told = true {
		err := w.prepare(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			break
		}
		w.set(err)
		if !told {
			w.log.Error("InfluxDB cannot be used yet; the collector waits for it and acknowledges nothing", "error", err)
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, tryMost)
	}
	w.mu.Lock()
	waited := w.now().Sub(w.since)
	w.err = nil
	w.mu.Unlock()
	w.log.Info("InfluxDB is ready", "after_s", int64(waited.Seconds()))
	w.back()
	for sleep(ctx, pingEvery) {
		asked, cancel := context.WithTimeout(ctx, pingTime)
		err := w.store.Ping(asked)
		cancel()
		if ctx.Err() != nil {
			return
		}
		w.note(err)
	}
}

func (w *influxWatch) prepare(ctx context.Context) error {
	if err := w.store.Ensure(ctx); err != nil {
		return err
	}
	if err := w.restore(ctx); err != nil {
		return fmt.Errorf("read the state of the sites back: %w", err)
	}
	return nil
}

// note takes in the answer to a ping.
func (w *influxWatch) note(err error) {
	before := w.fault()
	switch {
	case before == nil && err != nil:
		w.mu.Lock()
		w.since = w.now()
		w.mu.Unlock()
		w.log.Error("InfluxDB does not answer", "error", err)
	case before != nil && err == nil:
		w.mu.Lock()
		waited := w.now().Sub(w.since)
		w.mu.Unlock()
		w.log.Info("InfluxDB answers again", "after_s", int64(waited.Seconds()))
		w.back()
	}
	w.set(err)
}

func (w *influxWatch) set(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// sleep waits; false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
