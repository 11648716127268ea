package speedtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/collector/ndt7"
	"github.com/smartvillage/nabz/internal/testneed"
)

const inNamespace = "NABZ_SPEEDTEST_NAMESPACE"

// slowLink is how tc makes a link of loopback, and the most that a test over it may cost.
type slowLink struct {
	qdisc string
	limit int64
}

func slowLinks() map[string]slowLink {
	return map[string]slowLink{
		"8 Mbit/s":                   {"tbf rate 8mbit burst 16kb latency 100ms", 100 << 20},
		"2 Mbit/s, cap of 1.2 MB":    {"tbf rate 2mbit burst 16kb latency 200ms", 1_200_000},
		"8 Mbit/s, lossy, cap 2 MB":  {"tbf rate 8mbit burst 5kb latency 5ms", 2_000_000},
		"50 Mbit/s, cap of 12 MB":    {"tbf rate 50mbit burst 64kb latency 50ms", 12_000_000},
		"bloated, 1 s before 1 Mbit": {"tbf rate 1mbit burst 16kb latency 1000ms", 100 << 20},
	}
}

// TestUsedBytesAreWhatTheInterfaceCarried measures over interfaces of a known rate and delay, each in a network namespace of its own, and holds what the
// test says that it cost against the interface's own counters. No packet leaves the machine.
func TestUsedBytesAreWhatTheInterfaceCarried(t *testing.T) {
	if name := os.Getenv(inNamespace); name != "" { // a child that is started below
		overSlowLoopback(t, name)
		return
	}
	t.Parallel()
	if os.Getuid() != 0 {
		testneed.Missing(t, "network namespaces", "run the test as root on linux")
	}
	testneed.Program(t, "ip", "apt-get install iproute2")
	testneed.Program(t, "tc", "apt-get install iproute2")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	alone := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		return cmd
	}
	if out, err := alone("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "8mbit", "burst", "16kb", "latency", "50ms").CombinedOutput(); err != nil {
		testneed.Missing(t, "tc with tbf", fmt.Sprintf("%v %s", err, out))
	}
	test := t.Name()
	for name := range slowLinks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := alone(self, "-test.run=^"+test+"$", "-test.v", "-test.timeout=90s")
			cmd.Env = append(os.Environ(), inNamespace+"="+name)
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("--- PASS: "+test)) {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "namespace_linux_test.go") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

func overSlowLoopback(t *testing.T, name string) {
	run := func(line string) {
		f := strings.Fields(line)
		if out, err := exec.CommandContext(t.Context(), f[0], f[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", line, err, out)
		}
	}
	c := slowLinks()[name]
	run("ip link set lo up mtu 1500 gso_max_segs 1")
	run("tc qdisc replace dev lo root " + c.qdisc)
	s := serve(t, ndt7.Config{}, true)
	before := carried(t)
	r, err := client(t, s, nil).Test(context.Background(), c.limit)
	if err != nil {
		t.Error(err)
	}
	last := int64(-1)
	until(t, "the link to be quiet", func() bool {
		n := last
		run("sleep 0.2")
		last = carried(t)
		return last == n
	})
	wire := last - before
	t.Logf("%d down, %d up, min rtt %v, retransmitted %d of %d; wire %d, used %d (%+.1f %%), charged %d (%+.1f %%); %s, %s", r.DownBps, r.UpBps, r.MinRTT,
		r.RetransBytes, r.SentBytes, wire, r.UsedBytes, 100*(float64(r.UsedBytes)/float64(wire)-1), r.bound, 100*(float64(r.bound)/float64(wire)-1), r.DownEnd, r.UpEnd)
	if wire > c.limit {
		t.Errorf("the interface carried %d bytes, the cap was %d", wire, c.limit)
	}
	if r.bound < wire {
		t.Errorf("the interface carried %d bytes, the budget is charged with %d", wire, r.bound)
	}
	if off := max(r.UsedBytes-wire, wire-r.UsedBytes); off > wire*15/100+lookBytes { // a busy machine may look late
		t.Errorf("%d bytes used by the test's own account, the interface carried %d", r.UsedBytes, wire)
	}
}

// carried is what loopback has carried, with IP headers and without a link layer, which it has not.
func carried(t *testing.T) int64 {
	b, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); f[0] == "lo:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no loopback")
	return 0
}
