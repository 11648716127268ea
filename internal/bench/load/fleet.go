package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// As the uplink of an agent has them.
const (
	minBackoff = time.Second
	maxBackoff = time.Minute
	keepalive  = 300 // s; agents that report each five minutes have one as long
)

// patient is one agent of a fleet: it connects, sends a batch when one is due, keeps what is not acknowledged, and comes back by itself.
type patient struct {
	n       int
	tls     *tls.Config
	session uint64
	next    int           // batch that is sealed next
	waiting map[int]int64 // sealed and not acknowledged: when it is due to be sent again, in ms of this process
	plan    Plan          // with times of its own
}

// crew is all of them.
type crew struct {
	p                                           Plan
	connected, sent, acked, bad, again, refused atomic.Int64
	lost                                        atomic.Int64
	began                                       time.Time
	mu                                          sync.Mutex
	each                                        []int // acknowledged by agent
}

func fleet(ctx context.Context, p Plan, begin <-chan struct{}, r *reporter) error {
	pem, err := os.ReadFile(p.CA)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", p.CA)
	}
	c := &crew{p: p, began: time.Now(), each: make([]int, p.Agents)}
	g, ctx := errgroup.WithContext(ctx)
	for n := range p.Agents {
		x := &patient{n: n, waiting: map[int]int64{}, tls: &tls.Config{RootCAs: pool, ServerName: "localhost", CurvePreferences: []tls.CurveID{tls.X25519},
			ClientSessionCache: tls.NewLRUClientSessionCache(1), MinVersion: tls.VersionTLS13}}
		g.Go(func() error { c.live(ctx, x); return nil })
	}
	g.Go(func() error {
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			r.tell(Status{Ready: c.connected.Load() == int64(p.Agents), Connected: c.connected.Load(), Sent: c.sent.Load(), Acked: c.acked.Load(),
				Bad: c.bad.Load(), Again: c.again.Load(), Lost: c.lost.Load()})
		}
	})
	_ = begin // a fleet is always there
	err = g.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	text, _ := json.Marshal(c.each) // numbers
	return errors.Join(err, os.WriteFile(p.CA+".acked", text, 0o600))
}

// live is an agent's life: full jitter from 1 s, doubled up to a minute, anew once it did some good.
func (c *crew) live(ctx context.Context, x *patient) {
	time.Sleep(rand.N(10 * time.Second)) // villages do not all begin at once
	failed := 0
	due := time.Now().Add(rand.N(c.p.Every))
	if x.plan = c.p; c.p.Present {
		x.plan.zero, x.plan.Start = time.Now().UnixMilli(), due.Add(-c.p.Every).UnixMilli()
		x.waiting[0], x.next = -1, 1 // as if it had been sealed on the way here
	}
	for ctx.Err() == nil {
		if good := c.connection(ctx, x, &due); good {
			failed = 0
		}
		if ctx.Err() != nil {
			return
		}
		c.lost.Add(1)
		wait := minBackoff << min(failed, 6)
		failed++
		t := time.NewTimer(rand.N(min(wait, maxBackoff)))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (c *crew) connection(ctx context.Context, x *patient, due *time.Time) (good bool) {
	d := net.Dialer{Timeout: 20 * time.Second, KeepAlive: -1}
	raw, err := d.DialContext(ctx, "tcp", c.p.Addr)
	if err != nil {
		return false
	}
	conn := tls.Client(raw, x.tls)
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	x.session++
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second)) // it is open
	if _, err := conn.Write(hello(x.n, keepalive, x.session)); err != nil {
		return false
	}
	heard := make(chan []byte, 16)
	go func() {
		defer close(heard)
		in := bufio.NewReaderSize(conn, 512)
		for {
			frame, err := read(in)
			if err != nil {
				return
			}
			heard <- frame
		}
	}()
	defer func() {
		raw.Close()
		for range heard {
		}
	}()
	ready := 0
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if ready == 2 {
			next := *due
			for _, at := range x.waiting {
				if t := c.began.Add(time.Duration(at) * time.Millisecond); t.Before(next) {
					next = t
				}
			}
			timer.Reset(time.Until(next))
		}
		select {
		case frame, ok := <-heard:
			if !ok {
				if ready == 2 {
					c.connected.Add(-1)
				}
				return good
			}
			switch kind, body, _, _ := next(frame); kind >> 4 {
			case 2, 9:
				if body[len(body)-1] != 0 {
					c.refused.Add(1)
					return good
				}
				if ready++; ready == 2 {
					c.connected.Add(1)
					_ = conn.SetDeadline(time.Time{}) // it is open
					for k := range x.waiting {        // what a former connection carried is asked for at once
						x.waiting[k] = 0
					}
				}
			case 3:
				if first, last, bad, err := verdict(body, c.p.Boot); err == nil {
					good = true
					c.took(x, first, last, bad)
				}
			}
		case <-timer.C:
			if err := c.speak(conn, x, due); err != nil {
				raw.Close()
			}
		}
	}
}

// took forgets what was acknowledged.
func (c *crew) took(x *patient, first, last int, bad bool) {
	for seq := first; seq <= last; seq++ {
		if _, ok := x.waiting[seq-1]; !ok {
			continue
		}
		delete(x.waiting, seq-1)
		c.acked.Add(1)
		if bad {
			c.bad.Add(1)
		}
		c.mu.Lock()
		c.each[x.n]++
		c.mu.Unlock()
	}
}

// speak sends what is due, for the first time or again.
func (c *crew) speak(conn net.Conn, x *patient, due *time.Time) error {
	now := time.Now()
	if !now.Before(*due) {
		x.waiting[x.next] = -1
		x.next++
		*due = due.Add(c.p.Every)
	}
	for k, at := range x.waiting {
		if at > now.Sub(c.began).Milliseconds() {
			continue
		}
		if at >= 0 {
			c.again.Add(1)
		}
		x.waiting[k] = now.Add(resendAfter).Sub(c.began).Milliseconds()
		c.sent.Add(1)
		text := x.plan.minute(x.plan.header(nil, x.n, k, false), x.n, k)
		if _, err := conn.Write(publish(nil, Address(x.n).Topic("data"), text, 0)); err != nil {
			return err
		}
	}
	return nil
}

// resendAfter is how long an agent waits for an acknowledgement.
const resendAfter = 30 * time.Second

// read returns one packet.
func read(r *bufio.Reader) ([]byte, error) {
	b := make([]byte, 0, 160)
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		b = append(b, c)
		if len(b) > 1 && c&0x80 == 0 {
			break
		}
		if len(b) > 5 {
			return nil, errPacket
		}
	}
	length := 0
	for i, c := range b[1:] {
		length |= int(c&0x7f) << (7 * i)
	}
	head := len(b)
	b = append(b, make([]byte, length)...)
	_, err := io.ReadFull(r, b[head:])
	return b, err
}
