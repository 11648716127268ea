package intake

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
	"github.com/smartvillage/nabz/telemetry/pack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	now    = time.Date(2025, 11, 3, 12, 0, 0, 0, time.UTC)
	clinic = telemetry.Address{Site: "mbarara", Agent: "clinic"}
)

// world is all that an intake touches: it keeps what it hears.
type world struct {
	mu      sync.Mutex
	texts   map[telemetry.Tier]string
	answer  func(text string) ([]store.RefusedLine, error) // nil: stored
	seen    []string                                       // measurements that the watcher saw, by batch
	acks    chan telemetry.Ack
	queries []string
	series  []store.Series
	qerr    error
}

func (w *world) Submit(_ context.Context, tier telemetry.Tier, text []byte, done func([]store.RefusedLine, error)) error {
	w.mu.Lock()
	w.texts[tier] += string(text)
	answer := w.answer
	w.mu.Unlock()
	if answer == nil {
		go done(nil, nil)
		return nil
	}
	go func() { done(answer(string(text))) }()
	return nil
}

func (w *world) Held() error { return nil }

func (w *world) Query(_ context.Context, _ telemetry.Tier, q string) ([]store.Series, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queries = append(w.queries, q)
	return w.series, w.qerr
}

func (w *world) Stored(_ telemetry.Address, _ time.Time, lines []telemetry.Parsed) {
	names := ""
	for _, l := range lines {
		names += l.Measurement + " "
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, strings.TrimSpace(names))
}

func (w *world) Publish(topic string, payload []byte) error {
	ack, err := telemetry.ParseAck(payload)
	if err != nil || topic != clinic.Topic(telemetry.KindAck) {
		return fmt.Errorf("%s: %q: %w", topic, payload, err)
	}
	w.acks <- ack
	return nil
}

// next waits for an acknowledgement.
func (w *world) next(t testing.TB) telemetry.Ack {
	t.Helper()
	select {
	case a := <-w.acks:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no acknowledgement")
		return telemetry.Ack{}
	}
}

// start runs an intake until the end of the test.
func start(t testing.TB, change func(*Config)) (*Intake, *world, *prometheus.Registry) {
	t.Helper()
	w := &world{texts: map[telemetry.Tier]string{}, acks: make(chan telemetry.Ack, 100)}
	reg := prometheus.NewRegistry()
	c := Config{DeadLetters: filepath.Join(t.TempDir(), "dead-letters")}
	if change != nil {
		change(&c)
	}
	i, err := New(c, Parts{Writer: w, Querier: w, Watcher: w, Publisher: w, Metrics: reg, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("intake: %v", err)
		}
	})
	return i, w, reg
}

// value is a metric as /metrics shows it.
func value(t testing.TB, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func header(seq uint64, boot string) string {
	b, _ := telemetry.Header{At: now.Add(-time.Minute + time.Duration(seq)*time.Millisecond), Boot: boot, Seq: seq, Clock: telemetry.ClockSynced,
		Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}}.Line().Append(nil)
	return string(b)
}

func line(l *telemetry.Line) string {
	b, err := l.Append(nil)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func host(at time.Time) string { return line(telemetry.NewLine("host", at).Int("uptime_s", 1)) }

// letters reads all dead letters.
func letters(t testing.TB, i *Intake) (out []letter) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(i.c.DeadLetters, "*.jsonl"))
	slices.Sort(files)
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		in := bufio.NewScanner(f)
		in.Buffer(nil, 4<<20)
		for in.Scan() {
			var l letter
			if err := json.Unmarshal(in.Bytes(), &l); err != nil {
				t.Errorf("dead letter %q: %v", in.Text(), err)
			}
			out = append(out, l)
		}
	}
	return out
}

func TestABatchIsStampedStoredShownAndThenAcknowledged(t *testing.T) {
	i, w, reg := start(t, nil)
	span := telemetry.Span{Start: now.Add(-time.Hour), Length: time.Minute, State: telemetry.StateUp}
	for _, e := range []telemetry.Encoding{telemetry.Plain, telemetry.Gzip, telemetry.Zstd} {
		seq := uint64(17 + e)
		payload, err := i.codec.Seal(nil, []byte(header(seq, "4f2a9c1b")+line(span.Line())), e)
		if err != nil {
			t.Fatal(err)
		}
		i.Deliver(clinic.Topic(telemetry.KindData), payload)
		if got, want := w.next(t), (telemetry.Ack{Verdict: telemetry.Stored, Boot: "4f2a9c1b", Seq: seq, Now: now}); got != want {
			t.Errorf("%v: got %+v, want %+v", e, got, want)
		}
	}
	ledger := fmt.Sprintf("span,agent=clinic,site=mbarara,state=up ms=60000i,err_ms=0i %d\n", now.Add(-time.Hour).UnixMilli())
	if got := w.texts[telemetry.Ledger]; got != strings.Repeat(ledger, 3) {
		t.Errorf("ledger got %q, want three times %q", got, ledger)
	}
	if got := w.texts[telemetry.Detail]; strings.Count(got, "batch,agent=clinic,site=mbarara seq=") != 3 {
		t.Errorf("detail got %q, want three headers", got)
	}
	if got := fmt.Sprint(w.seen); got != "[batch span batch span batch span]" {
		t.Errorf("the watcher saw %s", got)
	}
	if n := value(t, reg, "nabz_intake_lines_total", "span"); n != 3 {
		t.Errorf("%v spans counted, want 3", n)
	}
}

