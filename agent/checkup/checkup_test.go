package checkup

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doorkeeper knows one agent.
type doorkeeper struct{ mqtt.HookBase }

func (doorkeeper) ID() string { return "doorkeeper" }
func (doorkeeper) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (doorkeeper) OnConnectAuthenticate(_ *mqtt.Client, p packets.Packet) bool {
	return string(p.Connect.Password) == "hunter2"
}
func (doorkeeper) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// centre is a real broker, and a collector that acknowledges each batch.
func centre(t *testing.T, cert *tls.Certificate) (address string) {
	t.Helper()
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	b := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	c := listeners.Config{ID: "test", Address: "127.0.0.1:0"}
	if cert != nil {
		c.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
	}
	l := listeners.NewTCP(c)
	answer := func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		text, _, err := codec.Open(nil, p.Payload)
		if err != nil {
			t.Error(err)
			return
		}
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 {
			t.Error(bad, err)
			return
		}
		h, err := telemetry.HeaderOf(&good[0].Line)
		if err != nil {
			t.Error(err)
			return
		}
		a, _, _ := telemetry.ParseTopic(p.TopicName)
		k := telemetry.Ack{Verdict: telemetry.Stored, Boot: h.Boot, Seq: h.Seq, Now: time.Now()}
		if err := b.Publish(a.Topic(telemetry.KindAck), k.Append(nil), false, 0); err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{b.AddHook(new(doorkeeper), nil), b.AddListener(l), b.Serve(), b.Subscribe(telemetry.Filter(telemetry.KindData), 1, answer)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = b.Close()
		codec.Close()
	})
	return l.Address()
}

// site is a configuration where all is well: an anchor and a gateway on this machine.
func site(t *testing.T, broker string) agent.Config {
	t.Helper()
	var anchors []string
	for range 3 {
		anchor, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = anchor.Close() })
		anchors = append(anchors, anchor.Addr().String())
	}
	c := agent.Defaults()
	c.Site, c.Agent, c.Brokers, c.Version = "gokina", "router", []string{broker}, "test"
	c.DataDir, c.SecretFile = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(c.SecretFile, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Probe.Method, c.Probe.Anchors, c.Probe.Gateway, c.Probe.Interface, c.Probe.DNSName = "tcp", anchors, "127.0.0.1", "lo", ""
	return c
}

// findings runs the check and gives what it found by matter, the last word on each.
func findings(t *testing.T, c agent.Config) (map[string]Finding, Grade, string) {
	t.Helper()
	var text bytes.Buffer
	found := map[string]Finding{}
	worst := Run(t.Context(), c, "agent.toml", func(f Finding) {
		if old, again := found[f.Matter]; !again || f.Grade >= old.Grade {
			found[f.Matter] = f
		}
		if _, err := f.WriteTo(&text); err != nil {
			t.Error(err)
		}
	})
	return found, worst, text.String()
}

func TestWhereAllIsWellOnlyTheAgentIsMissing(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Sign(net.IPv4(127, 0, 0, 1), 1000*time.Hour)
	c := site(t, "mqtts://"+centre(t, &cert))
	c.CAFile = ca.File()
	found, worst, text := findings(t, c)
	for _, matter := range []string{"configuration", "clock", "interface", "gateway", "DNS", "internet", "broker", "credentials", "memory"} {
		if f, ok := found[matter]; !ok || f.Grade != Pass {
			t.Errorf("%s: %+v", matter, f)
		}
	}
	if f := found["test line"]; f.Grade != Warn || worst != Warn || !strings.Contains(f.Found, "stored by the collector") || !strings.Contains(f.Next, "start the agent") {
		t.Errorf("test line: %+v, worst %v", f, worst)
	}
	var order []int
	for _, matter := range []string{"configuration", "clock", "interface", "gateway", "DNS", "internet", "broker", "credentials", "test line", "disk", "memory"} {
		order = append(order, strings.Index(text, "  "+matter+" "))
	}
	for i := 1; i < len(order); i++ {
		if order[i] <= order[i-1] {
			t.Errorf("out of order at %d: %v\n%s", i, order, text)
		}
	}
	if n := strings.Count(text, "\n"); n > 24 {
		t.Errorf("%d lines are more than a screen:\n%s", n, text)
	}
}

