package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// Config bounds the intake. The zero value of each field takes its default.
type Config struct {
	QueueMessages int           // messages that wait for a worker; default 20,000
	QueueBytes    int64         // their payloads in all; default 64 MiB
	FlightBytes   int64         // text of unpacked batches until they are stored, at least telemetry.MaxExpanded; default 64 MiB
	Workers       int           // that unpack and check; default one for each processor
	MaxAge        time.Duration // lines that are older are refused; default 400 days
	DetailFor     time.Duration // how long InfluxDB keeps detail: what is older when it comes is acknowledged and not stored. 0: for ever
	MaxAhead      time.Duration // lines from further in the future are refused; default 24 h
	LookBack      time.Duration // how far back the last batch of a former boot is looked for; default 90 days

	DeadLetters     string // folder
	DeadLetterBytes int64  // of all dead letters; default 64 MiB
}

// Writer stores lines: a store.Writer, or what a test puts in its place.
type Writer interface {
	Submit(ctx context.Context, tier telemetry.Tier, text []byte, done func([]store.RefusedLine, error)) error
}

// Querier answers InfluxQL: a store.Store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// Watcher hears of lines that InfluxDB has, before the agent does. At is the collector's clock. The lines alias a
// buffer that is used again, and only those of batch, span, link and traffic have their fields.
type Watcher interface {
	Stored(a telemetry.Address, at time.Time, lines []telemetry.Parsed)
}

// Publisher sends acknowledgements.
type Publisher interface {
	Publish(topic string, payload []byte) error
}

// Parts are what an intake works with. All are needed.
type Parts struct {
	Writer    Writer
	Querier   Querier
	Watcher   Watcher
	Publisher Publisher
	Metrics   prometheus.Registerer
	Now       func() time.Time
	Log       *slog.Logger
}

// Intake is safe for concurrent use.
type Intake struct {
	c       Config
	p       Parts
	codec   *telemetry.Codec
	letters *deadLetters
	boots   boots
	lazy    *lazy
	m       metrics
	trouble trouble
	newer   sync.Once // tells that agents are newer than this collector

	queue  chan message
	flight *semaphore.Weighted // bytes of text between unpacking and verdict
	ctx    context.Context     // of all that is under way; Run ends it
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting int64         // bytes of payloads in queue
	pending int           // messages between Deliver and their verdict
	closed  bool          // no more messages are taken
	idle    chan struct{} // closed when closed and nothing is pending
}

// message is one payload with its topic. The intake owns the bytes.
type message struct {
	topic   string
	payload []byte
	arrived time.Time // only for how long ago that was
}

// New makes an intake and opens its dead letters. Run makes it work.
func New(c Config, p Parts) (*Intake, error) {
	fill(&c.QueueMessages, 20_000)
	fill(&c.QueueBytes, 64<<20)
	fill(&c.FlightBytes, 64<<20)
	fill(&c.Workers, runtime.GOMAXPROCS(0))
	fill(&c.MaxAge, 400*24*time.Hour)
	fill(&c.MaxAhead, 24*time.Hour)
	fill(&c.LookBack, 90*24*time.Hour)
	fill(&c.DeadLetterBytes, 64<<20)
	if c.FlightBytes < telemetry.MaxExpanded {
		return nil, fmt.Errorf("intake: %d bytes in flight are too few for one batch of %d", c.FlightBytes, telemetry.MaxExpanded)
	}
	codec, err := telemetry.NewCodec()
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	i := &Intake{c: c, p: p, codec: codec, idle: make(chan struct{}), queue: make(chan message, c.QueueMessages),
		flight: semaphore.NewWeighted(c.FlightBytes), trouble: trouble{log: p.Log, now: p.Now}, boots: newBoots()}
	i.lazy = newLazy(i.publish)
	i.m = newMetrics(p.Metrics, i)
	if i.letters, err = openDeadLetters(c.DeadLetters, c.DeadLetterBytes, i.m.letters); err != nil {
		codec.Close()
		return nil, err
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i, nil
}

// Deliver takes a message in, and its payload with it. It never waits: when the queue is full, or the intake is
// closing, the message is dropped and counted, and since nobody acknowledges it the agent sends it again.
func (i *Intake) Deliver(topic string, payload []byte) {
	n := int64(len(payload))
	i.m.messages.Inc()
	i.m.bytes.Add(float64(n))
	i.mu.Lock()
	taken := !i.closed && len(i.queue) < cap(i.queue) && i.waiting+n <= i.c.QueueBytes
	if taken {
		i.pending++
		i.waiting += n
		i.queue <- message{topic, payload, time.Now()} // has room: only this function fills it, under the lock
	}
	i.mu.Unlock()
	if !taken {
		i.m.dropped.Inc()
	}
}

// taken notes that a message has left the queue.
func (i *Intake) taken(m message) {
	i.mu.Lock()
	i.waiting -= int64(len(m.payload))
	i.mu.Unlock()
}

// settled notes that a message has its verdict, or will have none.
func (i *Intake) settled() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pending--; i.pending == 0 && i.closed {
		close(i.idle)
	}
}

// close takes no more messages.
func (i *Intake) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.closed = true
		if i.pending == 0 {
			close(i.idle)
		}
	}
}

// Run works until ctx ends, and returns when the writer has answered for all that is under way. What waits in the queue
// then gets no verdict; call Drain first to let all come to one.
func (i *Intake) Run(ctx context.Context) error {
	var g errgroup.Group
	for range i.c.Workers {
		g.Go(func() error {
			for {
				select {
				case m := <-i.queue:
					i.taken(m)
					i.work(m)
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	g.Go(func() error { return i.lazy.run(ctx) })
	<-ctx.Done()
	i.close()
	i.cancel()
	err := g.Wait()
	for len(i.queue) > 0 {
		i.taken(<-i.queue)
		i.settled()
		i.m.dropped.Inc()
	}
	<-i.idle
	i.lazy.close()
	i.codec.Close()
	return errors.Join(err, i.letters.Close())
}

// Drain takes no more messages and waits until all that were taken have a verdict, or ctx ends. No acknowledgement is kept back then.
func (i *Intake) Drain(ctx context.Context) error {
	i.close()
	defer i.lazy.close()
	select {
	case <-i.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain the intake: %w; what is left was not acknowledged, so agents send it again", ctx.Err())
	}
}

// Trouble is why batches are not being stored at present, or nil.
func (i *Intake) Trouble() error { return i.trouble.present() }

// Recovered says that InfluxDB has come back from an absence: failures until now say nothing any more.
func (i *Intake) Recovered() { i.trouble.recovered() }

func fill[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
