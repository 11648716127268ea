package uplink

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// writeChunk and writeLimit let a link of 4 kbit/s pass, and find one that takes nothing any more.
	writeChunk = 16 << 10
	writeLimit = 30 * time.Second
	// Bytes that the far end has not acknowledged for four retransmission timeouts, within these bounds, put the link in doubt.
	doubtLeast, doubtMost = 5 * time.Second, 10 * time.Second
	// maxLook is the longest time between two looks at bytes that wait.
	maxLook = time.Minute
	// A proxy in front of a satellite acknowledges what it has not delivered. Where even the fastest of the broker's last answers
	// took longer than proxyTimes TCP's own best round trip and proxyBeyond, TCP speaks with such a one.
	proxyTimes  = 3
	proxyBeyond = 50 * time.Millisecond
	proxyTrips  = 3
)

// meter sits under TLS: it counts what passes, fails a write that makes no progress, and knows what has arrived.
type meter struct {
	net.Conn
	path     *path
	total    *atomic.Int64
	written  atomic.Int64
	writing  atomic.Int32
	idle     chan struct{}   // a write has ended
	raw      syscall.RawConn // nil: the kernel tells nothing of this connection
	ipHeader int
	local    bool // the broker is on this machine or near it: what it hears says nothing of the link

	mu          sync.Mutex
	base, last  tcpInfo
	acked       int64            // bytes of ours that the far end has, at the last look
	alive       time.Time        // last sign of life of the far end
	waiting     time.Time        // since when bytes wait for the far end and none is acknowledged; zero: none wait
	quiet       time.Duration    // silence before that
	check       time.Time        // when to look at them
	doubted     bool             // their waiting was told
	proxied     bool             // TCP's acknowledgements are those of a proxy
	judged      bool             // whether they are is known
	trips       [5]time.Duration // the broker's last answers
	answers     int
	chat        int           // looks at which TCP's samples are not those of the path alone; see lookLocked
	left        time.Duration // the last sample of TCP, where it was not counted
	tripCounted bool          // an answer was counted since the last look; TCP's sample would be the same once more
}

// newMeter measures a connection that has just been made.
func newMeter(c net.Conn, near func(netip.Addr) bool, p *path, total *atomic.Int64) *meter {
	m := &meter{Conn: c, path: p, total: total, idle: make(chan struct{}, 1), ipHeader: ipv6Header, alive: time.Now()}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		m.local = a.IP.IsLoopback() || near(a.AddrPort().Addr().Unmap())
		if a.IP.To4() != nil {
			m.ipHeader = ipv4Header
		}
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return m
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return m
	}
	if t, ok := readTCP(raw, m.ipHeader); ok {
		m.raw, m.base, m.last = raw, t, t
		total.Add(t.extra)
	}
	return m
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		m.total.Add(int64(n))
		m.heard(time.Now())
	}
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	m.writing.Add(1)
	m.began(time.Now())
	defer func() {
		m.writing.Add(-1)
		_ = m.Conn.SetWriteDeadline(time.Time{}) // or its timer would wake us for nothing
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
		m.total.Add(int64(n))
		m.written.Add(int64(n))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// SetWriteDeadline does nothing: Write sets its own, by progress.
func (m *meter) SetWriteDeadline(time.Time) error { return nil }

// Close takes a last look before the kernel forgets.
func (m *meter) Close() error {
	m.look(time.Now())
	return m.Conn.Close()
}

func (m *meter) busy() bool { return m.writing.Load() > 0 }

// began notes that bytes are about to wait for the far end.
func (m *meter) began(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting.IsZero() {
		m.waiting, m.quiet, m.check, m.doubted = now, now.Sub(m.alive), now.Add(m.patience()), false
	}
}

// heard notes that the far end has said something. Where the kernel does not tell what arrived, that is the answer to all before.
func (m *meter) heard(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.alive, m.chat = now, 2
	if m.raw == nil {
		m.waiting = time.Time{}
	}
	if m.answers > 0 && !m.local { // before its first answer it may be anyone: a hotspot's log-in page takes all connections
		m.path.seen(now)
	}
}

// patience is how long bytes may wait before the link is in doubt.
func (m *meter) patience() time.Duration { return min(max(4*m.last.rto, doubtLeast), doubtMost) }

// told tells whether the kernel knows what has reached the broker's end of the link.
func (m *meter) told() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raw != nil && !m.proxied
}

// counts tells whether the kernel knows what has left for good: it has reached the broker's end, or that of a proxy in front of it, which
// delivers it or ends the connection. What the collector does not answer is sent again in either case.
func (m *meter) counts() bool { return m.raw != nil }

// behindProxy tells whether a proxy speaks for the broker.
func (m *meter) behindProxy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proxied
}

// arrived is how many of the bytes written the far end has, as of the last look.
func (m *meter) arrived() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acked
}
