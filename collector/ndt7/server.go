package ndt7

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/telemetry"
)

// Protocol is the WebSocket subprotocol by which both ends know each other.
const Protocol = "net.measurementlab.ndt.v7"

// Sizes and times that the protocol gives (ndt7-protocol.md of m-lab/ndt-server, version 0.9).
const (
	firstMessage = 1 << 13                // bytes of the first binary messages
	lastMessage  = 1 << 20                // they double until here, as long as they are a sixteenth of what was sent
	maxMessage   = 1 << 24                // no end may refuse a message up to here
	maxQuery     = 4096                   // bytes of the query string
	maxTold      = 1 << 20                // bytes of measurements that a client may send in one test; some thousands of them
	tellEvery    = 250 * time.Millisecond // between two measurements
	graceTime    = 3 * time.Second        // beyond the time of a test, after which the connection is cut
)

// Config bounds what tests may cost the NOC's own line. Zero values take the defaults.
type Config struct {
	AtOnce  int           // tests under way at once, default 4
	Time    time.Duration // length of one test in one direction, default 10 s as the protocol expects, at most 13 s
	Bytes   int64         // of one test in one direction, default 512 MiB
	MaxIdle time.Duration // without a byte from or to the agent, default 5 s
}

// Authenticator knows the agents' secrets.
type Authenticator interface {
	Authenticate(a telemetry.Address, secret string) bool
}

// Parts are what the server needs of others.
type Parts struct {
	Auth    Authenticator
	Metrics prometheus.Registerer // nil: none
	Now     func() time.Time      // for how long a token is good; nil: time.Now
	Log     *slog.Logger          // nil: silent
}

// Server answers /ndt/v7/download, /ndt/v7/upload and /api/v1/speedtest/token. Safe for concurrent use.
type Server struct {
	c       Config
	p       Parts
	tokens  tokens
	tries   *limit.Limiter
	m       *metrics
	upgrade websocket.Upgrader
	mux     *http.ServeMux

	ctx    context.Context // ends tests under way
	cancel context.CancelFunc
	under  sync.WaitGroup

	mu      sync.Mutex
	running map[telemetry.Address]chan struct{} // closed when the test has ended

	load    sync.Mutex
	message map[int]*websocket.PreparedMessage // by size; made once, 2 MiB when all are
}

// New makes the handler. Close it.
func New(c Config, p Parts) (*Server, error) {
	if p.Auth == nil {
		return nil, errors.New("ndt7: Auth is required")
	}
	if c.AtOnce == 0 {
		c.AtOnce = 4
	}
	if c.Time == 0 {
		c.Time = 10 * time.Second
	}
	if c.Bytes == 0 {
		c.Bytes = 512 << 20
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = 5 * time.Second
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{c: c, p: p, running: map[telemetry.Address]chan struct{}{}, message: map[int]*websocket.PreparedMessage{}, mux: http.NewServeMux()}
	_, _ = rand.Read(s.tokens.key[:]) // never fails, by its documentation
	s.tries = limit.New(triesAllowed)
	s.m = newMetrics(p.Metrics, s)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.upgrade = websocket.Upgrader{HandshakeTimeout: 10 * time.Second, ReadBufferSize: 32 << 10, WriteBufferSize: 4 << 10, Subprotocols: []string{Protocol},
		CheckOrigin: func(*http.Request) bool { return true }, // the token decides, not the page from which a browser comes
		Error:       func(w http.ResponseWriter, _ *http.Request, status int, why error) { say(w, status, why.Error()) }}
	s.mux.HandleFunc("POST /api/v1/speedtest/token", s.token)
	s.mux.HandleFunc("GET /ndt/v7/download", func(w http.ResponseWriter, r *http.Request) { s.test(w, r, download) })
	s.mux.HandleFunc("GET /ndt/v7/upload", func(w http.ResponseWriter, r *http.Request) { s.test(w, r, upload) })
	return s, nil
}

// ServeHTTP answers the three paths. The ResponseWriter must be one that can be hijacked, as that of http.Server is over HTTP/1.1.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// Paths are the patterns to mount the server at.
func Paths() []string { return []string{"/ndt/v7/", "/api/v1/speedtest/"} }

// Close ends all tests under way and waits for them. http.Server.Shutdown does not: it knows nothing of a connection that became a WebSocket.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.under.Wait()
	return nil
}

// Why a test does not begin.
const (
	whyClosing = "closing"
	whyFull    = "full"
	whyTwice   = "running"
)

// enter takes a place for a test of an agent; why is not empty when there is none. An agent that has a test under way waits a moment for its end:
// it may have ended the one before just now, and the server not know yet.
func (s *Server) enter(ctx context.Context, a telemetry.Address) (why string) {
	late := time.NewTimer(graceTime)
	defer late.Stop()
	for {
		before, why := s.tryEnter(a)
		if why != whyTwice {
			return why
		}
		select {
		case <-before:
		case <-late.C:
			return why
		case <-ctx.Done():
			return why
		}
	}
}

func (s *Server) tryEnter(a telemetry.Address) (before <-chan struct{}, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, whyClosing
	}
	if before, ok := s.running[a]; ok {
		return before, whyTwice
	}
	if len(s.running) >= s.c.AtOnce {
		return nil, whyFull
	}
	s.running[a] = make(chan struct{})
	s.under.Add(1)
	return nil, ""
}

func (s *Server) leave(a telemetry.Address) {
	s.mu.Lock()
	close(s.running[a])
	delete(s.running, a)
	s.mu.Unlock()
	s.under.Done()
}

// atWork counts the tests under way.
func (s *Server) atWork() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}

// say answers with a text for people.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // who is gone needs no answer
}
