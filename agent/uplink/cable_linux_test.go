package uplink

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
	"golang.org/x/sys/unix"
)

// host is a network stack of its own: a network namespace with one interface.
type host struct {
	do   chan func()
	tun  *os.File
	done chan struct{}
}

// newHost makes one. What runs through do runs inside it; sockets made there stay there.
func newHost(t testing.TB, address string) *host {
	t.Helper()
	h := &host{do: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		defer close(h.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and the namespace with it
		ready <- h.set(address)
		for f := range h.do {
			f()
		}
	}()
	err := <-ready
	t.Cleanup(func() { close(h.do); <-h.done })
	if err != nil {
		testneed.Missing(t, "a network namespace with a tun device", "run as root with /dev/net/tun: "+err.Error())
	}
	return h
}

func (h *host) set(address string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	r, err := unix.NewIfreq("tun0")
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	h.tun = os.NewFile(uintptr(fd), "tun0")
	out, err := exec.Command("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip address add "+address+"/24 dev tun0 && ip link set tun0 up && ip link set lo up").CombinedOutput()
	if err != nil {
		return errors.Join(errors.New(string(out)), err, h.tun.Close())
	}
	return nil
}

func (h *host) run(f func()) {
	done := make(chan struct{})
	h.do <- func() { defer close(done); f() }
	<-done
}

// cable joins two hosts. It can be long, be cut, and forget connections as a NAT does.
type cable struct {
	t         testing.TB
	near, far *host
	delay     time.Duration // each way
	wg        sync.WaitGroup

	packets, bytes atomic.Int64 // that entered it, IP headers counted
	cut            atomic.Bool
	mu             sync.Mutex
	ports          map[uint16]bool // of the agent's connections seen
	forgotten      map[uint16]bool
	lose           int // packets to the agent's broker still to be lost
}

const farAddress = "10.9.0.2"

func newCable(t testing.TB, delay time.Duration) *cable {
	k := &cable{t: t, near: newHost(t, "10.9.0.1"), delay: delay, ports: map[uint16]bool{}, forgotten: map[uint16]bool{}}
	k.far = newHost(t, farAddress)
	k.wg.Go(func() { k.carry(k.far.tun, k.near.tun, 20) })
	k.wg.Go(func() { k.carry(k.near.tun, k.far.tun, 22) })
	t.Cleanup(func() {
		_, _ = k.near.tun.Close(), k.far.tun.Close()
		k.wg.Wait()
	})
	return k
}

// carry takes packets from one end to the other; the agent's port lies at that offset in a packet.
func (k *cable) carry(to, from *os.File, port int) {
	type sent struct {
		at time.Time
		p  []byte
	}
	way := make(chan sent, 4096)
	k.wg.Go(func() {
		for s := range way {
			if d := time.Until(s.at); d > 0 {
				<-time.After(d)
			}
			_, _ = to.Write(s.p) // closed: the test is over
		}
	})
	defer close(way)
	for {
		p := make([]byte, 2000)
		n, err := from.Read(p)
		if err != nil {
			return
		}
		if n < 40 || p[9] != unix.IPPROTO_TCP {
			continue // the kernel greeting its neighbours
		}
		k.packets.Add(1)
		k.bytes.Add(int64(n))
		if !k.passes(binary.BigEndian.Uint16(p[port:]), port == 20) {
			continue
		}
		way <- sent{time.Now().Add(k.delay), p[:n]}
	}
}

func (k *cable) passes(port uint16, up bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ports[port] = true
	if up && k.lose > 0 {
		k.lose--
		return false
	}
	return !k.cut.Load() && !k.forgotten[port]
}

// forget drops what belongs to connections there are now, and says nothing.
func (k *cable) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.ports {
		k.forgotten[p] = true
	}
}

// dial connects from the near end.
func (k *cable) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	s := make(chan struct{})
	go func() {
		defer close(s)
		k.near.run(func() { c, err = new(net.Dialer).DialContext(ctx, network, address) })
	}()
	<-s
	return c, err
}

// broker makes one at the far end; with a configuration it speaks TLS.
func (k *cable) broker(conf *tls.Config) *broker {
	k.t.Helper()
	b := newBroker(k.t)
	quiet := net.ListenConfig{KeepAlive: -1} // or each end of a silent connection would be asked every 15 s
	var l net.Listener
	var err error
	k.far.run(func() { l, err = quiet.Listen(context.Background(), "tcp", farAddress+":0") })
	if err != nil {
		k.t.Fatal(err)
	}
	if b.listen = l; conf != nil {
		b.listen = tls.NewListener(l, conf)
	}
	return b
}

