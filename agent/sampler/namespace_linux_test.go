package sampler

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// A real kernel, in a network namespace of its own: a stick that is pulled out and put in again within ten seconds, and has carried
// more than the one before when it is seen; one that is renamed; one that moves the default route.
func TestAStickThatIsPluggedAgainIsFollowedByTheRealKernel(t *testing.T) {
	if testneed.Namespaces(t, "ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1") {
		plugAndPull(t)
	}
}

func plugAndPull(t *testing.T) {
	run := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			f := strings.Fields(line)
			if out, err := exec.CommandContext(t.Context(), f[0], f[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v %s", line, err, out)
			}
		}
	}
	run("mount --make-rprivate /", "mount -t sysfs none /sys") // which else shows the interfaces of the namespace left behind
	for _, which := range []string{"all", "default"} {         // its own traffic would blur the sums
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0o644); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	plug := func(name string) {
		run("ip link add "+name+" type veth peer name far", "ip link set far arp off up", "ip link set "+name+" arp off up", "ip addr add 10.9.0.1/24 dev "+name)
	}
	const payload, headers = 1000, 14 + 20 + 8 // Ethernet, IP, UDP
	send := func(n int) {
		t.Helper()
		c, err := net.Dial("udp", "10.9.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range n {
			if _, err := c.Write(make([]byte, payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	wan := "lte0"
	s := NewInterfaces(nil, func() string { return wan })
	read := func() {
		t.Helper()
		if _, err := s.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	take := func(name string, packets int) {
		t.Helper()
		read()
		for _, x := range s.Take() {
			if x.Interface == name {
				if want := int64(packets * (payload + headers)); x.TxBytes != want || x.WANTx != want {
					t.Errorf("%s: %d bytes, %d of them as the WAN; want %d", name, x.TxBytes, x.WANTx, want)
				}
				return
			}
		}
		t.Errorf("nothing is told of %s", name)
	}
	plug("lte0")
	send(5)
	read() // before the first reading nothing counts
	send(3)
	take("lte0", 3)

	send(2)
	read()
	run("ip link del lte0")
	plug("lte0")
	send(40)
	take("lte0", 42)

	run("ip link set lte0 down", "ip link set lte0 name wwan0", "ip link set wwan0 up")
	wan = "wwan0"
	send(7)
	take("wwan0", 7)

	run("ip link del wwan0")
	plug("usb0")
	wan = "usb0"
	send(1)
	take("usb0", 1)
}
