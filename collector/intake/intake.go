package intake

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/twin"
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
	MaxSeries     int           // that one agent may begin on one day; default 1000
	Extra         []string      // measurements of other programs that are taken in, each as CheckExtra allows; default none
	LookBack      time.Duration // how far back the last batch of a former boot is looked for; default 90 days

	DeadLetters     string // folder
	DeadLetterBytes int64  // of all dead letters; default 64 MiB
}

// Writer stores lines: a store.Writer, or what a test puts in its place.
type Writer interface {
	Submit(ctx context.Context, tier telemetry.Tier, text []byte, done func([]store.RefusedLine, error)) error
	Held() error // why lines would not be written now, or nil
}

// Querier answers InfluxQL: a store.Store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// Watcher hears of lines that InfluxDB has, before the agent does. At is the collector's clock. The lines alias a
// buffer that is used again, and only those of batch, span, link, traffic, host and power have their fields.
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
	*rules
	p       Parts
	letters *deadLetters
	boots   boots
	lazy    *lazy
	twins   *twin.Fleet
	m       metrics
	trouble trouble
	newer   sync.Once // tells that agents are newer than this collector

	rooms  rooms
	queue  *fair
	flight *semaphore.Weighted // bytes of text between unpacking and verdict
	ctx    context.Context     // of all that is under way; Run ends it
	cancel context.CancelFunc

	mu      sync.Mutex
	pending int           // messages between Deliver and their verdict
	closed  bool          // no more messages are taken
	idle    chan struct{} // closed when closed and nothing is pending
}

// message is one payload with its topic. The intake owns the bytes.
type message struct {
	topic   string
	payload []byte
	arrived time.Time // only for how long ago that was
	sum     uint64    // of the payload, by the queue
}

// New makes an intake and opens its dead letters. Run makes it work.
func New(c Config, p Parts) (*Intake, error) {
	fill(&c.QueueMessages, 20_000)
	fill(&c.QueueBytes, 64<<20)
	fill(&c.Workers, runtime.GOMAXPROCS(0))
	fill(&c.LookBack, 90*24*time.Hour)
	c.defaults()
	if c.FlightBytes < telemetry.MaxExpanded {
		return nil, fmt.Errorf("intake: %d bytes in flight are too few for one batch of %d", c.FlightBytes, telemetry.MaxExpanded)
	}
	r, err := newRules(c)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	i := &Intake{rules: r, p: p, idle: make(chan struct{}), queue: newFair(c.QueueMessages, c.QueueBytes),
		flight: semaphore.NewWeighted(c.FlightBytes), trouble: trouble{log: p.Log, now: p.Now}, boots: newBoots(), twins: twin.NewFleet()}
	i.lazy = newLazy(i.publish)
	i.m = newMetrics(p.Metrics, i)
	if i.letters, err = openDeadLetters(c.DeadLetters, c.DeadLetterBytes, i.m.letters); err != nil {
		r.codec.Close()
		return nil, err
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	return i, nil
}

// Deliver takes a message in, and its payload with it. It never waits: while InfluxDB takes nothing, or the intake is closing, the message
// is dropped and counted, and since nobody acknowledges it the agent sends it again. When the queue is full, whose messages take most room there
// loses some.
func (i *Intake) Deliver(topic string, payload []byte) {
	i.m.messages.Inc()
	i.m.bytes.Add(float64(len(payload)))
	held := i.p.Writer.Held() != nil
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || held {
		i.m.dropped.Inc()
		return
	}
	i.pending++
	i.lost(i.queue.put(message{topic: topic, payload: payload, arrived: time.Now()}))
}

// lost counts messages that were given up. The mutex is held.
func (i *Intake) lost(n int) {
	i.m.dropped.Add(float64(n))
	if i.pending -= n; n > 0 && i.pending == 0 && i.closed {
		close(i.idle)
	}
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
				m, ok := i.queue.take(ctx)
				if !ok {
					return nil
				}
				i.work(m)
			}
		})
	}
	g.Go(func() error { return i.lazy.run(ctx) })
	<-ctx.Done()
	i.close()
	i.cancel()
	err := g.Wait()
	i.mu.Lock()
	i.lost(i.queue.clear())
	i.mu.Unlock()
	<-i.idle
	i.lazy.close()
	i.codec.Close()
	return err
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