func TestOverARealLinkABatchIsOnePacketAndOneBack(t *testing.T) {
	t.Parallel() // it waits for seconds
	k := newCable(t, 20*time.Millisecond)
	b := k.broker(nil).start()
	b.answer = func(seq uint64, _ []byte) string {
		if seq == 1 {
			return stored(1)
		}
		return ""
	}
	a := newAgent(t, func(c *Config) { c.Dial, c.AckWithin = k.dial, 10*time.Minute }, b.url())
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "the link to be quiet", k.quiet())
	before := k.packets.Load()
	for n := range 3 {
		sent := time.Now()
		a.put(t, 1)
		waitFor(t, "the batch", func() bool { return b.seen()[uint64(2+n)] == 1 })
		waitFor(t, "evidence", func() bool { return a.Evidence().After(sent) && a.conn.Load().pending().IsZero() })
		waitFor(t, "the link to be quiet", k.quiet())
	}
	m := a.conn.Load()
	m.look(time.Now())
	again := int64(m.last.retrans) // on a machine that is busy, where the cable is slow to carry
	if n := k.packets.Load() - before; n > 6+2*again {
		t.Errorf("%d packets for three batches, want one there and one back for each, and %d for what TCP sent again", n, 2*again)
	}
	if q := b.qosOf(2); q != 0 {
		t.Errorf("sent at QoS %d", q)
	}
	asked, lost, trips := a.TakeQuality()
	t.Logf("quality: %d asked, %d lost, round trips %v over a cable of %v", asked, lost, trips, 2*k.delay)
	if asked == 0 || int64(lost) > again || len(trips) == 0 {
		t.Errorf("quality: %d asked, %d lost of which TCP sent %d again, round trips %v", asked, lost, again, trips)
	}
	for _, d := range trips {
		if d < 2*k.delay {
			t.Errorf("a round trip of %v over a cable of %v", d, 2*k.delay)
		}
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the link to be quiet", k.quiet())
	// The packets that close the connection are the kernel's own, after the last look.
	if told, real := a.Stats().WireBytes, k.bytes.Load(); told > real || told < real-8*52 {
		t.Errorf("stats tell %d bytes, the cable has carried %d", told, real)
	}
}

// quiet tells that no packet has entered for some round trips.
func (k *cable) quiet() func() bool {
	last, since := int64(-1), time.Now()
	return func() bool {
		if n := k.packets.Load(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 10*k.delay+200*time.Millisecond
	}
}

func TestALostSegmentIsCountedAndSentAgainByTCPAlone(t *testing.T) {
	k := newCable(t, 5*time.Millisecond)
	b := k.broker(nil).start()
	a := newAgent(t, func(c *Config) { c.Dial = k.dial }, b.url())
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "the link to be quiet", k.quiet())
	a.conn.Load().look(time.Now())
	a.TakeQuality()
	k.mu.Lock()
	k.lose = 1
	k.mu.Unlock()
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "the link to be quiet", k.quiet())
	a.conn.Load().look(time.Now())
	if sent, lost, _ := a.TakeQuality(); sent < 2 || lost != 1 {
		t.Errorf("%d sent, %d lost, want 1 of 2 or more", sent, lost)
	}
	if n := b.seen()[2]; n != 1 || a.Stats().Retries != 0 {
		t.Errorf("the batch came %d times", n)
	}
}

func TestTheKernelEndsADeadConnectionAndAsksASilentOneNothing(t *testing.T) {
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) { c.Keepalive = 300 * time.Second }, b.url())
	waitFor(t, "the connection", func() bool { return a.Stats().Connected })
	var limit, asks int
	var err1, err2 error
	if err := a.conn.Load().raw.Control(func(fd uintptr) {
		limit, err1 = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		asks, err2 = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
	}); err != nil || err1 != nil || err2 != nil {
		t.Fatal(err, err1, err2)
	}
	if limit != 450_000 || asks != 0 {
		t.Errorf("TCP_USER_TIMEOUT %d ms, SO_KEEPALIVE %d", limit, asks)
	}
}