func TestBadLinesBecomeDeadLettersAndTheirNeighboursAreStored(t *testing.T) {
	i, w, reg := start(t, nil)
	w.answer = func(text string) (bad []store.RefusedLine, _ error) {
		for n, l := range strings.Split(text, "\n") {
			if strings.Contains(l, "load1=13") {
				bad = append(bad, store.RefusedLine{Index: n, Words: "field type conflict"})
			}
		}
		return bad, nil
	}
	good := host(now)
	spoofed := "host,site=other uptime_s=1i 1762171200000\n"
	old, late := host(now.Add(-401*24*time.Hour)), host(now.Add(25*time.Hour))
	conflict := line(telemetry.NewLine("host", now).Float("load1", 13))
	text := header(3, "4f2a9c1b") + spoofed + old + conflict + late + header(4, "4f2a9c1b") + good
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(text))
	ack := w.next(t)
	if ack.Verdict != telemetry.Stored || ack.Refused != 5 || ack.Seq != 3 || ack.Why == "" {
		t.Errorf("got %+v, want stored with 5 refused and why", ack)
	}
	if fmt.Sprint(w.seen) != "[batch host]" {
		t.Errorf("the watcher saw %v, want what was stored", w.seen)
	}
	got := map[string]string{}
	for _, l := range letters(t, i) {
		if l.From != "mbarara/clinic" || l.Batch != "4f2a9c1b 3" || !l.At.Equal(now) {
			t.Errorf("dead letter %+v", l)
		}
		got[string(l.Payload)+"\n"] = l.Reason
	}
	for payload, reason := range map[string]string{spoofed: `tag "site" is for the collector`, old: "more than 9600h0m0s ago", late: "more than 24h0m0s ahead",
		conflict: "field type conflict", header(4, "4f2a9c1b"): "second header"} {
		if !strings.Contains(got[payload], reason) {
			t.Errorf("%q lies with reason %q, want %q", payload, got[payload], reason)
		}
	}
	for reason, want := range map[string]float64{"schema": 2, "time": 2, "influxdb": 1} {
		if n := value(t, reg, "nabz_intake_refused_total", reason); n != want {
			t.Errorf("%v refused for %s, want %v", n, reason, want)
		}
	}
}

func TestWhatCanNeverBeStoredIsRejectedAndKept(t *testing.T) {
	i, w, reg := start(t, nil)
	bomb, err := i.codec.Seal(nil, []byte(strings.Repeat("a", telemetry.MaxExpanded+1)), telemetry.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	gzipBomb, err := i.codec.Seal(nil, []byte(strings.Repeat("a", telemetry.MaxExpanded+1)), telemetry.Gzip)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := i.codec.Seal(nil, []byte(header(1, "4f2a9c1b")+host(now)), telemetry.Gzip)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, payload, reason string }{
		{"empty", "", "malformed"},
		{"noise", "\x00\xff\x13\x37", "malformed"},
		{"zstd bomb", string(bomb), "too_large"},
		{"gzip bomb", string(gzipBomb), "too_large"},
		{"cut short", string(whole[:len(whole)/2]), "malformed"},
		{"too many lines", header(1, "4f2a9c1b") + strings.Repeat("\n", telemetry.MaxLines), "too_large"},
		{"no header", host(now), "header"},
		{"header second", host(now) + header(1, "4f2a9c1b"), "header"},
		{"broken header", strings.Replace(header(1, "4f2a9c1b"), "4f2a9c1b", "boot", 1) + host(now), "header"},
	}
	for _, tt := range tests {
		before := value(t, reg, "nabz_intake_refused_total", tt.reason)
		i.Deliver(clinic.Topic(telemetry.KindData), []byte(tt.payload))
		ack := w.next(t)
		if ack.Verdict != telemetry.Rejected || ack.Boot != "" || ack.Digest != telemetry.Digest([]byte(tt.payload)) || ack.Why == "" {
			t.Errorf("%s: got %+v, want rejected by digest, with why", tt.name, ack)
		}
		if n := value(t, reg, "nabz_intake_refused_total", tt.reason); n != before+1 {
			t.Errorf("%s: not counted as %s", tt.name, tt.reason)
		}
		all := letters(t, i)
		if l := all[len(all)-1]; string(l.Payload) != tt.payload || l.From != "mbarara/clinic" {
			t.Errorf("%s: the last dead letter is %.200v", tt.name, l)
		}
	}
	// With a header, but nothing that fits: named by its number.
	w.answer = func(text string) ([]store.RefusedLine, error) {
		return []store.RefusedLine{{Index: 0, Words: "no"}}, nil
	}
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(9, "4f2a9c1b")))
	if ack := w.next(t); ack.Verdict != telemetry.Rejected || ack.Boot != "4f2a9c1b" || ack.Seq != 9 {
		t.Errorf("got %+v, want rejected by number", ack)
	}
	if len(w.seen) != 0 {
		t.Errorf("the watcher saw %v, want nothing", w.seen)
	}
}

