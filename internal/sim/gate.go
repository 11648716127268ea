package sim

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
)

// errCut is what a dial gets while the simulated way to the internet is cut.
var errCut = errors.New("the simulated link is cut")

// gate stands between an agent and the collector. While shut nothing gets through: connections that stand are
// dropped without a word, as a cut fibre would, so that the last will fires.
type gate struct {
	mu    sync.Mutex
	open  bool
	conns map[net.Conn]struct{}
}

func newGate() *gate { return &gate{open: true, conns: map[net.Conn]struct{}{}} }

// dial connects when the gate is open.
func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if !g.isOpen() {
		return nil, errCut
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open { // shut while dialling
		c.Close()
		return nil, errCut
	}
	g.conns[c] = struct{}{}
	return &gatedConn{Conn: c, gate: g}, nil
}

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// set opens or shuts the gate.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	if !open {
		for c := range g.conns {
			c.Close()
		}
		clear(g.conns)
	}
}

// gatedConn leaves the gate when it is closed. When the gate has dropped it, that shows as a link that broke and
// not as a connection closed on this side, which the MQTT client would take for its own doing.
type gatedConn struct {
	net.Conn
	gate *gate
	ours atomic.Bool // closed by the agent itself
}

func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.fault(err)
}

func (c *gatedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.fault(err)
}

func (c *gatedConn) fault(err error) error {
	if errors.Is(err, net.ErrClosed) && !c.ours.Load() {
		return errCut
	}
	return err
}

func (c *gatedConn) Close() error {
	c.ours.Store(true)
	c.gate.mu.Lock()
	delete(c.gate.conns, c.Conn)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// quiet keeps an agent's complaints about its connection out of the log while the simulation has cut it.
type quiet struct {
	slog.Handler
	gate *gate
}

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.gate.isOpen() && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a), q.gate} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name), q.gate} }
