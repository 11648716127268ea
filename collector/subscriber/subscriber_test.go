package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/mosquitto"
	"github.com/smartvillage/nabz/collector/subscriber"
	"github.com/smartvillage/nabz/internal/mosquittod"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var clinic = telemetry.Address{Site: "mbarara", Agent: "clinic"}

// town is a real Mosquitto and what a collector needs to sign in there.
type town struct {
	*mosquittod.Server
	c        mosquitto.Config
	register *fleet.Registry
	secret   string // of the clinic
}

func newTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	register, err := fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &town{register: register}
	if w.secret, err = register.AddAgent(clinic); err != nil {
		t.Fatal(err)
	}
	port := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	w.c = mosquitto.Config{Dir: filepath.Join(dir, "m"), Path: filepath.Join(dir, "m"), Secret: filepath.Join(dir, "secret"), Agents: port(), Collectors: port()}
	if _, err := mosquitto.Export(w.c, register.Verifiers()); err != nil {
		t.Fatal(err)
	}
	w.Server = mosquittod.ForTest(t, filepath.Join(w.c.Dir, mosquitto.ConfFile))
	return w
}

// ear is a subscriber and what it got.
type ear struct {
	*subscriber.Subscriber
	log strings.Builder

	mu       sync.Mutex
	data     []string
	presence []string
}

func (e *ear) got() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.data)
}

func (e *ear) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.Write(b)
}

func (w *town) listen(t *testing.T, shared bool, secret func() (string, error)) *ear {
	t.Helper()
	e := &ear{}
	e.Subscriber = subscriber.New(subscriber.Config{URL: "mqtt://" + w.c.Collectors, User: mosquitto.User, Name: "nabz-test", Shared: shared, Secret: secret},
		subscriber.Parts{Known: w.register.Known, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(e, nil)),
			OnData: func(_ string, payload []byte) {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.data = append(e.data, string(payload))
			},
			OnPresence: func(a telemetry.Address, p telemetry.Presence) {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.presence = append(e.presence, a.String()+" "+p.String())
			}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(e.log.String())
		}
	})
	return e
}

func (w *town) own() (string, error) {
	b, err := os.ReadFile(w.c.Secret)
	return strings.TrimSpace(string(b)), err
}

