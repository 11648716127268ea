package uplink

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// writeChunk and writeLimit let a link of 4 kbit/s pass, and find one that takes nothing any more.
	writeChunk = 16 << 10
	writeLimit = 30 * time.Second
	// sendBuffer keeps the kernel from swallowing minutes of a slow link, in front of which a ping would wait too long.
	sendBuffer = 64 << 10
)

// meter counts what passes, and fails a write that makes no progress.
type meter struct {
	net.Conn
	total   *atomic.Int64
	passed  atomic.Int64 // on this connection
	writing atomic.Int32
	idle    chan struct{} // a write has ended
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.count(n)
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	m.writing.Add(1)
	defer func() {
		m.writing.Add(-1)
		select {
		case m.idle <- struct{}{}:
		default:
		}
	}()
	done := 0
	for done < len(p) {
		if err := m.Conn.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
			return done, err
		}
		n, err := m.Conn.Write(p[done:min(done+writeChunk, len(p))])
		m.count(n)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// SetWriteDeadline does nothing: Write sets its own, by progress.
func (m *meter) SetWriteDeadline(time.Time) error { return nil }

func (m *meter) count(n int) {
	m.total.Add(int64(n))
	m.passed.Add(int64(n))
}

func (m *meter) busy() bool { return m.writing.Load() > 0 }

// dial connects to a broker. The meter sits under TLS, so that it counts what the link carries.
func dial(ctx context.Context, connect func(ctx context.Context, network, address string) (net.Conn, error), u *url.URL, conf *tls.Config, total *atomic.Int64) (net.Conn, *meter, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	port := u.Port()
	if port == "" {
		port = map[string]string{"tcp": "1883", "tls": "8883"}[u.Scheme]
	}
	raw, err := connect(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		if err := tcp.SetWriteBuffer(sendBuffer); err != nil {
			return nil, nil, closeAfter(raw, err)
		}
	}
	m := &meter{Conn: raw, total: total, idle: make(chan struct{}, 1)}
	if u.Scheme != "tls" {
		return m, m, nil
	}
	if conf == nil {
		conf = &tls.Config{}
	}
	if conf = conf.Clone(); conf.ServerName == "" {
		conf.ServerName = u.Hostname()
	}
	secure := tls.Client(m, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, nil, closeAfter(raw, fmt.Errorf("tls: %w", err))
	}
	return secure, m, nil
}

// closeAfter closes a connection that came to nothing; why it did matters more than how closing went.
func closeAfter(c net.Conn, err error) error {
	_ = c.Close()
	return err
}
