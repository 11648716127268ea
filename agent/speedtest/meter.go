package speedtest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What TCP/IP costs. A segment has an IP header and 32 bytes of TCP with its timestamps. Where the kernel does not count segments,
// overheadPct stands for them: headers of 1448-byte segments one way and half as many acknowledgements the other way make 5.4 %, and links
// with smaller segments more.
const (
	tcpHeader   = 32
	ip4Header   = 20
	ip6Header   = 40
	overheadPct = 8
	// perConn is what nobody counts for us: the name's lookup, and the segments after the close.
	perConn = 600
	// unknownWindow stands where the kernel tells neither the window nor what the socket has room for.
	unknownWindow = 1 << 20
	// unsentMost is how much may wait in the kernel unsent.
	unsentMost = 64 << 10
)

// kernel is what TCP_INFO tells, in bytes and segments.
type kernel struct {
	sent, received, retrans    int64 // payload of TCP, so TLS and WebSocket count; sent includes retrans
	acked, unsent              int64
	segsOut, segsIn            int64
	window                     int64 // bytes that the far end may have on its way to us
	minRTT, rcvRTT             int64 // microseconds; rcvRTT as the receiver sees it, with what queues on the way
	hasSent, hasAcked, hasSegs bool
}

// meter is a TCP connection that knows what it has cost. It lies under TLS.
type meter struct {
	net.Conn
	header        int64
	pushed        bool         // the far end sends without being asked: a download
	bps           atomic.Int64 // at which the far end sends, as far as is known
	read, written atomic.Int64
	once          sync.Once
	done          atomic.Bool
	final, bound  atomic.Int64
	closed        error
}

func newMeter(c net.Conn) *meter {
	m := &meter{Conn: c, header: ip4Header + tcpHeader}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok && a.IP.To4() == nil {
		m.header = ip6Header + tcpHeader
	}
	return m
}

// Read counts.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.read.Add(int64(n))
	return n, err
}

// Write counts.
func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.written.Add(int64(n))
	return n, err
}

// used is what the connection has cost both ways so far, with the headers of TCP and IP.
func (m *meter) used() int64 {
	if m.done.Load() {
		return m.final.Load()
	}
	k, ok := readKernel(m.Conn)
	return m.sum(k, ok, false)
}

// committed is used, and what was handed to the kernel but is not sent yet.
func (m *meter) committed() int64 {
	if m.done.Load() {
		return m.bound.Load()
	}
	k, ok := readKernel(m.Conn)
	return m.sum(k, ok, true)
}

func (m *meter) sum(k kernel, ok, queued bool) int64 {
	in, out := m.read.Load(), m.written.Load()
	if !ok || !k.hasSegs {
		return (in+out)*(100+overheadPct)/100 + perConn
	}
	in = max(in, k.received)
	segs := k.segsIn + k.segsOut
	switch {
	case queued:
		wait := max(0, out+k.retrans-k.sent)
		out = max(out+k.retrans, k.sent)
		segs += 2 * (wait/1000 + 1)
	case k.hasSent:
		out = k.sent
	default:
		out += k.retrans
	}
	return in + out + segs*m.header + perConn
}

// onWay is the most that the far end may still send when we close without a word.
func (m *meter) onWay(k kernel, ok bool) int64 {
	switch {
	case !m.pushed:
		return maxText // a measurement
	case !ok:
		return room(m.Conn)
	}
	return k.window
}

// end closes. Hard resets the connection: what waits to be sent is thrown away, and the far end is told at once. What it had on its way by then
// is as much as it sends in a round trip, and in bound as much as we have allowed it.
func (m *meter) end(hard bool) error {
	m.once.Do(func() {
		k, ok := readKernel(m.Conn)
		used := m.sum(k, ok, false)
		m.final.Store(used)
		if hard {
			m.final.Store(used + min(m.onWay(k, ok), m.bps.Load()/8*k.rcvRTT/1e6))
			if t, ok := m.Conn.(interface{ SetLinger(int) error }); ok {
				_ = t.SetLinger(0) // where it fails, the close is a soft one, which costs what waits
			}
			m.bound.Store(used + (m.onWay(k, ok)+min(k.unsent, unsentMost))*(100+overheadPct)/100)
		} else {
			m.bound.Store(m.sum(k, ok, true))
		}
		m.closed = m.Conn.Close()
		m.done.Store(true)
	})
	return m.closed
}

// wake ends whatever waits on the connection.
func (m *meter) wake() { _ = m.SetDeadline(time.Unix(1, 0)) }

// Close closes softly.
func (m *meter) Close() error { return m.end(false) }

// tally is all connections of one test.
type tally struct {
	mu  sync.Mutex
	all []*meter
}

func (t *tally) add(m *meter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, m)
}

func (t *tally) sum(of func(*meter) int64) (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.all {
		n += of(m)
	}
	return n
}

// used is what the test has cost; committed is the most that it may have.
func (t *tally) used() int64      { return t.sum((*meter).used) }
func (t *tally) committed() int64 { return t.sum((*meter).committed) }
