package probe

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// TestFaultsInARealNetworkAreToldApart builds a router, a gateway and two anchors beyond it out of network namespaces, and
// breaks them one after the other. No packet leaves the machine.
func TestFaultsInARealNetworkAreToldApart(t *testing.T) {
	if dir := os.Getenv(inRouter); dir != "" { // the child that it starts below
		playRouter(t, dir)
		return
	}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		testneed.Missing(t, "network namespaces", "run the test as root on linux")
	}
	testneed.Program(t, "ip", "apt-get install iproute2")
	testneed.Program(t, "nsenter", "apt-get install util-linux")
	if out, err := namespaced(t.Context(), "true").CombinedOutput(); err != nil {
		testneed.Missing(t, "network namespaces", fmt.Sprintf("%v %s", err, out))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := namespaced(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), inRouter+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func namespaced(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = sysProcAttr()
	return cmd
}

func command(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", line, err, out)
	}
}

// playRouter is the router, in namespaces of its own.
func playRouter(t *testing.T, dir string) {
	beyond := namespaced(t.Context(), "sleep", "60") // holds the namespace of all that lies beyond the router
	if err := beyond.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = beyond.Process.Kill(); _ = beyond.Wait() }()
	there := fmt.Sprintf("nsenter -t %d -n ", beyond.Process.Pid)
	for _, c := range []string{
		"ip link set lo up",
		"ip link add wan type veth peer name modem",
		"ip link set modem netns " + strconv.Itoa(beyond.Process.Pid),
		"ip addr add 10.77.0.2/24 dev wan", "ip link set wan up",
		there + "ip link set lo up", there + "ip addr add 10.77.0.1/24 dev modem", there + "ip link set modem up",
		there + "ip addr add 198.51.100.1/32 dev lo", there + "ip addr add 198.51.100.2/32 dev lo",
		"ip route add default via 10.77.0.1 dev wan metric 5",
	} {
		command(t, c)
	}
	resolv := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "mount --make-rprivate /")
	command(t, "mount --bind "+resolv+" /etc/resolv.conf")
	dns, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	go answerNames(dns)
	defer dns.Close()

	n, why, err := NewNet(t.Context(), Auto, 400*time.Millisecond, 53)
	if err != nil || n.method != ICMP {
		t.Fatalf("method %v (%s), %v; want icmp for root", n.method, why, err)
	}
	route := func() Route {
		r, err := DefaultRoute("/proc/self/net")
		if err != nil {
			t.Error(err)
		}
		return r
	}
	if r := route(); r.Interface != "wan" || r.Gateway.String() != "10.77.0.1" || !r.Up {
		t.Fatalf("route %+v", r)
	}
	a, _ := ParseTarget("198.51.100.1")
	b, _ := ParseTarget("198.51.100.2")
	for _, m := range []Method{ICMP, TCP} {
		n.method = m // over TCP the kernels beyond refuse the connection, which is an answer
		for _, tt := range []struct {
			name, breaks, mends string
			want                telemetry.State
			cause               telemetry.Cause
		}{
			{"all well", "true", "true", "up", ""},
			{"one anchor gone", there + "ip addr del 198.51.100.1/32 dev lo", there + "ip addr add 198.51.100.1/32 dev lo", "up", ""},
			{"both anchors gone", there + "ip addr flush dev lo scope global", there + "ip addr add 198.51.100.1/32 dev lo", "down", "backhaul"},
			{"a route forbids to ask", "ip route add prohibit 198.51.100.0/24", "ip route del prohibit 198.51.100.0/24", "down", "backhaul"},
			{"gateway gone", there + "ip link set modem down", there + "ip link set modem up", "down", "local"},
			{"gateway silent", there + "ip addr del 10.77.0.1/24 dev modem", there + "ip addr add 10.77.0.1/24 dev modem", "down", "local"},
			{"interface down", "ip link set wan down", "ip link set wan up", "down", "local"},
		} {
			if m == TCP && (tt.name == "one anchor gone" || tt.name == "gateway silent") {
				continue // nothing that differs
			}
			t.Run(string(m)+"/"+tt.name, func(t *testing.T) {
				c := Config{Every: time.Minute, SampleEvery: time.Minute, Count: 1, Confirm: 2, DNSName: "anchor.test", DNSTimeout: 400 * time.Millisecond, DNSEvery: 1, Anchors: []Target{a, b},
					Limits: ledger.Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond}, Route: route, Evidence: func() time.Time { return time.Time{} }, Log: slog.New(slog.DiscardHandler)}
				command(t, tt.breaks)
				v := judged(t, c, n)
				command(t, tt.mends)
				if tt.name == "interface down" { // its routes went with it
					command(t, "ip route add default via 10.77.0.1 dev wan metric 5")
				}
				if v.State != tt.want || v.Cause != tt.cause {
					t.Errorf("got %s %s, want %s %s", v.State, v.Cause, tt.want, tt.cause)
				}
				if v := judged(t, c, n); tt.name != "both anchors gone" && v.State != telemetry.StateUp {
					t.Errorf("mended: %+v", v)
				}
				if tt.name == "both anchors gone" {
					command(t, there+"ip addr add 198.51.100.2/32 dev lo")
				}
			})
		}
	}
	n.method = ICMP
	t.Run("dns gone", func(t *testing.T) {
		c := Config{Every: time.Minute, Count: 1, DNSName: "anchor.test", DNSTimeout: 400 * time.Millisecond, DNSEvery: 1, Anchors: []Target{a, b}, Limits: ledger.Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond},
			Route: route, Evidence: func() time.Time { return time.Time{} }, Log: slog.New(slog.DiscardHandler)}
		_ = dns.Close()
		if v := judged(t, c, n); v.State != telemetry.StateDown || v.Cause != telemetry.CauseDNS {
			t.Errorf("got %+v", v)
		}
	})
}

// judged is the verdict once the neighbours have been found, or found missing.
func judged(t *testing.T, c Config, n *Net) (v Verdict) {
	p := New(c, n)
	for range 2 {
		v, _ = p.judge(p.rounds.ask(t.Context(), true, true))
	}
	return v
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

// sysProcAttr asks for namespaces of its own, that end with the test.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
}
