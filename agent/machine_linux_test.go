package agent

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

func TestABrokerInTheVillagesOwnNetworkIsNear(t *testing.T) {
	if testneed.Namespaces(t, "ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1") {
		nearAndFar(t)
	}
}

func nearAndFar(t *testing.T) {
	run := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			f := strings.Fields(line)
			if out, err := exec.CommandContext(t.Context(), f[0], f[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v %s", line, err, out)
			}
		}
	}
	c := Defaults()
	expect := func(when string, want map[string]bool) {
		t.Helper()
		for a, want := range want {
			if got := c.Probe.near(netip.MustParseAddr(a)); got != want {
				t.Errorf("%s: %s is near: %v, want %v", when, a, got, want)
			}
		}
	}
	run("ip link add wan type veth peer name modem", "ip link add lan type veth peer name school",
		"ip addr add 192.0.2.2/24 dev wan", "ip addr add 192.168.1.1/24 dev lan", "ip addr add fd00::1/64 dev lan",
		"ip link set wan up", "ip link set modem up", "ip link set lan up", "ip link set school up")
	expect("no default route", map[string]bool{"192.168.1.9": false, "192.0.2.1": false})
	run("ip route add default via 192.0.2.1 dev wan")
	expect("the way out is wan", map[string]bool{"192.168.1.9": true, "192.168.1.1": true, "fd00::9": true, "192.0.2.1": false, "198.51.100.7": false, "2001:db8::7": false})
	if err := exec.CommandContext(t.Context(), "ip", "tuntap", "add", "tun", "mode", "tun").Run(); err == nil { // a container may have no tunnels
		run("ip addr add 10.8.0.2/24 dev tun", "ip link set tun up")
		expect("a tunnel", map[string]bool{"10.8.0.1": false})
	}
	run("ip route del default", "ip route add default via 192.168.1.254 dev lan")
	expect("the way out is lan", map[string]bool{"192.168.1.9": false, "192.0.2.1": true})
}
