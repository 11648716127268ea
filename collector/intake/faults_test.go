package intake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// front stands before a real InfluxDB and does what the test says to each write.
type front struct {
	mu     sync.Mutex
	do     func(w http.ResponseWriter, r *http.Request, pass http.Handler) // nil: pass it on
	writes []time.Time
}

func (f *front) set(do func(w http.ResponseWriter, r *http.Request, pass http.Handler)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do, f.writes = do, nil
}

// times passes on after so many writes.
func times(n int, do http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if n--; n >= 0 { // the front's lock is held
			do(w, r)
			return
		}
		pass.ServeHTTP(w, r)
	}
}

func answer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for n := 0; n < len(header); n += 2 {
			w.Header().Set(header[n], header[n+1])
		}
		w.WriteHeader(status)
	}
}

// newFront starts it.
func newFront(t *testing.T, db *influxd.Server) (*front, string) {
	t.Helper()
	target, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	f, transport := &front{}, &http.Transport{DisableCompression: true}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorLog, pass.Transport = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), transport
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/write") {
			pass.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body) // else nobody notices that the client has gone
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.mu.Lock()
		defer f.mu.Unlock()
		f.writes = append(f.writes, time.Now())
		if f.do == nil {
			pass.ServeHTTP(w, r)
			return
		}
		f.do(w, r, pass)
	}))
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(server.Close)
	return f, server.URL
}

