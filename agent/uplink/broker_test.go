package uplink

import (
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
	"go.uber.org/goleak"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// TestMain lets tests that wait for seconds do so all at once, on however few processors, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	most := "16"
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			most = f.Value.String()
		}
	})
	if err := flag.Set("test.parallel", most); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var (
	me   = telemetry.Address{Site: "village", Agent: "router"}
	quit = slog.New(slog.NewTextHandler(io.Discard, nil))
)

const boot = "4f2a9c1b"

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("waited 20 s in vain: %s", what)
		case <-tick.C:
		}
	}
}

// broker is a real MQTT broker with a collector behind it whose answers the test writes.
type broker struct {
	t      testing.TB
	addr   string
	tls    *tls.Config
	listen net.Listener // nil: one of its own
	answer func(seq uint64, payload []byte) (ack string)

	mu       sync.Mutex
	server   *mochi.Server
	secret   string
	refused  int
	got      []string // payloads of data messages, in order
	qos      []byte   // theirs
	presence []string
	results  []string
	mute     bool       // commands may not be heard
	asked    [][]string // filters of each SUBSCRIBE
}

// newBroker starts one that stores everything.
func newBroker(t testing.TB) *broker {
	b := &broker{t: t, addr: "127.0.0.1:0", secret: "s3cret"}
	b.answer = func(seq uint64, _ []byte) string { return stored(seq) }
	t.Cleanup(b.stop)
	return b
}

func stored(seq uint64) string { return fmt.Sprintf("stored %s %d 1795000000000", boot, seq) }

func (b *broker) start() *broker {
	b.t.Helper()
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: quit})
	if err := s.AddHook(&gate{b: b}, nil); err != nil {
		b.t.Fatal(err)
	}
	var l listeners.Listener
	if b.listen != nil {
		l = listeners.NewNet("t", b.listen)
		if err := s.AddListener(l); err != nil {
			b.t.Fatal(err)
		}
	} else {
		l = listeners.NewTCP(listeners.Config{ID: "t", Address: b.addr, TLSConfig: b.tls})
		waitFor(b.t, "the broker's port "+b.addr, func() bool { return s.AddListener(l) == nil })
	}
	b.addr = l.Address()
	for kind, id := range map[telemetry.Kind]int{telemetry.KindData: 1, telemetry.KindPresence: 2, telemetry.KindResult: 3} {
		if err := s.Subscribe(telemetry.Filter(kind), id, b.receive); err != nil {
			b.t.Fatal(err)
		}
	}
	b.mu.Lock()
	b.server = s
	b.mu.Unlock()
	if err := s.Serve(); err != nil { // last: an agent may be waiting at the door, and its first batch must find the collector behind it
		b.t.Fatal(err)
	}
	return b
}

func (b *broker) stop() {
	b.mu.Lock()
	s := b.server
	b.server = nil
	b.mu.Unlock()
	if s != nil {
		if err := s.Close(); err != nil {
			b.t.Error(err)
		}
	}
}

func (b *broker) receive(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) {
	text := string(pk.Payload)
	b.mu.Lock()
	s := b.server
	if strings.HasSuffix(pk.TopicName, "/presence") {
		b.presence = append(b.presence, text)
		b.mu.Unlock()
		return
	}
	if strings.HasSuffix(pk.TopicName, "/result") {
		b.results = append(b.results, text)
		b.mu.Unlock()
		return
	}
	b.got, b.qos = append(b.got, text), append(b.qos, pk.FixedHeader.Qos)
	b.mu.Unlock()
	if a := b.answer(seqOf(text), pk.Payload); a != "" && s != nil {
		_ = s.Publish(me.Topic(telemetry.KindAck), []byte(a), false, 0) // a broker that goes down loses it: that is the test
	}
}

func (b *broker) publish(kind telemetry.Kind, text string, retain bool) {
	b.t.Helper()
	b.mu.Lock()
	s := b.server
	b.mu.Unlock()
	if err := s.Publish(me.Topic(kind), []byte(text), retain, 1); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) retained() string {
	b.mu.Lock()
	s := b.server
	b.mu.Unlock()
	pk, _ := s.Topics.Retained.Get(me.Topic(telemetry.KindPresence))
	return string(pk.Payload)
}

// seen counts how often each seq has come.
func (b *broker) seen() map[uint64]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[uint64]int{}
	for _, text := range b.got {
		out[seqOf(text)]++
	}
	return out
}

func (b *broker) url() string { return "mqtt://" + b.addr }

// gate lets in who knows the secret.
type gate struct {
	mochi.HookBase
	b *broker
}

func (g *gate) ID() string { return "gate" }

func (g *gate) Provides(h byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnSubscribe}, []byte{h})
}

func (g *gate) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	ok := string(pk.Connect.Username) == me.String() && string(pk.Connect.Password) == g.b.secret && cl.ID == "village.router"
	if !ok {
		g.b.refused++
	}
	return ok
}

func (g *gate) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	a, kind, err := telemetry.ParseTopic(topic)
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	return err == nil && a == me && (kind.FromAgent() == write) && (kind != telemetry.KindCommand || !g.b.mute)
}

func (g *gate) OnSubscribe(cl *mochi.Client, pk packets.Packet) packets.Packet {
	if cl.Net.Inline { // the collector
		return pk
	}
	var filters []string
	for _, f := range pk.Filters {
		filters = append(filters, f.Filter)
	}
	g.b.mu.Lock()
	defer g.b.mu.Unlock()
	g.b.asked = append(g.b.asked, filters)
	return pk
}

// text is a batch's payload in these tests.
func text(seq uint64) string { return fmt.Sprintf("seq=%d;%s", seq, strings.Repeat("x", int(seq%200))) }

func seqOf(text string) uint64 {
	number, _, _ := strings.Cut(strings.TrimPrefix(text, "seq="), ";")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// agent is an uplink with a real spool.
type agent struct {
	*Uplink
	spool *spool.Spool
	log   *logBook
	stop  func() error
}

// newAgent starts an uplink that is impatient, as tests are; change may change that.
func newAgent(t testing.TB, change func(c *Config), brokers ...string) *agent {
	t.Helper()
	return newAgentWith(t, change, func(*Uplink) {}, brokers...)
}

// newAgentWith lets the test set what is no configuration.
func newAgentWith(t testing.TB, change func(c *Config), set func(u *Uplink), brokers ...string) *agent {
	t.Helper()
	s, err := spool.Open(t.TempDir(), spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{spool: s, log: &logBook{}}
	c := Config{Brokers: brokers, Address: me, Secret: "s3cret", AckTimeout: 10 * time.Second, MaxBackoff: 50 * time.Millisecond,
		Session: s.NextSession, Log: slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&c)
	}
	a.Uplink = New(c, s)
	set(a.Uplink)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	a.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func (a *agent) put(t testing.TB, n int) {
	t.Helper()
	for range n {
		seq := a.spool.NextSeq()
		if err := a.spool.Put(spool.Batch{Seq: seq, Tier: telemetry.Detail, Boot: boot, Lines: 1, Payload: []byte(text(seq))}); err != nil {
			t.Fatal(err)
		}
		a.Wake()
	}
}

func (a *agent) waiting() int64 { return a.spool.Stats().Batches }

// logBook keeps what was logged.
type logBook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
