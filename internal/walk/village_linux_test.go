package walk

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Addresses of the centre's namespace, which is all the internet there is.
const (
	anchorA, anchorB, anchorC = "198.51.100.1", "198.51.100.2", "198.51.100.3"
	nocAddress                = "198.51.100.9"
	nameServer                = "198.51.100.53"
)

// village is a router with a real agent, a modem in front of it, and a line from there to the centre: two namespaces of its own.
//
//	router(wan) —— (lan)modem(line) —— (c<n>)centre
type village struct {
	t       *testing.T
	n       int
	address telemetry.Address
	dir     string
	boot    string    // file that stands in for the kernel's boot id
	router  *exec.Cmd // hold the namespaces
	modem   *exec.Cmd
	agent   *exec.Cmd
	argv    []string // of the agent
	boots   int
	kills   int
	truth   []change
}

// change is a moment at which the truth changes, known within slack.
type change struct {
	at    time.Time
	slack time.Duration
	state telemetry.State // "" for "the agent cannot know"
	cause telemetry.Cause
}

func shell(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", line, err, out)
	}
}

// holder starts a process that does nothing in a network namespace of its own.
func holder(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "3600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// newVillage lays the cables.
func newVillage(t *testing.T, n int, site string) *village {
	t.Helper()
	v := &village{t: t, n: n, address: telemetry.Address{Site: site, Agent: "router"}, dir: t.TempDir(), router: holder(t), modem: holder(t)}
	v.boot = filepath.Join(v.dir, "boot_id")
	centre := fmt.Sprintf("c%d", n)
	shell(t, fmt.Sprintf("ip link add %s type veth peer name line netns %d", centre, v.modem.Process.Pid))
	shell(t, fmt.Sprintf("ip addr add 10.100.%d.1/24 dev %s", n, centre))
	shell(t, "ip link set "+centre+" up")
	for _, line := range []string{"ip link set lo up", fmt.Sprintf("ip addr add 10.100.%d.2/24 dev line", n), "ip link set line up",
		fmt.Sprintf("ip route add default via 10.100.%d.1", n), "sysctl -q -w net.ipv4.ip_forward=1",
		fmt.Sprintf("ip link add lan type veth peer name wan netns %d", v.router.Process.Pid),
		fmt.Sprintf("ip addr add 192.168.%d.1/24 dev lan", n), "ip link set lan up"} {
		v.atModem(line)
	}
	for _, line := range []string{"ip link set lo up", fmt.Sprintf("ip addr add 192.168.%d.2/24 dev wan", n), "ip link set wan up",
		fmt.Sprintf("ip route add default via 192.168.%d.1", n)} {
		v.atRouter(line)
	}
	shell(t, fmt.Sprintf("ip route add 192.168.%d.0/24 via 10.100.%d.2", n, n))
	v.newBoot()
	return v
}

func (v *village) atModem(line string) {
	v.t.Helper()
	shell(v.t, fmt.Sprintf("nsenter -t %d -n %s", v.modem.Process.Pid, line))
}

func (v *village) atRouter(line string) {
	v.t.Helper()
	shell(v.t, fmt.Sprintf("nsenter -t %d -n %s", v.router.Process.Pid, line))
}

// newBoot gives the machine another boot id, as a power cut does.
func (v *village) newBoot() {
	v.t.Helper()
	v.boots++
	id := fmt.Sprintf("%04x%04x-0000-4000-8000-000000000000\n", v.n, v.boots)
	if err := os.WriteFile(v.boot, []byte(id), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

func (v *village) data() string { return filepath.Join(v.dir, "data") }
func (v *village) log() string  { return filepath.Join(v.dir, "agent.log") }

// install writes the agent's configuration. Lines of extra override what stands here.
func (v *village) install(secret, ca string, extra ...string) {
	v.t.Helper()
	keys := []string{
		"site = " + strconv.Quote(v.address.Site), "agent = " + strconv.Quote(v.address.Agent),
		fmt.Sprintf("brokers = [\"mqtts://%s:8883\"]", nocAddress), "secret_file = " + strconv.Quote(filepath.Join(v.dir, "secret")),
		"ca_file = " + strconv.Quote(ca), "data_dir = " + strconv.Quote(v.data()),
		`detail_every = "5s"`, `report_every = "5s"`, `mark_every = "2s"`, `resume_wait = "10s"`,
		`uplink.keepalive = "10s"`, `uplink.ack_within = "0s"`, `uplink.ack_timeout = "5s"`, `uplink.max_backoff = "3s"`,
		fmt.Sprintf("probe.anchors = [%q, %q, %q]", anchorA, anchorB, anchorC), `probe.every = "10s"`, `probe.sample_every = "30s"`,
		`time.servers = []`, `probe.dns_name = "example.com"`, `probe.dns_every = "10s"`, `probe.dns_timeout = "1s"`, `probe.timeout = "1s"`,
	}
	at := map[string]int{}
	for i, k := range keys {
		name, _, _ := strings.Cut(k, " = ")
		at[name] = i
	}
	for _, k := range extra {
		name, value, _ := strings.Cut(k, " = ")
		if i, ok := at[name]; ok && value == "" {
			keys[i] = "" // the profile's own
		} else if ok {
			keys[i] = k
		} else {
			keys = append([]string{k}, keys...)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(v.dir, name), []byte(text), 0o600); err != nil {
			v.t.Fatal(err)
		}
	}
	write("secret", secret+"\n")
	write("agent.toml", strings.Join(keys, "\n")+"\n")
	write("resolv.conf", "nameserver "+nameServer+"\noptions timeout:1 attempts:1\n")
	v.argv = []string{program(v.t, "nabz-agent"), "run", "--config", filepath.Join(v.dir, "agent.toml")}
	v.t.Cleanup(func() {
		if v.agent != nil {
			v.cut()
		}
		if v.t.Failed() {
			v.t.Log(tail(v.log()))
		}
	})
}

// withoutClock names the configuration of an agent that is played by this program, because its machine has no battery clock.
const withoutClock = "NABZ_WALK_NO_CLOCK"

// withoutClock has the agent find the clock in 1970 at each boot.
func (v *village) withoutClock() {
	v.t.Helper()
	self, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	v.argv = []string{"env", withoutClock + "=" + filepath.Join(v.dir, "agent.toml"), self, "-test.run=^TestPlayAnAgentWithoutAClock$"}
}

// start switches the router on.
func (v *village) start() {
	v.t.Helper()
	log, err := os.OpenFile(v.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	script := fmt.Sprintf(`mount --bind %s /proc/sys/kernel/random/boot_id && mount --bind %s /etc/resolv.conf && exec "$@"`,
		v.boot, filepath.Join(v.dir, "resolv.conf"))
	v.agent = exec.Command("nsenter", append([]string{"-t", strconv.Itoa(v.router.Process.Pid), "-n", "unshare", "-m", "sh", "-c", script, "sh"}, v.argv...)...)
	v.agent.Stdout, v.agent.Stderr = log, log
	v.agent.Env = clean(os.Environ(), "NABZ_", "INFLUX_")
	v.agent.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := v.agent.Start(); err != nil {
		v.t.Fatal(err)
	}
}

// cut takes the power away: no byte more is written or sent.
func (v *village) cut() {
	v.t.Helper()
	v.kills++
	_ = v.agent.Process.Kill()
	_ = v.agent.Wait()
	v.agent = nil
}

// stop ends the agent in good order.
func (v *village) stop() {
	v.t.Helper()
	_ = v.agent.Process.Signal(syscall.SIGTERM)
	if err := v.agent.Wait(); err != nil {
		v.t.Errorf("%s: nabz-agent ended with %v", v.address.Site, err)
	}
	v.agent = nil
}

// inject does something to the world, after which this is the truth.
func (v *village) inject(state telemetry.State, cause telemetry.Cause, do func()) {
	v.t.Helper()
	before := time.Now()
	do()
	took := time.Since(before)
	v.truth = append(v.truth, change{at: before.Add(took / 2), slack: took/2 + time.Millisecond, state: state, cause: cause})
}

// hold lets time pass while the world stays as it is.
func (v *village) hold(d time.Duration) { hold(d) }

func hold(d time.Duration) { <-time.After(d) }

// answerNames answers every question for a name with one address.
func answerNames(c net.PacketConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if n < 17 {
			continue
		}
		end := 12
		for end < n && buf[end] != 0 {
			end += int(buf[end]) + 1
		}
		if end+5 > n {
			continue
		}
		out := append([]byte(nil), buf[:end+5]...)
		out[2], out[3] = 0x81, 0x80
		out[6], out[7], out[8], out[9], out[10], out[11] = 0, 1, 0, 0, 0, 0
		out = append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)
		_, _ = c.WriteTo(out, from)
	}
}
