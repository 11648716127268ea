package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/smartvillage/nabz/telemetry"
)

// noc is what asks an agent over its broker.
type noc struct {
	*centre
	mu      sync.Mutex
	results []telemetry.Result
}

func newNOC(t *testing.T) *noc {
	t.Helper()
	n := &noc{centre: newCentre(t)}
	err := n.broker.Subscribe(telemetry.Filter(telemetry.KindResult), 3, func(_ *mqtt.Client, _ packets.Subscription, p packets.Packet) {
		r, err := telemetry.ParseResult(p.Payload)
		if err != nil {
			n.doubt("result: %v", err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.results = append(n.results, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *noc) send(payload []byte) {
	n.t.Helper()
	if err := n.broker.Publish(address.Topic(telemetry.KindCommand), payload, false, 1); err != nil {
		n.t.Fatal(err)
	}
}

func (n *noc) said(id string) (all []telemetry.Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.results {
		if r.ID == id {
			all = append(all, r)
		}
	}
	return all
}

// until waits for the so-manieth answer to a command.
func (n *noc) until(id string, count int) telemetry.Result {
	n.t.Helper()
	waitFor(n.t, fmt.Sprintf("%d answers to %s", count, id), func() bool { return len(n.said(id)) >= count })
	return n.said(id)[count-1]
}

func order(id int, kind telemetry.CommandKind, asked time.Time) (string, []byte) {
	c := telemetry.Command{ID: fmt.Sprintf("%016x", id), Kind: kind, Asked: asked, Life: 2 * time.Minute}
	return c.ID, c.Append(nil)
}

// hears waits until the agent has subscribed.
func (n *noc) hears() {
	n.t.Helper()
	waitFor(n.t, "the agent to hear commands", func() bool {
		return len(n.broker.Topics.Subscribers(address.Topic(telemetry.KindCommand)).Subscriptions) > 0
	})
}

func TestACommandThatComesAgainIsAnsweredAgainAndNotRunAgain(t *testing.T) {
	n := newNOC(t)
	var looked atomic.Int32
	cfg := config(t, n.url)
	cfg.Checkup = func(context.Context) string { looked.Add(1); return "pass  clock\nFAIL  broker\nwarn  disk\n" }
	stop := start(t, cfg)
	n.hears()
	id, payload := order(1, telemetry.CommandDiagnostics, time.Now())
	n.send(payload)
	last := n.until(id, 2)
	for range 3 {
		n.send(payload)
	}
	again := n.until(id, 5)
	if first := n.said(id)[0]; first.State != telemetry.ResultAccepted {
		t.Errorf("first it says %+v", first)
	}
	if last.State != telemetry.ResultDone || !strings.HasSuffix(last.Text, "check: 1 failed, 1 warned") || again.State != last.State || again.Text != last.Text || !slices.Equal(again.Data, last.Data) {
		t.Errorf("it says %+v, and again %+v", last, again)
	}
	text, _, err := n.codec.Open(nil, last.Data)
	if err != nil || !strings.HasPrefix(string(text), "agent     gokina/router, test, profile standard") || !strings.HasSuffix(string(text), "\nFAIL  broker\nwarn  disk\n") || strings.Contains(string(text), "hunter2") {
		t.Errorf("the diagnostics are %q (%v)", text, err)
	}
	if looked.Load() != 1 {
		t.Errorf("it looked %d times", looked.Load())
	}
	stop()
	n.check(t)
}

func TestWhatMayNotBeDoneIsRefusedInWords(t *testing.T) {
	n := newNOC(t)
	cfg := config(t, n.url)
	cfg.Commands.Allow = []string{"speedtest"}
	start(t, cfg)
	n.hears()
	for i, tt := range []struct {
		name, want string
		kind       telemetry.CommandKind
		asked      time.Time
		payload    string
	}{
		{"expired", "too late: the link is slow or was cut; ask again", "speedtest", time.Now().Add(-3 * time.Minute), ""},
		{"from the future", "this agent's clock is 1h0m0s behind the collector's", "speedtest", time.Now().Add(time.Hour), ""},
		{"unknown", "this agent knows speedtest, diagnostics and not reboot; upgrade it", "reboot", time.Now(), ""},
		{"not allowed", "the owner of this agent does not allow diagnostics from the NOC ([commands] allow in agent.toml); ask them", "diagnostics", time.Now(), ""},
		{"of a later version", "this agent does not know commands of that version; upgrade it", "", time.Time{}, "2 %s speedtest now"},
		{"without a server", "no speed tests are configured; set speedtest.server", "speedtest", time.Now(), ""},
	} {
		id, payload := order(100+i, tt.kind, tt.asked)
		if tt.payload != "" {
			payload = fmt.Appendf(nil, tt.payload, id)
		}
		n.send(payload)
		last := n.until(id, 1)
		if last.State == telemetry.ResultAccepted {
			last = n.until(id, 2)
		}
		if last.State != telemetry.ResultRefused || !strings.Contains(last.Text, tt.want) {
			t.Errorf("%s: it says %+v, want %q", tt.name, last, tt.want)
		}
	}
	n.send([]byte("rubbish"))
	n.send([]byte{0, 0xff})
	id, payload := order(200, "reboot", time.Now())
	n.send(payload)
	n.until(id, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.results {
		if r.ID == "" {
			t.Errorf("rubbish is answered: %+v", r)
		}
	}
}

func TestACommandThatAPowerCutBrokeOffIsNotRunAgainAndIsTold(t *testing.T) {
	n := newNOC(t)
	cfg := config(t, n.url)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	id, payload := order(1, telemetry.CommandSpeedtest, time.Now())
	other, _ := order(2, telemetry.CommandSpeedtest, time.Now())
	text := string(telemetry.Result{ID: id, State: telemetry.ResultAccepted}.Append(nil)) + "\nrubbish\n" + string(telemetry.Result{ID: other, State: telemetry.ResultDone, Text: "down 1 Mbit/s"}.Append(nil)) + "\n1 0000"
	if err := os.WriteFile(filepath.Join(cfg.DataDir, ordersName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, cfg)
	if r := n.until(id, 1); r.State != telemetry.ResultFailed || r.Text != brokenOff { // nobody has asked again
		t.Errorf("it says %+v", r)
	}
	n.hears()
	n.send(payload)
	if r := n.until(id, 2); r.State != telemetry.ResultFailed || r.Text != brokenOff {
		t.Errorf("asked again it says %+v", r)
	}
	if len(n.said(other)) > 0 {
		t.Errorf("what had ended is told: %+v", n.said(other))
	}
}

func TestASpeedTestThatTheDiskTakesNoNoteOfIsNotRun(t *testing.T) {
	n := newNOC(t)
	cfg := config(t, n.url)
	cfg.Speedtest.Server = "http://127.0.0.1:9"
	if err := os.MkdirAll(filepath.Join(cfg.DataDir, ordersName), 0o700); err != nil { // a folder where the file has to be
		t.Fatal(err)
	}
	start(t, cfg)
	n.hears()
	id, payload := order(1, telemetry.CommandSpeedtest, time.Now())
	n.send(payload)
	if r := n.until(id, 1); r.State != telemetry.ResultRefused || !strings.Contains(r.Text, "the disk takes no note of it") {
		t.Errorf("it says %+v", r)
	}
}

func TestDiagnosticsFitIntoAResultHoweverMuchThereIs(t *testing.T) {
	a, err := open(t.Context(), config(t, "mqtt://127.0.0.1:9"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for _, much := range []int{0, 1, 100, 10_000} {
		a.c.Checkup = func(context.Context) string {
			var b strings.Builder
			for i := range much {
				fmt.Fprintf(&b, "pass  matter-%d %x\n", i, uint64(i+1)*0x9e3779b97f4a7c15) // hardly to be packed
			}
			return b.String()
		}
		r := a.diagnose(t.Context())
		r.ID = "9f3a11c24f2a9c1b"
		wire := r.Append(nil)
		got, err := telemetry.ParseResult(wire)
		if err != nil || len(got.Data) == 0 {
			t.Fatalf("%d lines became %d bytes: %+v (%v)", much, len(wire), got, err)
		}
		codec, err := telemetry.NewCodec()
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := codec.Open(nil, got.Data)
		codec.Close()
		if err != nil || len(text) > telemetry.MaxResultData || !strings.HasSuffix(string(text), "\n") || much == 100 && !strings.Contains(string(text), "matter-99 ") {
			t.Errorf("%d lines became %d bytes of text (%v)", much, len(text), err)
		}
	}
}

func TestCommandsThatAreRememberedAreBounded(t *testing.T) {
	var o orders
	o.remember(telemetry.Result{ID: "running", State: telemetry.ResultAccepted})
	for i := range 10 * maxOrders {
		o.remember(telemetry.Result{ID: fmt.Sprint(i), State: telemetry.ResultRefused, Data: make([]byte, 4096)})
	}
	data := 0
	for _, r := range o.known {
		data += len(r.Data)
	}
	if len(o.known) != maxOrders || o.find("running") < 0 || o.find(fmt.Sprint(10*maxOrders-1)) < 0 || data != 4096 {
		t.Errorf("%d are remembered with %d bytes of data", len(o.known), data)
	}
}

func FuzzOrdersFile(f *testing.F) {
	f.Add([]byte("1 9f3a11c24f2a9c1b accepted 0\n1 9f3a11c24f2a9c1c done 1763900000000 down 1 Mbit/s\n"))
	f.Add([]byte("\n\n1 \x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		known, _ := parseOrders(data)
		again, bad := parseOrders(formatOrders(known))
		if bad > 0 || len(again) != len(known) || len(known) > maxOrders {
			t.Fatalf("%q: %d answers became %d, and %d are bad", data, len(known), len(again), bad)
		}
		for i := range known {
			if known[i].State == telemetry.ResultAccepted || again[i].Text != known[i].Text {
				t.Fatalf("%q: %+v became %+v", data, known[i], again[i])
			}
		}
	})
}

// A checkup that cannot ask the running agent would take it for one that does not run, and sign in in its place.
func TestDiagnosticsDoWithoutACheckupWhereTheAgentCannotBeAsked(t *testing.T) {
	n := newNOC(t)
	cfg := config(t, n.url)
	cfg.DataDir = filepath.Join(t.TempDir(), strings.Repeat("d", 120)) // longer than the name of a socket may be
	cfg.Checkup = func(context.Context) string { t.Error("it looks around"); return "" }
	start(t, cfg)
	n.hears()
	id, payload := order(1, telemetry.CommandDiagnostics, time.Now())
	n.send(payload)
	if r := n.until(id, 2); r.State != telemetry.ResultDone || len(r.Data) == 0 || strings.Contains(r.Text, "check:") {
		t.Errorf("it says %+v", r)
	}
}
