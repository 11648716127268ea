package machine_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/machine"
)

func TestAMachineBootsAndLeavesNothingBehind(t *testing.T) {
	before := host(t)
	t.Run("boot", func(t *testing.T) {
		m := machine.New(t, "router")
		m.Write("/etc/systemd/system/hello.service", "[Service]\nType=oneshot\nExecStart=echo good morning\n", 0o644)
		m.Boot()
		m.Start("hello.service")
		if got := m.Status("hello.service", "Result"); got != "success" {
			t.Errorf("hello.service ended with %s", got)
		}
		if got := m.Journal("--unit=hello.service"); !strings.Contains(got, "good morning") {
			t.Errorf("the journal does not tell it:\n%s", got)
		}
		if got := strings.TrimSpace(m.Run("hostname")); got != "router" {
			t.Errorf("its name is %q", got)
		}
		if len(processes(t, os.Getpid())) < 3 {
			t.Error("its processes are not found: what follows would prove nothing")
		}
	})
	if after := host(t); before != after {
		t.Errorf("the host was\n%s\nand is\n%s", before, after)
	}
	if left := processes(t, os.Getpid()); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
}

func TestNothingOfAMachineReachesTheHost(t *testing.T) {
	m := machine.New(t, "router")
	for _, forbidden := range []string{"echo 1 >/proc/sys/kernel/panic", "echo x >/proc/sys/kernel/core_pattern", "date -s 2001-01-01", "echo 1 >/sys/kernel/profiling",
		"ls /dev/kmsg", "ls /.host/", "ls /dev/disk"} {
		if out, err := m.Try("sh", "-c", forbidden); err == nil {
			t.Errorf("%s is allowed: %s", forbidden, out)
		}
	}
	m.Run("sh", "-c", "echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range") // the network is its own
	m.Run("touch", "/usr/bin/only-here")
	if other := machine.New(t, "other"); other.Run("sh", "-c", "ls /usr/bin/only-here || echo none") == "/usr/bin/only-here\n" {
		t.Error("what one machine writes another reads")
	}
}

func TestAMachineEndsWithATestThatIsKilled(t *testing.T) {
	machine.New(t, "first") // or else skipped by name: nothing below would tell
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, self, "-test.run=^TestPlayOneThatIsKilled$", "-test.v")
	child.Env = append(os.Environ(), killed+"=yes")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	told := false
	for s := bufio.NewScanner(out); !told && s.Scan(); {
		told = strings.Contains(s.Text(), "booted")
	}
	running := len(processes(t, child.Process.Pid))
	_ = child.Process.Kill()
	_ = child.Wait()
	if !told || running < 3 {
		t.Fatalf("the child did not boot a machine (%d processes)", running)
	}
	for end := time.After(20 * time.Second); len(processes(t, child.Process.Pid)) > 0; {
		select {
		case <-end:
			t.Fatalf("still running: %v", processes(t, child.Process.Pid))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const killed = "NABZ_TEST_MACHINE_KILLED"

func TestPlayOneThatIsKilled(t *testing.T) {
	if os.Getenv(killed) == "" {
		t.Skip("a part of TestAMachineEndsWithATestThatIsKilled")
	}
	m := machine.New(t, "killed")
	m.Boot()
	fmt.Println("booted")
	m.Run("sleep", "100") // the test is killed here
}

func TestTwoMachinesTalkOverACable(t *testing.T) {
	noc, router := machine.New(t, "noc"), machine.New(t, "router")
	machine.Cable(noc, "eth0", "198.51.100.1/24", router, "wan", "198.51.100.2/24")
	router.Knows("noc.example.org", "198.51.100.1")
	noc.Boot()
	noc.Run("systemd-run", "--unit=echo", "--service-type=exec", "systemd-socket-activate", "--listen=7", "--inetd", "--accept", "cat")
	var got string
	router.Until(10*time.Second, "an answer", func() bool {
		out, err := router.Try("bash", "-c", "exec 3<>/dev/tcp/noc.example.org/7; echo salaam >&3; head -n 1 <&3")
		got = out
		return err == nil
	})
	if got != "salaam\n" {
		t.Errorf("got %q", got)
	}
}

// host is what a machine could change of the host.
func host(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"kernel/hostname", "kernel/core_pattern", "kernel/pid_max", "fs/file-max", "fs/nr_open", "net/ipv4/ping_group_range"} {
		b, err := os.ReadFile("/proc/sys/" + file)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(file + " " + string(b))
	}
	return all.String()
}

// processes are those of the machines of a test, by its process id.
func processes(t *testing.T, test int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		group, err := os.ReadFile(file)
		if err == nil && bytes.Contains(group, fmt.Appendf(nil, "nabz-machine-%d-", test)) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "comm"))
			found = append(found, filepath.Base(filepath.Dir(file))+" "+strings.TrimSpace(string(name)))
		}
	}
	return found
}
