package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	probing "github.com/prometheus-community/pro-bing"
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

// Net asks the real network.
type Net struct {
	method  Method
	timeout time.Duration
	port    uint16 // for TCP, where the target names none
}

// NewNet decides how to ask, by one ping to this machine itself, and tells what and why in words for log and event.
// An explicit method is taken as it is; ICMP falls to a ping socket where that is all there is.
func NewNet(ctx context.Context, m Method, timeout time.Duration, port uint16) (n *Net, why string, err error) {
	n = &Net{method: m, timeout: timeout, port: port}
	if m == TCP {
		return n, "TCP connect, as configured", nil
	}
	self := netip.MustParseAddr("127.0.0.1")
	for _, try := range []Method{ICMP, Unprivileged} {
		n.method = try
		s, e := n.ping(ctx, self, 1)
		if s.Answered() {
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

// Ask sends count probes to one address and waits for the answers, for as long as the timeout.
func (n *Net) Ask(ctx context.Context, to Target, count int) Sample {
	if n.method != TCP {
		s, _ := n.ping(ctx, to.Addr, count) // an error is told by what was lost
		return s
	}
	all := make([]Sample, count)
	var g sync.WaitGroup
	for i := range all {
		g.Go(func() {
			t := time.NewTimer(time.Duration(i) * gap)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			all[i] = n.connect(ctx, to)
		})
	}
	g.Wait()
	var s Sample
	for _, one := range all {
		s.Add(one)
	}
	return s
}

// connect takes one TCP handshake, or its refusal, for a round trip.
func (n *Net) connect(ctx context.Context, to Target) Sample {
	port := to.Port
	if port == 0 {
		port = n.port
	}
	d := net.Dialer{Timeout: n.timeout}
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(to.Addr, port).String())
	took := time.Since(start)
	s := Sample{}
	s.Sent = 1
	if err == nil {
		_ = c.(*net.TCPConn).SetLinger(0) // a reset costs one packet, an orderly end four
		_ = c.Close()
	} else if !errors.Is(err, syscall.ECONNREFUSED) {
		s.Lost = 1
		return s
	}
	s.RTTs = []time.Duration{took}
	return s
}

// ping sends count echo requests. What could not be sent counts as sent and lost: the target was not reached.
func (n *Net) ping(ctx context.Context, to netip.Addr, count int) (Sample, error) {
	var s Sample
	s.Sent, s.Lost = count, count
	// pro-bing repeats for ever what the system forbids (EACCES: a prohibit route, a broadcast address), so ask the
	// routing table first: connecting a UDP socket sends nothing.
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return s, err
	}
	_ = c.Close()
	p := probing.New(to.String())
	p.SetIPAddr(&net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()})
	p.SetPrivileged(n.method == ICMP)
	p.SetLogger(probing.NoopLogger{})
	p.Count, p.Interval, p.RecordRtts, p.RecordTTLs = count, gap, false, false
	p.Timeout = n.timeout + time.Duration(count-1)*gap
	sent := make(map[int]time.Time, count) // both callbacks come from one goroutine; the library's own times are wall times
	p.OnSend = func(k *probing.Packet) { sent[k.Seq] = time.Now() }
	p.OnRecv = func(k *probing.Packet) {
		if at, ok := sent[k.Seq]; ok {
			s.Lost--
			s.RTTs = append(s.RTTs, time.Since(at))
		}
	}
	err = p.RunWithContext(ctx)
	return s, err
}

// Resolve asks the system's resolver for a name. That there is no such name is an answer; SERVFAIL is none, because a
// router's own resolver says that when it reaches nobody.
func (n *Net) Resolve(ctx context.Context, name string, timeout time.Duration) Sample {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := net.Resolver{PreferGo: true}
	start := time.Now()
	_, err := r.LookupNetIP(ctx, "ip4", strings.TrimSuffix(name, ".")+".")
	took := time.Since(start)
	var s Sample
	s.Sent = 1
	if d := (*net.DNSError)(nil); err != nil && !(errors.As(err, &d) && d.IsNotFound) {
		s.Lost = 1
		return s
	}
	s.RTTs = []time.Duration{took}
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
