package machine

import (
	"os/exec"
	"strings"
)

// Cable joins two machines: an interface of that name in each, with the address of each, such as 192.0.2.1/24.
func Cable(a *Machine, nameA, addressA string, b *Machine, nameB, addressB string) {
	a.t.Helper()
	a.host("ip link add " + nameA + " netns " + a.pid + " type veth peer name " + nameB + " netns " + b.pid)
	a.Net("ip addr add " + addressA + " dev " + nameA)
	b.Net("ip addr add " + addressB + " dev " + nameB)
	a.Net("ip link set " + nameA + " up")
	b.Net("ip link set " + nameB + " up")
}

// Net runs a command of the host in the machine's network, its words divided by spaces.
func (m *Machine) Net(line string) {
	m.t.Helper()
	m.host("nsenter --target=" + m.pid + " --net " + line)
}

func (m *Machine) host(line string) {
	m.t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %s: %v %s", m.Name, line, err, out)
	}
}

// Knows has the machine know an address by a name.
func (m *Machine) Knows(name, address string) {
	m.t.Helper()
	m.Feed([]byte(address+" "+name+"\n"), "sh", "-c", "cat >>/etc/hosts")
}
