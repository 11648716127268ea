package ndt7

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

// secrets are the agents that are enrolled.
type secrets map[telemetry.Address]string

func (s secrets) Authenticate(a telemetry.Address, secret string) bool {
	want, ok := s[a]
	return ok && want == secret
}

// clock is set by tests.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type world struct {
	t *testing.T
	*Server
	http    *httptest.Server
	clock   *clock
	metrics *prometheus.Registry
}

func address(agent string) telemetry.Address { return telemetry.Address{Site: "chitral", Agent: agent} }

func open(t *testing.T, c Config) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}, metrics: prometheus.NewRegistry()}
	var err error
	if w.Server, err = New(c, Parts{Auth: secrets{address("router"): "one", address("kiosk"): "two", address("third"): "three"}, Metrics: w.metrics, Now: w.clock.now}); err != nil {
		t.Fatal(err)
	}
	w.http = httptest.NewServer(w.Server)
	t.Cleanup(func() {
		_ = w.Close()
		w.http.CloseClientConnections()
		w.http.Close()
	})
	return w
}

// ask signs in for a token.
func (w *world) ask(user, secret string) (status int, body string, head http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.http.URL+"/api/v1/speedtest/token", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, secret)
	}
	res, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func (w *world) token(agent, secret string) string {
	w.t.Helper()
	status, body, _ := w.ask("chitral/"+agent, secret)
	var answer struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Expires != 120 {
		w.t.Fatalf("%d %s", status, body)
	}
	return answer.Token
}

// dial begins a test; where that fails it tells the status and the text.
func (w *world) dial(path, token string) (ws *websocket.Conn, status int, text string) {
	w.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{Protocol}}
	ws, res, err := d.DialContext(w.t.Context(), "ws"+strings.TrimPrefix(w.http.URL, "http")+path+"?access_token="+token, nil)
	if err == nil {
		w.t.Cleanup(func() { ws.Close() })
		return ws, res.StatusCode, ""
	}
	if res == nil {
		w.t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	return nil, res.StatusCode, string(b)
}

func (w *world) begin(path, token string) *websocket.Conn {
	w.t.Helper()
	ws, status, text := w.dial(path, token)
	if ws == nil {
		w.t.Fatalf("%s answers %d %s", path, status, text)
	}
	return ws
}

func (w *world) refused(path, token string, status int, part string) {
	w.t.Helper()
	ws, got, text := w.dial(path, token)
	if ws != nil || got != status || !strings.Contains(text, part) {
		w.t.Errorf("%s answers %d %q, want %d and %q", path, got, text, status, part)
	}
}

// drain reads until the connection ends.
func drain(ws *websocket.Conn) error {
	for {
		_, r, err := ws.NextReader()
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return err
		}
	}
}

// until waits for what must come true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s has not come true", what)
		}
	}
}

// metric is the value of a counter whose labels, in the order of their names, have these values.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "nabz_ndt7_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return m.GetCounter().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no metric %s %v", name, labels)
	return 0
}

func (w *world) count(name string, want float64, labels ...string) {
	w.t.Helper()
	until(w.t, name+" "+strings.Join(labels, " "), func() bool { return w.metric(name, labels...) == want })
}

// places waits until so many tests are under way.
func (w *world) places(want int) {
	w.t.Helper()
	until(w.t, fmt.Sprint(want, " places to be taken"), func() bool { return w.atWork() == want })
}
