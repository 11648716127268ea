package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

func command(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", line, err, out)
	}
}

// router is a village router with two ways out, wan and lte, and anchors beyond both. No packet leaves the machine.
type router struct {
	there   string // runs a command beyond the router
	net     *Net
	anchors []Target
}

func newRouter(t *testing.T) *router {
	beyond := testneed.Apart(t.Context(), "sleep", "300") // holds the namespace of all that lies beyond the router
	if err := beyond.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = beyond.Process.Kill(); _ = beyond.Wait() })
	pid := strconv.Itoa(beyond.Process.Pid)
	r := &router{there: "nsenter -t " + pid + " -n "}
	quiet := "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1"
	for _, c := range []string{
		quiet, r.there + quiet,
		"ip link set lo up", r.there + "ip link set lo up",
		"ip link add wan type veth peer name modem", "ip link set modem netns " + pid,
		"ip link add lte type veth peer name tower", "ip link set tower netns " + pid,
		"ip addr add 10.77.0.2/24 dev wan", "ip link set wan up", "ip addr add 10.88.0.2/24 dev lte", "ip link set lte up",
		r.there + "ip addr add 10.77.0.1/24 dev modem", r.there + "ip link set modem up",
		r.there + "ip addr add 10.88.0.1/24 dev tower", r.there + "ip link set tower up",
		r.there + "ip addr add 198.51.100.1/32 dev lo", r.there + "ip addr add 198.51.100.2/32 dev lo",
		"ip route add default via 10.77.0.1 dev wan metric 5",
	} {
		command(t, c)
	}
	for _, a := range []string{"198.51.100.1", "198.51.100.2"} {
		to, err := ParseTarget(a)
		if err != nil {
			t.Fatal(err)
		}
		r.anchors = append(r.anchors, to)
	}
	n, why, err := NewNet(t.Context(), Auto, 53)
	if err != nil || n.method != ICMP {
		t.Fatalf("method %v (%s), %v; want icmp for root", n.method, why, err)
	}
	r.net = n
	return r
}

const procNet = "/proc/self/net"

// config asks quickly, so that the test need not wait.
func (r *router) config(t *testing.T) Config {
	return Config{Every: time.Minute, SampleEvery: time.Hour, DNSEvery: time.Hour, Count: 1, Timeout: 400 * time.Millisecond, DNSTimeout: 400 * time.Millisecond, Anchors: r.anchors,
		Limits:    ledger.Limits{LossPct: 100, MedianRTT: 400 * time.Millisecond}, // an echo that a busy machine was slow with makes nothing degraded here
		Log:       slog.New(slog.DiscardHandler),
		Neighbour: func(a netip.Addr) ledger.Answer { return Neighbour(procNet, a) },
		Route: func() Route {
			r, err := DefaultRoute(procNet)
			if err != nil {
				t.Error(err)
			}
			return r
		}}
}

