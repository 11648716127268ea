package broker_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	honest = telemetry.Address{Site: "mbarara", Agent: "clinic"}
	rogue  = telemetry.Address{Site: "mbarara", Agent: "rogue"}
)

// stage is a running broker with two agents that have credentials.
type stage struct {
	*broker.Broker
	reg     *prometheus.Registry
	secrets map[telemetry.Address]string
	agents  string // file

	mu       sync.Mutex
	data     []string // "topic payload", payloads cut to 40 bytes
	presence []string
	results  []string
}

func start(t *testing.T, change func(*broker.Config)) *stage {
	t.Helper()
	dir := t.TempDir()
	agents, err := fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{reg: prometheus.NewRegistry(), secrets: map[telemetry.Address]string{}, agents: filepath.Join(dir, "agents.toml")}
	for _, a := range []telemetry.Address{honest, rogue} {
		if s.secrets[a], err = agents.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
	c := broker.Config{Listen: "127.0.0.1:0"}
	if change != nil {
		change(&c)
	}
	s.Broker, err = broker.New(c, broker.Parts{Auth: agents, Metrics: s.reg, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		OnData: func(topic string, payload []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.data = append(s.data, fmt.Sprintf("%s %.40s", topic, payload))
		},
		OnPresence: func(a telemetry.Address, p telemetry.Presence) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.presence = append(s.presence, a.String()+" "+p.String())
		},
		OnResult: func(a telemetry.Address, payload []byte) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.results = append(s.results, fmt.Sprintf("%s %.40s", a, payload))
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("broker: %v", err)
		}
	})
	return s
}

// got is a copy of what came in.
func (s *stage) got() (data, presence []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.data), slices.Clone(s.presence)
}

func (s *stage) gotResults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.results)
}

func (s *stage) options(a telemetry.Address) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker("tcp://" + s.Addr()).SetClientID(a.Site + "." + a.Agent).SetUsername(a.String()).
		SetPassword(s.secrets[a]).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(5 * time.Second).SetProtocolVersion(4)
}

