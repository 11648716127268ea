package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestAnEchoIsOnlyAnsweredByWhomItWasSentTo(t *testing.T) {
	asked := netip.MustParseAddr("192.0.2.1")
	from := &net.IPAddr{IP: asked.AsSlice()}
	good := []byte{echoReply4, 0, 0, 0, 0x12, 0x34, 0xff, 0xff}
	ip := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 10, 0, 0, 1}, good...)
	change := func(i int, to byte) []byte { b := append([]byte(nil), good...); b[i] = to; return b }
	for _, tt := range []struct {
		name string
		b    []byte
		from net.Addr
		want bool
	}{
		{"the answer", good, from, true},
		{"the answer behind an IP header", ip, from, true},
		{"a request", change(0, echoRequest4), from, false},
		{"another process's", change(4, 0x99), from, false},
		{"a number never sent", change(7, 0xf0), from, false},
		{"somebody else's", good, &net.IPAddr{IP: net.IPv4(192, 0, 2, 2)}, false},
		{"cut off", good[:7], from, false},
		{"an IP header alone", ip[:21], from, false},
		{"nothing", nil, from, false},
	} {
		e := echo{net: &Net{method: ICMP}, to: []Target{{Addr: asked}}, who: []int{0}, out: make([]Sample, 1), id: 0x1234, base: 0xffff,
			sent: []time.Time{time.Now()}, open: 1}
		e.out[0].Sent, e.out[0].Lost = 1, 1
		e.take(tt.b, tt.from, time.Now())
		if e.out[0].Answered() != tt.want || e.open != map[bool]int{true: 0, false: 1}[tt.want] {
			t.Errorf("%s: %+v", tt.name, e.out[0])
		}
		if e.take(tt.b, tt.from, time.Now()); e.out[0].Lost < 0 {
			t.Errorf("%s: counted twice", tt.name)
		}
	}
}

func TestTheSumOfAnEchoIsThatOfRFC1071(t *testing.T) {
	b := []byte{8, 0, 0, 0, 0x12, 0x34, 0xff, 0xff}
	sum := checksum(b)
	b[2], b[3] = byte(sum>>8), byte(sum)
	if sum != 0xe5cb || checksum(b) != 0 {
		t.Errorf("%#x, and with it %#x", sum, checksum(b))
	}
}

// Both families at once, some of them there, over each way that this machine permits.
func TestTargetsOfBothFamiliesAreAskedAtTheSameTime(t *testing.T) {
	to := []Target{{Addr: netip.MustParseAddr("127.0.0.1")}, {Addr: netip.MustParseAddr("::1")}, {Addr: netip.MustParseAddr("127.0.0.2")}}
	six, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		to = []Target{to[0], to[2]}
		t.Log("no IPv6 on this machine:", err)
	} else {
		_ = six.Close()
	}
	for _, m := range []Method{ICMP, Unprivileged, TCP} {
		n := &Net{method: m, port: 9}
		if m != TCP {
			if s, err := n.ping(t.Context(), to[:1], 1, time.Second); !s[0].Answered() {
				t.Logf("%s is not permitted here: %v", m, err)
				continue
			}
		}
		for i, s := range n.Ask(t.Context(), to, 2, 2*time.Second) {
			// The gap runs from the start of the round; where that is slow, the first question is stamped a little later.
			if s.Sent != 2 || s.Lost != 0 || len(s.RTTs) != 2 || s.Heard.Sub(s.Asked) < gap/2 {
				t.Errorf("%s %v: %+v", m, to[i].Addr, s)
			}
		}
		if n.Bytes() != 0 {
			t.Errorf("%d bytes are counted that never left the machine", n.Bytes())
		}
	}
}
