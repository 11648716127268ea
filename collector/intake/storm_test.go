package intake

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// slow is an InfluxDB that takes 200 lines a second in each of its requests.
type slow struct{}

// Write takes its time.
func (slow) Write(ctx context.Context, _ telemetry.Tier, lines []byte) error {
	n := 0
	for _, c := range lines {
		if c == '\n' {
			n++
		}
	}
	select {
	case <-time.After(time.Duration(n) * time.Second / 200):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// told hears of acknowledgements.
type told struct {
	mu    sync.Mutex
	heard map[string]func()
}

// Publish takes an acknowledgement.
func (w *told) Publish(topic string, _ []byte) error {
	w.mu.Lock()
	f := w.heard[topic]
	w.mu.Unlock()
	if f != nil {
		f()
	}
	return nil
}

// Stored looks at nothing.
func (*told) Stored(telemetry.Address, time.Time, []telemetry.Parsed) {}

// 200 agents come back with a backlog and keep eight batches under way each, as uplinks do, and 20 live ones send a batch a minute. InfluxDB is slow: what
// waits of the storm at any time keeps it busy for 42 s, so that a queue in the order of arrival would fail here.
func TestNoLiveAgentWaitsBehindAStormOfBacklogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &told{heard: map[string]func(){}}
		writer := store.NewWriter(slow{}, store.WriterOptions{Lines: 1000})
		i, err := New(Config{DeadLetters: t.TempDir(), Workers: 2}, Parts{Writer: writer, Querier: sinkless{}, Watcher: w, Publisher: w, Metrics: prometheus.NewRegistry(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 2)
		go func() { ended <- writer.Run(ctx) }()
		go func() { ended <- i.Run(ctx) }()

		batch := func(seq uint64, lines int) []byte {
			at := time.Now()
			h := telemetry.Header{At: at, Boot: "4f2a9c1b", Seq: seq, Clock: telemetry.ClockSynced}
			text := line(h.Line())
			for n := range lines {
				text += line(telemetry.NewLine("host", at.Add(-time.Duration(n)*time.Minute)).Int("uptime_s", int64(n)))
			}
			return []byte(text)
		}
		var mu sync.Mutex
		drained := 0
		for a := range 200 {
			topic := telemetry.Address{Site: fmt.Sprint("back", a), Agent: "main"}
			seq := uint64(8)
			w.heard[topic.Topic(telemetry.KindAck)] = func() {
				mu.Lock()
				seq++
				n := seq
				drained++
				mu.Unlock()
				i.Deliver(topic.Topic(telemetry.KindData), batch(n, 20))
			}
			for n := range uint64(8) {
				i.Deliver(topic.Topic(telemetry.KindData), batch(n+1, 20))
			}
		}
		const live = 20
		var slowest time.Duration
		answered := 0
		var sent [live]time.Time
		topics := make([]telemetry.Address, live)
		for a := range live {
			topics[a] = telemetry.Address{Site: fmt.Sprint("live", a), Agent: "main"}
			w.mu.Lock()
			w.heard[topics[a].Topic(telemetry.KindAck)] = func() {
				mu.Lock()
				defer mu.Unlock()
				answered++
				slowest = max(slowest, time.Since(sent[a]))
			}
			w.mu.Unlock()
		}
		const minutes = 3
		for m := range uint64(minutes) {
			for a := range live {
				time.Sleep(time.Minute / live)
				mu.Lock()
				sent[a] = time.Now()
				mu.Unlock()
				i.Deliver(topics[a].Topic(telemetry.KindData), batch(m+1, 5))
			}
		}
		time.Sleep(30 * time.Second)
		mu.Lock()
		t.Logf("of %d live batches %d were answered, the slowest after %v; %d batches of the storm beside them", live*minutes, answered, slowest, drained)
		if answered != live*minutes || slowest > 30*time.Second {
			t.Errorf("%d of %d live batches were answered, the slowest after %v; want all, within 30 s", answered, live*minutes, slowest)
		}
		if drained < 200*4 {
			t.Errorf("the storm has drained %d batches only", drained)
		}
		mu.Unlock()
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}

// sinkless knows nothing of former boots.
type sinkless struct{}

// Query finds nothing.
func (sinkless) Query(context.Context, telemetry.Tier, string) ([]store.Series, error) {
	return nil, nil
}
