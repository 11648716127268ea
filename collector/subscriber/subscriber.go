package subscriber

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/outbox"
	"github.com/smartvillage/nabz/telemetry"
)

// Config says where the broker is and who we are there.
type Config struct {
	URL    string                 // mqtts://host:port or mqtt://host:port
	User   string                 // "": the broker asks for none
	Secret func() (string, error) // asked at each sign-in, so that it can be changed; nil: none
	TLS    *tls.Config            // for mqtts
	Name   string                 // beginning of the client id; the rest is random, so that any number may be connected
	Shared bool                   // share the data with all others that do, each batch going to one of them; false: get all of it
}

// Parts are what a subscriber works with. OnData, OnPresence and OnResult may be nil, and are not subscribed then.
type Parts struct {
	// Known tells whether an agent is the programme's: what comes of others is dropped, whatever the broker let through. That
	// bounds what is held of each agent, too.
	Known      func(telemetry.Address) bool
	OnData     func(topic string, payload []byte) // must not wait; the payload is the callee's
	OnPresence func(telemetry.Address, telemetry.Presence)
	OnResult   func(a telemetry.Address, payload []byte) // of commands; must not wait long
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

const (
	group        = "nabz" // of the shared subscription
	outboxMost   = 8192   // acknowledgements that wait for the connection to take them; more are dropped
	commandsMost = 256    // commands that do
	connectTime  = 10 * time.Second
	writeTime    = 10 * time.Second
	firstPause   = time.Second      // after a connection that ended; doubled until
	mostPause    = 30 * time.Second // all replicas may have lost it at once, so each pause is random
	steadyAfter  = time.Minute      // a connection that held for so long begins at firstPause again
	keepalive    = 30 * time.Second
)

// Subscriber is safe for concurrent use.
type Subscriber struct {
	c      Config
	p      Parts
	m      metrics
	outbox outbox.Outbox
	write  chan struct{} // the outbox has something, and nobody writes it

	commands chan command

	mu    sync.Mutex
	fault error // why there is no connection; nil while there is one
	told  bool  // the fault is in the log
}

// command is one for an agent, in the form that it has on its way.
type command struct {
	topic   string
	payload []byte
}

// New prepares a subscriber; Run connects it.
func New(c Config, p Parts) *Subscriber {
	s := &Subscriber{c: c, p: p, outbox: outbox.Outbox{Most: outboxMost}, write: make(chan struct{}, 1), commands: make(chan command, commandsMost), fault: errors.New("not connected yet")}
	s.m = newMetrics(p.Metrics, s)
	return s
}

// Addr is the broker's address.
func (s *Subscriber) Addr() string { return s.c.URL }

// Close is for one that never ran: there is nothing to give back.
func (s *Subscriber) Close() {}

// Fault is why the broker cannot be used at present, or nil.
func (s *Subscriber) Fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Publish sends an acknowledgement, at most once, and never waits. What cannot be sent now is an error: the agent sends its
// batch again.
func (s *Subscriber) Publish(topic string, payload []byte) error {
	if err := s.Fault(); err != nil {
		return s.unsent(topic, err)
	}
	room, begin := s.outbox.Post(4, topic, payload)
	if begin {
		s.write <- struct{}{} // has room: only who finds the outbox without a writer says so
	}
	if !room {
		return s.unsent(topic, fmt.Errorf("%d acknowledgements wait for the broker already", outboxMost))
	}
	return nil
}

// Command sends a command to an agent, not retained and so that the broker confirms it, and never waits. Whether the agent is there only the broker
// knows; who sends it asks again until the agent answers.
func (s *Subscriber) Command(a telemetry.Address, payload []byte) error {
	topic := a.Topic(telemetry.KindCommand)
	if err := s.Fault(); err != nil {
		return s.unsent(topic, err)
	}
	select {
	case s.commands <- command{topic, payload}:
		return nil
	default:
		return s.unsent(topic, fmt.Errorf("%d commands wait for the broker already", commandsMost))
	}
}

func (s *Subscriber) unsent(topic string, why error) error {
	s.m.unsent.Inc()
	return fmt.Errorf("publish on %s: %w", topic, why)
}

// Run keeps a connection until ctx ends. A broker that is not there, or does not let us in, is waited for.
func (s *Subscriber) Run(ctx context.Context) error {
	pause := firstPause
	for ctx.Err() == nil {
		began := time.Now()
		err := s.session(ctx)
		if ctx.Err() != nil {
			break
		}
		s.down(err)
		if time.Since(began) >= steadyAfter {
			pause = firstPause
		}
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		pause = min(2*pause, mostPause)
	}
	return nil
}

// session is one connection, from its sign-in to its end.
func (s *Subscriber) session(ctx context.Context) error {
	lost := make(chan error, 1)
	var w *wire // set once it is connected
	o, err := s.options(lost, func(conn *wire) { w = conn })
	if err != nil {
		return err
	}
	client := mqtt.NewClient(o)
	if err := wait(ctx, client.Connect()); err != nil {
		client.Disconnect(0)
		return fmt.Errorf("connect to the broker at %s: %w; check mqtt.broker, mqtt.user, mqtt.secret_file and mqtt.ca_file, and that it runs", s.c.URL, err)
	}
	defer client.Disconnect(250)
	if err := s.subscribe(ctx, client); err != nil {
		return err
	}
	s.up()
	for {
		select {
		case <-s.write:
			if err := s.send(w); err != nil {
				return fmt.Errorf("write to the broker at %s: %w", s.c.URL, err)
			}
		case m := <-s.commands:
			client.Publish(m.topic, 1, false, m.payload) // one that is lost with its connection is asked for again
		case err := <-lost:
			return fmt.Errorf("the connection to the broker at %s broke: %w", s.c.URL, err)
		case <-ctx.Done():
			if len(s.write) > 0 {
				_ = s.send(w) // who is not told sends again
			}
			return nil
		}
	}
}

// send writes what waits, all that has come together at once.
func (s *Subscriber) send(w *wire) error {
	runtime.Gosched() // who is at work may have more, which then goes in the same write
	for b := s.outbox.Take(); len(b) > 0; b = s.outbox.Take() {
		if err := w.send(b); err != nil {
			for len(s.outbox.Take()) > 0 { // until nothing came meanwhile: only then the outbox knows that nobody writes, and asks for a writer again
			}
			return err
		}
	}
	return nil
}

func (s *Subscriber) options(lost chan<- error, dialled func(*wire)) (*mqtt.ClientOptions, error) {
	secret := ""
	if s.c.Secret != nil {
		var err error
		if secret, err = s.c.Secret(); err != nil {
			return nil, fmt.Errorf("mqtt.secret_file: %w", err)
		}
	}
	// No session outlives its connection: what the broker would keep for a replica that is gone, nobody would be told of for as long,
	// and its agents send it again anyway.
	return mqtt.NewClientOptions().AddBroker(s.c.URL).SetUsername(s.c.User).SetPassword(secret).
		SetClientID(fmt.Sprintf("%s-%016x", s.c.Name, rand.Uint64())).SetProtocolVersion(4).SetCleanSession(true).SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(connectTime).SetWriteTimeout(writeTime).
		SetKeepAlive(keepalive).SetPingTimeout(connectTime).SetDefaultPublishHandler(s.take).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			w, err := s.dial(u)
			if err != nil {
				return nil, err // not a wire that is nil
			}
			dialled(w)
			return w, nil
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }), nil
}

