package service

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
)

// In a network namespace whose only traffic are checks, the kernel's own counters say what a check costs.
func TestACheckCostsWhatItSays(t *testing.T) {
	if testneed.Namespaces(t) {
		countChecks(t)
	}
}

func countChecks(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const checks = 20
	for _, open := range []bool{true, false} {
		if !open {
			_ = l.Close()
		}
		k := NewChecker(CheckerConfig{Log: quiet})
		before, _ := loopback(t)
		for range checks {
			if k.ask(t.Context(), l.Addr().String()) != open {
				t.Fatalf("open %v: found otherwise", open)
			}
		}
		want := k.Bytes()
		for deadline := time.Now().Add(10 * time.Second); ; {
			after, packets := loopback(t)
			got := after - before
			if got == want {
				t.Logf("open %v: %d bytes of IP a check, %d packets so far", open, got/checks, packets)
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("open %v: the kernel counted %d bytes, the checker %d", open, got, want)
			}
		}
	}
}

// loopback is how many bytes of IP packets were sent over it, which counts no Ethernet header, and in how many.
func loopback(t *testing.T) (bytes, packets int64) {
	text, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "lo:")
	f := strings.Fields(line)
	bytes, err1 := strconv.ParseInt(f[8], 10, 64)
	packets, err2 := strconv.ParseInt(f[9], 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("%q: %v %v", line, err1, err2)
	}
	return bytes, packets
}