func TestACutCableIsDoubtedAndNothingIsLostWhenItIsBack(t *testing.T) {
	t.Parallel() // it waits for seconds
	k := newCable(t, time.Millisecond)
	b := k.broker(nil).start()
	var doubts atomic.Int64
	a := newAgent(t, func(c *Config) { c.Dial, c.Doubt = k.dial, func() { doubts.Add(1) } }, b.url())
	a.put(t, 3)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "the link to be quiet", k.quiet()) // the kernel tells the time of an acknowledgement in steps of up to 10 ms
	k.cut.Store(true)
	cut := time.Now()
	a.put(t, 3)
	waitFor(t, "doubt", func() bool { return doubts.Load() > 0 })
	if e := a.Evidence(); e.After(cut) {
		t.Errorf("evidence %v after the cut", e.Sub(cut))
	}
	k.cut.Store(false)
	a.Reconnect()
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "evidence", func() bool { return a.Evidence().After(cut) })
}

func TestAConnectionThatSomethingForgetsMakesTheKeepaliveShorter(t *testing.T) {
	t.Parallel() // it waits for seconds
	k := newCable(t, time.Millisecond)
	b := k.broker(nil).start()
	a := newAgentWith(t, func(c *Config) { c.Dial, c.Keepalive = k.dial, 4*time.Second }, func(u *Uplink) { u.pulse.least = time.Second }, b.url())
	waitFor(t, "the connection", func() bool { return a.Stats().Connected })
	waitFor(t, "a ping over a quiet link", func() bool { return a.Stats().Pings > 0 })
	k.forget()
	waitFor(t, "another connection", func() bool { return a.Stats().Connects > 1 })
	if got := a.Stats().Keepalive; got != 2*time.Second {
		t.Errorf("keepalive %v, want half of 4 s", got)
	}
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
}

// ethernet is what a frame adds to each packet.
const ethernet = 14

// BenchmarkOnTheWire tells what a batch and a connection cost, everything counted, over TLS.
func BenchmarkOnTheWire(b *testing.B) {
	cert, pool := certificate(b)
	k := newCable(b, time.Millisecond)
	br := k.broker(&tls.Config{Certificates: []tls.Certificate{cert}})
	br.answer = func(seq uint64, _ []byte) string {
		switch {
		case seq == 1:
			return stored(1)
		case seq%10 == 1:
			return fmt.Sprintf("stored %s %d-%d 1795000000000", boot, seq-9, seq)
		}
		return ""
	}
	br.start()
	k.cut.Store(true)
	a := newAgent(b, func(c *Config) {
		c.Dial, c.TLS, c.AckWithin = k.dial, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, 10*time.Minute
	}, "tls://"+br.addr)
	cost := func(what string, n int, f func()) {
		waitFor(b, "the link to be quiet", k.quiet())
		packets, bytes := k.packets.Load(), k.bytes.Load()
		f()
		waitFor(b, "the link to be quiet", k.quiet())
		packets, bytes = k.packets.Load()-packets, k.bytes.Load()-bytes
		b.ReportMetric(float64(packets)/float64(n), what+"-packets")
		b.ReportMetric(float64(bytes+ethernet*packets)/float64(n), what+"-B")
	}
	batch := func() {
		seq := a.spool.NextSeq()
		if err := a.spool.Put(spool.Batch{Seq: seq, Tier: telemetry.Detail, Boot: boot, Payload: append(fmt.Appendf(nil, "seq=%d;", seq), make([]byte, 92)...)}); err != nil {
			b.Fatal(err)
		}
		a.Wake()
		defer func() {
			if b.Failed() {
				b.Logf("seq %d seen %v stats %+v log %s", seq, br.seen(), a.Stats(), a.log)
			}
		}()
		waitFor(b, "the batch", func() bool { return br.seen()[seq] > 0 })
	}
	for b.Loop() {
	}
	cost("connect", 1, func() { k.cut.Store(false); waitFor(b, "the connection", func() bool { return a.Stats().Connected }) })
	cost("first-batch-and-ack", 1, batch)
	cost("ten-minutes", 1, func() {
		for range 10 {
			batch()
			waitFor(b, "TCP's acknowledgement", k.quiet())
		}
	})
	n := a.Stats().Connects
	cost("reconnect", 1, func() {
		cl, _ := br.server.Clients.Get("village.router")
		cl.Stop(errors.New("cut by the benchmark"))
		waitFor(b, "the next connection", func() bool { st := a.Stats(); return st.Connected && st.Connects > n })
	})
}