// join connects, and disconnects at the end of the test.
func join(t *testing.T, o *mqtt.ClientOptions) (mqtt.Client, error) {
	c := mqtt.NewClient(o)
	token := c.Connect()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer to a sign-in")
	}
	if token.Error() == nil {
		t.Cleanup(func() { c.Disconnect(0) })
	}
	return c, token.Error()
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// value is a metric as /metrics shows it.
func (s *stage) value(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

// TestWhoBreaksARuleIsRefusedCountedAndAlone lets an honest agent work beside each attack.
func TestWhoBreaksARuleIsRefusedCountedAndAlone(t *testing.T) {
	s := start(t, nil)
	lost := make(chan error, 1)
	heard := make(chan string, 10)
	good, err := join(t, s.options(honest).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if err != nil {
		t.Fatal(err)
	}
	if token := good.Subscribe(honest.Topic(telemetry.KindAck), 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	refusedSignIn := func(change func(*mqtt.ClientOptions)) func(t *testing.T) {
		return func(t *testing.T) {
			o := s.options(rogue)
			change(o)
			if c, err := join(t, o); err == nil {
				c.Disconnect(0)
				t.Error("was let in")
			}
		}
	}
	publish := func(topic string, qos byte, retain bool, payload string) func(t *testing.T) {
		return func(t *testing.T) {
			gone := make(chan struct{})
			c, err := join(t, s.options(rogue).SetConnectionLostHandler(func(mqtt.Client, error) { close(gone) }))
			if err != nil {
				t.Fatal(err)
			}
			c.Publish(topic, qos, retain, payload)
			select {
			case <-gone:
			case <-time.After(10 * time.Second):
				t.Error("stays connected")
			}
		}
	}
	subscribe := func(filter string) func(t *testing.T) {
		return func(t *testing.T) {
			c, err := join(t, s.options(rogue))
			if err != nil {
				t.Fatal(err)
			}
			token := c.Subscribe(filter, 0, func(_ mqtt.Client, m mqtt.Message) { t.Errorf("heard %s", m.Topic()) })
			token.Wait()
			for _, granted := range token.(*mqtt.SubscribeToken).Result() {
				if granted != 0x80 {
					t.Errorf("granted %#x, want 0x80", granted)
				}
			}
		}
	}
	const forbidden, rejected = "nabz_broker_forbidden_total", "nabz_broker_signins_rejected_total"
	own := rogue.Topic(telemetry.KindData)
	tests := []struct {
		name, metric, label string
		attack              func(t *testing.T)
	}{
		{"wrong secret", rejected, "secret", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetPassword("guess") })},
		{"another agent's secret", rejected, "secret", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetPassword(s.secrets[honest]) })},
		{"anonymous", rejected, "user_name", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetUsername("").SetPassword("") })},
		{"another agent's client id", rejected, "client_id", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetClientID("mbarara.clinic") })},
		{"the broker's own client id", rejected, "client_id", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetClientID("inline") })},
		{"no client id", rejected, "client_id", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetClientID("") })},
		{"will on another agent's topic", rejected, "will", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetWill(honest.Topic(telemetry.KindPresence), "offline 99", 1, true) })},
		{"will on its data topic", rejected, "will", refusedSignIn(func(o *mqtt.ClientOptions) { o.SetWill(own, "x", 1, false) })},
		{"will too long", rejected, "will", refusedSignIn(func(o *mqtt.ClientOptions) {
			o.SetWill(rogue.Topic(telemetry.KindPresence), strings.Repeat("x", 65), 1, true)
		})},
		{"another agent's data", forbidden, "publish", publish(honest.Topic(telemetry.KindData), 1, false, "x")},
		{"the same, at most once", forbidden, "publish", publish(honest.Topic(telemetry.KindData), 0, false, "x")},
		{"another agent's presence", forbidden, "publish", publish(honest.Topic(telemetry.KindPresence), 1, true, "offline 99")},
		{"acknowledgement to another agent", forbidden, "publish", publish(honest.Topic(telemetry.KindAck), 0, false, "stored 4f2a9c1b 1 1")},
		{"command to itself", forbidden, "publish", publish(rogue.Topic(telemetry.KindCommand), 0, false, "x")},
		{"$SYS", forbidden, "publish", publish("$SYS/broker/uptime", 0, true, "x")},
		{"topic of nobody", forbidden, "publish", publish("anything", 0, false, "x")},
		{"retained data", forbidden, "retain", publish(own, 1, true, "x")},
		{"long presence", forbidden, "presence", publish(rogue.Topic(telemetry.KindPresence), 1, true, "online "+strings.Repeat("1", 60))},
		{"oversize", "nabz_broker_oversize_total", "", publish(own, 1, false, strings.Repeat("x", telemetry.MaxMessage+2000))},
		{"all acknowledgements", forbidden, "subscribe", subscribe(telemetry.Filter(telemetry.KindAck))},
		{"everything", forbidden, "subscribe", subscribe("#")},
		{"its own, with a wildcard", forbidden, "subscribe", subscribe("nabz/v1/mbarara/rogue/+")},
		{"another agent's acknowledgements", forbidden, "subscribe", subscribe(honest.Topic(telemetry.KindAck))},
		{"shared", forbidden, "subscribe", subscribe("$share/x/" + rogue.Topic(telemetry.KindAck))},
		{"$SYS/#", forbidden, "subscribe", subscribe("$SYS/#")},
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := s.value(t, tt.metric, tt.label)
			tt.attack(t)
			waitFor(t, "it is counted", func() bool { return s.value(t, tt.metric, tt.label) == before+1 })
			payload := fmt.Sprint("batch ", n)
			if token := good.Publish(honest.Topic(telemetry.KindData), 1, false, payload); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
				t.Fatalf("the honest agent cannot publish: %v", token.Error())
			}
			if err := s.Publish(honest.Topic(telemetry.KindAck), []byte(payload)); err != nil {
				t.Fatal(err)
			}
			select {
			case got := <-heard:
				if got != payload {
					t.Errorf("the honest agent hears %q, want %q", got, payload)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the honest agent hears nothing")
			}
		})
	}
	// The broker answers a publication before it hands it on.
	waitFor(t, "all batches of the honest agent", func() bool { d, _ := s.got(); return len(d) >= len(tests) })
	data, presence := s.got()
	for n, d := range data {
		if d != fmt.Sprintf("%s batch %d", honest.Topic(telemetry.KindData), n) {
			t.Errorf("came through: %s", d)
		}
	}
	if len(data) != len(tests) || len(presence) != 0 {
		t.Errorf("%d batches and presence %v came through, want %d and none", len(data), presence, len(tests))
	}
	if len(lost) > 0 {
		t.Errorf("the honest agent lost its connection: %v", <-lost)
	}
}

