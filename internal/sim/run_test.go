package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// centre is a broker and the least that a collector does: it acknowledges what it has read.
type centre struct {
	t      testing.TB
	server *mqtt.Server
	url    string
	codec  *telemetry.Codec

	mu       sync.Mutex
	lines    map[string]int // "site line" to how often it came in a batch of its own
	headers  map[string]int // "site boot seq" of batches
	presence []string       // "site online"
	drop     func(n int) bool
	arrived  int
}

// welcome lets everybody in: what the broker checks is tested where the broker is.
type welcome struct{ mqtt.HookBase }

func (*welcome) ID() string                                                    { return "welcome" }
func (*welcome) Provides(b byte) bool                                          { return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck }
func (*welcome) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool       { return true }
func (*welcome) OnACLCheck(_ *mqtt.Client, topic string, write bool) (ok bool) { return true }

func newCentre(t testing.TB) *centre {
	t.Helper()
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	c := &centre{t: t, codec: codec, lines: map[string]int{}, headers: map[string]int{}, drop: func(int) bool { return false }}
	c.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := c.server.AddHook(new(welcome), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := c.server.AddListener(l); err != nil {
		t.Fatal(err)
	}
	c.url = "tcp://" + l.Address()
	if err := c.server.Serve(); err != nil {
		t.Fatal(err)
	}
	work := make(chan packets.Packet, 10_000)
	var done sync.WaitGroup
	done.Go(func() {
		for pk := range work {
			c.take(pk.TopicName, pk.Payload)
		}
	})
	for i, k := range []telemetry.Kind{telemetry.KindData, telemetry.KindPresence} {
		err := c.server.Subscribe(telemetry.Filter(k), i+1, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) { work <- pk })
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := c.server.Close(); err != nil {
			t.Error(err)
		}
		close(work)
		done.Wait()
		codec.Close()
	})
	return c
}