func TestNothingIsAcknowledgedWhileInfluxDBIsGone(t *testing.T) {
	i, w, reg := start(t, nil)
	gone := errors.New("connection refused")
	w.answer = func(string) ([]store.RefusedLine, error) { return nil, gone }
	payload := []byte(header(1, "4f2a9c1b") + host(now))
	i.Deliver(clinic.Topic(telemetry.KindData), payload)
	waitFor(t, "the failure is seen", func() bool { return value(t, reg, "nabz_intake_unstored_total", "") == 1 })
	if len(w.acks) > 0 || len(w.seen) > 0 {
		t.Error("a batch that is not stored was acknowledged or shown")
	}
	if !errors.Is(i.Trouble(), gone) {
		t.Errorf("trouble is %v, want %v", i.Trouble(), gone)
	}
	w.mu.Lock()
	w.answer = nil
	w.mu.Unlock()
	i.Deliver(clinic.Topic(telemetry.KindData), payload) // the agent sends it again
	if ack := w.next(t); ack.Verdict != telemetry.Stored || ack.Seq != 1 {
		t.Errorf("got %+v, want stored", ack)
	}
}

func TestTheQueueIsBoundedInMessagesAndBytes(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"messages": func(c *Config) { c.QueueMessages = 3; c.Workers = 1; c.FlightBytes = telemetry.MaxExpanded },
		"bytes":    func(c *Config) { c.QueueBytes = 3 * 200; c.Workers = 1; c.FlightBytes = telemetry.MaxExpanded },
	} {
		t.Run(name, func(t *testing.T) {
			i, w, reg := start(t, change)
			// Take all that may be in flight, so that the worker waits with one message in hand.
			if err := i.flight.Acquire(t.Context(), i.c.FlightBytes); err != nil {
				t.Fatal(err)
			}
			i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(0, "4f2a9c1b")))
			waitFor(t, "the worker takes it", func() bool { return value(t, reg, "nabz_intake_queue_bytes", "") == 0 })
			for seq := range uint64(10) {
				small := []byte(header(1+seq, "4f2a9c1b"))
				i.Deliver(clinic.Topic(telemetry.KindData), append(small, strings.Repeat("\n", 200-len(small))...))
			}
			if n := value(t, reg, "nabz_intake_dropped_total", ""); n != 7 {
				t.Errorf("dropped %v, want 7 of 10", n)
			}
			i.flight.Release(i.c.FlightBytes)
			for range 1 + 3 {
				w.next(t)
			}
			if n := value(t, reg, "nabz_intake_queue_bytes", ""); n != 0 {
				t.Errorf("queue holds %v bytes in the end, want 0", n)
			}
		})
	}
}

