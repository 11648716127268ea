package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Method is how targets are asked.
type Method string

// The methods. Auto becomes one of the others when the agent starts: ICMP where the system permits it.
const (
	Auto         Method = "auto"
	ICMP         Method = "icmp"         // over a raw socket: root or CAP_NET_RAW
	Unprivileged Method = "unprivileged" // over a ping socket: net.ipv4.ping_group_range
	TCP          Method = "tcp"          // a connect; a refused connection is an answer
)

// gap is the time between two probes of one question.
const gap = 200 * time.Millisecond

// selfTimeout is how long this machine may take to answer itself.
const selfTimeout = time.Second

// Net asks the real network. It holds no socket open between two questions, and no goroutine.
type Net struct {
	method    Method
	port      uint16 // for TCP, where the target names none
	resolvers func() []netip.AddrPort
	resolver  atomic.Uint32 // the one that answered last
	bytes     atomic.Int64
}

// NewNet decides how to ask, by one ping to this machine itself, and tells what and why in words for log and event.
// An explicit method is taken as it is; ICMP falls to a ping socket where that is all there is.
func NewNet(ctx context.Context, m Method, port uint16) (n *Net, why string, err error) {
	n = &Net{method: m, port: port, resolvers: systemResolvers}
	if m == TCP {
		return n, "TCP connect, as configured", nil
	}
	self := []Target{{Addr: netip.MustParseAddr("127.0.0.1")}}
	for _, try := range []Method{ICMP, Unprivileged} {
		n.method = try
		s, e := n.ping(ctx, self, 1, selfTimeout)
		if s[0].Answered() {
			return n, map[Method]string{ICMP: "ICMP over a raw socket", Unprivileged: "ICMP over a ping socket"}[try], nil
		}
		if e == nil {
			e = errors.New("no answer from 127.0.0.1")
		}
		err = errors.Join(err, e)
	}
	if m == ICMP {
		return nil, "", fmt.Errorf("ping: %w; give the agent CAP_NET_RAW or set probe.method to \"tcp\"", err)
	}
	n.method = TCP
	return n, "TCP connect, because ICMP is not permitted: " + strings.ReplaceAll(err.Error(), "\n", "; "), nil
}

// Bytes is what all questions and answers so far have taken on the way out and in: whole IP packets, without what the link wraps around
// them. Of a TCP connect it is an estimate, as its packets are the kernel's. Safe for concurrent use.
func (n *Net) Bytes() int64 { return n.bytes.Load() }

// spend counts a packet of so many bytes behind the IP header.
func (n *Net) spend(to netip.Addr, size int) {
	switch {
	case to.IsLoopback():
	case to.Is4():
		n.bytes.Add(int64(20 + size))
	default:
		n.bytes.Add(int64(40 + size))
	}
}

// Ask sends count probes to each target, all at the same time, and waits for the answers as long as the timeout. What could not be
// sent counts as sent and lost: the target was not reached.
func (n *Net) Ask(ctx context.Context, to []Target, count int, timeout time.Duration) []Sample {
	if n.method != TCP {
		s, _ := n.ping(ctx, to, count, timeout) // an error is told by what was lost
		return s
	}
	all := make([]Sample, len(to)*count)
	var g sync.WaitGroup
	for i := range all {
		g.Go(func() {
			t := time.NewTimer(time.Duration(i/len(to)) * gap)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			all[i] = n.connect(ctx, to[i%len(to)], timeout)
		})
	}
	g.Wait()
	out := make([]Sample, len(to))
	for i, one := range all {
		out[i%len(to)].Add(one)
	}
	return out
}

// Segments of a connect, headers of TCP with the options that systems send.
const (
	segmentSyn, segmentAck, segmentReset = 40, 32, 20
	synAgain                             = time.Second // after which a segment without an answer is repeated, then after twice that
)

// connect takes one TCP handshake, or its refusal, for a round trip.
func (n *Net) connect(ctx context.Context, to Target, timeout time.Duration) Sample {
	port := to.Port
	if port == 0 {
		port = n.port
	}
	d := net.Dialer{Timeout: timeout}
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(to.Addr, port).String())
	now := time.Now()
	s := Sample{}
	s.Sent, s.Lost = 1, 1
	if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EACCES) {
		n.spend(to.Addr, segmentSyn)
		for again := synAgain; again <= now.Sub(start); again = 2*again + synAgain {
			n.spend(to.Addr, segmentSyn)
		}
	}
	switch {
	case err == nil:
		n.spend(to.Addr, segmentSyn)
		n.spend(to.Addr, segmentAck)
		n.spend(to.Addr, segmentReset)
		_ = c.(*net.TCPConn).SetLinger(0) // a reset costs one packet, an orderly end four
		_ = c.Close()
	case errors.Is(err, syscall.ECONNREFUSED):
		n.spend(to.Addr, segmentReset)
	default:
		return s
	}
	s.answer(start, now)
	return s
}

// Target is an address to ask. Port is for TCP; 0 means the configured one.
type Target struct {
	Addr netip.Addr
	Port uint16
}

// ParseTarget reads "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53".
func ParseTarget(s string) (Target, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return Target{Addr: a}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return Target{}, fmt.Errorf("%q is not an address; write an IP address such as \"192.0.2.1\" or \"192.0.2.1:53\", not a name", s)
	}
	return Target{Addr: ap.Addr(), Port: ap.Port()}, nil
}