func (c *centre) take(topic string, payload []byte) {
	a, kind, err := telemetry.ParseTopic(topic)
	if err != nil {
		c.t.Errorf("message on %s: %v", topic, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == telemetry.KindPresence {
		p, err := telemetry.ParsePresence(payload)
		if err != nil {
			c.t.Error(err)
		}
		c.presence = append(c.presence, fmt.Sprintf("%s %v", a.Site, p.Online))
		return
	}
	if c.arrived++; c.drop(c.arrived) {
		return
	}
	text, _, err := c.codec.Open(nil, payload)
	if err != nil {
		c.t.Error(err)
		return
	}
	raws := bytes.Split(bytes.TrimSpace(text), []byte{'\n'})
	first, err := telemetry.ParseLine(raws[0])
	if err != nil {
		c.t.Error(err)
		return
	}
	h, err := telemetry.HeaderOf(&first)
	if err != nil {
		c.t.Error(err)
		return
	}
	name := fmt.Sprintf("%s %s %d", a.Site, h.Boot, h.Seq)
	if c.headers[name]++; c.headers[name] == 1 {
		for _, l := range raws[1:] {
			c.lines[a.Site+" "+string(l)]++
		}
	}
	ack := telemetry.Ack{Verdict: telemetry.Stored, Boot: h.Boot, Seq: h.Seq, Now: time.Now()}
	if err := c.server.Publish(a.Topic(telemetry.KindAck), ack.Append(nil), false, 1); err != nil {
		c.t.Error(err)
	}
}

func (c *centre) config(dir string, sites []Site, now func() time.Time) Config {
	secrets := map[telemetry.Address]string{}
	for _, s := range sites {
		secrets[s.Address()] = "secret"
	}
	return Config{Brokers: []string{c.url}, Sites: sites, Secrets: secrets, Seed: 1, History: 72 * time.Hour, Once: true,
		StateFile: filepath.Join(dir, "state.json"), TruthFile: filepath.Join(dir, "truth.jsonl"), AckTimeout: 500 * time.Millisecond,
		Out: io.Discard, Now: now, Log: slog.New(slog.DiscardHandler)}
}

// told are the lines that came, each of which has come in one batch only.
func (c *centre) told() (out map[string][]telemetry.Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out = map[string][]telemetry.Line{}
	for l, n := range c.lines {
		site, raw, _ := strings.Cut(l, " ")
		p, err := telemetry.ParseLine([]byte(raw))
		if err != nil || n != 1 {
			c.t.Errorf("came %d times: %s (%v)", n, l, err)
		}
		out[site] = append(out[site], p)
	}
	return out
}

// clockAt is a clock that starts at an instant.
func clockAt(at time.Time) func() time.Time {
	began := time.Now()
	return func() time.Time { return at.Add(time.Since(began)) }
}

// checkTruth holds what came against the truth file: every span told is true, and every closed hour is told.
// acked: the run ended by itself, so all that was told was acknowledged. Else what came last may have been told and not yet acknowledged, and the file
// has only what was: what lies behind its end is not compared.
func (c *centre) checkTruth(file string, sites []Site, acked bool) {
	c.t.Helper()
	truth, err := ReadTruth(file)
	if err != nil {
		c.t.Fatal(err)
	}
	told := c.told()
	for _, s := range sites {
		var spans []fault
		for _, l := range told[s.ID] {
			if l.Measurement == "span" {
				v, err := telemetry.SpanOf(&l)
				if err != nil {
					c.t.Fatal(err)
				}
				spans = append(spans, fault{start: l.Time, end: v.End().UnixMilli(), state: v.State, cause: v.Cause})
			}
		}
		slices.SortFunc(spans, func(a, b fault) int { return int(a.start - b.start) })
		var got []fault
		for _, f := range spans {
			got = extend(got, f)
		}
		if len(got) == 0 || len(truth[s.ID]) == 0 {
			c.t.Errorf("%s: %d spans told, %d in the truth file", s.ID, len(got), len(truth[s.ID]))
			continue
		}
		if end := truth[s.ID][len(truth[s.ID])-1].End.UnixMilli(); !acked && end < got[len(got)-1].end {
			got = slices.DeleteFunc(got, func(f fault) bool { return f.start >= end })
			if len(got) < 2 {
				c.t.Errorf("%s: %v is all that can be compared, which is no outage", s.ID, got)
				continue
			}
			got[len(got)-1].end = min(got[len(got)-1].end, end)
		}
		first, last := got[0].start, got[len(got)-1].end
		var want []fault
		for _, v := range truth[s.ID] {
			f := fault{start: max(first, v.Start.UnixMilli()), end: min(last, v.End.UnixMilli()), state: v.State, cause: v.Cause}
			if f.start < f.end && f.state != Unknown {
				want = append(want, f)
			}
		}
		if !slices.Equal(got, want) {
			c.t.Errorf("%s: told\n%v\ntruth file\n%v", s.ID, got, want)
		}
	}
}

func TestTheHistoryArrivesOnceThroughLossAndASecondRunGoesOn(t *testing.T) {
	c := newCentre(t)
	c.drop = func(n int) bool { return n%10 == 3 }
	dir, sites := t.TempDir(), Villages()[:4]
	now := start.Add(100 * time.Hour)
	for run, at := range []time.Time{now, now.Add(5 * time.Hour), now.Add(5*time.Hour + time.Minute)} {
		conf := c.config(dir, sites, clockAt(at))
		if err := Run(t.Context(), conf); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		c.checkTruth(conf.TruthFile, sites, true)
	}
	for _, s := range sites {
		var want Told
		st, err := loadState(filepath.Join(dir, "state.json"), 1)
		if err != nil {
			t.Fatal(err)
		}
		v := st.Sites[s.ID]
		k := World{Seed: 1}.Track(s).Since(time.UnixMilli(v.From))
		if linked := k.back(v.High, fault.linked); v.Sent < linked && !k.at(v.Sent).gap() {
			t.Errorf("%s: sent up to %d, linked until %d", s.ID, v.Sent, linked)
		}
		fine := floor(now.UnixMilli()-fineFor, coarseStep)
		step := func(b int64) int64 {
			if b <= fine {
				return coarseStep
			}
			return minute
		}
		if err := k.tell(&want, v.From, v.Sent, step); err != nil {
			t.Fatal(err)
		}
		if got := len(c.told()[s.ID]); got != want.LedgerLines+want.DetailLines {
			t.Errorf("%s: %d lines came, %d told in truth", s.ID, got, want.LedgerLines+want.DetailLines)
		}
	}
}

func TestAnOutageCutsTheConnectionAndItsMinutesComeLater(t *testing.T) {
	c := newCentre(t)
	sites := Villages()[1:2]
	at := start.Add(40*24*time.Hour + 4*time.Hour) // a quiet morning there, by seed 1
	conf := c.config(t.TempDir(), sites, clockAt(at))
	conf.Once, conf.History, conf.Speed = false, 10*time.Minute, 60
	conf.Forced = []Forced{{Site: sites[0].ID, Down: 90 * time.Second, Every: 4 * time.Minute}}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, conf) }()
	backAgain := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, p := range c.presence {
			if p == sites[0].ID+" false" {
				n++
			}
		}
		last := len(c.presence) > 0 && c.presence[len(c.presence)-1] == sites[0].ID+" true"
		return n >= 2 && last
	}
	defer func() { c.mu.Lock(); t.Log(c.presence, len(c.lines)); c.mu.Unlock() }()
	waitFor(t, "two outages and a return", 50*time.Second, backAgain)
	down := func() bool {
		return slices.ContainsFunc(c.told()[sites[0].ID], func(l telemetry.Line) bool {
			return l.Measurement == "span" && l.GetTag("cause") == "backhaul"
		})
	}
	waitFor(t, "the outage's span", 30*time.Second, down)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c.checkTruth(conf.TruthFile, sites, false)
}

func TestASiteWithoutASecretIsNamed(t *testing.T) {
	c := newCentre(t)
	conf := c.config(t.TempDir(), Villages()[:1], clockAt(start))
	conf.Secrets = nil
	if err := Run(t.Context(), conf); err == nil || err.Error() != "no secret for gokina/router; make one with nabz-collector agent add --secret gokina/router" {
		t.Errorf("got %v", err)
	}
}

func waitFor(t testing.TB, what string, limit time.Duration, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

func BenchmarkHistory(b *testing.B) {
	lines := 0
	for b.Loop() {
		c := newCentre(b)
		conf := c.config(b.TempDir(), Villages(), clockAt(start.Add(40*24*time.Hour)))
		conf.History, conf.AckTimeout = 720*time.Hour, 0
		if err := Run(b.Context(), conf); err != nil {
			b.Fatal(err)
		}
		c.mu.Lock()
		lines += len(c.lines)
		c.mu.Unlock()
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
