package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/agent/uplink"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var address = telemetry.Address{Site: "gokina", Agent: "router"}

// centre is a real broker with a collector that does as it is told.
type centre struct {
	t       *testing.T
	broker  *mqtt.Server
	url     string
	codec   *telemetry.Codec
	mu      sync.Mutex
	ignored func()
	cuts    int               // how often an agent was killed
	stored  map[uint64]stored // by seq; a batch that comes twice must be the same
	doubts  []string
	told    []string // presence
}

type stored struct {
	header telemetry.Header
	tier   telemetry.Tier
	text   string
	lines  []telemetry.Parsed
}

// doorkeeper lets one agent in, and that to its own topics.
type doorkeeper struct{ mqtt.HookBase }

func (doorkeeper) ID() string { return "doorkeeper" }

func (doorkeeper) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (doorkeeper) OnConnectAuthenticate(_ *mqtt.Client, p packets.Packet) bool {
	return string(p.Connect.Username) == address.String() && string(p.Connect.Password) == "hunter2"
}

func (doorkeeper) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	a, kind, err := telemetry.ParseTopic(topic)
	return err == nil && a == address && kind.FromAgent() == write
}

func newCentre(t *testing.T, cert ...tls.Certificate) *centre {
	t.Helper()
	c := &centre{t: t, stored: map[uint64]stored{}}
	var err error
	if c.codec, err = telemetry.NewCodec(); err != nil {
		t.Fatal(err)
	}
	c.broker = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := c.broker.AddHook(new(doorkeeper), nil); err != nil {
		t.Fatal(err)
	}
	lc, scheme := listeners.Config{ID: "test", Address: "127.0.0.1:0"}, "mqtt://"
	if len(cert) > 0 {
		lc.TLSConfig, scheme = &tls.Config{Certificates: cert}, "mqtts://"
	}
	l := listeners.NewTCP(lc)
	if err := c.broker.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := c.broker.Serve(); err != nil {
		t.Fatal(err)
	}
	c.url = scheme + l.Address()
	if err := c.broker.Subscribe(telemetry.Filter(telemetry.KindData), 1, c.data); err != nil {
		t.Fatal(err)
	}
	if err := c.broker.Subscribe(telemetry.Filter(telemetry.KindPresence), 2, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, string(p.Payload))
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.broker.Close()
		c.codec.Close()
	})
	return c
}

// ignore has the collector take no notice of batches, but call told at each.
func (c *centre) ignore(told func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ignored = told
}

func (c *centre) data(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
	text, _, err := c.codec.Open(nil, p.Payload)
	if err != nil {
		c.doubt("payload: %v", err)
		return
	}
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 || len(good) == 0 {
		c.doubt("batch: %v %v\n%s", bad, err, text)
		return
	}
	h, err := telemetry.HeaderOf(&good[0].Line)
	if err != nil {
		c.doubt("header: %v", err)
		return
	}
	s := stored{header: h, tier: telemetry.Detail, text: string(text), lines: good[1:]}
	for i, l := range s.lines {
		if i == 0 {
			s.tier = l.Tier
		} else if l.Tier != s.tier {
			c.doubt("a batch of two tiers:\n%s", text)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ignored != nil {
		c.ignored()
		return
	}
	if before, again := c.stored[h.Seq]; again && before.text != s.text {
		c.doubts = append(c.doubts, fmt.Sprintf("seq %d came with two contents", h.Seq))
	}
	c.stored[h.Seq] = s
	ack := telemetry.Ack{Verdict: telemetry.Stored, Boot: h.Boot, Seq: h.Seq, Now: time.Now()}.Append(nil)
	if err := c.broker.Publish(address.Topic(telemetry.KindAck), ack, false, 1); err != nil {
		c.doubts = append(c.doubts, err.Error())
	}
}

func (c *centre) doubt(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubts = append(c.doubts, fmt.Sprintf(format, a...))
}

// lines are all stored lines of a measurement, in order of seq.
func (c *centre) lines(measurement string) (out []telemetry.Parsed) {
	for _, s := range c.batches() {
		for _, l := range s.lines {
			if l.Measurement == measurement {
				out = append(out, l)
			}
		}
	}
	return out
}

func (c *centre) batches() (out []stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stored {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b stored) int { return int(a.header.Seq) - int(b.header.Seq) })
	return out
}

// check holds what must be true of all that any agent has ever sent.
func (c *centre) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	doubts := c.doubts
	c.mu.Unlock()
	for _, d := range doubts {
		t.Error(d)
	}
	var last telemetry.Header
	cuts := c.cuts
	for i, s := range c.batches() {
		if i > 0 && s.header.Seq > last.Seq+1 && cuts > 0 { // numbers that were set aside for what would have waited in RAM
			last.Seq = s.header.Seq - 1
			cuts--
		}
		if i > 0 && (s.header.Seq != last.Seq+1 || !s.header.At.After(last.At)) {
			t.Errorf("batch %d of %v comes after %d of %v", s.header.Seq, s.header.At, last.Seq, last.At)
		}
		last = s.header
	}
	var end time.Time
	for _, s := range c.spans(t) {
		if s.Start.Before(end) || s.Length <= 0 || s.Start.Truncate(time.Hour) != s.End().Add(-1).Truncate(time.Hour) {
			t.Errorf("span %+v overlaps or crosses an hour; the one before ends at %v", s, end)
		}
		end = s.End()
	}
}

