package machine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a command may take. It is for one that hangs.
const patience = 3 * time.Minute

// Command is a command in the machine, as root and with nothing of the host's environment. It runs until it ends, ctx ends or the machine does.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	in := []string{"--target=" + m.pid, "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--", "setpriv", "--bounding-set=" + without, "--", name}
	cmd := exec.CommandContext(ctx, "nsenter", append(in, args...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Try runs a command and returns all that it said, with its exit status in err.
func (m *Machine) Try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := m.Command(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// Run does so for a command that must pass.
func (m *Machine) Run(name string, args ...string) string {
	m.t.Helper()
	out, err := m.Try(name, args...)
	if err != nil {
		m.t.Fatalf("%s: %s %s: %v\n%s", m.Name, name, strings.Join(args, " "), err, out)
	}
	return out
}

// Feed runs a command that must pass and is told input.
func (m *Machine) Feed(input []byte, name string, args ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := m.Command(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %s %s: %v\n%s", m.Name, name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Write makes a file, root's, and the folders above it.
func (m *Machine) Write(file, text string, mode os.FileMode) {
	m.t.Helper()
	m.Feed([]byte(text), "sh", "-ec", `mkdir -p "$1"; cat >"$2"; chmod "$3" "$2"`, "sh", path.Dir(file), file, fmt.Sprintf("%o", mode))
}

// Copy does so with a file of the host.
func (m *Machine) Copy(from, file string, mode os.FileMode) {
	m.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Write(file, string(b), mode)
}

// Read is the text of a file.
func (m *Machine) Read(file string) string {
	m.t.Helper()
	return m.Run("cat", file)
}

// Install has dpkg install packages of the host, and returns what it said.
func (m *Machine) Install(debs ...string) string {
	m.t.Helper()
	args := []string{"--install"}
	for _, deb := range debs {
		to := "/var/tmp/" + filepath.Base(deb)
		m.Copy(deb, to, 0o644)
		args = append(args, to)
	}
	return m.Run("dpkg", args...)
}

// Start starts a unit and waits for it to be ready.
func (m *Machine) Start(unit string) {
	m.t.Helper()
	if out, err := m.Try("systemctl", "start", unit); err != nil {
		m.t.Fatalf("%s: start %s: %v\n%s\n%s", m.Name, unit, err, out, m.Journal("--unit="+unit))
	}
}

// Status is what systemd knows of a unit under a name, such as ActiveState or MainPID.
func (m *Machine) Status(unit, name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.Run("systemctl", "show", "--value", "--property="+name, unit))
}

// Journal is the end of the machine's journal, or of a part that is chosen as for journalctl.
func (m *Machine) Journal(choice ...string) string {
	out, _ := m.Try("journalctl", append([]string{"--no-pager", "--output=short-precise", "--lines=100"}, choice...)...)
	return out
}