func TestFaultsInARealNetworkAreToldApart(t *testing.T) {
	if !testneed.Namespaces(t, "nsenter", "--version") {
		return
	}
	r := newRouter(t)
	there := r.there
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go answerNames(dns)
	defer dns.Close()
	r.net.resolvers = func() []netip.AddrPort { return []netip.AddrPort{dns.LocalAddr().(*net.UDPAddr).AddrPort()} }
	c := r.config(t)
	c.DNSName = "anchor.test"
	if route := c.Route(); route.Interface != "wan" || route.Gateway.String() != "10.77.0.1" || !route.Up {
		t.Fatalf("route %+v", route)
	}
	for _, m := range []Method{ICMP, TCP} {
		r.net.method = m // over TCP the kernels beyond refuse the connection, which is an answer
		for _, tt := range []struct{ name, breaks, mends, want string }{
			{"all well", "true", "true", "up"},
			{"one anchor gone", there + "ip addr del 198.51.100.1/32 dev lo", there + "ip addr add 198.51.100.1/32 dev lo", "up"},
			{"both anchors gone", there + "ip addr flush dev lo scope global", there + "ip addr add 198.51.100.1/32 dev lo", "backhaul"},
			{"a route forbids to ask", "ip route add prohibit 198.51.100.0/24", "ip route del prohibit 198.51.100.0/24", "backhaul"},
			{"cable cut", there + "ip link set modem down", there + "ip link set modem up", "local"},
			{"gateway gone", there + "ip addr del 10.77.0.1/24 dev modem", there + "ip addr add 10.77.0.1/24 dev modem", "local"},
			{"interface down", "ip link set wan down", "ip link set wan up", "local"},
			{"no default route", "ip route del default", "ip route add default via 10.77.0.1 dev wan metric 5", "local"},
		} {
			if m == TCP && tt.name != "all well" && tt.name != "both anchors gone" && tt.name != "a route forbids to ask" {
				continue // nothing that differs
			}
			t.Run(string(m)+"/"+tt.name, func(t *testing.T) {
				command(t, tt.breaks)
				if tt.name == "gateway gone" { // for longer than the kernel takes it for granted
					command(t, "ip neigh flush dev wan")
				}
				v := judged(t, c, r.net)
				command(t, tt.mends)
				if tt.name == "interface down" { // its routes went with it
					command(t, "ip route add default via 10.77.0.1 dev wan metric 5")
				}
				if what(v.State, v.Cause) != tt.want {
					t.Errorf("got %s, want %s", what(v.State, v.Cause), tt.want)
				}
				_, until := r.watchedHere(t, c)
				until("up")
				if tt.name == "both anchors gone" {
					command(t, there+"ip addr add 198.51.100.2/32 dev lo")
				}
			})
		}
	}
	r.net.method = ICMP
	t.Run("dns gone", func(t *testing.T) {
		c.DNSName = "anchor.test"
		_ = dns.Close()
		if v := judged(t, c, r.net); v.Cause != telemetry.CauseDNS {
			t.Errorf("got %+v", v)
		}
	})
}

// judged is the first verdict that is sure, in a state that lasts: while neighbours are still looked for, silence is not yet an answer.
func judged(t *testing.T, c Config, n *Net) (v Verdict) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sure := 0
	_ = New(c, n).Run(ctx, func(told Verdict) {
		if v = told; !v.Pending {
			sure++
		}
		if sure == 2 || v.State == telemetry.StateUp {
			cancel()
		}
	})
	return v
}

// watchedHere runs a prober that follows the kernel, in the background, and hands over what it says once it says what is wanted.
func (r *router) watchedHere(t *testing.T, c Config) (p *Prober, until func(want string) Verdict) {
	ctx, cancel := context.WithCancel(t.Context())
	c.Changed = Watch(ctx, c.Log)
	verdicts := make(chan Verdict, 1000)
	p = New(c, r.net)
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx, func(v Verdict) { verdicts <- v }) }()
	t.Cleanup(func() { cancel(); <-done })
	return p, func(want string) Verdict {
		t.Helper()
		deadline := time.NewTimer(20 * time.Second)
		defer deadline.Stop()
		var said []string // what a failure shows
		for {
			select {
			case v := <-verdicts:
				said = append(said, fmt.Sprintf("%s pending=%v at %s", what(v.State, v.Cause), v.Pending, time.Now().Format("05.000")))
				if !v.Pending && what(v.State, v.Cause) == want {
					return v
				}
			case <-deadline.C:
				t.Fatalf("%s is not told, but %q", want, said)
			}
		}
	}
}

func TestACableThatIsCutIsToldByTheKernel(t *testing.T) {
	if !testneed.Namespaces(t, "nsenter", "--version") {
		return
	}
	r := newRouter(t)
	_, until := r.watchedHere(t, r.config(t))
	until("up")
	for range 3 {
		before := time.Now()
		command(t, r.there+"ip link set modem down")
		after := time.Now()
		if v := until("local"); v.At.Add(v.Err).Before(before) || v.At.Add(-v.Err).After(after) || v.Err > eventLateNext {
			t.Errorf("down at %v ± %v, cut between 0s and %v", v.At.Sub(before), v.Err, after.Sub(before))
		}
		before = time.Now()
		command(t, r.there+"ip link set modem up")
		if v := until("up"); v.At.Add(v.Err).Before(before) {
			t.Errorf("up at %v ± %v before it was mended", v.At.Sub(before), v.Err)
		}
	}
}

