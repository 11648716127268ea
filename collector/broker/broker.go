package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

// Config says where the broker listens.
type Config struct {
	Listen         string      // host:port; port 0 takes a free one
	TLS            *tls.Config // nil: plain
	Insecure       bool        // allow connections without TLS on an address that is not loopback
	MaxConnections int         // at once; default 20,000
	Rates          Rates       // of each agent
}

// Authenticator knows the agents' secrets. AgentsRevision grows whenever one of them has changed.
type Authenticator interface {
	Authenticate(a telemetry.Address, secret string) bool
	AgentsRevision() uint64
}

// Parts are what a broker works with. All are needed.
type Parts struct {
	Auth Authenticator
	// OnData gets each batch, on the goroutine of its connection; the payload is the callee's.
	OnData func(topic string, payload []byte)
	// OnPresence gets each word of an agent on itself, and the last will that an agent left.
	OnPresence func(a telemetry.Address, p telemetry.Presence)
	// OnResult gets what an agent says of a command, on the goroutine of its connection; the payload may be anything within its size. nil: nobody.
	OnResult func(a telemetry.Address, payload []byte)
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Bounds on what one client may cost. An agent has a few batches under way and gets one small message for each.
const (
	maxPacket   = telemetry.MaxMessage + 1024 // the payload and its topic
	maxPending  = 64                          // acknowledgements that wait for a slow client; more are dropped
	maxInflight = 64
	sessionTime = 60 // seconds that a session outlives its connection
	maxPresence = 64 // bytes of a presence message
)

// Broker is safe for concurrent use.
type Broker struct {
	server  *mqtt.Server
	gate    *gate
	rules   *rules
	p       Parts
	m       metrics
	closing atomic.Bool
	pace    *pace
	ended   chan struct{} // closed when nobody is to be slowed any more
}

// New binds the address and prepares the broker; Run makes it serve.
func New(c Config, p Parts) (*Broker, error) {
	if c.MaxConnections == 0 {
		c.MaxConnections = 20_000
	}
	if c.TLS == nil && !c.Insecure && !Loopback(c.Listen) {
		return nil, fmt.Errorf("mqtt.listen %s: not loopback, and without TLS every secret and every line could be read on the way; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true", c.Listen)
	}
	// Go would ask each silent connection every 15 s whether it lives: 20 MB a month for each village. MQTT's keepalive does it.
	plain := net.ListenConfig{KeepAlive: -1}
	l, err := plain.Listen(context.Background(), "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for MQTT: %w; mqtt.listen changes the address", err)
	}
	b := &Broker{p: p, pace: newPace(c.Rates), ended: make(chan struct{})}
	b.gate = newGate(l, c.TLS, c.MaxConnections, p.Log)
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumPacketSize = maxPacket
	limits.MaximumClientWritesPending = maxPending
	limits.MaximumInflight = maxInflight
	limits.ReceiveMaximum = maxInflight
	limits.MaximumSessionExpiryInterval = sessionTime
	limits.TopicAliasMaximum = 0
	limits.MaximumQos = 1
	limits.MinimumProtocolVersion = 4
	limits.SharedSubAvailable = 0
	limits.WildcardSubAvailable = 0
	limits.SubIDAvailable = 0
	b.server = mqtt.New(&mqtt.Options{Capabilities: limits, InlineClient: true, Logger: quiet(p.Log), SysTopicResendInterval: 3600})
	b.m = newMetrics(p.Metrics, b)
	if err := b.setUp(); err != nil {
		l.Close()
		return nil, fmt.Errorf("set up the MQTT broker: %w", err)
	}
	return b, nil
}

func (b *Broker) setUp() error {
	b.rules = &rules{b: b, current: map[telemetry.Address]*mqtt.Client{}, ready: make(chan *guest)}
	if err := b.server.AddHook(b.rules, nil); err != nil {
		return err
	}
	if err := b.server.AddListener(listeners.NewNet("mqtt", b.gate)); err != nil {
		return err
	}
	return b.server.Subscribe(telemetry.Filter(telemetry.KindPresence), 2, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		b.presence(pk.TopicName, pk.Payload)
	})
}

// presence hands on what an agent says of itself. While the broker closes, connections end by its own doing, and
// their wills say nothing about the agents.
func (b *Broker) presence(topic string, payload []byte) {
	if b.closing.Load() {
		return
	}
	a, _, err := telemetry.ParseTopic(topic)
	if err != nil {
		return // the rules let no such topic through
	}
	p, err := telemetry.ParsePresence(payload)
	if err != nil {
		b.m.forbidden.WithLabelValues("presence").Inc()
		return
	}
	b.p.OnPresence(a, p)
}

// Addr is the address that is listened on.
func (b *Broker) Addr() string { return b.gate.Addr().String() }

// Publish sends an acknowledgement to the agent that the topic names, at most once: when it is lost the
// agent sends its batch again, and a second round trip for each would cost the agent's data plan more. An agent
// that is not there is not an error.
func (b *Broker) Publish(topic string, payload []byte) error {
	if b.closing.Load() {
		return fmt.Errorf("publish on %s: the broker is closing", topic)
	}
	return b.rules.tell(topic, payload)
}

// Why a command cannot reach its agent.
var (
	ErrGone = errors.New("is not connected to the broker, so nothing was sent; ask again when the board shows it connected")
	ErrDeaf = errors.New("is connected and does not hear commands: it has only just signed in, or is older than remote commands; ask again in a minute, and if that does not help upgrade it")
)

// Command sends a command to an agent, at most once: who sends it asks again until the agent answers. An error says that it cannot reach the agent.
func (b *Broker) Command(a telemetry.Address, payload []byte) error {
	if b.closing.Load() {
		return ErrGone
	}
	topic := a.Topic(telemetry.KindCommand)
	if err := b.rules.hears(a, topic); err != nil {
		return err
	}
	return b.rules.tell(topic, payload)
}

// Close gives the address back when the broker never runs.
func (b *Broker) Close() { b.gate.Close() }

// closeTime bounds how long connections may take to end.
const closeTime = 5 * time.Second

// Run serves until ctx ends, and then ends every connection.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("serve MQTT: %w", err)
	}
	b.watch(ctx)
	b.closing.Store(true)
	close(b.ended)
	b.gate.stop()
	closed := make(chan error, 1)
	go func() { closed <- b.server.Close() }()
	slow := time.NewTimer(closeTime)
	defer slow.Stop()
	select {
	case err := <-closed:
		return err
	case <-slow.C:
		b.gate.cut()
		return <-closed
	}
}

// watchEvery is how often it is asked whether credentials have changed. With the time that the register takes to notice, a revoked agent is
// gone within a second.
const watchEvery = 250 * time.Millisecond

// watch ends the connections of agents that may sign in no longer, until ctx ends.
func (b *Broker) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	seen := b.p.Auth.AgentsRevision()
	forgot := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := time.Now(); now.Sub(forgot) > time.Minute {
			forgot = now
			b.pace.forget(now)
		}
		if now := b.p.Auth.AgentsRevision(); now != seen {
			seen = now
			b.rules.endRevoked()
		}
	}
}

// Loopback tells whether an address to listen on can be reached from this machine alone.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
