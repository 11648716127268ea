package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

// link is a network between agent and broker that can go dead without a word: packets vanish, connections stay open.
type link struct {
	l     net.Listener
	to    string
	delay time.Duration // each way
	wg    sync.WaitGroup

	mu     sync.Mutex
	dead   bool
	conns  []net.Conn
	halved map[net.Conn]bool // far ends that died while the near ends live on
}

func newLink(t testing.TB, to string) *link {
	t.Helper()
	return newSlowLink(t, to, 0)
}

func newSlowLink(t testing.TB, to string, delay time.Duration) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{l: l, to: to, delay: delay}
	k.wg.Go(k.accept)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		k.mu.Lock()
		for _, c := range k.conns {
			_ = c.Close()
		}
		k.mu.Unlock()
		k.wg.Wait()
	})
	return k
}

func (k *link) accept() {
	for {
		a, err := k.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = a.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, a, b)
		k.mu.Unlock()
		k.wg.Go(func() { k.copy(a, b) })
		k.wg.Go(func() { k.copy(b, a) })
	}
}

func (k *link) copy(to, from net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if k.isDead() {
			if err != nil {
				return // the goodbye is lost as well
			}
			continue // the packet is lost
		}
		if k.delay > 0 {
			<-time.After(k.delay)
		}
		if err == nil {
			if _, err = to.Write(buf[:n]); err != nil && k.isHalved(to) {
				continue // the proxy takes it all the same
			}
		} else if k.isHalved(from) {
			return
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

// halve ends the far halves of all connections in silence, as a proxy does whose other end has lost power.
func (k *link) halve() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.halved = map[net.Conn]bool{}
	for i := 1; i < len(k.conns); i += 2 {
		k.halved[k.conns[i]] = true
		_ = k.conns[i].Close()
	}
}

func (k *link) isHalved(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.halved[c]
}

func (k *link) isDead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dead
}

func (k *link) setDead(dead bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dead = dead
}

func (k *link) url() string { return "mqtt://" + k.l.Addr().String() }

func TestADeadLinkIsFoundByKeepaliveAndNothingIsLost(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	k := newLink(t, b.addr)
	a := newAgent(t, func(c *Config) { c.Keepalive = 2 * time.Second }, k.url())
	a.put(t, 5)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	k.setDead(true)
	a.put(t, 30)
	waitFor(t, "the end of the connection", func() bool { return !a.Stats().Connected })
	k.setDead(false)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	seen := b.seen()
	for seq := uint64(1); seq <= 35; seq++ {
		if seen[seq] == 0 {
			t.Errorf("batch %d is lost", seq)
		}
	}
	waitFor(t, "presence of the new session", func() bool { return strings.HasPrefix(b.retained(), "online") && b.retained() != "online 1" })
}

func TestStoppingOnADeadLinkIsBounded(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	k := newLink(t, b.addr)
	a := newAgent(t, nil, k.url())
	waitFor(t, "the connection", func() bool { return a.Stats().Connected })
	k.setDead(true)
	a.put(t, 3)
	began := time.Now()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 2*stopGrace {
		t.Errorf("stopping took %v", d)
	}
	if a.waiting() != 3 {
		t.Errorf("%d batches wait, want 3", a.waiting())
	}
}

func TestALargeBatchPassesThroughTheSmallSendBuffer(t *testing.T) {
	b := newBroker(t).start()
	a := newAgent(t, nil, b.url())
	seq := a.spool.NextSeq()
	large := text(seq) + strings.Repeat("y", 900<<10)
	if err := a.spool.Put(spool.Batch{Seq: seq, Tier: telemetry.Ledger, Boot: boot, Payload: []byte(large)}); err != nil {
		t.Fatal(err)
	}
	a.Wake()
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) != 1 || b.got[0] != large {
		t.Errorf("%d messages, or other bytes", len(b.got))
	}
}

// certificate makes one for 127.0.0.1 and the pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	ca := testca.New(t)
	return ca.Sign(net.IPv4(127, 0, 0, 1), time.Hour), ca.Pool()
}

func TestTLSIsSpokenAndTheBrokerIsVerified(t *testing.T) {
	cert, pool := certificate(t)
	b := newBroker(t)
	b.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	b.start()
	plain := newBroker(t).start()
	url := "tls://" + b.addr
	a := newAgent(t, func(c *Config) { c.TLS = &tls.Config{RootCAs: pool} }, url)
	p := newAgent(t, nil, plain.url())
	for _, x := range []*agent{a, p} {
		x.put(t, 5)
		waitFor(t, "an empty queue", func() bool { return x.waiting() == 0 })
	}
	if tls, tcp := a.Stats().WireBytes, p.Stats().WireBytes; tls <= tcp {
		t.Errorf("%d bytes over TLS, %d without: TLS's own are not counted", tls, tcp)
	}
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	s := newAgent(t, nil, url) // trusts the system's roots only
	s.put(t, 1)
	waitFor(t, "the refusal in the log", func() bool { return s.log.count("certificate") > 0 })
	if s.waiting() != 1 || s.Stats().Connects != 0 {
		t.Error("it talked to a broker that it cannot verify")
	}
}