func TestTheWayOutIsFollowedWhenItMoves(t *testing.T) {
	if !testneed.Namespaces(t, "nsenter", "--version") {
		return
	}
	r := newRouter(t)
	p, until := r.watchedHere(t, r.config(t))
	until("up")
	if got := p.Route(); got.Interface != "wan" {
		t.Fatalf("way out %+v", got)
	}
	command(t, r.there+"ip link set modem down")
	until("local")
	command(t, "ip route del default") // as the router's own failover does
	command(t, "ip route add default via 10.88.0.1 dev lte metric 20")
	until("up")
	if got := p.Route(); got.Interface != "lte" || got.Gateway.String() != "10.88.0.1" || !got.Up {
		t.Errorf("way out %+v, want that of lte", got)
	}
	command(t, r.there+"ip link set modem up")
	command(t, "ip route add default via 10.77.0.1 dev wan metric 5") // and back
	for deadline := time.Now().Add(20 * time.Second); p.Route().Interface != "wan"; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("way out %+v, want that of wan", p.Route())
		}
	}
}

// The kernel's own counters say what was spent.
func TestEvidenceSparesEveryPacketAndWithoutItEachIsCounted(t *testing.T) {
	if !testneed.Namespaces(t, "nsenter", "--version") {
		return
	}
	r := newRouter(t)
	ping := r.net.Ask(t.Context(), r.anchors, 1, time.Second) // so that neighbours know each other
	if !ping[0].Answered() {
		t.Fatalf("%+v", ping)
	}
	hard, err := exec.Command("sh", "-c", "ip neigh show dev wan | grep -o 'lladdr [0-9a-f:]*'").Output()
	if err != nil {
		t.Fatal(err)
	}
	command(t, "ip neigh replace 10.77.0.1 dev wan nud permanent "+strings.TrimSpace(string(hard)))
	mine, err := net.InterfaceByName("wan")
	if err != nil {
		t.Fatal(err)
	}
	command(t, r.there+"ip neigh replace 10.77.0.2 dev modem nud permanent lladdr "+mine.HardwareAddr.String())

	c := r.config(t)
	c.Every = 200 * time.Millisecond
	var proves atomic.Bool
	c.Evidence = func() time.Time {
		if proves.Load() {
			return time.Now()
		}
		return time.Time{}
	}
	measure := func() (packets, bytes uint64, told int64) {
		before, _ := ReadCounters(procNet, "wan")
		spent := r.net.Bytes()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_ = New(c, r.net).Run(ctx, func(v Verdict) {
			if v.State != telemetry.StateUp {
				t.Errorf("%+v", v)
			}
		})
		after, ok := ReadCounters(procNet, "wan")
		if !ok {
			t.Fatal("no counters of wan")
		}
		return after.TxPackets - before.TxPackets, after.RxBytes - before.RxBytes, r.net.Bytes() - spent
	}
	proves.Store(true)
	if packets, _, _ := measure(); packets != 2 { // the first sample: an anchor, and the gateway to learn if it answers
		t.Errorf("%d packets although the link proves itself, want the 2 of the first sample", packets)
	}
	proves.Store(false)
	packets, rx, spent := measure()
	if packets < 3 {
		t.Errorf("%d packets, want some: nothing proves the link", packets)
	}
	const ethernet = 14
	if want := int64(2 * (rx - packets*ethernet)); spent != want {
		t.Errorf("%d bytes are told, %d were counted", spent, want)
	}
}

// answerNames says of every name that there is none.
func answerNames(c net.PacketConn) {
	b := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		end := 12
		for end < n && b[end] != 0 {
			end += int(b[end]) + 1
		}
		if end += 5; end > n {
			continue
		}
		b[2], b[3] = 0x81, 0x83        // a response: no such name
		copy(b[6:12], make([]byte, 6)) // one question and nothing else
		_, _ = c.WriteTo(b[:end], from)
	}
}