func TestARouterThatBootsIn1970IsToldOfItsClockAndNotOfACertificate(t *testing.T) {
	ca := testca.New(t)
	cert := ca.Sign(net.IPv4(127, 0, 0, 1), 1000*time.Hour)
	c := site(t, "mqtts://"+centre(t, &cert))
	c.CAFile = ca.File()
	began := time.Now()
	c.Clock = func() clock.Reading {
		since := time.Since(began)
		return clock.Reading{Wall: time.Unix(100, 0).Add(since), Mono: 100*time.Second + since}
	}
	found, _, text := findings(t, c)
	if f := found["clock"]; f.Grade != Fail || !strings.Contains(f.Found, "not set") {
		t.Errorf("clock: %+v", f)
	}
	for _, matter := range []string{"broker", "credentials"} {
		if f := found[matter]; f.Grade != Pass {
			t.Errorf("%s: %+v; the agent would get in", matter, f)
		}
	}
	if f := found["test line"]; !strings.Contains(f.Found, "stored by the collector") {
		t.Errorf("test line: %+v\n%s", f, text)
	}
}

func TestAnAgentThatDoesNotTalkWithUsIsNotPushedOut(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	mute, err := net.Listen("unix", filepath.Join(c.DataDir, "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	defer func() { _ = mute.Close(); <-done }()
	found, _, text := findings(t, c)
	if f, asked := found["credentials"]; asked {
		t.Errorf("signed in beside an agent that may run: %+v", f)
	}
	if f := found["test line"]; f.Grade != Fail || !strings.Contains(f.Next, "as root") {
		t.Errorf("test line: %+v\n%s", f, text)
	}
}

func TestEachFaultIsFoundAndSaysWhatToDoNext(t *testing.T) {
	ca, other := testca.New(t), testca.New(t)
	loopback := net.IPv4(127, 0, 0, 1)
	good, soon := ca.Sign(loopback, 1000*time.Hour), ca.Sign(loopback, 24*time.Hour)
	expired, foreign := ca.Sign(loopback, -time.Hour), ca.Sign(net.IPv4(192, 0, 2, 1), time.Hour)
	secure := "mqtts://" + centre(t, &good)
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, row := range map[string]struct {
		change              func(c *agent.Config)
		matter              string
		grade               Grade
		wantFound, wantNext string
	}{
		"secret is missing":   {func(c *agent.Config) { c.SecretFile = "no/such" }, "credentials", Fail, "read secret: open no/such", "nabz-collector agent add gokina/router"},
		"secret is wrong":     {func(c *agent.Config) { c.SecretFile = write("guess\n") }, "credentials", Fail, "refuses the name gokina/router", "agent list"},
		"no CA is named":      {func(c *agent.Config) { c.CAFile = "" }, "broker", Fail, "not trusted", "set ca_file"},
		"another CA":          {func(c *agent.Config) { c.CAFile = other.File() }, "broker", Fail, "not trusted", "fetch that of this programme"},
		"expired":             {func(c *agent.Config) { c.Brokers = []string{"mqtts://" + centre(t, &expired)} }, "broker", Fail, "expired", "clock"},
		"expires soon":        {func(c *agent.Config) { c.Brokers = []string{"mqtts://" + centre(t, &soon)} }, "broker", Warn, "valid for 0 days", "renew"},
		"another name":        {func(c *agent.Config) { c.Brokers = []string{"mqtts://" + centre(t, &foreign)} }, "broker", Fail, "not trusted", "is not for 127.0.0.1"},
		"no TLS there":        {func(c *agent.Config) { c.Brokers = []string{"mqtts://" + centre(t, nil)} }, "broker", Fail, "not trusted", "speak TLS"},
		"nobody listens":      {func(c *agent.Config) { c.Brokers = []string{"mqtts://127.0.0.1:9"} }, "broker", Fail, "cannot be reached", "no broker listens"},
		"anchors are silent":  {func(c *agent.Config) { c.Probe.Anchors = []string{"224.0.0.1:9"} }, "internet", Fail, "is silent", "call them"},
		"two anchors alone":   {func(c *agent.Config) { c.Probe.Anchors = c.Probe.Anchors[:2] }, "internet", Warn, "answers in", "name at least three in probe.anchors"},
		"one anchor is dead":  {func(c *agent.Config) { c.Probe.Anchors = append(c.Probe.Anchors, "224.0.0.1:9") }, "internet", Warn, "is silent", "no outage"},
		"interface is away":   {func(c *agent.Config) { c.Probe.Interface = "wwan7"; c.Probe.Gateway = "" }, "interface", Fail, "wwan7 is down", "antenna"},
		"no gateway is known": {func(c *agent.Config) { c.Probe.Interface = "wwan7"; c.Probe.Gateway = "" }, "gateway", Warn, "not known while there is no way out", "interface"},
		"nothing without a way": {func(c *agent.Config) {
			c.Probe.Interface, c.Probe.Gateway, c.Probe.Anchors = "wwan7", "", []string{"224.0.0.1:9"}
		}, "internet", Fail, "is silent", "mend the interface first"},
		"disk cannot be written": {func(c *agent.Config) { c.DataDir = filepath.Join(write("a file"), "data") }, "disk", Fail, "not a directory", "set data_dir"},
	} {
		t.Run(name, func(t *testing.T) {
			c := site(t, secure)
			c.CAFile = ca.File()
			row.change(&c)
			found, worst, text := findings(t, c)
			f := found[row.matter]
			if f.Grade != row.grade || !strings.Contains(f.Found, row.wantFound) || !strings.Contains(f.Next, row.wantNext) || worst < row.grade {
				t.Errorf("got %s %q, next %q; want %s %q, next %q\n%s", f.Grade, f.Found, f.Next, row.grade, row.wantFound, row.wantNext, text)
			}
			if strings.Contains(text, "hunter2") || strings.Contains(text, "guess") {
				t.Errorf("the secret is told:\n%s", text)
			}
		})
	}
}

// door answers for a running agent, to each question its answer.
func door(t *testing.T, dir string, answers map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if word, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				_, _ = conn.Write([]byte(answers[strings.TrimSpace(word)] + "\n"))
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
}

func TestALineThatIsNotStoredSendsToThePageThatSaysWhy(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	door(t, c.DataDir, map[string]string{"status": `{"status":{"broker":{"connected":true}}}`, "prove": `{"proof":{"running":true},"error":"no collector acknowledges"}`})
	found, _, text := findings(t, c)
	if f := found["test line"]; f.Grade != Fail || !strings.Contains(f.Next, "/readyz") { // /healthz says only that the process lives
		t.Errorf("test line: %+v\n%s", f, text)
	}
}

func TestWhatTheRunningAgentSaysOfItsDiskIsPassedOn(t *testing.T) {
	c := site(t, "mqtt://"+centre(t, nil))
	door(t, c.DataDir, map[string]string{"status": `{"status":{"broker":{"connected":true},"notes":["the spool takes nothing; lines wait in RAM"]}}`})
	found, worst, text := findings(t, c)
	if f := found["disk"]; f.Grade != Warn || !strings.Contains(f.Found, "the running agent says: the spool takes nothing") || !strings.Contains(f.Next, "agent's user") || worst < Warn {
		t.Errorf("disk: %+v\n%s", f, text)
	}
}
