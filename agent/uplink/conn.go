package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// sendBuffer keeps the kernel from swallowing minutes of a slow link, in front of which a ping would wait too long.
	sendBuffer = 64 << 10
	// brokerCaches is how many brokers' TLS sessions are remembered.
	brokerCaches = 8

	ipv4Header, ipv6Header = 20, 40
)

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// secure makes a TLS configuration cheap on bytes: it resumes sessions, which on a flapping link saves the certificates each time, and
// offers X25519 and P-256 only. The post-quantum key share that Go would add is 1.2 kB in the first message and 1.1 kB in the answer: two
// more packets at each reconnect, to protect measurements that are published and a secret that can be changed.
func secure(conf *tls.Config) *tls.Config {
	if conf == nil {
		conf = &tls.Config{}
	}
	conf = conf.Clone()
	conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
	if conf.ClientSessionCache == nil {
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(brokerCaches)
	}
	if conf.CurvePreferences == nil {
		conf.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	return conf
}

// dial connects to a broker. The meter sits under TLS, so that it counts what the link carries.
func dial(ctx context.Context, connect dialer, u *url.URL, conf *tls.Config, limit time.Duration, near func(netip.Addr) bool, p *path, total *atomic.Int64) (net.Conn, *meter, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"tcp": "1883", "tls": "8883"}[u.Scheme]
	}
	began := time.Now()
	raw, err := connect(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		total.Add(inVain(u.Hostname(), err, time.Since(began)))
		return nil, nil, err
	}
	m := newMeter(raw, near, p, total)
	if err := tune(m, limit); err != nil {
		return nil, nil, closeAfter(m, err)
	}
	if u.Scheme != "tls" {
		return m, m, nil
	}
	if conf.ServerName == "" {
		conf = conf.Clone()
		conf.ServerName = u.Hostname()
	}
	over := tls.Client(m, conf)
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, nil, closeAfter(m, fmt.Errorf("tls: %w", err))
	}
	return over, m, nil
}

// Segments of an attempt to connect: TCP's header, with the options that systems send in the first one.
const (
	synSegment, resetSegment = 40, 20
	synAgain                 = time.Second // after which the first one is repeated, then after twice that
)

// inVain is what an attempt that made no connection has had on the wire, both ways. It is an estimate, as the packets are the kernel's and the
// name may have been looked up within took. Nothing goes out where there is no way or no address, or to this machine itself.
func inVain(host string, err error, took time.Duration) (bytes int64) {
	ip := net.ParseIP(host)
	if name := (*net.DNSError)(nil); errors.As(err, &name) || errors.Is(err, syscall.ENETUNREACH) || ip.IsLoopback() {
		return 0
	}
	header := int64(ipv4Header)
	if ip != nil && ip.To4() == nil {
		header = ipv6Header
	}
	bytes = header + synSegment
	for again := synAgain; again <= took; again = 2*again + synAgain {
		bytes += header + synSegment
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		bytes += header + resetSegment
	}
	return bytes
}

// tune sets the socket's options.
func tune(m *meter, limit time.Duration) error {
	if c, ok := m.Conn.(interface{ SetWriteBuffer(int) error }); ok {
		if err := c.SetWriteBuffer(sendBuffer); err != nil {
			return err
		}
	}
	// Go asks a silent connection every 15 s whether it lives; that alone would be 20 MB a month. MQTT's keepalive does it.
	if c, ok := m.Conn.(interface{ SetKeepAlive(bool) error }); ok {
		if err := c.SetKeepAlive(false); err != nil {
			return err
		}
	}
	if m.raw == nil {
		return nil
	}
	return setUserTimeout(m.raw, limit)
}

// closeAfter closes a connection that came to nothing; why it did matters more than how closing went.
func closeAfter(c net.Conn, err error) error {
	_ = c.Close()
	return err
}
