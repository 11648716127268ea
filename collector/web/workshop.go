package web

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

// The bounds of what is made at once, and of what is kept of it.
const (
	benches     = 2                // made at once: each has three queries at InfluxDB
	mostWaiting = 12               // beyond these
	mostKept    = 4                // results
	mostBytes   = 24 << 20         // of them together, but for the newest
	keptFor     = 2 * time.Minute  // a result
	faultFor    = 5 * time.Second  // an error, so that a page that comes back for it finds it
	leaseFor    = 15 * time.Second // that a page may be away until it comes back
)

// errBusy is the error of a report that would have to wait behind too many others.
var errBusy = errors.New("too many reports are being made just now")

// made is a result: a report with its bytes and their SHA-256, or what it was checked against.
type made struct {
	report *report.Report
	doc    []byte
	sum    string
	as     prose.Header
}

// task makes one. It says how far it is in parts of 1.
type task func(ctx context.Context, tell func(done float64)) (*made, error)

// workshop makes what pages ask for: the same thing once, however many ask; few things at once; nothing that nobody waits for any more.
type workshop struct {
	bench chan struct{}
	all   sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*job
	kept []*job // those that are done, the oldest first
	shut bool
}

type job struct {
	key    string
	cancel context.CancelFunc
	done   chan struct{} // closed when made and err are there
	made   *made
	err    error
	begun  atomic.Bool
	parts  atomic.Int64 // of a thousand

	waits int         // requests that wait
	until time.Time   // a page may come back
	timer *time.Timer // of the lease; of what is kept, when it is done
}

func newWorkshop() *workshop {
	return &workshop{bench: make(chan struct{}, benches), jobs: map[string]*job{}}
}

// run ends all that is being made when ctx ends, and waits for it.
func (w *workshop) run(ctx context.Context) error {
	<-ctx.Done()
	w.mu.Lock()
	w.shut = true
	for _, j := range w.jobs {
		j.cancel()
		j.timer.Stop()
	}
	w.mu.Unlock()
	w.all.Wait()
	return nil
}

// ask waits for what the key names until it is made, ctx ends, or that time has passed; then done tells how far it is, and it goes on being made for as long as a page
// may be away. Without a time it waits for as long as ctx lets it.
func (w *workshop) ask(ctx context.Context, key string, atMost time.Duration, do task) (m *made, done progress, err error) {
	j, err := w.join(key, do)
	if err != nil {
		return nil, progress{}, err
	}
	var late <-chan time.Time
	if atMost > 0 {
		t := time.NewTimer(atMost)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-j.done:
		w.leave(j, 0)
		return j.made, progress{}, j.err
	case <-ctx.Done():
		w.leave(j, 0)
		return nil, progress{}, ctx.Err()
	case <-late:
		w.leave(j, leaseFor)
		return nil, progress{Waits: !j.begun.Load(), Percent: int(j.parts.Load() / 10)}, nil
	}
}

// progress is how far something is that is being made.
type progress struct {
	Waits   bool // for others
	Percent int
}

func (w *workshop) join(key string, do task) (*job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j := w.jobs[key]; j != nil {
		j.waits++
		return j, nil
	}
	if w.shut || len(w.jobs)-len(w.kept) >= benches+mostWaiting {
		return nil, errBusy
	}
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{key: key, cancel: cancel, done: make(chan struct{}), waits: 1}
	j.timer = time.AfterFunc(leaseFor, func() { w.over(j) })
	w.jobs[key] = j
	w.all.Go(func() {
		j.made, j.err = w.make(ctx, j, do)
		cancel()
		w.finish(j)
	})
	return j, nil
}

func (w *workshop) make(ctx context.Context, j *job, do task) (*made, error) {
	select {
	case w.bench <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-w.bench }()
	j.begun.Store(true)
	return do(ctx, func(done float64) { j.parts.Store(int64(1000 * done)) })
}

// leave is called by who waits no more. A page that will come back keeps it going for so long.
func (w *workshop) leave(j *job, lease time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j.waits--
	switch {
	case j.ended(): // its timer is how long it is kept
	case lease > 0:
		j.until = time.Now().Add(lease)
		j.timer.Reset(lease)
	case j.waits == 0 && !time.Now().Before(j.until):
		w.drop(j)
	}
}

// over is the end of a lease, or of what is kept.
func (w *workshop) over(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.ended() || j.waits == 0 && !time.Now().Before(j.until) { // it may have been prolonged as it ended
		w.drop(j)
	}
}

func (j *job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// drop forgets a job and ends it.
func (w *workshop) drop(j *job) {
	j.cancel()
	j.timer.Stop()
	if w.jobs[j.key] == j {
		delete(w.jobs, j.key)
	}
	w.kept = slices.DeleteFunc(w.kept, func(k *job) bool { return k == j })
}

// finish keeps a result for a while, and forgets older ones.
func (w *workshop) finish(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(j.done)
	if w.jobs[j.key] != j || w.shut { // it was dropped
		return
	}
	life := keptFor
	if j.err != nil {
		life = faultFor
	}
	j.timer.Reset(life)
	w.kept = append(w.kept, j)
	for len(w.kept) > 1 && (len(w.kept) > mostKept || w.bytes() > mostBytes) {
		w.drop(w.kept[0])
	}
}

func (w *workshop) bytes() (n int) {
	for _, k := range w.kept {
		if k.made != nil {
			n += len(k.made.doc)
		}
	}
	return n
}

// seen is what was made lately with that SHA-256; nil where it is forgotten.
func (w *workshop) seen(sum string) *made {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.kept {
		if k.made != nil && k.made.report != nil && k.made.sum == sum {
			return k.made
		}
	}
	return nil
}
