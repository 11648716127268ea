package speedtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/ndt7"
	"github.com/smartvillage/nabz/telemetry"
)

const secret = "a secret of this test"

func address() telemetry.Address { return telemetry.Address{Site: "chitral", Agent: "router"} }

type onlyOne struct{}

func (onlyOne) Authenticate(a telemetry.Address, s string) bool { return a == address() && s == secret }

// server is a real ndt7 server on loopback, with or without TLS.
type server struct {
	*ndt7.Server
	url string
	tls *tls.Config
}

func serve(t testing.TB, c ndt7.Config, overTLS bool) *server {
	t.Helper()
	n, err := ndt7.New(c, ndt7.Parts{Auth: onlyOne{}, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(n)
	s := &server{Server: n}
	if overTLS {
		h.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(h.Certificate())
		s.tls = &tls.Config{RootCAs: roots}
	} else {
		h.Start()
	}
	s.url = h.URL
	t.Cleanup(func() {
		_ = n.Close()
		h.Close()
	})
	return s
}

func client(t testing.TB, s *server, dial func(context.Context, string, string) (net.Conn, error)) *Client {
	t.Helper()
	srv, err := ParseServer(s.url, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{Server: srv, Address: address(), Secret: secret, TLS: s.tls, Version: "test", Dial: dial}
}

// middle is a link of a known rate between client and server: it passes what comes on, at downBps and upBps, and counts.
type middle struct {
	down, up pace
	conns    sync.WaitGroup
}

// pace lets bytes pass at a rate.
type pace struct {
	bps    float64
	mu     sync.Mutex
	free   time.Time
	passed atomic.Int64
	log    []mark
}

type mark struct {
	at    time.Time
	bytes int64
}

// wait books n bytes and waits until the last of them has passed.
func (p *pace) wait(ctx context.Context, n int) {
	p.mu.Lock()
	now := time.Now()
	if late := now.Add(-300 * time.Millisecond); p.free.Before(late) { // what a busy machine's timers are late by is made up for
		p.free = late
	}
	p.free = p.free.Add(time.Duration(float64(n) * 8 / p.bps * float64(time.Second)))
	until := p.free
	p.mu.Unlock()
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.log = append(p.log, mark{time.Now(), p.passed.Add(int64(n))})
	p.mu.Unlock()
}

// truth is the rate at which bytes passed in the second half of the time in which any did: less than bps, where the machine was too busy.
func (p *pace) truth() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := p.log
	for all := log[len(log)-1].bytes; len(log) > 1 && log[len(log)-1].bytes > all*97/100; { // what is said beside the test of the other direction
		log = log[:len(log)-1]
	}
	for len(log) > 1 && log[0].bytes < 16<<10 { // signing in
		log = log[1:]
	}
	first, last := log[0], log[len(log)-1]
	half := first.at.Add(last.at.Sub(first.at) / 2)
	for _, m := range log {
		if m.at.After(half) {
			return float64(last.bytes-m.bytes) * 8 / last.at.Sub(m.at).Seconds()
		}
	}
	return 0
}

// newMiddle gives the dial function that leads through it.
func newMiddle(t testing.TB, downBps, upBps float64) (*middle, func(context.Context, string, string) (net.Conn, error)) {
	t.Helper()
	m := &middle{down: pace{bps: downBps}, up: pace{bps: upBps}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var target string
	m.conns.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			to := target
			mu.Unlock()
			m.conns.Go(func() { m.carry(ctx, near, to) })
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); m.conns.Wait() })
	return m, func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		target = address
		mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}
}

// carry passes bytes between both ends. Buffers are small, so that little lies in the middle. A reset of one end resets the other.
func (m *middle) carry(ctx context.Context, near net.Conn, to string) {
	defer near.Close()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	defer context.AfterFunc(ctx, func() { near.Close(); far.Close() })()
	var both sync.WaitGroup
	pass := func(from, to net.Conn, p *pace) {
		_ = from.(*net.TCPConn).SetReadBuffer(128 << 10)
		_ = to.(*net.TCPConn).SetWriteBuffer(128 << 10)
		buf := make([]byte, 16<<10)
		for {
			n, err := from.Read(buf)
			p.wait(ctx, n)
			if _, e := to.Write(buf[:n]); e != nil || err != nil {
				if err == io.EOF && e == nil {
					_ = to.(*net.TCPConn).CloseWrite()
				} else {
					for _, c := range []net.Conn{from, to} {
						_ = c.(*net.TCPConn).SetLinger(0)
						c.Close()
					}
				}
				return
			}
		}
	}
	both.Go(func() { pass(far, near, &m.down) })
	both.Go(func() { pass(near, far, &m.up) })
	both.Wait()
}

// until waits for what must come true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s has not come true", what)
		}
	}
}
