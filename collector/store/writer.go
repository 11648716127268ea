package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/telemetry"
)

// sink is what Writer writes to: a Store, or what a test puts in its place.
type sink interface {
	Write(ctx context.Context, tier telemetry.Tier, lines []byte) error
}

// WriterOptions bound how batches are merged. The zero value of each field takes its default.
type WriterOptions struct {
	Lines    int           // a request is sent when it has this many lines; default 5000
	Bytes    int           // or this many bytes; default 1 MiB
	Linger   time.Duration // or when its first batch has waited so long, ten times so long while another request is under way; default 50 ms
	Requests int           // under way at once for each tier; default 4
	Patience time.Duration // how long a request is tried again here before its batches hear of the fault; default 10 s
	// Observe hears of each request: what it carried, how long it took, how it ended. May be nil.
	Observe func(tier telemetry.Tier, lines, bytes int, took time.Duration, err error)
}

// ErrStopped is in the error of a batch that was submitted to a writer that does not run.
var ErrStopped = errors.New("the writer to InfluxDB has stopped")

// Writer merges the lines of many batches into few requests, because InfluxDB takes 5000 lines in hardly more
// time than one. Each batch hears of its own lines alone: a bad line in one never costs another.
type Writer struct {
	sink    sink
	o       WriterOptions
	queues  [2]*queue // of detail and of the ledger
	stopped chan struct{}
}

// queue hands batches to whichever request is being put together. It holds none itself.
type queue struct {
	tier    telemetry.Tier
	gate    gate
	in      chan *job
	collect chan struct{} // the right to put a request together
	flying  atomic.Int32  // requests that InfluxDB has not answered
}

// job is one batch on its way.
type job struct {
	text  []byte
	lines int
	done  func([]RefusedLine, error)
}

// RefusedLine is a line that InfluxDB will never store. Index counts from 0 in the text that was submitted.
type RefusedLine struct {
	Index int
	Words string
}

// NewWriter prepares a writer to s; Run makes it work.
func NewWriter(s sink, o WriterOptions) *Writer {
	if o.Lines == 0 {
		o.Lines = 5000
	}
	if o.Bytes == 0 {
		o.Bytes = 1 << 20
	}
	if o.Linger == 0 {
		o.Linger = 50 * time.Millisecond
	}
	if o.Requests == 0 {
		o.Requests = 4
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	w := &Writer{sink: s, o: o, stopped: make(chan struct{})}
	for n, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
		w.queues[n] = &queue{tier: tier, in: make(chan *job), collect: make(chan struct{}, 1)}
	}
	return w
}

// Submit hands over a batch of stamped lines, each ended by a newline. It waits for room and then returns; done is
// called later, once, from another goroutine: with an error when the lines may be written again, else with the
// lines that were refused, all others being stored; the text is the caller's again then. When Submit itself returns an error, done is not called.
func (w *Writer) Submit(ctx context.Context, tier telemetry.Tier, text []byte, done func([]RefusedLine, error)) error {
	n := int(tier) - int(telemetry.Detail)
	if n < 0 || n >= len(w.queues) {
		return fmt.Errorf("submit lines: no bucket for %s", tier)
	}
	q := w.queues[n]
	j := &job{text: text, lines: bytes.Count(text, []byte{'\n'}), done: done}
	select {
	case q.in <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return ErrStopped
	}
}

// Run writes until ctx ends. Requests under way then are cut short and their batches told so.
func (w *Writer) Run(ctx context.Context) error {
	defer close(w.stopped)
	var g errgroup.Group
	for _, q := range w.queues {
		for range w.o.Requests {
			g.Go(func() error {
				for {
					jobs := w.next(ctx, q)
					if len(jobs) == 0 {
						return nil
					}
					q.flying.Add(1)
					w.settle(ctx, q, jobs)
					q.flying.Add(-1)
				}
			})
		}
	}
	return g.Wait()
}

// patience is how many times Linger the first batch of a request waits for others while another request is under way. InfluxDB syncs its log for each
// request, so that many small ones keep it from the large ones.
const patience = 10

// next puts one request together: none when ctx has ended.
func (w *Writer) next(ctx context.Context, q *queue) (jobs []*job) {
	select {
	case q.collect <- struct{}{}:
		defer func() { <-q.collect }()
	case <-ctx.Done():
		return nil
	}
	lines, size, lingered := 0, 0, 0
	var linger *time.Timer
	var over <-chan time.Time
	for lines < w.o.Lines && size < w.o.Bytes {
		select {
		case j := <-q.in:
			jobs = append(jobs, j)
			lines += j.lines
			size += len(j.text)
			if linger == nil {
				linger = time.NewTimer(w.o.Linger)
				defer linger.Stop()
				over = linger.C
			}
		case <-over:
			if lingered++; lingered == patience || q.flying.Load() == 0 {
				return jobs
			}
			linger.Reset(w.o.Linger)
		case <-ctx.Done():
			return jobs
		}
	}
	return jobs
}

// settle writes the batches in one request. When it is refused, it is halved until the batches with bad lines are
// found, so that the cost grows with the bad ones and not with the good.
func (w *Writer) settle(ctx context.Context, q *queue, jobs []*job) {
	if len(jobs) == 1 {
		jobs[0].done(w.settleOne(ctx, q, bytes.Clone(jobs[0].text))) // a request that was given up may go on reading, and the text is its owner's again
		return
	}
	size := 0
	for _, j := range jobs {
		size += len(j.text)
	}
	text := make([]byte, 0, size)
	for _, j := range jobs {
		text = append(text, j.text...)
	}
	err := w.write(ctx, q, text)
	var refused *RefusedError
	if errors.As(err, &refused) {
		w.settle(ctx, q, jobs[:len(jobs)/2])
		w.settle(ctx, q, jobs[len(jobs)/2:])
		return
	}
	for _, j := range jobs {
		j.done(nil, err)
	}
}

// once sends one request.
func (w *Writer) once(ctx context.Context, tier telemetry.Tier, text []byte) error {
	start := time.Now()
	err := w.sink.Write(ctx, tier, text)
	if w.o.Observe != nil {
		w.o.Observe(tier, bytes.Count(text, []byte{'\n'}), len(text), time.Since(start), err)
	}
	return err
}
