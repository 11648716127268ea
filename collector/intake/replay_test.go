package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// database opens a store with databases of its own, and a writer to it, until the end of the test.
func database(t *testing.T) (*store.Store, *store.Writer) {
	t.Helper()
	db := influxd.ForTest(t)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := store.NewWriter(s, store.WriterOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, w
}

// count is the answer to a query for one number.
func count(t *testing.T, s *store.Store, tier telemetry.Tier, q string) string {
	t.Helper()
	series, err := s.Query(t.Context(), tier, q)
	if err != nil {
		t.Fatal(err)
	}
	if len(series) == 0 {
		return "0"
	}
	return fmt.Sprint(series[0].Values[0][1])
}

func TestDeadLettersAreWrittenAgainOnceWhatStoodInTheirWayIsMended(t *testing.T) {
	s, w := database(t)
	i, world, _ := start(t, func(c *Config) { c.MaxAge = 24 * time.Hour })
	i.p.Writer = w
	deliver := func(a telemetry.Address, text string, e telemetry.Encoding) {
		t.Helper()
		payload, err := i.codec.Seal(nil, []byte(text), e)
		if err != nil {
			t.Fatal(err)
		}
		i.Deliver(a.Topic(telemetry.KindData), payload)
		world.next(t)
	}
	// A type that somebody has put into InfluxDB by hand stands in the way of load1 lines; age in the way of others.
	pollute := fmt.Appendf(nil, "host,agent=clinic,site=mbarara load1=\"high\" %d\n", now.Add(-time.Minute).UnixMilli())
	if err := s.Write(t.Context(), telemetry.Detail, pollute); err != nil {
		t.Fatal(err)
	}
	conflict := line(telemetry.NewLine("host", now).Float("load1", 0.5))
	old := line(telemetry.NewLine("event", now.Add(-48*time.Hour)).Tag("kind", "boot").Str("detail", "cold"))
	deliver(clinic, header(1, "4f2a9c1b")+host(now)+conflict, telemetry.Plain)
	deliver(clinic, header(2, "4f2a9c1b")+old+"host,site=other uptime_s=1i 1762171200000\n", telemetry.Zstd)
	deliver(clinic, host(now), telemetry.Gzip) // without a header: never to be stored
	dir := i.c.DeadLetters
	list, err := ListDeadLetters(dir, "", true)
	if err != nil || len(list) != 3 || list[0].Lines+list[1].Lines+list[2].Lines < 3 {
		t.Fatalf("listed %+v (%v), want three batches", list, err)
	}
	replay := func(c Config, writer Writer, ids ...string) Replayed {
		t.Helper()
		c.DeadLetters = dir
		p := Replay{Config: c, Writer: writer, All: len(ids) == 0, IDs: ids, Now: func() time.Time { return now }}
		sum, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	// Nothing is mended: nothing is stored, and all stay.
	if got := replay(Config{MaxAge: 24 * time.Hour}, w); got.Stored != 0 || got.Letters != 3 {
		t.Errorf("nothing is mended: %+v", got)
	}
	after, err := ListDeadLetters(dir, "", true)
	if err != nil || len(after) != 3 {
		t.Fatalf("%+v (%v) are left", after, err)
	}
	for n := range list {
		if list[n].ID != after[n].ID || !list[n].At.Equal(after[n].At) {
			t.Errorf("%+v became %+v: id and time stay", list[n], after[n])
		}
	}
	// The age is allowed: a dry run says so and changes nothing, one id is written alone.
	if got := replay(Config{}, nil); got.Stored != 2 {
		t.Errorf("dry run: %+v, want the old line and the one that only InfluxDB can judge", got)
	}
	if n := count(t, s, telemetry.Ledger, "SELECT count(detail) FROM event"); n != "0" {
		t.Errorf("the dry run has stored %s events", n)
	}
	kept, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string][]byte{}
	for _, e := range kept {
		if copies[e.Name()], err = os.ReadFile(dir + "/" + e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	// InfluxDB is mended; then a crash between writing and taking away, as if nothing had been taken away.
	for _, q := range []string{"DROP MEASUREMENT host"} {
		if _, err := s.Query(t.Context(), telemetry.Detail, q); err != nil {
			t.Skipf("this InfluxDB cannot be mended in InfluxQL: %v", err)
		}
	}
	for round := range 2 {
		if got := replay(Config{}, w); got.Stored != 2 || got.Refused != 2 {
			t.Errorf("round %d: %+v, want 2 stored, and the spoofed line and the message without a header refused", round, got)
		}
		left, err := ListDeadLetters(dir, "", true)
		if err != nil || len(left) != 2 {
			t.Errorf("round %d: %+v (%v) are left, want 2", round, left, err)
		}
		if n := count(t, s, telemetry.Detail, "SELECT count(load1) FROM host WHERE agent='clinic' AND site='mbarara'"); n != "1" {
			t.Errorf("round %d: %s lines of host, want 1", round, n)
		}
		if n := count(t, s, telemetry.Ledger, "SELECT count(detail) FROM event WHERE agent='clinic'"); n != "1" {
			t.Errorf("round %d: %s events, want 1", round, n)
		}
		if round == 0 {
			for name, b := range copies {
				if err := os.WriteFile(dir+"/"+name, b, 0o640); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// The collector beside it goes on writing letters.
	deliver(clinic, header(5, "4f2a9c1b")+"host,site=other uptime_s=1i 1762171200000\n", telemetry.Plain)
	if left, err := ListDeadLetters(dir, "", false); err != nil || len(left) != 3 {
		t.Errorf("%+v (%v), want the new one beside the two", left, err)
	}
}

func TestAReplayWithoutInfluxDBKeepsEveryLetter(t *testing.T) {
	i, world, _ := start(t, func(c *Config) { c.MaxAge = 24 * time.Hour })
	i.Deliver(clinic.Topic(telemetry.KindData), []byte(header(1, "4f2a9c1b")+host(now.Add(-48*time.Hour))+host(now.Add(-49*time.Hour))))
	world.next(t)
	gone := errors.New("connection refused")
	world.answer = func(string) ([]store.RefusedLine, error) { return nil, gone }
	p := Replay{Config: Config{DeadLetters: i.c.DeadLetters}, Writer: world, All: true, Now: func() time.Time { return now }}
	if sum, err := p.Run(t.Context()); !errors.Is(err, gone) || sum.Stored != 0 {
		t.Errorf("got %+v (%v), want the fault", sum, err)
	}
	if got := letters(t, i); len(got) != 2 {
		t.Errorf("%d letters are left, want both", len(got))
	}
}

func TestAReplayPassesWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	good := fmt.Sprintf(`{"at":"2025-11-03T12:00:00Z","from":"mbarara/clinic","batch":"4f2a9c1b 3","reason":"x","payload":%q}`, "aG9zdCB1cHRpbWVfcz0xaSAxNzYyMTcxMjAwMDAwCg==")
	text := "not json\n" + `{"from":"../../etc","payload":""}` + "\n" + good + "\n" + strings.Repeat("x", maxRecord+10) + "\n" + good[:40]
	if err := os.WriteFile(dir+"/0000000001.mbarara.clinic.jsonl", []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	w := &world{texts: map[telemetry.Tier]string{}}
	p := Replay{Config: Config{DeadLetters: dir}, Writer: w, All: true, Now: func() time.Time { return now }}
	sum, err := p.Run(t.Context())
	if err != nil || sum.Letters != 1 || sum.Stored != 1 {
		t.Errorf("got %+v (%v), want one line stored", sum, err)
	}
	if got, want := w.texts[telemetry.Detail], "host,agent=clinic,site=mbarara uptime_s=1i 1762171200000\n"; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
	rest, err := os.ReadFile(dir + "/0000000001.mbarara.clinic.jsonl")
	if err != nil || strings.Contains(string(rest), "clinic") || !strings.HasPrefix(string(rest), "not json\n") {
		t.Errorf("left is %.80q (%v), want what could not be read", rest, err)
	}
}

// keeps stores everything and remembers it.
type keeps struct {
	mu    sync.Mutex
	lines map[string]int
}

// Submit stores the text at once.
func (k *keeps) Submit(_ context.Context, _ telemetry.Tier, text []byte, done func([]store.RefusedLine, error)) error {
	k.mu.Lock()
	for l := range strings.Lines(string(text)) {
		k.lines[l]++
	}
	k.mu.Unlock()
	done(nil, nil)
	return nil
}

// Held is never.
func (*keeps) Held() error { return nil }

func TestAReplayBesideACollectorThatWritesLettersLosesNone(t *testing.T) {
	dir := t.TempDir()
	d := openLetters(t, dir, 1<<20)
	const writers, each = 4, 100
	var g errgroup.Group
	for a := range writers {
		from := telemetry.Address{Site: fmt.Sprint("s", a), Agent: "main"}
		g.Go(func() error {
			for n := range each {
				l := letter{At: now, From: from.String(), Batch: fmt.Sprint("4f2a9c1b ", n), Reason: "x", Payload: []byte(strings.TrimSpace(line(telemetry.NewLine("host", now.Add(time.Duration(n)*time.Second)).Int("uptime_s", int64(n)))))}
				if err := d.Append(from, []letter{l}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	written := make(chan error, 1)
	go func() { written <- g.Wait() }()
	k := &keeps{lines: map[string]int{}}
	for last := false; ; {
		p := Replay{Config: Config{DeadLetters: dir}, Writer: k, All: true, Now: func() time.Time { return now }}
		if _, err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last {
			break
		}
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
			last = true // one more, for what was written meanwhile
		default:
		}
	}
	if left, err := ListDeadLetters(dir, "", false); err != nil || len(left) > 0 || len(k.lines) != writers*each {
		t.Errorf("%d lines are stored and %d letters are left (%v), want all %d stored", len(k.lines), len(left), err, writers*each)
	}
}
