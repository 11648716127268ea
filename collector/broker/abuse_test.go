package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/mosquitto"
	"github.com/smartvillage/nabz/collector/subscriber"
	"github.com/smartvillage/nabz/internal/mosquittod"
	"github.com/smartvillage/nabz/telemetry"
)

// place is a broker with its collector, whichever it is.
type place struct {
	address string // where agents connect
	secrets map[telemetry.Address]string
	got     func() (data, presence []string) // by the collector
	results func() []string
	publish func(topic string, payload []byte) error
	command func(a telemetry.Address, payload []byte) error
	knows   bool                        // who is connected
	late    func(t *testing.T) []string // what a collector gets of data that comes later and to which nobody sends anything
}

func embedded(t *testing.T) place {
	s := start(t, nil)
	return place{s.Addr(), s.secrets, s.got, s.gotResults, s.Publish, s.Command, true, func(*testing.T) []string { return nil }}
}

// freePort finds a port of 127.0.0.1 that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// external is a Mosquitto with the files that broker export writes.
func external(t *testing.T) place {
	dir := t.TempDir()
	register, err := fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	p := place{address: freePort(t), secrets: map[telemetry.Address]string{}}
	for _, a := range []telemetry.Address{honest, rogue} {
		if p.secrets[a], err = register.AddAgent(a); err != nil {
			t.Fatal(err)
		}
	}
	c := mosquitto.Config{Dir: filepath.Join(dir, "mosquitto"), Secret: filepath.Join(dir, "secret"), Path: filepath.Join(dir, "mosquitto"), Agents: p.address, Collectors: freePort(t)}
	if without, err := mosquitto.Export(c, register.Verifiers()); err != nil || len(without) > 0 {
		t.Fatal(without, err)
	}
	mosquittod.ForTest(t, filepath.Join(c.Dir, mosquitto.ConfFile))
	var mu sync.Mutex
	var results []string // of all collectors
	collector := func(t *testing.T) (*subscriber.Subscriber, func() (data, presence []string), *prometheus.Registry) {
		var data, presence []string
		metrics := prometheus.NewRegistry()
		s := subscriber.New(subscriber.Config{URL: "mqtt://" + c.Collectors, User: mosquitto.User, Name: "test",
			Secret: func() (string, error) { b, err := os.ReadFile(c.Secret); return strings.TrimSpace(string(b)), err }},
			subscriber.Parts{Known: register.Known, Metrics: metrics, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
				OnData: func(topic string, payload []byte) {
					mu.Lock()
					defer mu.Unlock()
					data = append(data, fmt.Sprintf("%s %.40s", topic, payload))
				},
				OnPresence: func(a telemetry.Address, p telemetry.Presence) {
					mu.Lock()
					defer mu.Unlock()
					presence = append(presence, a.String()+" "+p.String())
				},
				OnResult: func(a telemetry.Address, payload []byte) {
					mu.Lock()
					defer mu.Unlock()
					results = append(results, fmt.Sprintf("%s %.40s", a, payload))
				}})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		waitFor(t, "the collector is connected", func() bool { return s.Fault() == nil })
		return s, func() ([]string, []string) {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(data), slices.Clone(presence)
		}, metrics
	}
	s, got, _ := collector(t)
	p.got, p.publish, p.command = got, s.Publish, s.Command
	p.results = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(results)
	}
	p.late = func(t *testing.T) []string {
		_, got, metrics := collector(t)
		retained := &stage{reg: metrics}
		waitFor(t, "the batch that lies there has come and is dropped", func() bool { return retained.value(t, "nabz_external_broker_refused_total", "retain") == 1 })
		data, _ := got()
		return data
	}
	return p
}

func (p place) options(a telemetry.Address) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker("tcp://" + p.address).SetClientID(a.Site + "." + a.Agent).SetUsername(a.String()).
		SetPassword(p.secrets[a]).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(5 * time.Second).SetProtocolVersion(4)
}

// TestNoAgentHarmsAnotherOnEitherBroker has a rogue agent try everything beside an honest one, on the embedded broker and on a real Mosquitto.
// How it is turned away is each broker's affair; here it counts what comes of it: nothing.
func TestNoAgentHarmsAnotherOnEitherBroker(t *testing.T) {
	for name, open := range map[string]func(*testing.T) place{"embedded": embedded, "mosquitto": external} {
		t.Run(name, func(t *testing.T) { tryAll(t, open(t)) })
	}
}

