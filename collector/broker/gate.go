package broker

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/collector/outbox"
)

// Bounds on a connection that has not said who it is.
const (
	helloTime = 10 * time.Second // to finish the TLS handshake and the first packet
	maxHello  = 2048             // bytes of the first packet, after its header
)

// errHello ends a connection whose first packet announces more than a sign-in can need.
var errHello = errors.New("first packet is too large for an MQTT sign-in")

// gate is the listener in front of the broker. It bounds how many connections there are and what one may cost
// before it has signed in, and it goes on accepting when the machine is short of file descriptors for a while.
type gate struct {
	net.Listener
	tls      *tls.Config // nil: plain
	max      int
	log      *slog.Logger
	oversize atomic.Int64 // first packets refused
	full     atomic.Int64 // connections refused

	mu   sync.Mutex
	open map[*guest]struct{}
	new  int        // guests that the broker does not serve yet
	met  *sync.Cond // it serves one more
	shut bool
	done chan struct{}
	once sync.Once
}

func newGate(l net.Listener, certificates *tls.Config, most int, log *slog.Logger) *gate {
	g := &gate{Listener: l, tls: certificates, max: most, log: log, open: map[*guest]struct{}{}, done: make(chan struct{})}
	g.met = sync.NewCond(&g.mu)
	return g
}

// Accept returns the next connection that there is room for; an error only when the gate is closed.
func (g *gate) Accept() (net.Conn, error) {
	pause := 5 * time.Millisecond
	for {
		c, err := g.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			if pause *= 2; pause > time.Second {
				pause = time.Second
				g.log.Error("MQTT connections cannot be accepted; raise the limit of open files if it says so", "error", err)
			}
			select {
			case <-time.After(pause):
				continue
			case <-g.done:
				return nil, net.ErrClosed
			}
		}
		pause = 5 * time.Millisecond
		if guest := g.admit(c); guest != nil {
			return guest, nil
		}
		g.full.Add(1)
		c.Close()
	}
}

func (g *gate) admit(c net.Conn) *guest {
	if err := c.SetDeadline(time.Now().Add(helloTime)); err != nil {
		return nil
	}
	if g.tls != nil {
		c = tls.Server(c, g.tls)
	}
	guest := &guest{Conn: c, gate: g, out: outbox.Outbox{Most: maxPending}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) >= g.max || g.shut {
		return nil
	}
	g.open[guest] = struct{}{}
	g.new++
	return guest
}

// stop accepts no more and waits until the broker serves all who were accepted: when it is closed it waits for those that it knows of, and must not
// come to know of others meanwhile.
func (g *gate) stop() {
	g.once.Do(func() { close(g.done) })
	g.Listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for g.new > 0 {
		g.met.Wait()
	}
}

// serves notes that the broker serves a guest.
func (g *gate) serves() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.new--
	g.met.Broadcast()
}

// Close accepts no more, and ends the connections that are left: those that have not signed in are unknown to the
// broker, which would wait for them.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.done) })
	err := g.Listener.Close()
	g.cut()
	return err
}

// cut ends every connection at once.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		raw := c.Conn
		if t, ok := raw.(*tls.Conn); ok {
			raw = t.NetConn() // its own Close would wait to say goodbye
		}
		raw.Close()
	}
}

// guest is a connection. It looks at the header of the first packet, because the broker would make room for
// whatever size that one announces.
type guest struct {
	net.Conn
	gate   *gate
	head   [5]byte // packet type and length, as far as they are here
	have   int
	signed bool
	met    sync.Once
	closed sync.Once
	secret atomic.Value  // string, with which its agent signed in
	valid  atomic.Uint64 // revision of the credentials in which it was right
	out    outbox.Outbox
}

// Read fails when the first packet is too large.
func (c *guest) Read(p []byte) (int, error) {
	c.met.Do(c.gate.serves)
	n, err := c.Conn.Read(p)
	if c.signed {
		return n, err
	}
	for _, b := range p[:n] {
		c.head[c.have] = b
		c.have++
		if c.have == 1 || b&0x80 != 0 && c.have < len(c.head) {
			continue
		}
		length := 0
		for i := c.have - 1; i > 0; i-- {
			length = length<<7 | int(c.head[i]&0x7f)
		}
		if length > maxHello {
			c.gate.oversize.Add(1)
			return 0, errHello
		}
		c.signed = true
		break
	}
	return n, err
}

// Close gives the place back.
func (c *guest) Close() error {
	c.met.Do(c.gate.serves)
	c.closed.Do(func() {
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		delete(c.gate.open, c)
	})
	return c.Conn.Close()
}