func TestAnAgentThatIsTakenOutOfTheRegisterIsHeardNoLonger(t *testing.T) {
	s := start(t, nil)
	c, err := join(t, s.options(honest))
	if err != nil {
		t.Fatal(err)
	}
	other, err := join(t, s.options(rogue))
	if err != nil {
		t.Fatal(err)
	}
	send := func(c mqtt.Client, a telemetry.Address, text string) {
		c.Publish(a.Topic(telemetry.KindData), 1, false, text).WaitTimeout(5 * time.Second)
	}
	send(c, honest, "before")
	if err := os.WriteFile(s.agents, []byte(fmt.Sprintf("[[agent]]\naddress = %q\nsecret_sha256 = \"%x\"\n", rogue, sha256.Sum256([]byte(s.secrets[rogue])))), 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the connection to be ended", func() bool {
		send(c, honest, "after")
		return s.value(t, "nabz_broker_forbidden_total", "revoked") > 0 && !c.IsConnected()
	})
	if _, err := join(t, s.options(honest)); err == nil {
		t.Error("it can sign in again")
	}
	send(other, rogue, "still here")
	waitFor(t, "the other agent to be heard", func() bool {
		data, _ := s.got()
		return slices.Contains(data, rogue.Topic(telemetry.KindData)+" still here")
	})
}