// storing starts an intake that writes to an InfluxDB, on the machine's own clock.
func storing(t *testing.T, c store.Config, o store.WriterOptions, change func(*Config)) (*store.Store, *Intake, *world, *log) {
	t.Helper()
	said := &log{}
	s, err := store.Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := store.NewWriter(s, o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	i, world, _ := start(t, change)
	i.p.Writer, i.p.Querier, i.p.Now = w, s, time.Now
	i.p.Log = slog.New(slog.NewTextHandler(said, nil))
	i.trouble.log = i.p.Log
	t.Cleanup(func() { // before the intake ends, which waits for the writer's answers
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, i, world, said
}

// log keeps what was logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write is for slog.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// sealed is a batch of now with a line of the host: uptime_s is its number.
func sealed(seq uint64, lines ...string) []byte {
	at := time.Now().Truncate(time.Millisecond)
	h := telemetry.Header{At: at, Boot: "4f2a9c1b", Seq: seq, Clock: telemetry.ClockSynced}
	return []byte(line(h.Line()) + line(telemetry.NewLine("host", at).Int("uptime_s", int64(seq))) + strings.Join(lines, ""))
}

// until sends a batch again and again, as an agent does, and returns the acknowledgement.
func until(t *testing.T, i *Intake, w *world, seq uint64, payload []byte) telemetry.Ack {
	t.Helper()
	again, end := time.NewTicker(200*time.Millisecond), time.After(90*time.Second)
	defer again.Stop()
	for {
		i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(payload))
		select {
		case a := <-w.acks:
			if a.Seq == seq {
				return a
			}
		case <-again.C:
		case <-end:
			t.Fatalf("batch %d was never acknowledged; trouble: %v", seq, i.Trouble())
		}
	}
}

// once delivers a batch a single time and waits for its acknowledgement.
func once(t *testing.T, i *Intake, w *world, seq uint64, payload []byte) telemetry.Ack {
	t.Helper()
	i.Deliver(clinic.Topic(telemetry.KindData), payload)
	for {
		if a := w.next(t); a.Seq == seq {
			return a
		}
	}
}

func TestFaultsOnTheWayToInfluxDBCostNothingAndDoubleNothing(t *testing.T) {
	db := influxd.ForTest(t)
	f, address := newFront(t, db)
	c := store.Config{URL: address, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger"), Timeout: 3 * time.Second}
	_, i, w, _ := storing(t, c, store.WriterOptions{}, nil)
	c.URL = db.URL
	s, err := store.Open(c, slog.New(slog.DiscardHandler)) // past the front
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	i.p.Querier = s
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for n, tt := range []struct {
		name string
		do   func(http.ResponseWriter, *http.Request, http.Handler)
		gap  time.Duration // at least, between the first write and the second
	}{
		{"500", times(3, answer(500)), 100 * time.Millisecond},
		{"503", times(3, answer(503)), 100 * time.Millisecond},
		{"503 of a proxy that says when", times(1, answer(503, "Retry-After", "2")), 1900 * time.Millisecond},
		{"429 that says when", times(1, answer(429, "Retry-After", "2")), 1900 * time.Millisecond},
		{"connections that are cut", times(3, cut), 100 * time.Millisecond},
		{"a proxy that answers 400 to all", times(2, answer(400, "Content-Type", "text/html")), 100 * time.Millisecond},
		{"half of a refusal", times(2, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "300")
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":"partial write: points beyond retention policy drop`)
			panic(http.ErrAbortHandler)
		}), 100 * time.Millisecond},
		{"stored, and the answer is lost", func() func(http.ResponseWriter, *http.Request, http.Handler) {
			left := 2
			return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if left--; left >= 0 {
					pass.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				}
				pass.ServeHTTP(w, r)
			}
		}(), 100 * time.Millisecond},
		{"slow, but in time", func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
			}
			pass.ServeHTTP(w, r)
		}, 0},
		{"slower than the time limit, once", times(1, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.set(tt.do)
			seq := uint64(n + 1)
			if a := once(t, i, w, seq, sealed(seq)); a.Verdict != telemetry.Stored || a.Refused != 0 {
				t.Errorf("got %+v, want stored without the agent having to send it again", a)
			}
			f.mu.Lock()
			writes := f.writes
			f.mu.Unlock()
			if tt.gap > 0 && (len(writes) < 2 || writes[1].Sub(writes[0]) < tt.gap) {
				t.Errorf("writes at %v, want a second one, %v after the first", writes, tt.gap)
			}
			if got := count(t, s, telemetry.Detail, fmt.Sprintf("SELECT count(uptime_s) FROM host WHERE uptime_s = %d", seq)); got != "1" {
				t.Errorf("stored %s times", got)
			}
		})
	}
	if got := letters(t, i); len(got) != 0 {
		t.Errorf("%d dead letters, the first %+v", len(got), got[0])
	}
	// A fault that lasts: agents hear nothing, keep what they have, and send it again.
	f.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(500) })
	payload := sealed(100)
	i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(payload))
	waitFor(t, "the fault is told", func() bool { return i.Trouble() != nil })
	if i.p.Writer.Held() == nil {
		t.Error("the collector goes on taking in what it cannot store")
	}
	if len(w.acks) > 0 {
		t.Errorf("acknowledged: %+v", <-w.acks)
	}
	f.set(nil)
	if a := until(t, i, w, 100, payload); a.Verdict != telemetry.Stored {
		t.Errorf("got %+v, want stored", a)
	}
}

func TestWhatARealInfluxDBRefusesBecomesADeadLetterAndItsNeighboursAreStored(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		c := store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger"), DetailRetention: 24 * time.Hour}
		s, i, w, _ := storing(t, c, store.WriterOptions{}, nil) // the intake does not know of the retention, as when somebody has shortened it
		if err := s.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Truncate(time.Millisecond)
		if err := s.Write(t.Context(), telemetry.Detail, fmt.Appendf(nil, "host,agent=x,site=x load1=\"high\" %d\n", at.UnixMilli())); err != nil {
			t.Fatal(err)
		}
		conflict := line(telemetry.NewLine("host", at.Add(-time.Second)).Float("load1", 0.5))
		beyond := line(telemetry.NewLine("host", at.Add(-72*time.Hour)).Int("uptime_s", 13))
		good := line(telemetry.NewLine("host", at.Add(-2*time.Second)).Float("cpu_pct", 7))
		a := once(t, i, w, 1, sealed(1, conflict, good, beyond, line(telemetry.NewLine("event", at).Tag("kind", "boot").Str("detail", "cold"))))
		if a.Verdict != telemetry.Stored || a.Refused != 2 {
			t.Errorf("got %+v, want stored with 2 refused", a)
		}
		got := map[string]string{}
		for _, l := range letters(t, i) {
			got[string(l.Payload)+"\n"] = l.Reason
		}
		if len(got) != 2 || !strings.Contains(got[conflict], "field type conflict") || !strings.Contains(got[beyond], "etention") {
			t.Errorf("dead letters are %q", got)
		}
		if n := count(t, s, telemetry.Detail, "SELECT count(cpu_pct) FROM host WHERE agent='clinic'"); n != "1" {
			t.Errorf("%s good lines of detail are stored, want 1", n)
		}
		if n := count(t, s, telemetry.Ledger, "SELECT count(detail) FROM event WHERE agent='clinic'"); n != "1" {
			t.Errorf("%s events are stored, want 1", n)
		}
	})
}

func TestATokenThatMayNotWriteStopsTheIntakeUntilItMay(t *testing.T) {
	db := influxd.SignInForTest(t)
	c := store.Config{URL: db.URL, Token: db.Token, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")}
	admin, err := store.Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	do := func(q string) {
		t.Helper()
		if _, err := admin.Query(t.Context(), telemetry.Detail, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	if err := admin.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	do("CREATE USER village WITH PASSWORD 'right'")
	c.Token = "village:right"
	_, i, w, said := storing(t, c, store.WriterOptions{}, nil)
	payload := sealed(1)
	for range 20 {
		i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(payload))
	}
	waitFor(t, "the intake takes no more in", func() bool { return i.p.Writer.Held() != nil })
	for range 100 {
		i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(payload))
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 1 || !strings.Contains(said.String(), "check influx.token") {
		t.Errorf("told %d times:\n%s", n, said)
	}
	if len(w.acks) > 0 || len(letters(t, i)) > 0 {
		t.Errorf("%d acknowledgements, %d dead letters, want none of either", len(w.acks), len(letters(t, i)))
	}
	do(`GRANT ALL ON "` + c.DetailBucket + `" TO village`)
	if a := until(t, i, w, 1, payload); a.Verdict != telemetry.Stored || a.Refused != 0 {
		t.Errorf("got %+v after the rights were given, want stored", a)
	}
	if n := count(t, admin, telemetry.Detail, "SELECT count(uptime_s) FROM host"); n != "1" {
		t.Errorf("%s lines are stored, want 1", n)
	}
	// The ledger may still not be written: detail goes on, and a batch with both is acknowledged when all of it is stored.
	event := line(telemetry.NewLine("event", time.Now()).Tag("kind", "boot").Str("detail", "cold"))
	both := sealed(2, event)
	i.Deliver(clinic.Topic(telemetry.KindData), bytes.Clone(both))
	if a := until(t, i, w, 3, sealed(3)); a.Verdict != telemetry.Stored {
		t.Errorf("got %+v for detail alone, want stored", a)
	}
	do(`GRANT ALL ON "` + c.LedgerBucket + `" TO village`)
	if a := until(t, i, w, 2, both); a.Verdict != telemetry.Stored {
		t.Errorf("got %+v, want stored", a)
	}
}
