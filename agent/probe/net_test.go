package probe

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestARefusedConnectionIsAnAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, why, err := NewNet(t.Context(), TCP, 53)
	if err != nil || why != "TCP connect, as configured" {
		t.Fatal(why, err)
	}
	to, err := ParseTarget(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"accepted", "refused"} {
		if s := n.Ask(t.Context(), []Target{to}, 2, time.Second)[0]; s.Sent != 2 || s.Lost != 0 || len(s.RTTs) != 2 || s.RTTs[0] <= 0 {
			t.Errorf("%s: %+v", name, s)
		}
		_ = l.Close()
	}
}

func TestAQuestionEndsAtOnceWhenCancelled(t *testing.T) {
	for _, m := range []Method{Auto, TCP} {
		n, why, err := NewNet(t.Context(), m, 9)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", m, why)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		to, _ := ParseTarget("127.0.0.1")
		s := n.Ask(ctx, []Target{to}, 100, 30*time.Second)[0]
		if took := time.Since(start); s.Sent != 100 || took > 5*time.Second {
			t.Errorf("%d probes, back after %v", s.Sent, took)
		}
	}
}

func TestTheKernelsRoutesAreRead(t *testing.T) {
	v4 := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"lan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"wwan0\t00000000\t00000000\t0001\t0\t0\t20\t00000000\t0\t0\t0\n" +
		"wan\t00000000\t" + fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{10, 10, 1, 2})) + "\t0003\t0\t0\t10\t00000000\t0\t0\t0\n" +
		"eth9\t00000000\t02010A0A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n" + // not up
		"damaged\t00000000\n"
	if r, ok := parseRoute4([]byte(v4)); !ok || r.Interface != "wan" || r.Gateway.String() != "10.10.1.2" {
		t.Errorf("IPv4: %+v", r)
	}
	ppp := "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
	if r, ok := parseRoute4([]byte(ppp)); !ok || r.Interface != "ppp0" || r.Gateway.IsValid() {
		t.Errorf("PPP has no gateway: %+v", r)
	}
	zero := "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
	v6 := "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n" +
		zero + "fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n" +
		zero + "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
	if r, ok := parseRoute6([]byte(v6)); !ok || r.Interface != "eth0" || r.Gateway.String() != "fe80::1%eth0" {
		t.Errorf("IPv6: %+v", r)
	}
	if _, ok := parseRoute4(nil); ok {
		t.Error("a route was read from nothing")
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add([]byte("wan\t00000000\t" + fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{10, 10, 1, 2})) + "\t0003\t0\t0\t10\t00000000\t0\t0\t0\n"))
	f.Add([]byte("00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003 eth0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, parse := range []func([]byte) (Route, bool){parseRoute4, parseRoute6} {
			if r, ok := parse(text); ok != (r.Interface != "") {
				t.Errorf("%+v, %v", r, ok)
			}
		}
	})
}

func TestTargetsAreAddressesNeverNames(t *testing.T) {
	for in, ok := range map[string]bool{"192.0.2.1": true, "192.0.2.1:53": true, "2001:db8::1": true, "[2001:db8::1]:443": true,
		"example.com": false, "": false, "192.0.2.1:0": false, "192.0.2.1:99999": false, "192.0.2": false} {
		if _, err := ParseTarget(in); (err == nil) != ok {
			t.Errorf("ParseTarget(%q): %v", in, err)
		}
	}
}

func TestOnlyMoreThanLinkLocalNoiseIsEvidence(t *testing.T) {
	for _, tt := range []struct {
		name           string
		bytes, packets uint64
		elapsed        time.Duration
		want           bool
	}{
		{"nothing", 0, 0, 10 * time.Second, false},
		{"ARP and advertisements", 6_000, 80, 10 * time.Second, false},
		{"a flood of ICMP errors for a village's retries", 700_000, 7_000, 10 * time.Second, false},
		{"a slow download", 60_000, 60, 10 * time.Second, true},
		{"one web page in a minute", 70_000, 120, time.Minute, true},
		{"too little for a minute", 50_000, 60, time.Minute, false},
		{"one mail in a second", 15_000, 12, time.Second, false},
	} {
		if got := Moved(tt.bytes, tt.packets, tt.elapsed); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestASampleIsOneLinkLine(t *testing.T) {
	at := time.UnixMilli(1763900000000)
	s := Sample{}
	s.Sent, s.Lost, s.RTTs = 4, 1, []time.Duration{10 * time.Millisecond, 14 * time.Millisecond, 12 * time.Millisecond}
	for want, sample := range map[string]Sample{
		"link,target=internet sent=4i,lost=1i,rtt_min_ms=10,rtt_avg_ms=12,rtt_max_ms=14,jitter_ms=3 1763900000000\n": s,
		"link,target=internet sent=0i,lost=0i 1763900000000\n":                                                       {},
	} {
		l := sample.Line("internet", at)
		got, _ := l.Append(nil)
		if _, err := telemetry.Check(l); err != nil || string(got) != want {
			t.Errorf("got %s want %s (%v)", got, want, err)
		}
	}
}
