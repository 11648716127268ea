package walk

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// guest is a plain MQTT client that does what it is told, allowed or not.
type guest struct {
	mqtt.Client
	acks chan string
}

func (c *centre) guest(user, id, secret string, options ...func(*mqtt.ClientOptions)) (*guest, error) {
	o := mqtt.NewClientOptions().AddBroker(c.broker).SetUsername(user).SetClientID(id).SetPassword(secret).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(5 * time.Second).SetWriteTimeout(5 * time.Second)
	for _, f := range options {
		f(o)
	}
	g := &guest{Client: mqtt.NewClient(o), acks: make(chan string, 16)}
	token := g.Connect()
	token.WaitTimeout(10 * time.Second)
	return g, token.Error()
}

// member signs in as an agent and listens for acknowledgements.
func (c *centre) member(a telemetry.Address) *guest {
	c.t.Helper()
	g, err := c.guest(a.String(), a.Site+"."+a.Agent, c.secrets[a])
	if err != nil {
		c.t.Fatalf("%v signs in: %v", a, err)
	}
	c.t.Cleanup(func() { g.Disconnect(100) })
	token := g.Subscribe(a.Topic(telemetry.KindAck), 1, func(_ mqtt.Client, m mqtt.Message) { g.acks <- string(m.Payload()) })
	if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		c.t.Fatalf("%v subscribes its own acknowledgements: %v", a, token.Error())
	}
	return g
}

func (g *guest) send(topic string, retained bool, payload []byte) {
	g.Publish(topic, 1, retained, payload).WaitTimeout(5 * time.Second) // it may be disconnected for it
}

// answer waits for the next acknowledgement.
func (g *guest) answer(t *testing.T) string {
	t.Helper()
	select {
	case a := <-g.acks:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no acknowledgement within 20 s")
		return ""
	}
}

func TestWhatIsNotAllowedIsRefusedAndCountedAndTheDaemonGoesOn(t *testing.T) {
	server := influxd.ForTest(t)
	honest, hostile := telemetry.Address{Site: "gokina", Agent: "main"}, telemetry.Address{Site: "rogue", Agent: "x"}
	detail, ledger := server.Database(t, "abuse_detail"), server.Database(t, "abuse_ledger")
	c := newCentre(t, server.URL, server.Token, server.Org, detail, ledger, honest, hostile)
	c.start()
	c.ready()
	good := c.member(honest)
	seq := 0
	batch := func(lines string) []byte {
		seq++
		at := time.Now().UnixMilli()
		text := fmt.Sprintf("batch seq=%di,boot=\"0badcafe\",clock=\"synced\" %d\n", seq, at)
		return []byte(text + strings.ReplaceAll(lines, "NOW", fmt.Sprint(at)))
	}
	stillWell := func(t *testing.T) {
		t.Helper()
		good.send(honest.Topic(telemetry.KindData), false, batch("host cpu_pct=1 NOW\n"))
		if a := good.answer(t); !strings.HasPrefix(a, fmt.Sprintf("stored 0badcafe %d ", seq)) {
			t.Fatalf("the honest agent beside it got %q", a)
		}
	}
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	defer codec.Close()
	bomb, err := codec.Seal(nil, bytes.Repeat([]byte("a"), telemetry.MaxExpanded+1), telemetry.Zstd)
	if err != nil {
		t.Fatal(err)
	}

	data := hostile.Topic(telemetry.KindData)
	for _, row := range []struct {
		name, metric string
		do           func(t *testing.T)
	}{
		{"no credentials", `nabz_broker_signins_rejected_total{reason="user_name"}`, func(t *testing.T) {
			if _, err := c.guest("", "somebody", ""); err == nil {
				t.Error("an anonymous client was let in")
			}
		}},
		{"wrong secret", `nabz_broker_signins_rejected_total{reason="secret"}`, func(t *testing.T) {
			if _, err := c.guest(honest.String(), "gokina.main", "guess"); err == nil {
				t.Error("a wrong secret was let in")
			}
		}},
		{"other agent's topic", `nabz_broker_forbidden_total{reason="publish"}`, func(t *testing.T) {
			c.member(hostile).send(honest.Topic(telemetry.KindData), false, batch("host cpu_pct=99 NOW\n"))
		}},
		{"foreign topic", `nabz_broker_forbidden_total{reason="publish"}`, func(t *testing.T) {
			c.member(hostile).send("other/topic", false, []byte("x"))
		}},
		{"everybody's data", `nabz_broker_forbidden_total{reason="subscribe"}`, func(t *testing.T) {
			c.member(hostile).Subscribe("nabz/v1/#", 0, func(mqtt.Client, mqtt.Message) { t.Error("heard another agent") }).WaitTimeout(5 * time.Second)
		}},
		{"retained data", `nabz_broker_forbidden_total{reason="retain"}`, func(t *testing.T) {
			c.member(hostile).send(data, true, batch("host cpu_pct=1 NOW\n"))
		}},
		{"last will on another's presence", `nabz_broker_signins_rejected_total{reason="will"}`, func(t *testing.T) {
			_, err := c.guest(hostile.String(), "rogue.x", c.secrets[hostile], func(o *mqtt.ClientOptions) {
				o.SetWill(honest.Topic(telemetry.KindPresence), "offline 99", 1, true)
			})
			if err == nil {
				t.Error("a will on another agent's topic was accepted")
			}
		}},
		{"oversized message", `nabz_broker_oversize_total`, func(t *testing.T) {
			c.member(hostile).send(data, false, make([]byte, 2<<20))
		}},
		{"bytes that are nothing", `nabz_intake_refused_total{reason="malformed"}`, func(t *testing.T) {
			g := c.member(hostile)
			g.send(data, false, []byte{0, 1, 2})
			if a := g.answer(t); !strings.HasPrefix(a, fmt.Sprintf("rejected #%08x ", telemetry.Digest([]byte{0, 1, 2}))) {
				t.Errorf("answer %q", a)
			}
		}},
		{"message that expands past the limit", `nabz_intake_refused_total{reason="too_large"}`, func(t *testing.T) {
			g := c.member(hostile)
			g.send(data, false, bomb)
			if a := g.answer(t); !strings.HasPrefix(a, "rejected #") {
				t.Errorf("answer %q", a)
			}
		}},
		{"one bad line among good ones", `nabz_intake_refused_total{reason="schema"}`, func(t *testing.T) {
			g := c.member(hostile)
			g.send(data, false, batch("host cpu_pct=1 NOW\nhost,site=gokina cpu_pct=1 NOW\n"))
			if a := g.answer(t); !strings.HasPrefix(a, "stored ") || !strings.Contains(a, " refused=1 ") {
				t.Errorf("answer %q", a)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := c.metric(row.metric)
			row.do(t)
			waitFor(t, 10*time.Second, row.metric+" rises", func() bool { return c.metric(row.metric) > before })
			stillWell(t)
		})
	}

	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, v := range values(t, st, telemetry.Detail, "host", "cpu_pct", honest) {
		if fmt.Sprint(v) != "1" {
			t.Errorf("the honest agent never measured cpu_pct=%v, yet it is stored under its name", v)
		}
	}
}
