package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	maxInbox  = 256 // acknowledgements not yet handled; one that is lost costs a retry
	maxOrders = 8   // commands not yet handled; one that is lost is sent again
	quiesceMs = 250
	fairDial  = 2 * time.Second // a dial that has lasted less is not given up when the link is said to be back
	qos       = 1               // of presence, which the broker keeps and must have; of commands and answers, a few a year
)

// session is one MQTT connection.
type session struct {
	u      *Uplink
	number uint64
	client mqtt.Client
	lost   chan error
	news   chan struct{} // the inbox has something, or a question is answered
	work   sync.WaitGroup
	over   chan struct{} // closed when the loop has ended
	home   *home

	// When to do what; zero: never.
	again   time.Time // say once more that we are here
	look    time.Time // look at bytes that wait
	beat    time.Time // ping, or give up waiting for the answer
	paced   time.Time // send more of a backlog
	verdict time.Time // give the connection up, if it has not recovered since kicked

	kicked  time.Time
	doubted bool // the ping's missing answer was told

	mu    sync.Mutex
	conn  *meter
	wire  *wire
	inbox []telemetry.Ack
	order [][]byte
	bad   int   // acknowledgements that could not be read
	why   error // the last of them
}

// connection lives from dialling to the end of the connection and tells whether it was ever up and why it ended.
func (u *Uplink) connection(ctx context.Context, broker *url.URL) (up bool, err error) {
	s := &session{u: u, number: u.nextSession(), lost: make(chan error, 1), news: make(chan struct{}, 1), over: make(chan struct{})}
	dialCtx, stop := context.WithCancel(ctx)
	defer stop()
	s.client = mqtt.NewClient(s.options(dialCtx, broker))
	defer u.disconnected(broker)
	began := time.Now()
	err = s.connect(ctx, stop)
	u.unused = s.meter() == nil
	if err != nil {
		u.forgot = 0
		return false, &connectError{err}
	}
	defer s.guard(ctx)()
	if err = s.enter(ctx); err == nil {
		up = true
		u.reached(time.Since(began))
		u.connected(broker, s.number)
		s.home = newHome(broker != u.first, u.homeAfter, time.Now())
		err = s.loop(ctx)
		s.home.stop()
		close(s.over)
		s.work.Wait()
	}
	if ctx.Err() != nil {
		return up, s.leave(ctx)
	}
	u.forgot = s.meter().silentAfter()
	if up && !errors.Is(err, errHome) {
		s.doubt()
	}
	if !errors.Is(err, errHome) {
		s.closeConn() // without a goodbye, so that the broker publishes our last will
	}
	s.client.Disconnect(quiesceMs)
	return up, err
}

func (s *session) options(ctx context.Context, broker *url.URL) *mqtt.ClientOptions {
	c := s.u.c
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{broker}
	o.SetClientID(c.Address.Site + "." + c.Address.Agent)
	o.SetUsername(c.Address.String())
	o.SetPassword(c.Secret)
	o.SetProtocolVersion(4) // MQTT 3.1.1, without a second try at 3.1 for each wrong password
	o.SetCleanSession(true)
	o.SetAutoReconnect(false) // Run reconnects, with jitter
	o.SetConnectRetry(false)
	o.SetKeepAlive(0) // wire pings, and names it in CONNECT
	o.SetConnectTimeout(s.u.signIn)
	o.SetWriteTimeout(handOver)
	o.SetStore(noStore{})
	o.SetBinaryWill(c.Address.Topic(telemetry.KindPresence), []byte(telemetry.Presence{Session: s.number}.String()), qos, true)
	o.SetConnectionLostHandler(func(_ mqtt.Client, err error) {
		select {
		case s.lost <- err:
		default:
		}
	})
	o.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		conn, m, err := s.u.dial(ctx, u)
		if err != nil {
			return nil, err
		}
		w := newWire(conn, m, c.Keepalive)
		w.news, w.changed = s.tell, s.u.proxied
		s.mu.Lock()
		s.conn, s.wire = m, w
		s.mu.Unlock()
		s.u.conn.Store(m)
		if err := ctx.Err(); err != nil {
			return nil, closeAfter(w, err)
		}
		return w, nil
	})
	return o
}

func (s *session) meter() *meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

func (s *session) closeConn() {
	if m := s.meter(); m != nil {
		_ = m.Close() // closed already: just as well
	}
}

// connect dials and signs in. A dial that began before the link came back is given up: its next SYN may be half a minute away.
func (s *session) connect(ctx context.Context, stop func()) error {
	began := time.Now()
	t := s.client.Connect()
	for {
		select {
		case <-t.Done():
			return t.Error()
		case <-s.u.kick:
			if s.meter() != nil || time.Since(began) < fairDial {
				continue
			}
			stop()
			<-t.Done()
			if t.Error() == nil {
				s.closeConn()
			}
			return errNew
		case <-ctx.Done():
			s.closeConn()
			<-t.Done()
			return t.Error()
		}
	}
}

