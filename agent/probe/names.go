package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	resolvConf    = "/etc/resolv.conf"
	dnsPort       = 53
	dnsHeader     = 12
	mostResolvers = 3 // of resolv.conf, as the C library has it
	leastAsks     = 3 // questions within the timeout: one lost packet is not a dead resolver
	noError       = 0
	noSuchName    = 3
)

// Resolve asks the system's resolvers in turn for the IPv4 address of a name, with one small question and no cache of our own. Any of them
// may answer until the time is over. That there is no such name is an answer; SERVFAIL is none, because a router's own resolver says
// that when it reaches nobody.
func (n *Net) Resolve(ctx context.Context, name string, timeout time.Duration) (s Sample) {
	s.Sent, s.Lost = 1, 1
	servers := n.resolvers()
	if len(servers) == 0 { // a platform that keeps them elsewhere
		return n.resolveBySystem(ctx, name, timeout)
	}
	id := uint16(rand.Uint32())
	question, err := appendQuestion(nil, id, name)
	if err != nil {
		return s
	}
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return s
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()

	asks := max(leastAsks, len(servers))
	first, start := int(n.resolver.Load()), time.Now()
	asked := make([]time.Time, len(servers)) // when each was asked last
	refused := make([]bool, len(servers))
	buf := make([]byte, 1500)
	for k := range asks {
		i := (first + k) % len(servers)
		if !slices.Contains(refused, false) {
			return s
		}
		if !refused[i] {
			asked[i] = time.Now()
			if _, err := conn.WriteToUDPAddrPort(question, servers[i]); err == nil {
				n.spend(servers[i].Addr(), 8+len(question))
			}
		} else if k < asks-1 {
			continue
		}
		_ = conn.SetReadDeadline(start.Add(timeout * time.Duration(k+1) / time.Duration(asks)))
		for ctx.Err() == nil && !(refused[i] && k < asks-1) {
			size, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				break // the time for this one is over
			}
			now, who := time.Now(), whose(servers, from)
			if who < 0 || asked[who].IsZero() {
				continue
			}
			code, ok := answers(buf[:size], question)
			if !ok {
				continue
			}
			n.spend(servers[who].Addr(), 8+size)
			if code == noError || code == noSuchName {
				n.resolver.Store(uint32(who))
				s.answer(asked[who], now)
				return s
			}
			refused[who] = true
		}
		if ctx.Err() != nil {
			return s
		}
	}
	return s
}

func whose(servers []netip.AddrPort, from netip.AddrPort) int {
	for i, a := range servers {
		if a.Port() == from.Port() && a.Addr().WithZone("") == from.Addr().Unmap().WithZone("") {
			return i
		}
	}
	return -1
}

// resolveBySystem is for platforms without resolv.conf.
func (n *Net) resolveBySystem(ctx context.Context, name string, timeout time.Duration) (s Sample) {
	s.Sent, s.Lost = 1, 1
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	_, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", strings.TrimSuffix(name, ".")+".")
	if d := (*net.DNSError)(nil); err != nil && !(errors.As(err, &d) && d.IsNotFound) {
		return s
	}
	s.answer(start, time.Now())
	return s
}

// mostName is how long a name may be when it is written with dots (RFC 1035, section 3.1).
const mostName = 253

// CheckName tells why a name cannot be asked for; such a one would never resolve, and that is an outage.
func CheckName(name string) error {
	if _, err := appendQuestion(nil, 0, name); err != nil || len(name) > mostName || strings.ContainsAny(name, "/: ") {
		return fmt.Errorf("%q is not a name; write the name of a host alone, such as \"example.com\"", name)
	}
	return nil
}

// appendQuestion writes a question for the A record of a name (RFC 1035), that may be answered from elsewhere.
func appendQuestion(b []byte, id uint16, name string) ([]byte, error) {
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired; one question
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return nil, errors.New("a label of a name has 1 to 63 characters")
		}
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1), nil // type A, class IN
}

// answers tells whether b is a response to the question, and its code.
func answers(b, question []byte) (code byte, ok bool) {
	if len(b) < len(question) || !bytes.Equal(b[:2], question[:2]) || b[2]&0xf8 != 0x80 || !bytes.Equal(b[4:6], question[4:6]) ||
		!bytes.EqualFold(b[dnsHeader:len(question)], question[dnsHeader:]) {
		return 0, false
	}
	return b[3] & 15, true
}

// systemResolvers are those of resolv.conf; this machine where it names none; none where there is no such file.
func systemResolvers() []netip.AddrPort {
	text, err := os.ReadFile(resolvConf)
	if err != nil {
		return nil
	}
	return parseResolvers(text)
}

func parseResolvers(text []byte) (servers []netip.AddrPort) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) < 2 || string(f[0]) != "nameserver" || len(servers) == mostResolvers {
			continue
		}
		if a, err := netip.ParseAddr(string(f[1])); err == nil {
			servers = append(servers, netip.AddrPortFrom(a, dnsPort))
		}
	}
	if len(servers) == 0 {
		servers = append(servers, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort))
	}
	return servers
}
