package walk

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/agent/uplink"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// stream is one agent that seals numbered batches into a real spool as fast as it is told to, and a real uplink that
// carries them off. Line n of the host measurement says uptime_s=n, event n says detail="n".
type stream struct {
	address telemetry.Address
	spool   *spool.Spool
	uplink  *uplink.Uplink
	codec   *telemetry.Codec
	begun   time.Time

	mu     sync.Mutex
	hosts  []int64
	events []string
	seqs   []int64
	acked  atomic.Int64
}

func newStream(t *testing.T, c *centre, a telemetry.Address, log *slog.Logger) *stream {
	t.Helper()
	sp, err := spool.Open(t.TempDir(), spool.Options{MaxBytes: 64 << 20, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		codec.Close()
		if err := sp.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &stream{address: a, spool: sp, codec: codec, begun: time.Now().Add(-time.Hour).Truncate(time.Millisecond)}
	s.uplink = uplink.New(uplink.Config{
		Brokers: []string{c.broker}, Address: a, Secret: c.secrets[a], TLS: c.tls, Keepalive: 5 * time.Second,
		AckTimeout: 2 * time.Second, MaxBackoff: 500 * time.Millisecond, Window: 8, Session: sp.NextSession, Log: log,
		OnAck: func(telemetry.Ack, int) { s.acked.Add(1) },
	}, sp)
	return s
}

// seal puts batch n into the spool: every tenth carries ledger lines.
func (s *stream) seal(n int64) error {
	at := s.begun.Add(time.Duration(n) * 10 * time.Millisecond)
	h := telemetry.Header{At: at, Boot: "0badcafe", Seq: s.spool.NextSeq(), Clock: telemetry.ClockSynced, Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Second}}
	tier, line := telemetry.Detail, telemetry.NewLine("host", at).Int("uptime_s", n)
	if n%10 == 0 {
		tier, line = telemetry.Ledger, telemetry.NewLine("event", at).Tag("kind", "boot").Str("detail", fmt.Sprint(n))
	}
	text, err := h.Line().Append(nil)
	if err != nil {
		return err
	}
	if text, err = line.Append(text); err != nil {
		return err
	}
	sealed, err := s.codec.Seal(nil, text, telemetry.Zstd)
	if err != nil {
		return err
	}
	if err := s.spool.Put(spool.Batch{Seq: h.Seq, Tier: tier, Boot: h.Boot, Lines: 2, Payload: sealed}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seqs = append(s.seqs, int64(h.Seq))
	if tier == telemetry.Ledger {
		s.events = append(s.events, fmt.Sprint(n))
	} else {
		s.hosts = append(s.hosts, n)
	}
	return nil
}

// backlog is what may wait at one agent: enough to be in mid-stream at any time, and no more on a machine that is slow to carry it off.
const backlog = 500

// feed seals a batch each time, unless too many wait, until ctx ends.
func (s *stream) feed(ctx context.Context, each time.Duration) error {
	tick := time.NewTicker(each)
	defer tick.Stop()
	for n := int64(1); ; {
		if s.spool.Stats().Batches < backlog {
			if err := s.seal(n); err != nil {
				return err
			}
			n++
			s.uplink.Wake()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// acknowledged counts the batches of all.
func acknowledged(streams []*stream) (n int64) {
	for _, s := range streams {
		n += s.acked.Load()
	}
	return n
}

// pause lets a moment pass that is not always the same.
func pause(rng *rand.Rand) {
	timer := time.NewTimer(time.Duration(rng.IntN(400)) * time.Millisecond)
	defer timer.Stop()
	<-timer.C
}

func TestKillingCollectorAndInfluxDBInMidStreamLosesNothingAndDoublesNothing(t *testing.T) {
	influxd.EachChild(t, killInMidStream)
}

// killInMidStream has three agents send as fast as they may to a collector with the broker in itself, kills what is at the centre again and again, and holds
// what InfluxDB has in the end against what was sealed.
func killInMidStream(t *testing.T, server *influxd.Server) {
	agents := streamers()
	c := newCentre(t, server.URL, server.Token, server.Org, "nabz", "nabz_ledger", agents...)
	c.start()
	c.ready()
	kill := func() {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	survive(t, c, agents, func() *influxd.Server { return server }, func(rng *rand.Rand) {
		switch rng.IntN(5) {
		case 0, 1:
			c.kill()
			c.start()
		case 2:
			kill()
			server = server.Restart(t)
		case 3: // both, the one a moment after the other, in either order
			if rng.IntN(2) == 0 {
				c.kill()
				pause(rng)
				kill()
			} else {
				kill()
				pause(rng)
				c.kill()
			}
			c.start()
			pause(rng)
			server = server.Restart(t)
		case 4: // again while it starts
			c.kill()
			for range 1 + rng.IntN(3) {
				c.start()
				pause(rng)
				c.kill()
			}
			c.start()
		}
	})
}

func streamers() []telemetry.Address {
	return []telemetry.Address{{Site: "gokina", Agent: "r1"}, {Site: "gokina", Agent: "r2"}, {Site: "shah-allah-ditta", Agent: "r1"}}
}

func TestKillingBrokerCollectorsAndInfluxDBAlsoWithTheBrokersDataWipedLosesNothing(t *testing.T) {
	server := influxd.ChildForTest(t)
	agents := streamers()
	c := newCluster(t, newCentre(t, server.URL, "", "", "nabz", "nabz_ledger", agents...))
	intakes := []*centre{c.replica("intake"), c.replica("intake")}
	survive(t, c.centre, agents, func() *influxd.Server { return server }, func(rng *rand.Rand) {
		switch rng.IntN(5) {
		case 0:
			one := intakes[rng.IntN(len(intakes))]
			one.kill()
			pause(rng)
			one.start()
		case 1: // all that could acknowledge
			for _, one := range intakes {
				one.kill()
			}
			pause(rng)
			for _, one := range intakes {
				one.start()
			}
		case 2:
			c.server.Kill()
			pause(rng)
			c.server.Start()
		case 3:
			c.server.Kill()
			c.server.Wipe()
			c.server.Start()
		case 4:
			if err := server.Kill(); err != nil {
				t.Fatal(err)
			}
			pause(rng)
			c.server.Kill()
			server = server.Restart(t)
			c.server.Start()
		}
	})
}

// survive lets the agents stream, hits the centre once a round, and compares in the end. db is the InfluxDB as it was started last.
func survive(t *testing.T, c *centre, agents []telemetry.Address, db func() *influxd.Server, hit func(rng *rand.Rand)) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	run, stopUplinks := context.WithCancel(context.Background())
	feed, stopFeed := context.WithCancel(run)
	defer stopUplinks()
	var g, feeders errgroup.Group
	var streams []*stream
	for _, a := range agents {
		s := newStream(t, c, a, log)
		streams = append(streams, s)
		g.Go(func() error { return s.uplink.Run(run) })
		feeders.Go(func() error { return s.feed(feed, 5*time.Millisecond) })
	}
	total := func() int64 { return acknowledged(streams) }

	seed := uint64(7)
	if text := os.Getenv("NABZ_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rounds := 8
	if testneed.Minutes() {
		rounds = 25 // on each InfluxDB, and with a broker of its own
	}
	t.Logf("%d rounds, NABZ_SEED=%d", rounds, seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	for round := range rounds { // always in mid-stream: some more batches were acknowledged, more are on their way
		goal := total() + 20 + rng.Int64N(80)
		waitFor(t, 60*time.Second, fmt.Sprintf("round %d: batches go on being acknowledged", round), func() bool { return total() >= goal })
		hit(rng)
	}
	stopFeed()
	if err := feeders.Wait(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 120*time.Second, "every batch is acknowledged", func() bool {
		for _, s := range streams {
			if s.spool.Stats().Batches > 0 {
				return false
			}
		}
		return true
	})
	stopUplinks()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}

	server := db()
	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, s := range streams {
		if len(s.seqs) < 100 {
			t.Errorf("%v sealed only %d batches: nothing was in mid-stream", s.address, len(s.seqs))
		}
		compare(t, s.address.String()+" seq", column(t, st, telemetry.Detail, "batch", "seq", s.address), s.seqs)
		compare(t, s.address.String()+" host", column(t, st, telemetry.Detail, "host", "uptime_s", s.address), s.hosts)
		compare(t, s.address.String()+" event", texts(t, st, telemetry.Ledger, "event", "detail", s.address), s.events)
		t.Logf("%v: %d batches, each stored once", s.address, len(s.seqs))
	}
}