// guard cuts the connection off when the end of ctx and the time to say goodbye are past; whatever hangs on it then returns.
func (s *session) guard(ctx context.Context) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		t := time.NewTimer(stopGrace)
		defer t.Stop()
		select {
		case <-over:
		case <-t.C:
			s.closeConn()
		}
	}()
	return func() { close(over); <-stopped }
}

// wait waits for a token.
func (s *session) wait(ctx context.Context, t mqtt.Token, what string, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.Done():
		if err := t.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case err := <-s.lost:
		return fmt.Errorf("%s: %w", what, err)
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%s: no answer from the broker within %v", what, limit)
	}
}

func (s *session) present(online bool) mqtt.Token {
	return s.client.Publish(s.u.c.Address.Topic(telemetry.KindPresence), qos, true, telemetry.Presence{Online: online, Session: s.number}.String())
}

// enter says that we are here and asks for acknowledgements.
func (s *session) enter(ctx context.Context) error {
	here := s.present(true)
	topic, commands := s.u.c.Address.Topic(telemetry.KindAck), s.u.c.Address.Topic(telemetry.KindCommand)
	filters := map[string]byte{topic: 0} // one that is lost costs a retry; one that is confirmed costs that each time
	if s.u.c.OnCommand != nil {
		filters[commands] = qos
	}
	acks := s.client.SubscribeMultiple(filters, s.heard) // in one packet
	if err := s.wait(ctx, here, "publish presence", s.u.signIn); err != nil {
		return err
	}
	if err := s.wait(ctx, acks, "subscribe to "+topic, s.u.signIn); err != nil {
		return err
	}
	granted, ok := acks.(*mqtt.SubscribeToken)
	if !ok || granted.Result()[topic] > 2 {
		return errors.New("broker refuses the subscription to " + topic + "; let this agent read it in the broker's access rules")
	}
	if s.u.c.OnCommand != nil && granted.Result()[commands] > 2 { // measurements go all the same
		s.u.faults.command.begin(s.u.c.Log, slog.LevelWarn, "command", "broker refuses the subscription to commands; the NOC cannot ask this agent for anything", "topic", commands)
	} else {
		s.u.faults.command.end(s.u.c.Log, "broker lets this agent hear commands again")
	}
	s.again = time.Now().Add(2 * s.u.c.Keepalive)
	return nil
}

// remind says once more that we are here. A broker (another one of its cluster, perhaps) that still held our last connection gave it
// up at the latest one and a half keepalives after that fell silent, and its will then lies on top of our word.
func (s *session) remind(now time.Time) {
	if s.again.IsZero() || now.Before(s.again) {
		return
	}
	s.again = time.Time{}
	s.present(true)
}

// leave says goodbye, so that no last will is published.
func (s *session) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	err := s.wait(ctx, s.present(false), "publish presence", stopGrace)
	if err != nil {
		s.closeConn()
		s.u.c.Log.Warn("could not say goodbye to the broker; the collector learns of the stop from the last will", "err", err)
	}
	s.client.Disconnect(quiesceMs)
	return err
}

// heard is called by the connection and must not block.
func (s *session) heard(_ mqtt.Client, m mqtt.Message) {
	if strings.HasSuffix(m.Topic(), "/"+string(telemetry.KindCommand)) {
		s.onCommand(m)
		return
	}
	a, err := telemetry.ParseAck(m.Payload())
	s.mu.Lock()
	switch {
	case err != nil:
		s.bad++
		s.why = err
	case len(s.inbox) < maxInbox:
		s.inbox = append(s.inbox, a)
	}
	s.mu.Unlock()
	s.tell()
}

func (s *session) onCommand(m mqtt.Message) {
	if s.u.c.OnCommand == nil || m.Retained() || len(m.Payload()) > telemetry.MaxCommand { // a retained one was meant for somebody who was there then
		return
	}
	s.mu.Lock()
	if len(s.order) < maxOrders {
		s.order = append(s.order, m.Payload())
	}
	s.mu.Unlock()
	s.tell()
}

func (s *session) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (s *session) take() {
	s.mu.Lock()
	acks, orders, bad, why := s.inbox, s.order, s.bad, s.why
	s.inbox, s.order, s.bad = nil, nil, 0
	s.mu.Unlock()
	if bad > 0 {
		s.u.faults.ack.begin(s.u.c.Log, slog.LevelWarn, "ack", "acknowledgement cannot be read; is the collector newer than this agent?", "err", why)
		s.u.count(func(st *Stats) { st.BadAcks += int64(bad) })
	}
	for _, a := range acks {
		s.u.answer(a)
	}
	for _, payload := range orders {
		s.u.c.OnCommand(payload)
	}
	if len(acks) > 0 && bad == 0 {
		s.u.faults.ack.end(s.u.c.Log, "acknowledgements can be read again")
	}
}

// speak hands over the answers to commands. One that is lost with the connection is asked for again.
func (s *session) speak() {
	for _, word := range s.u.takeWords() {
		s.client.Publish(s.u.c.Address.Topic(telemetry.KindResult), qos, false, word)
	}
}
