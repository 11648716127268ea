package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// faraway is a connection whose far end does not look like loopback.
type faraway struct{ *net.TCPConn }

func (faraway) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1883} }

func dialFaraway(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return faraway{c.(*net.TCPConn)}, nil
}

// dumb is a connection whose kernel tells nothing.
type dumb struct{ net.Conn }

func dialDumb(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := dialFaraway(ctx, network, address)
	return dumb{c}, err
}

func (b *broker) qosOf(seq uint64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, text := range b.got {
		if seqOf(text) == seq {
			return int(b.qos[i])
		}
	}
	return -1
}

func TestABrokerThatIsReachedWithoutTheWayOutIsNoEvidence(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"on loopback": nil,
		"near": func(c *Config) {
			c.Dial, c.Near = dialFaraway, func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t).start()
			a := newAgent(t, change, b.url())
			a.put(t, 3)
			waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
			sent, lost, trips := a.TakeQuality()
			if !a.Evidence().IsZero() || sent+lost+len(trips) != 0 {
				t.Errorf("evidence %v, %d sent, %d lost, round trips %v", a.Evidence(), sent, lost, trips)
			}
		})
	}
}

func TestWhereTheKernelTellsNothingTheBrokerConfirms(t *testing.T) {
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) { c.Dial, c.AckWithin = dialDumb, time.Minute }, b.url())
	a.put(t, 30)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if q := b.qosOf(7); q != 1 {
		t.Errorf("sent at QoS %d", q)
	}
	if sent, _, trips := a.TakeQuality(); sent == 0 || sent != len(trips) || a.Evidence().IsZero() {
		t.Errorf("%d sent, round trips %v, evidence %v", sent, trips, a.Evidence())
	}
	if got := a.Stats(); got.Retries != 0 || got.WireBytes == 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestARoundTripIsThatOfItsOwnQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const trip = 600 * time.Millisecond
		near, far := net.Pipe()
		var p path
		w := newWire(near, newMeter(near, nil, &p, new(atomic.Int64)), time.Minute)
		var ends sync.WaitGroup
		ends.Go(func() { _, _ = io.Copy(io.Discard, w) })
		ends.Go(func() { _, _ = io.Copy(io.Discard, far) })
		for _, after := range []time.Duration{0, 100, 610, 650, 1300} { // ms; the third is asked while the second is under way
			ends.Go(func() {
				time.Sleep(after * time.Millisecond)
				if _, err := w.Write([]byte{typePublish<<4 | 1<<1, 5, 0, 1, 't', 0, 1}); err != nil {
					t.Error(err)
				}
				time.Sleep(trip)
				if _, err := far.Write([]byte{typePuback << 4, 2, 0, 1}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(3 * time.Second)
		if sent, lost, got := p.take(); sent != 3 || lost != 0 || !slices.Equal(got, []time.Duration{trip, trip, trip}) {
			t.Errorf("%d asked, %d lost, round trips %v over a link of %v", sent, lost, got, trip)
		}
		_, _ = near.Close(), far.Close()
		ends.Wait()
	})
}

func TestAProxyThatAcknowledgesForTheBrokerIsNoEvidence(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	k := newSlowLink(t, b.addr, 100*time.Millisecond)
	var doubts atomic.Int64
	a := newAgent(t, func(c *Config) { c.Dial, c.Keepalive, c.Doubt = dialFaraway, 4*time.Second, func() { doubts.Add(1) } }, k.url())
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if q := b.qosOf(2); q != 0 || a.log.count("a proxy acknowledges for the broker") != 1 {
		t.Errorf("sent at QoS %d; log:\n%s", q, a.log)
	}
	k.setDead(true)
	dead := time.Now()
	a.put(t, 1)
	waitFor(t, "doubt", func() bool { return doubts.Load() > 0 })
	if a.Evidence().After(dead) {
		t.Error("evidence from a proxy whose link is dead")
	}
	k.setDead(false)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
}

func TestBehindAProxyABatchCostsNoAnswerAndNoPing(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t)
	b.answer = func(seq uint64, _ []byte) string {
		if seq == 1 {
			return stored(1)
		}
		return "" // in ten minutes
	}
	b.start()
	k := newSlowLink(t, b.addr, 100*time.Millisecond)
	a := newAgent(t, func(c *Config) { c.Dial, c.Keepalive, c.AckWithin = dialFaraway, 2*time.Second, 10*time.Minute }, k.url())
	a.put(t, 1)
	waitFor(t, "the first answer", func() bool { return a.waiting() == 0 })
	asked, doubts := a.Stats().Pings, a.win.silent
	for n := range 6 { // a batch each keepalive, for six of them
		a.put(t, 1)
		waitFor(t, "the batch", func() bool { return b.seen()[uint64(2+n)] == 1 })
		<-time.After(a.c.Keepalive)
	}
	if st := a.Stats(); st.Pings != asked || st.Retries != 0 || st.Connects != 1 || doubts != 0 {
		t.Errorf("stats %+v, want no ping and nothing again", st)
	}
	if q := b.qosOf(7); q != 0 {
		t.Errorf("sent at QoS %d, want 0", q)
	}
}