func (c *centre) spans(t *testing.T) (out []telemetry.Span) {
	t.Helper()
	for _, l := range c.lines("span") {
		s, err := telemetry.SpanOf(&l.Line)
		if err != nil {
			t.Error(err)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b telemetry.Span) int { return a.Start.Compare(b.Start) })
	return out
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// pass lets a moment pass that a span can tell.
func pass(t *testing.T) {
	t.Helper()
	until := time.Now().Add(100 * time.Millisecond)
	waitFor(t, "a moment to pass", func() bool { return time.Now().After(until) })
}

// config is an agent that measures the loopback interface and asks a listener on it.
func config(t *testing.T, broker string) Config {
	t.Helper()
	anchor, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = anchor.Close() })
	dir := t.TempDir()
	c := Defaults()
	c.Site, c.Agent, c.Brokers, c.Version = address.Site, address.Agent, []string{broker}, "test"
	c.DataDir, c.SecretFile = filepath.Join(dir, "data"), filepath.Join(dir, "secret")
	if err := os.WriteFile(c.SecretFile, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.DetailEvery, c.ReportEvery, c.MarkEvery, c.ResumeWait = conf.Duration(300*time.Millisecond), conf.Duration(300*time.Millisecond), conf.Duration(300*time.Millisecond), conf.Duration(time.Second)
	c.Probe.Every, c.Probe.SampleEvery, c.Probe.Method = conf.Duration(200*time.Millisecond), conf.Duration(200*time.Millisecond), "tcp"
	c.Probe.Anchors, c.Probe.Gateway, c.Probe.DNSName, c.Probe.Count = []string{anchor.Addr().String()}, "127.0.0.1", "", 1
	c.Sampler.Interfaces = []string{"lo"}
	c.Time = TimeConfig{Trust: true} // there is nobody to ask
	return c
}