func TestARevokedAgentIsDisconnectedThoughItSaysNothing(t *testing.T) {
	s := start(t, nil)
	c, err := join(t, s.options(honest))
	if err != nil {
		t.Fatal(err)
	}
	other, err := join(t, s.options(rogue))
	if err != nil {
		t.Fatal(err)
	}
	register, err := fleet.OpenRegistry(filepath.Join(filepath.Dir(s.agents), "sites.toml"), s.agents) // as the command line does, in a process of its own
	if err != nil {
		t.Fatal(err)
	}
	if err := register.Revoke(honest, time.Now()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the connection to be ended", func() bool { return !c.IsConnectionOpen() })
	if !other.IsConnectionOpen() {
		t.Error("another agent was disconnected, too")
	}
	if _, err := join(t, s.options(honest)); err == nil {
		t.Error("it can sign in again")
	}
}

func TestPresenceAndLastWillAreHandedOn(t *testing.T) {
	s := start(t, nil)
	topic := honest.Topic(telemetry.KindPresence)
	c, err := join(t, s.options(honest).SetWill(topic, "offline 17", 1, true))
	if err != nil {
		t.Fatal(err)
	}
	c.Publish(topic, 1, true, "online 17").Wait()
	c.Publish(topic, 1, true, "dancing").Wait()
	// A second connection takes the place of the first, whose will is then sent.
	if _, err := join(t, s.options(honest).SetWill(topic, "offline 18", 1, true)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "online and the will", func() bool { _, p := s.got(); return len(p) == 2 })
	if _, got := s.got(); !slices.Equal(got, []string{"mbarara/clinic online 17", "mbarara/clinic offline 17"}) {
		t.Errorf("got %v", got)
	}
	if n := s.value(t, "nabz_broker_forbidden_total", "presence"); n != 1 {
		t.Errorf("%v malformed presences counted, want 1", n)
	}
	waitFor(t, "the first connection to be gone", func() bool { return s.value(t, "nabz_broker_connections", "") == 1 }) // it ends behind its will
}

func TestAStrangerCostsLittle(t *testing.T) {
	s := start(t, func(c *broker.Config) { c.MaxConnections = 3 })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ends := func(c net.Conn) {
		t.Helper()
		if err := c.SetReadDeadline(time.Now().Add(8 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("got %v, want the connection to be closed", err)
		}
	}
	large := dial()
	if _, err := large.Write([]byte{0x10, 0xff, 0xff, 0x3f}); err != nil { // a sign-in of 1 MiB is announced
		t.Fatal(err)
	}
	ends(large)
	if n := s.value(t, "nabz_broker_hellos_refused_total", ""); n != 1 {
		t.Errorf("%v counted, want 1", n)
	}
	noise := dial()
	if _, err := noise.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	ends(noise)
	for range 3 {
		dial() // says nothing
	}
	waitFor(t, "the fourth is turned away", func() bool {
		c := dial()
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		return err == io.EOF || err != nil && !os.IsTimeout(err)
	})
	if n := s.value(t, "nabz_broker_connections_refused_total", ""); n < 1 {
		t.Errorf("%v counted as refused, want at least 1", n)
	}
}

func TestAddressesThatCannotServeAreRefusedWithWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		name string
		c    broker.Config
		want string
	}{
		{"taken", broker.Config{Listen: taken.Addr().String()}, "address already in use; mqtt.listen changes the address"},
		{"open to all without TLS", broker.Config{Listen: "0.0.0.0:0"}, "set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true"},
		{"all interfaces", broker.Config{Listen: ":0"}, "mqtt.insecure = true"},
	}
	for _, tt := range tests {
		_, err := broker.New(tt.c, broker.Parts{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestOverTLS(t *testing.T) {
	ca := testca.New(t)
	pair := ca.Sign(net.IPv4(127, 0, 0, 1), time.Hour)
	roots := ca.Pool()
	s := start(t, func(c *broker.Config) { c.TLS = &tls.Config{Certificates: []tls.Certificate{pair}} })
	o := s.options(honest)
	o.Servers = nil
	o.AddBroker("ssl://" + s.Addr()).SetTLSConfig(&tls.Config{RootCAs: roots})
	c, err := join(t, o)
	if err != nil {
		t.Fatal(err)
	}
	c.Publish(honest.Topic(telemetry.KindData), 1, false, "hello").Wait()
	waitFor(t, "the batch", func() bool { d, _ := s.got(); return len(d) == 1 })
	if _, err := join(t, s.options(rogue)); err == nil {
		t.Error("a plain connection was let in")
	}
}

// An agent that floods is read as fast as it may send, and an honest one beside it notices nothing; nothing is dropped.
func TestAFloodIsReadSlowlyAndNothingOfItIsLost(t *testing.T) {
	const count = 10*burst + 30
	s := start(t, func(c *broker.Config) { c.Rates = broker.Rates{Messages: burst} })
	c, err := join(t, s.options(rogue))
	if err != nil {
		t.Fatal(err)
	}
	good, err := join(t, s.options(honest))
	if err != nil {
		t.Fatal(err)
	}
	for n := range count {
		c.Publish(rogue.Topic(telemetry.KindData), 0, false, fmt.Sprint("batch ", n))
	}
	for n := range 5 {
		if token := good.Publish(honest.Topic(telemetry.KindData), 1, false, fmt.Sprint("batch ", n)); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("the honest agent beside it: %v", token.Error())
		}
	}
	waitFor(t, "the flood has come", func() bool { d, _ := s.got(); return len(d) == count+5 })
	if n := s.value(t, "nabz_broker_slowed_total", ""); n < 25 {
		t.Errorf("%v packets were waited for, want about 30", n)
	}
}

const burst = 20 // messages a second

func TestTenThousandConnectionsOfOneAgentHurtNobodyElse(t *testing.T) {
	s := start(t, nil)
	lost := make(chan error, 1)
	good, err := join(t, s.options(honest).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if err != nil {
		t.Fatal(err)
	}
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession, hello.Keepalive = "MQTT", 4, true, 60
	hello.ClientIdentifier, hello.UsernameFlag, hello.Username = "mbarara.rogue", true, rogue.String()
	hello.PasswordFlag, hello.Password = true, []byte(s.secrets[rogue])
	var words bytes.Buffer
	if err := hello.Write(&words); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			for range 2500 {
				c, err := net.Dial("tcp", s.Addr())
				if err != nil {
					return err
				}
				if _, err := c.Write(words.Bytes()); err != nil {
					return err
				}
				_, err = packets.ReadPacket(c) // its fellows may have had it cut off by then
				if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
					return err
				}
				c.Close()
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	for n := 0; ; n++ {
		if token := good.Publish(honest.Topic(telemetry.KindData), 1, false, fmt.Sprint("batch ", n)); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("batch %d of the honest agent: %v", n, token.Error())
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, "only the honest agent is left", func() bool { return s.value(t, "nabz_broker_connections", "") == 1 })
			if len(lost) > 0 {
				t.Errorf("the honest agent lost its connection: %v", <-lost)
			}
			t.Logf("%v sign-ins, and %d batches of the honest agent meanwhile", s.value(t, "nabz_broker_signins_total", ""), n)
			return
		default:
		}
	}
}
