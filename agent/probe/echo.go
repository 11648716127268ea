package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// An echo is eight bytes and carries nothing: the smallest that there is.
const (
	echoSize     = 8
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
)

// badReads is how many errors in a row end a question: a socket that is broken must not be read for ever.
const badReads = 10

// ping asks all targets over one socket for each family.
func (n *Net) ping(ctx context.Context, to []Target, count int, timeout time.Duration) ([]Sample, error) {
	out := make([]Sample, len(to))
	var families [2][]int // targets of IPv4, of IPv6
	for i, t := range to {
		out[i].Sent, out[i].Lost = count, count
		f := 1
		if t.Addr.Unmap().Is4() {
			f = 0
		}
		families[f] = append(families[f], i)
	}
	var errs [2]error
	var g sync.WaitGroup
	for f, who := range families {
		e := echo{net: n, six: f == 1, to: to, who: who, out: out}
		switch {
		case len(who) == 0:
		case len(who) == len(to):
			errs[f] = e.run(ctx, count, timeout)
		default:
			g.Go(func() { errs[f] = e.run(ctx, count, timeout) })
		}
	}
	g.Wait()
	return out, errors.Join(errs[:]...)
}

// echo is one question to the targets of one family.
type echo struct {
	net  *Net
	six  bool
	to   []Target
	who  []int // those of this family
	out  []Sample
	conn net.PacketConn
	id   uint16
	base uint16      // number of the first request
	sent []time.Time // of each request; zero: not sent, or answered
	open int         // requests without an answer
}

// run sends and reads in one goroutine. The socket lives as long as the question: a raw one that nobody reads would
// gather everyone's packets until it has no room for ours.
func (e *echo) run(ctx context.Context, count int, timeout time.Duration) (err error) {
	if e.net.method == Unprivileged {
		e.conn, err = pingSocket(e.six)
	} else {
		e.conn, err = rawSocket(e.six)
	}
	if err != nil {
		return err
	}
	defer e.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = e.conn.SetReadDeadline(time.Unix(1, 0)) })()
	e.id, e.base = uint16(rand.Uint32()), uint16(rand.Uint32())
	e.sent = make([]time.Time, count*len(e.who))
	for k := range count {
		began := time.Now()
		for j := range e.who {
			if e := e.send(k*len(e.who) + j); e != nil {
				err = e
			}
		}
		until := began.Add(timeout)
		if k < count-1 {
			until = began.Add(gap)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if readErr := e.read(ctx, until, k == count-1); readErr != nil {
			return readErr
		}
	}
	return err
}

// send sends request number i. What the system forbids (EACCES: a prohibit route) or has no way for fails here, at once.
func (e *echo) send(i int) error {
	to := e.to[e.who[i%len(e.who)]].Addr.Unmap()
	b := make([]byte, echoSize)
	b[0] = echoRequest4
	if e.six {
		b[0] = echoRequest6
	}
	binary.BigEndian.PutUint16(b[4:], e.id)
	binary.BigEndian.PutUint16(b[6:], e.base+uint16(i))
	if !e.six { // of IPv6 the kernel does the sum
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	var addr net.Addr = &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	if e.net.method == Unprivileged {
		addr = &net.UDPAddr{IP: to.AsSlice(), Zone: to.Zone()}
	}
	at := time.Now()
	if _, err := e.conn.WriteTo(b, addr); err != nil {
		return err
	}
	e.net.spend(to, echoSize)
	e.sent[i] = at
	e.open++
	return nil
}

// read takes answers until the time is over, or at the end until none is missing.
func (e *echo) read(ctx context.Context, until time.Time, last bool) error {
	_ = e.conn.SetReadDeadline(until)
	if last && e.open == 0 {
		return nil
	}
	b := make([]byte, 128)
	for bad := 0; ctx.Err() == nil; {
		n, from, err := e.conn.ReadFrom(b)
		now := time.Now()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && !now.Before(until):
			return nil
		case err != nil:
			if bad++; bad >= badReads {
				return err
			}
			continue
		}
		if e.take(b[:n], from, now); last && e.open == 0 {
			return nil
		}
	}
	return ctx.Err()
}

// take notes an answer to one of our requests, once.
func (e *echo) take(b []byte, from net.Addr, now time.Time) {
	if len(b) > 20 && b[0]>>4 == 4 && !e.six { // some systems leave the IP header on
		b = b[min(int(b[0]&15)*4, len(b)):]
	}
	reply := byte(echoReply4)
	if e.six {
		reply = echoReply6
	}
	if len(b) < echoSize || b[0] != reply || b[1] != 0 {
		return
	}
	i := int(binary.BigEndian.Uint16(b[6:]) - e.base)
	if i >= len(e.sent) || e.sent[i].IsZero() {
		return
	}
	if e.net.method != Unprivileged && binary.BigEndian.Uint16(b[4:]) != e.id { // a ping socket has an id of its own, and hears no other
		return
	}
	who := e.who[i%len(e.who)]
	to := e.to[who].Addr.Unmap()
	if heard, ok := addrOf(from); !ok || heard.WithZone("") != to.WithZone("") {
		return
	}
	e.net.spend(to, len(b))
	e.out[who].answer(e.sent[i], now)
	e.sent[i] = time.Time{}
	e.open--
}

func addrOf(a net.Addr) (netip.Addr, bool) {
	var ip net.IP
	switch a := a.(type) {
	case *net.IPAddr:
		ip = a.IP
	case *net.UDPAddr:
		ip = a.IP
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}

// checksum is that of RFC 1071, over a message of even length whose sum is still zero.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// rawSocket hears every ICMP packet for this machine, of IPv4 on Linux echo replies alone.
func rawSocket(six bool) (net.PacketConn, error) {
	if six {
		return net.ListenPacket("ip6:ipv6-icmp", "::")
	}
	c, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
	if err == nil {
		onlyReplies(c.(*net.IPConn))
	}
	return c, err
}