// start runs an agent; stop ends it and waits.
func start(t *testing.T, c Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	go func() { done <- Run(ctx, c, log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func TestWhatTheAgentMeasuresArrivesAndLeavesNothingBehind(t *testing.T) {
	c := newCentre(t)
	var states []string
	cfg := config(t, c.url)
	cfg.Notify = func(s ...string) { states = append(states, s...) }
	stop := start(t, cfg)
	for _, m := range []string{"link", "traffic", "host"} {
		waitFor(t, m+" lines", func() bool { return len(c.lines(m)) >= 3 })
	}
	stop()
	c.check(t)
	var rx int64
	for _, l := range c.lines("traffic") {
		if iface := l.GetTag("iface"); iface == "lo" {
			n, _ := l.GetInt("rx_bytes")
			rx += n
		} else if iface != cfg.Probe.Way().Interface {
			t.Errorf("traffic of %s", iface)
		}
	}
	if rx < 500 { // its own batches went that way
		t.Errorf("only %d bytes through the loopback interface", rx)
	}
	for _, l := range c.lines("link") {
		sent, _ := l.GetInt("sent")
		lost, _ := l.GetInt("lost")
		if sent == 0 || lost != 0 {
			t.Errorf("link %s", l.Raw)
		}
	}
	if got := c.lines("event"); len(got) != 1 || !strings.Contains(string(got[0].Raw), "asks by TCP connect") {
		t.Errorf("events %v", got)
	}
	spans, hours := c.spans(t), c.lines("hour")
	if len(spans) == 0 || spans[0].State != telemetry.StateUp || len(hours) == 0 {
		t.Errorf("spans %v hours %v", spans, hours)
	}
	all := c.batches()
	if b := all[len(all)-2]; b.header.WireBytes == 0 || b.header.Clock != telemetry.ClockSynced || b.header.Boot == "" {
		t.Errorf("header %+v", b.header)
	}
	waitFor(t, "the goodbye", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.told) > 1 && strings.HasPrefix(c.told[0], "online ") && strings.HasPrefix(c.told[len(c.told)-1], "offline ")
	})
	n := len(states)
	if n < 4 || states[0] != notifyReady || !strings.HasPrefix(states[1], "STATUS=the link is not judged yet; ") || states[n-2] != notifyStopping {
		t.Errorf("the service manager was told %v", states)
	}
	if !slices.ContainsFunc(states, func(s string) bool { return strings.HasPrefix(s, "STATUS=up since 20") }) {
		t.Errorf("the service manager was not told that the link is up: %v", states)
	}
}

func TestAnAgentThatWasStoppedGoesOnWhereItWas(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, c.url)
	stop := start(t, cfg)
	waitFor(t, "a host line", func() bool { return len(c.lines("host")) > 0 })
	stop()
	n := len(c.batches())
	pass(t)
	cfg.Probe.Anchors = []string{"224.0.0.1:9"} // the kernel connects to no multicast address, and sends nothing
	stop = start(t, cfg)
	waitFor(t, "the outage in a header", func() bool {
		all := c.batches()
		return len(all) > n && all[len(all)-1].header.Open.State == telemetry.StateDown
	})
	stop()
	c.check(t)
	var states []string
	for _, s := range c.spans(t) {
		states = append(states, strings.TrimSpace(fmt.Sprint(s.State, " ", s.Cause)))
	}
	if got := strings.Join(slices.Compact(states), ", "); got != "up, off agent, down backhaul" {
		t.Errorf("states %s", got)
	}
	if len(c.lines("event")) != 3 { // two boots and a changed configuration
		t.Errorf("events %v", c.lines("event"))
	}
}

func TestWhatTheCollectorDoesNotTakeStaysOnDiskForTheNextRun(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, "mqtt://127.0.0.1:9") // nobody there
	stop := start(t, cfg)
	waitFor(t, "the spool to fill", func() bool {
		found, _ := filepath.Glob(filepath.Join(cfg.DataDir, "ledger-*.seg"))
		return len(found) > 0
	})
	stop()
	if len(c.batches()) != 0 {
		t.Fatal("something arrived")
	}
	pass(t)
	cfg.Brokers = []string{c.url}
	stop = start(t, cfg)
	waitFor(t, "the off span", func() bool {
		return slices.ContainsFunc(c.spans(t), func(s telemetry.Span) bool { return s.State == telemetry.StateOff })
	})
	stop()
	c.check(t)
	if all := c.batches(); all[0].header.Seq != 1 {
		t.Errorf("the first batch that arrived is %d", all[0].header.Seq)
	}
}

func TestWithoutALinkTheCollectorsWordIsWaitedForLonger(t *testing.T) {
	for name, row := range map[string]struct {
		anchor string // "": that which answers
		state  string
		stamps bool
	}{
		"the link works":   {"", "up", true},
		"there is no link": {"224.0.0.1:9", "down", false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, "mqtt://127.0.0.1:9")
			cfg.ResumeWait, cfg.MarkEvery = conf.Duration(100*time.Millisecond), conf.Duration(time.Hour)
			if row.anchor != "" {
				cfg.Probe.Anchors = []string{row.anchor}
			}
			stop := start(t, cfg)
			var s Status
			waitFor(t, "what comes after the wait", func() bool {
				var err error
				s, err = ReadStatus(t.Context(), cfg.DataDir)
				return err == nil && s.Link.State == row.state && s.RunningS > 0 && (s.Spool.Batches > 1 || !row.stamps)
			})
			if s.Spool.Batches > 1 != row.stamps { // beyond the header that asks
				t.Errorf("%d batches were sealed", s.Spool.Batches)
			}
			stop()
		})
	}
}