func tryAll(t *testing.T, p place) {
	lost := make(chan error, 1)
	heard := make(chan string, 64)
	good, err := join(t, p.options(honest).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }))
	if err != nil {
		t.Fatal(err)
	}
	if token := good.Subscribe(honest.Topic(telemetry.KindAck), 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	if token := good.Subscribe(honest.Topic(telemetry.KindCommand), 1, func(_ mqtt.Client, m mqtt.Message) { heard <- "command " + string(m.Payload()) }); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	var mu sync.Mutex
	var spied []string // what the rogue hears
	will := func(topic string, size int) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetWill(topic, "offline 99"+strings.Repeat(" ", size), 1, true) }
	}
	publish := func(topic string, qos byte, retain bool, payload string) func(mqtt.Client) {
		return func(c mqtt.Client) { c.Publish(topic, qos, retain, payload).WaitTimeout(time.Second) }
	}
	subscribe := func(filter string) func(mqtt.Client) {
		return func(c mqtt.Client) { c.Subscribe(filter, 1, nil).WaitTimeout(5 * time.Second) }
	}
	own := rogue.Topic(telemetry.KindData)
	attacks := []struct {
		name    string
		refused bool // at the sign-in, by either
		sign    func(*mqtt.ClientOptions)
		do      func(mqtt.Client)
	}{
		{"wrong secret", true, func(o *mqtt.ClientOptions) { o.SetPassword("guess") }, nil},
		{"another agent's secret", true, func(o *mqtt.ClientOptions) { o.SetPassword(p.secrets[honest]) }, nil},
		{"another agent's name", true, func(o *mqtt.ClientOptions) { o.SetUsername(honest.String()) }, nil},
		{"the collectors' name", true, func(o *mqtt.ClientOptions) { o.SetUsername(mosquitto.User) }, nil},
		{"anonymous", true, func(o *mqtt.ClientOptions) { o.SetUsername("").SetPassword("") }, nil},
		{"another agent's client id", false, func(o *mqtt.ClientOptions) { o.SetClientID("mbarara.clinic") }, nil},
		{"another agent's client id, as Mosquitto has it", false, func(o *mqtt.ClientOptions) { o.SetClientID("mbarara/clinic") }, nil},
		{"the broker's own client id", false, func(o *mqtt.ClientOptions) { o.SetClientID("inline") }, nil},
		{"will on another agent's presence", false, will(honest.Topic(telemetry.KindPresence), 0), nil},
		{"will on another agent's data", false, will(honest.Topic(telemetry.KindData), 0), nil},
		{"will that is long", false, will(rogue.Topic(telemetry.KindPresence), 500), nil},
		{"another agent's data", false, nil, publish(honest.Topic(telemetry.KindData), 1, false, "x")},
		{"the same, at most once", false, nil, publish(honest.Topic(telemetry.KindData), 0, false, "x")},
		{"another agent's presence", false, nil, publish(honest.Topic(telemetry.KindPresence), 1, true, "offline 99")},
		{"acknowledgement to another agent", false, nil, publish(honest.Topic(telemetry.KindAck), 0, false, "stored 4f2a9c1b 1 1")},
		{"retained acknowledgement to another agent", false, nil, publish(honest.Topic(telemetry.KindAck), 1, true, "stored 4f2a9c1b 1 1")},
		{"command to another agent", false, nil, publish(honest.Topic(telemetry.KindCommand), 1, false, "x")},
		{"command to itself", false, nil, publish(rogue.Topic(telemetry.KindCommand), 1, true, "x")},
		{"another agent's result", false, nil, publish(honest.Topic(telemetry.KindResult), 1, false, "1 9f3a11c24f2a9c1b done 0")},
		{"the same, retained", false, nil, publish(honest.Topic(telemetry.KindResult), 1, true, "1 9f3a11c24f2a9c1b done 0")},
		{"result that is too large", false, nil, publish(rogue.Topic(telemetry.KindResult), 1, false, strings.Repeat("1", telemetry.MaxResult+1))},
		{"command to another agent, at most once", false, nil, publish(honest.Topic(telemetry.KindCommand), 0, false, "1 9f3a11c24f2a9c1b speedtest 1 1")},
		{"will that is a command", false, will(honest.Topic(telemetry.KindCommand), 0), nil},
		{"all commands", false, nil, subscribe(telemetry.Filter(telemetry.KindCommand))},
		{"another agent's commands", false, nil, subscribe(honest.Topic(telemetry.KindCommand))},
		{"a share of another agent's commands", false, nil, subscribe("$share/x/" + honest.Topic(telemetry.KindCommand))},
		{"all results", false, nil, subscribe(telemetry.Filter(telemetry.KindResult))},
		{"its own results", false, nil, subscribe(rogue.Topic(telemetry.KindResult))},
		{"$SYS", false, nil, publish("$SYS/broker/uptime", 1, true, "x")},
		{"topic of nobody", false, nil, publish("anything", 1, true, "x")},
		{"topic with a wildcard", false, nil, publish("nabz/v1/+/+/data", 0, false, "x")},
		{"topic behind its own", false, nil, publish(own+"/x", 1, false, "x")},
		{"long presence", false, nil, publish(rogue.Topic(telemetry.KindPresence), 1, true, "online "+strings.Repeat("1", 60))},
		{"oversize", false, nil, publish(own, 1, false, strings.Repeat("x", telemetry.MaxMessage+2000))},
		{"retained data", false, nil, publish(own, 1, true, "old batch")},
		{"all acknowledgements", false, nil, subscribe(telemetry.Filter(telemetry.KindAck))},
		{"all data", false, nil, subscribe(telemetry.Filter(telemetry.KindData))},
		{"everything", false, nil, subscribe("#")},
		{"its own, with a wildcard", false, nil, subscribe("nabz/v1/mbarara/rogue/+")},
		{"another agent's acknowledgements", false, nil, subscribe(honest.Topic(telemetry.KindAck))},
		{"a share of the collectors' data", false, nil, subscribe("$share/nabz/" + telemetry.Filter(telemetry.KindData))},
		{"a share of another agent's acknowledgements", false, nil, subscribe("$share/x/" + honest.Topic(telemetry.KindAck))},
		{"$SYS/#", false, nil, subscribe("$SYS/#")},
	}
	for n, a := range attacks {
		var line net.Conn
		o := p.options(rogue).SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (c net.Conn, err error) {
			line, err = net.Dial("tcp", p.address)
			return line, err
		}).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			mu.Lock()
			defer mu.Unlock()
			spied = append(spied, fmt.Sprintf("%s: %s %.40s", a.name, m.Topic(), m.Payload()))
		})
		if a.sign != nil {
			a.sign(o)
		}
		c, err := join(t, o)
		if err == nil && a.refused {
			t.Errorf("%s: was let in", a.name)
		}
		if err == nil && a.do != nil {
			a.do(c)
		}
		want := fmt.Sprint("batch ", n)
		if token := good.Publish(honest.Topic(telemetry.KindData), 1, false, want); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("%s: the honest agent beside it cannot publish: %v", a.name, token.Error())
		}
		if err := p.command(honest, []byte(want)); err != nil {
			t.Fatalf("%s: the collector beside it cannot command: %v", a.name, err)
		}
		select {
		case got := <-heard:
			if got != "command "+want {
				t.Errorf("%s: the honest agent beside it hears %q, want the command %q", a.name, got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the honest agent beside it hears no command", a.name)
		}
		if err := p.publish(honest.Topic(telemetry.KindAck), []byte(want)); err != nil {
			t.Fatalf("%s: the collector beside it: %v", a.name, err)
		}
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("%s: the honest agent beside it hears %q, want %q", a.name, got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the honest agent beside it hears nothing", a.name)
		}
		if line != nil {
			line.Close() // without a word, so that a will is sent
		}
	}
	batches := func() (all []string) {
		data, _ := p.got()
		return slices.DeleteFunc(data, func(d string) bool { return d == own+" old batch" }) // its own, and sent once
	}
	waitFor(t, "all batches of the honest agent", func() bool { return len(batches()) >= len(attacks) })
	for n, d := range batches() {
		if want := fmt.Sprintf("%s batch %d", honest.Topic(telemetry.KindData), n); d != want {
			t.Errorf("the collector got %q, want %q", d, want)
		}
	}
	if _, presence := p.got(); len(presence) > 0 {
		t.Errorf("the collector got presence %v, want none", presence)
	}
	if results := p.results(); len(results) > 0 {
		t.Errorf("the collector got results %q, want none", results)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(spied) > 0 {
		t.Errorf("the rogue heard %q, want nothing", spied)
	}
	if len(lost) > 0 {
		t.Errorf("the honest agent lost its connection: %v", <-lost)
	}
	if old := p.late(t); len(old) > 0 {
		t.Errorf("a collector that comes later gets %q, want nothing", old)
	}
}