func TestAConnectionWhoseFarHalfDiedBehindAProxyIsFoundOnceTheLinkIsBack(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	k := newSlowLink(t, b.addr, 100*time.Millisecond)
	a := newAgent(t, func(c *Config) { c.Dial, c.Keepalive, c.AckWithin = dialFaraway, 4*time.Second, 10*time.Minute }, k.url())
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	k.halve()
	a.put(t, 1)
	waitFor(t, "the batch to be sent into the void", func() bool { return a.Stats().Sent == 2 })
	a.Reconnect() // the prober has seen an outage, and its end
	waitFor(t, "another connection, and an empty queue", func() bool { return a.waiting() == 0 && a.Stats().Connects == 2 })
	if n := b.seen()[2]; n != 1 {
		t.Errorf("the batch has come %d times, want once", n)
	}
}

func TestABrokerThatHangsIsLeftForTheNext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _, _ = io.Copy(io.Discard, c); _ = c.Close() }) // it takes all and says nothing
		}
	})
	b := newBroker(t).start()
	a := newAgentWith(t, nil, func(u *Uplink) { u.signIn = 200 * time.Millisecond }, "tcp://"+l.Addr().String(), b.url())
	a.put(t, 3)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestABrokerThatStopsInMidStreamIsLeftForTheNext(t *testing.T) {
	b, next := newBroker(t).start(), newBroker(t).start()
	k := newLink(t, b.addr)
	a := newAgent(t, func(c *Config) { c.Keepalive, c.AckTimeout = 2*time.Second, 200*time.Millisecond }, k.url(), next.url())
	a.put(t, 3)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	k.setDead(true) // its kernel goes on acknowledging
	a.put(t, 10)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if st := a.Stats(); st.Broker != next.url() || st.Pings == 0 {
		t.Errorf("stats %+v, want the next broker after a ping", st)
	}
}

func TestADeafCollectorIsTriedThroughTheNextBroker(t *testing.T) {
	deaf, next := newBroker(t), newBroker(t).start()
	deaf.answer = func(uint64, []byte) string { return "" }
	deaf.start()
	a := newAgentWith(t, func(c *Config) { c.AckTimeout = 100 * time.Millisecond }, func(u *Uplink) { u.deaf = 500 * time.Millisecond }, deaf.url(), next.url())
	a.put(t, 5)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if st := a.Stats(); st.Broker != next.url() || st.Connects != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestTheFirstBrokerIsTakenAgainWhenItIsBack(t *testing.T) {
	first, second := newBroker(t).start(), newBroker(t).start()
	first.stop()
	a := newAgentWith(t, nil, func(u *Uplink) { u.homeAfter = 100 * time.Millisecond }, first.url(), second.url())
	a.put(t, 5)
	waitFor(t, "an empty queue through the second", func() bool { return a.waiting() == 0 })
	first.start()
	waitFor(t, "the first", func() bool { st := a.Stats(); return st.Connected && st.Broker == first.url() })
	a.put(t, 5)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if n := len(first.seen()); n == 0 {
		t.Error("the first broker got nothing")
	}
	second.mu.Lock()
	defer second.mu.Unlock()
	for _, p := range second.presence {
		if p != "online 1" && p != "online 2" {
			t.Errorf("the second broker was told %q by an agent that was there all the time", p)
		}
	}
}

func TestReconnectDoesNotWaitForTheBackoff(t *testing.T) {
	b := newBroker(t).start()
	b.stop()
	a := newAgent(t, func(c *Config) { c.MaxBackoff = time.Hour }, b.url())
	a.put(t, 1)
	waitFor(t, "the fault in the log", func() bool { return a.log.count("cannot be reached") == 1 })
	b.start()
	waitFor(t, "the connection", func() bool { a.Reconnect(); return a.Stats().Connected })
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
}

func TestWhatIsSentIsTheSignOfLife(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) { c.Keepalive = 4 * time.Second }, b.url())
	waitFor(t, "the connection", func() bool { return a.Stats().Connected })
	next := time.NewTicker(500 * time.Millisecond)
	defer next.Stop()
	for range 12 {
		a.put(t, 1)
		<-next.C
	}
	if n := a.Stats().Pings; n != 0 {
		t.Errorf("%d pings beside a batch each half second", n)
	}
	waitFor(t, "a ping in silence", func() bool { return a.Stats().Pings == 1 })
	if st := a.Stats(); st.Connects != 1 || st.Keepalive != 4*time.Second {
		t.Errorf("stats %+v", st)
	}
}

// handshake counts the bytes of one, both ways, and what the server sends behind it.
func handshake(t testing.TB, client, server *tls.Config) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			s := tls.Server(c, server)
			if err = s.Handshake(); err == nil {
				_, err = s.Write([]byte("x"))
			}
			_ = s.Close()
		}
		ended <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var total atomic.Int64
	m := &meter{Conn: raw, path: &path{}, total: &total, idle: make(chan struct{}, 1), local: true}
	c := tls.Client(m, client)
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	n := int(total.Load())
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAResumedHandshakeCostsLessAndNoPostQuantumShareIsSent(t *testing.T) {
	cert, pool := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	usual := handshake(t, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, server)
	ours := secure(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	full := handshake(t, ours, server)
	resumed := handshake(t, ours, server)
	t.Logf("bytes of a handshake: Go's own %d, ours %d, resumed %d", usual, full, resumed)
	if full > usual-2000 || resumed > full-200 {
		t.Error("want 2,000 saved by the key share, and the certificate by resumption")
	}
	if old := secure(&tls.Config{MinVersion: tls.VersionTLS10, RootCAs: x509.NewCertPool()}); old.MinVersion != tls.VersionTLS12 {
		t.Errorf("least version %x", old.MinVersion)
	}
}