func TestAKilledAgentLeavesNoOverlap(t *testing.T) {
	program := filepath.Join(t.TempDir(), "nabz-agent")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/smartvillage/nabz/cmd/nabz-agent").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	c := newCentre(t)
	cfg := config(t, c.url)
	file := filepath.Join(t.TempDir(), "agent.toml")
	text := fmt.Sprintf("site = %q\nagent = %q\nbrokers = [%q]\nsecret_file = %q\ndata_dir = %q\ndetail_every = \"1s\"\nreport_every = \"1s\"\nmark_every = \"1s\"\nresume_wait = \"1s\"\n"+
		"[probe]\nevery = \"10s\"\nsample_every = \"10s\"\nmethod = \"tcp\"\nanchors = [%q]\ngateway = \"127.0.0.1\"\ndns_name = \"\"\n[sampler]\ninterfaces = [\"lo\"]\n[time]\nservers = []\ntrust_system = true\n",
		cfg.Site, cfg.Agent, c.url, cfg.SecretFile, cfg.DataDir, cfg.Probe.Anchors[0])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() *exec.Cmd {
		cmd := exec.Command(program, "--config", file)
		cmd.Stderr = testWriter{t}
		cmd.Stdout = io.Discard
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	c.cuts = 4
	for i := range 4 {
		n := len(c.batches())
		cmd := run()
		waitFor(t, "news of this run", func() bool { return len(c.batches()) > n+2+i })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	n := len(c.batches())
	cmd := run()
	waitFor(t, "the last run", func() bool { return len(c.batches()) > n+3 })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	c.check(t)
	off := 0
	for _, s := range c.spans(t) {
		if s.State == telemetry.StateOff {
			off++
			if s.Cause != telemetry.CauseAgent {
				t.Errorf("off because of %s; the boot is the same", s.Cause)
			}
		}
	}
	if off < 4 { // five where a UTC hour falls into one of them
		t.Errorf("%d off spans for 4 kills", off)
	}
}

func TestARouterThatBootsIn1970LearnsTheTimeThroughTLSAndThenRefusesWhatHasExpired(t *testing.T) {
	ca, loopback := testca.New(t), net.IPv4(127, 0, 0, 1)
	c := newCentre(t, ca.Sign(loopback, time.Hour))
	cfg := config(t, c.url)
	cfg.CAFile, cfg.Time.Trust = ca.File(), false
	began := time.Now()
	cfg.Clock = func() clock.Reading {
		since := time.Since(began)
		return clock.Reading{Wall: time.Unix(100, 0).Add(since), Mono: 100*time.Second + since}
	}
	stop := start(t, cfg)
	waitFor(t, "lines with the right time", func() bool {
		l := c.lines("host")
		return len(l) > 0 && time.Since(time.UnixMilli(l[0].Time)).Abs() < time.Minute
	})
	stop()
	c.check(t)

	known := clock.New(clock.SystemReading, time.Time{})
	known.Believe()
	for name, row := range map[string]struct {
		k    *clock.Clock
		cert tls.Certificate
		ok   bool
	}{
		"good":                         {known, ca.Sign(loopback, time.Hour), true},
		"expired":                      {known, ca.Sign(loopback, -time.Minute), false},
		"expired, but nobody knows":    {clock.New(cfg.Clock, time.Time{}), ca.Sign(loopback, -time.Minute), true},
		"another CA":                   {known, testca.New(t).Sign(loopback, time.Hour), false},
		"another CA, no time":          {clock.New(cfg.Clock, time.Time{}), testca.New(t).Sign(loopback, time.Hour), false},
		"for another machine, no time": {clock.New(cfg.Clock, time.Time{}), ca.Sign(net.IPv4(192, 0, 2, 1), time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := cfg.Trust()
			if err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			defer near.Close()
			go func() {
				defer far.Close()
				_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{row.cert}}).HandshakeContext(t.Context())
			}()
			trust.ServerName = "127.0.0.1"
			err = tls.Client(near, uplink.Dated(trust, func() (time.Time, bool) { return row.k.Now(), row.k.Known() })).HandshakeContext(t.Context())
			if (err == nil) != row.ok {
				t.Errorf("got %v, want ok %v", err, row.ok)
			}
		})
	}
}

func TestASecondAgentInAFolderIsToldSoAndNothingElse(t *testing.T) {
	c := config(t, "mqtt://127.0.0.1:9")
	first, err := spool.Open(c.DataDir, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	err = Run(t.Context(), c, slog.New(slog.DiscardHandler))
	if !errors.Is(err, spool.ErrInUse) || !strings.HasSuffix(err.Error(), "stop the other nabz-agent, or give this one a data_dir of its own") {
		t.Errorf("got %v", err)
	}
}
