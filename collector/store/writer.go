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
	queues  map[telemetry.Tier]*queue
	stopped chan struct{}
}

// queue hands batches to whichever request is being put together. It holds none itself.
type queue struct {
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
	w := &Writer{sink: s, o: o, queues: map[telemetry.Tier]*queue{}, stopped: make(chan struct{})}
	for _, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
		w.queues[tier] = &queue{in: make(chan *job), collect: make(chan struct{}, 1)}
	}
	return w
}

// Submit hands over a batch of stamped lines, each ended by a newline. It waits for room and then returns; done is
// called later, once, from another goroutine: with an error when the lines may be written again, else with the
// lines that were refused, all others being stored. When Submit itself returns an error, done is not called.
func (w *Writer) Submit(ctx context.Context, tier telemetry.Tier, text []byte, done func([]RefusedLine, error)) error {
	q, ok := w.queues[tier]
	if !ok {
		return fmt.Errorf("submit lines: no bucket for %s", tier)
	}
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
	for tier, q := range w.queues {
		for range w.o.Requests {
			g.Go(func() error {
				for {
					jobs := w.next(ctx, q)
					if len(jobs) == 0 {
						return nil
					}
					q.flying.Add(1)
					w.settle(ctx, tier, jobs)
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
func (w *Writer) settle(ctx context.Context, tier telemetry.Tier, jobs []*job) {
	if len(jobs) == 1 {
		refused, err := w.settleLines(ctx, tier, jobs[0].text, 0)
		jobs[0].done(refused, err)
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
	err := w.write(ctx, tier, text)
	var refused *RefusedError
	if errors.As(err, &refused) {
		w.settle(ctx, tier, jobs[:len(jobs)/2])
		w.settle(ctx, tier, jobs[len(jobs)/2:])
		return
	}
	for _, j := range jobs {
		j.done(nil, err)
	}
}

// settleLines writes lines of one batch, the first of which has the index from, and finds those that are refused.
func (w *Writer) settleLines(ctx context.Context, tier telemetry.Tier, text []byte, from int) ([]RefusedLine, error) {
	err := w.write(ctx, tier, text)
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return nil, err
	}
	n := bytes.Count(text, []byte{'\n'})
	if n <= 1 || refused.Dropped >= n {
		all := make([]RefusedLine, n)
		for i := range all {
			all[i] = RefusedLine{from + i, refused.Words}
		}
		return all, nil
	}
	cut := 0
	for range n / 2 {
		cut += bytes.IndexByte(text[cut:], '\n') + 1
	}
	first, err := w.settleLines(ctx, tier, text[:cut], from)
	if err != nil {
		return nil, err
	}
	second, err := w.settleLines(ctx, tier, text[cut:], from+n/2)
	if err != nil {
		return nil, err
	}
	return append(first, second...), nil
}

func (w *Writer) write(ctx context.Context, tier telemetry.Tier, text []byte) error {
	start := time.Now()
	err := w.sink.Write(ctx, tier, text)
	if w.o.Observe != nil {
		w.o.Observe(tier, bytes.Count(text, []byte{'\n'}), len(text), time.Since(start), err)
	}
	return err
}
