package machine

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
)

//go:embed holder.sh
var holder string

// without are the capabilities that no process of a machine has: what they allow has no namespace, and would reach the host.
const without = "-sys_time,-sys_module,-sys_rawio,-syslog,-audit_control,-audit_read,-mac_admin,-mac_override,-wake_alarm,-block_suspend"

// disk is how much a machine may write, in memory.
const disk = "1g"

// Machine is one Debian machine of a test. Its methods end the test when something cannot be done; Try and Command tell it.
type Machine struct {
	Name string

	t       testing.TB
	group   *group
	process *exec.Cmd
	order   io.WriteCloser
	said    *bytes.Buffer
	pid     string // of its first process, as the host sees it
	booted  bool
	closed  bool
}

// New is a machine with a root of its own, off: commands run in it, systemd does not until Boot. It ends with the test.
func New(t testing.TB, name string) *Machine {
	t.Helper()
	need(t)
	m := &Machine{Name: name, t: t, said: &bytes.Buffer{}}
	dir := base(t)
	var err error
	if m.group, err = newGroup(); err != nil {
		missing(t, "a control group", err.Error())
	}
	t.Cleanup(m.Close)
	// The last namespace is that of control groups: its root is the group in which this starts.
	m.process = exec.Command("unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child",
		"sh", "-c", holder, "sh", dir, name, disk, without)
	m.process.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(m.group.file.Fd()), Pdeathsig: syscall.SIGKILL, Setpgid: true}
	m.process.Stderr = m.said
	if m.order, err = m.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.process.Start(); err != nil {
		m.process = nil
		t.Fatalf("start machine %s: %v", name, err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		m.Close()
		t.Fatalf("machine %s did not become ready: it said %q %s", name, line, m.said)
	}
	m.pid = pid
	return m
}

// need skips the test where there can be no machine.
func need(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "a machine of namespaces", "run the test as root on linux")
	}
	testneed.Program(t, "unshare", "apt-get install util-linux")
	testneed.Program(t, "ip", "apt-get install iproute2")
	testneed.Program(t, "debootstrap", "apt-get install debootstrap")
	try := exec.Command("unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "mount", "-t", "tmpfs", "try", "/mnt")
	if out, err := try.CombinedOutput(); err != nil {
		missing(t, "a machine of namespaces", fmt.Sprintf("%v %s", err, out))
	}
}

func missing(t testing.TB, what, get string) {
	t.Helper()
	testneed.Missing(t, what, get)
}

// Boot starts systemd and waits until everything runs. A unit that does not ends the test.
func (m *Machine) Boot() {
	m.t.Helper()
	if _, err := io.WriteString(m.order, "boot\n"); err != nil {
		m.t.Fatalf("boot %s: %v", m.Name, err)
	}
	m.booted = true
	state := ""
	m.Until(time.Minute, "systemd to run", func() bool {
		state, _ = m.Try("systemctl", "is-system-running", "--wait")
		state = strings.TrimSpace(state)
		return state == "running" || state == "degraded"
	})
	if state != "running" {
		failed, _ := m.Try("systemctl", "--failed", "--no-pager")
		m.t.Fatalf("machine %s is %s\n%s\n%s", m.Name, state, failed, m.Journal())
	}
}

// Until waits for what must come, asking four times a second.
func (m *Machine) Until(within time.Duration, what string, done func() bool) {
	m.t.Helper()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for !done() {
		select {
		case <-end:
			m.t.Fatalf("machine %s: waited %v in vain for %s\n%s", m.Name, within, what, m.Journal())
		case <-tick.C:
		}
	}
}

// Close ends every process of the machine, and with them its namespaces and all it has written. The end of the test does so by itself.
func (m *Machine) Close() {
	m.t.Helper()
	if m.closed {
		return
	}
	if m.t.Failed() && m.booted {
		m.t.Logf("journal of %s\n%s", m.Name, m.Journal())
	}
	m.closed = true
	if m.process != nil {
		m.order.Close()
		if pid, err := strconv.Atoi(m.pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it takes every other process with it, and unshare is left to bury it
		} else {
			m.group.kill()
		}
		_ = m.process.Wait()
		m.group.kill()
	}
	if err := m.group.remove(); err != nil {
		m.t.Errorf("machine %s left something behind: %v", m.Name, err)
	}
}