func (w *town) agent(t *testing.T) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + w.c.Agents).SetClientID("mbarara.clinic").SetUsername(clinic.String()).SetPassword(w.secret).
		SetAutoReconnect(false).SetConnectTimeout(5 * time.Second))
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func send(t *testing.T, c mqtt.Client, topic string, retain bool, text string) {
	t.Helper()
	if token := c.Publish(topic, 1, retain, text); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func TestEachBatchGoesToOneOfThoseWhoShareAndToAllWhoDoNot(t *testing.T) {
	w := newTown(t)
	a, b, whole := w.listen(t, true, w.own), w.listen(t, true, w.own), w.listen(t, false, w.own)
	for _, e := range []*ear{a, b, whole} {
		waitFor(t, "connected", func() bool { return e.Fault() == nil })
	}
	c := w.agent(t)
	var want []string
	for n := range 100 {
		want = append(want, fmt.Sprintf("batch %02d", n))
		send(t, c, clinic.Topic(telemetry.KindData), false, want[n])
	}
	waitFor(t, "all batches", func() bool { return len(a.got())+len(b.got()) >= 100 && len(whole.got()) >= 100 })
	shares := append(a.got(), b.got()...)
	slices.Sort(shares)
	if !slices.Equal(shares, want) || !slices.Equal(whole.got(), want) {
		t.Errorf("those who share got %v, the other one %v, want each batch once", shares, whole.got())
	}
	if len(a.got()) == 0 || len(b.got()) == 0 {
		t.Errorf("%d and %d batches: one gets all", len(a.got()), len(b.got()))
	}
}

func TestItComesBackWhenTheBrokerDoesAndPromisesNothingMeanwhile(t *testing.T) {
	w := newTown(t)
	e := w.listen(t, true, w.own)
	waitFor(t, "connected", func() bool { return e.Fault() == nil })
	presence := clinic.Topic(telemetry.KindPresence)
	for range 2 {
		w.Kill()
		waitFor(t, "the broker is missed", func() bool { return e.Fault() != nil })
		if err := e.Publish(clinic.Topic(telemetry.KindAck), []byte("stored 4f2a9c1b 1 1")); err == nil {
			t.Error("an acknowledgement was taken that cannot be sent")
		}
		w.Start()
		waitFor(t, "connected again", func() bool { return e.Fault() == nil })
	}
	c := w.agent(t)
	acks := make(chan string, 1)
	if token := c.Subscribe(clinic.Topic(telemetry.KindAck), 0, func(_ mqtt.Client, m mqtt.Message) { acks <- string(m.Payload()) }); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	send(t, c, presence, true, "online 7")
	send(t, c, clinic.Topic(telemetry.KindData), false, "batch")
	waitFor(t, "data and presence", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Equal(e.data, []string{"batch"}) && slices.Equal(e.presence, []string{"mbarara/clinic online 7"})
	})
	if err := e.Publish(clinic.Topic(telemetry.KindAck), []byte("stored 4f2a9c1b 1 1")); err != nil {
		t.Error(err)
	}
	select {
	case got := <-acks:
		if got != "stored 4f2a9c1b 1 1" {
			t.Errorf("the agent hears %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the agent hears no acknowledgement")
	}
	if n := strings.Count(e.log.String(), "the broker cannot be used"); n != 2 {
		t.Errorf("two absences were told %d times", n)
	}
	later := w.listen(t, false, w.own)
	waitFor(t, "who comes later hears who is there", func() bool {
		later.mu.Lock()
		defer later.mu.Unlock()
		return slices.Equal(later.presence, []string{"mbarara/clinic online 7"})
	})
}

func TestASecretThatIsPutRightIsTakenInWithoutARestart(t *testing.T) {
	w := newTown(t)
	var good atomic.Bool
	e := w.listen(t, false, func() (string, error) {
		if !good.Load() {
			return "guess", nil
		}
		return w.own()
	})
	waitFor(t, "it is refused", func() bool {
		err := e.Fault()
		return err != nil && strings.Contains(err.Error(), "check mqtt.broker, mqtt.user, mqtt.secret_file")
	})
	good.Store(true)
	waitFor(t, "it is let in", func() bool { return e.Fault() == nil })
}

func TestARevokedAgentIsNotHeardThoughTheBrokerStillLetsItIn(t *testing.T) {
	w := newTown(t)
	e := w.listen(t, false, w.own)
	waitFor(t, "connected", func() bool { return e.Fault() == nil })
	c := w.agent(t)
	send(t, c, clinic.Topic(telemetry.KindData), false, "before")
	waitFor(t, "the batch before", func() bool { return len(e.got()) == 1 })
	if err := w.register.Revoke(clinic, time.Now()); err != nil {
		t.Fatal(err)
	}
	send(t, c, clinic.Topic(telemetry.KindData), false, "after")
	send(t, c, clinic.Topic(telemetry.KindPresence), true, "online 9")
	// The next export takes it out of the broker's files.
	if _, err := mosquitto.Export(w.c, w.register.Verifiers()); err != nil {
		t.Fatal(err)
	}
	w.Reload()
	waitFor(t, "the broker ends its connection", func() bool { return !c.IsConnectionOpen() })
	waitFor(t, "it cannot sign in any more", func() bool {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + w.c.Agents).SetUsername(clinic.String()).SetPassword(w.secret).SetClientID("x").SetConnectTimeout(5 * time.Second)
		again := mqtt.NewClient(o)
		token := again.Connect()
		defer again.Disconnect(0)
		return token.WaitTimeout(10*time.Second) && errors.Is(token.Error(), packets.ErrorRefusedNotAuthorised)
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.data, []string{"before"}) || len(e.presence) > 0 {
		t.Errorf("got %v and presence %v, want what came before alone", e.data, e.presence)
	}
}