// subscribe asks for what the parts want. Data come at QoS 0: the broker's copy of a batch promises nothing that its agent's copy does not
// promise better, and an answer for each would cost the broker more than the batch.
func (s *Subscriber) subscribe(ctx context.Context, client mqtt.Client) error {
	filters := map[string]byte{}
	if s.p.OnData != nil {
		filter := telemetry.Filter(telemetry.KindData)
		if s.c.Shared {
			filter = "$share/" + group + "/" + filter
		}
		filters[filter] = 0
	}
	if s.p.OnPresence != nil {
		filters[telemetry.Filter(telemetry.KindPresence)] = 1
	}
	if s.p.OnResult != nil {
		filters[telemetry.Filter(telemetry.KindResult)] = 1
	}
	token := client.SubscribeMultiple(filters, nil)
	if err := wait(ctx, token); err != nil {
		return fmt.Errorf("subscribe at the broker at %s: %w", s.c.URL, err)
	}
	for filter, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted > 2 {
			return fmt.Errorf("the broker at %s does not let user %q subscribe to %s; see \"nabz-collector broker export\"", s.c.URL, s.c.User, filter)
		}
	}
	return nil
}

func wait(ctx context.Context, t mqtt.Token) error {
	limit := time.NewTimer(connectTime + time.Second)
	defer limit.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-limit.C:
		return fmt.Errorf("no answer within %v", connectTime)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take gets each message that is no batch on the goroutine of the library, and batches that the wire does not deliver: those at QoS 1, and retained ones.
func (s *Subscriber) take(_ mqtt.Client, m mqtt.Message) {
	a, kind, err := telemetry.ParseTopic(m.Topic())
	reason := ""
	switch {
	case err != nil:
		reason = "topic"
	case !s.p.Known(a):
		reason = "agent"
	case kind == telemetry.KindData && s.p.OnData != nil:
		if m.Retained() { // somebody's old batch, which the broker hands to each who comes
			reason = "retain"
			break
		}
		s.p.OnData(m.Topic(), m.Payload())
	case kind == telemetry.KindPresence && s.p.OnPresence != nil:
		p, err := telemetry.ParsePresence(m.Payload())
		if err != nil {
			reason = "presence"
			break
		}
		s.p.OnPresence(a, p)
	case kind == telemetry.KindResult && s.p.OnResult != nil:
		if reason = unfit(m); reason == "" {
			s.p.OnResult(a, m.Payload())
		}
	default:
		reason = "topic"
	}
	if reason != "" {
		s.refuse(reason, m.Topic())
	}
}

// refuse counts a message that is dropped.
func (s *Subscriber) refuse(reason, topic string) {
	s.m.refused.WithLabelValues(reason).Inc()
	s.p.Log.Debug("message from the broker is dropped", "reason", reason, "topic", fmt.Sprintf("%.140q", topic))
}

// unfit is why a result is none.
func unfit(m mqtt.Message) string {
	switch {
	case m.Retained():
		return "retain"
	case len(m.Payload()) > telemetry.MaxResult:
		return "result"
	}
	return ""
}

// up notes that all works.
func (s *Subscriber) up() {
	s.m.connections.Inc()
	s.mu.Lock()
	s.fault, s.told = nil, false
	s.mu.Unlock()
	s.p.Log.Info("connected to the broker", "broker", s.c.URL)
}

// down notes why nothing does, and tells it once.
func (s *Subscriber) down(err error) {
	s.mu.Lock()
	told := s.told
	s.fault, s.told = err, true
	s.mu.Unlock()
	if !told {
		s.p.Log.Error("the broker cannot be used; it is tried again, and agents keep what they have", "error", err)
	}
}