func TestTheFirstBatchOfABootLearnsWhatTheLastOneSaid(t *testing.T) {
	i, w, _ := start(t, nil)
	last := telemetry.LastBatch{At: now.Add(-time.Hour), Open: telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseDNS, Length: 23 * time.Second}}
	w.series = []store.Series{{Name: "batch", Columns: []string{"time", "boot", "open_state", "open_cause", "open_ms"},
		Values: [][]any{{json.Number(fmt.Sprint(last.At.UnixMilli())), "00000001", "down", "dns", json.Number("23000")}}}}
	send := func(seq uint64, boot string) *telemetry.LastBatch {
		i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(seq, boot)))
		return w.next(t).Last
	}
	if got := send(5, "00000002"); got == nil || *got != last {
		t.Errorf("the first batch learns %+v, want %+v", got, last)
	}
	for _, seq := range []uint64{6, 5 + bootNear - 1, 5, 4} { // its neighbours may be heard first; another replica may have had what came before
		if got := send(seq, "00000002"); got == nil || *got != last {
			t.Errorf("batch %d of the first few learns %+v, want %+v", seq, got, last)
		}
	}
	if got := send(4+bootNear, "00000002"); got != nil {
		t.Errorf("a later batch learns %+v, want nothing", got)
	}
	if len(w.queries) != 1 {
		t.Errorf("InfluxDB was asked %d times, want once", len(w.queries))
	}
	if q := w.queries[0]; !strings.Contains(q, `"site" = 'mbarara' AND "agent" = 'clinic' AND time`) || !strings.HasSuffix(q, "LIMIT 1") {
		t.Errorf("the question was %s", q)
	}
	// The batch right before is of the same boot: what was before that is looked for, and not far.
	w.queries = nil
	if send(5, "00000001"); len(w.queries) != 2 || !strings.Contains(w.queries[1], `"boot" != '00000001' AND time >= `) {
		t.Errorf("the questions were %q", w.queries)
	}
	w.qerr = errors.New("timeout")
	if got := send(7, "00000003"); got != nil {
		t.Errorf("without an answer the batch learns %+v", got)
	}
	w.qerr = nil
	if got := send(8, "00000003"); got == nil {
		t.Error("after a question without an answer the next batch does not ask again")
	}
	w.series = nil
	if got := send(9, "00000004"); got != nil {
		t.Errorf("an agent without a past learns %+v", got)
	}
}

func TestDrainWaitsForEveryVerdict(t *testing.T) {
	i, w, reg := start(t, nil)
	hold := make(chan struct{})
	w.answer = func(string) ([]store.RefusedLine, error) { <-hold; return nil, nil }
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(1, "4f2a9c1b")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled while a batch is under way", err)
	}
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(2, "4f2a9c1b")))
	if n := value(t, reg, "nabz_intake_dropped_total", ""); n != 1 {
		t.Errorf("a message was taken after Drain")
	}
	close(hold)
	if err := i.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if len(w.acks) != 1 {
		t.Errorf("%d acknowledgements after Drain, want 1", len(w.acks))
	}
}

func TestDetailThatInfluxDBWouldNoLongerKeepIsAcknowledgedAndNoDeadLetter(t *testing.T) {
	i, w, reg := start(t, func(c *Config) { c.DetailFor = 90 * 24 * time.Hour })
	old := now.Add(-100 * 24 * time.Hour)
	span := telemetry.Span{Start: old, Length: time.Minute, State: telemetry.StateUp}
	h := telemetry.Header{At: old, Boot: "4f2a9c1b", Seq: 5, Clock: telemetry.ClockSynced}
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(line(h.Line())+line(telemetry.NewLine("host", old).Int("uptime_s", 5))+line(span.Line())))
	if got, want := w.next(t), (telemetry.Ack{Verdict: telemetry.Stored, Boot: "4f2a9c1b", Seq: 5, Now: now}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if w.texts[telemetry.Detail] != "" || !strings.HasPrefix(w.texts[telemetry.Ledger], "span,") {
		t.Errorf("stored %q and %q; the ledger is kept for ever", w.texts[telemetry.Detail], w.texts[telemetry.Ledger])
	}
	if n := value(t, reg, "nabz_intake_expired_total", ""); n != 2 {
		t.Errorf("%v lines counted as expired, want 2", n)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "nabz_intake_lines_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if name := m.GetLabel()[0].GetValue(); name != "span" {
				t.Errorf("%v lines of %s counted as stored", m.GetCounter().GetValue(), name)
			}
		}
	}
}

// Agents may be updated before the collector: what they seal then must not be lost among the dead letters.
func TestABatchThatOnlyANewerCollectorCanOpenStaysWithItsAgent(t *testing.T) {
	i, w, reg := start(t, nil)
	text := []byte(header(1, "4f2a9c1b") + host(now))
	b, err := pack.Build(200, text, [][]byte{text, text})
	if err != nil {
		t.Fatal(err)
	}
	d, err := pack.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	i.Deliver(clinic.Topic(telemetry.KindData), pack.New(d).Append(nil, text))
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(2, "4f2a9c1b")))
	if got := w.next(t); got.Seq != 2 || got.Verdict != telemetry.Stored {
		t.Errorf("got %+v, want batch 2 stored", got)
	}
	waitFor(t, "the first to be counted", func() bool { return value(t, reg, "nabz_intake_newer_total", "") == 1 })
	if err := i.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := value(t, reg, "nabz_intake_dead_letters_total", ""); n != 0 || len(w.acks) > 0 {
		t.Errorf("%v dead letters, %d more acknowledgements", n, len(w.acks))
	}
}
