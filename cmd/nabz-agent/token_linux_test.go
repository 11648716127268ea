package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// terminals opens a terminal: what is written to ours is typed at the other.
func terminals(t *testing.T) (ours, other *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		testneed.Missing(t, "a terminal", "mount devpts: "+err.Error())
	}
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if other, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	return ours, other
}

// asked runs enroll at a terminal, where somebody types, until it has said what is wanted or ends.
func asked(t *testing.T, typed, want string) (said string) {
	t.Helper()
	ours, other := terminals(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "nabz-agent") // by which name the test's program is the agent
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "enroll", "--config", filepath.Join(t.TempDir(), "none", "agent.toml"), "--no-start")
	cmd.Stdin = other
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	if _, err := ours.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for !strings.Contains(said, want) {
		n, err := out.Read(buf)
		said += string(buf[:n])
		if err != nil {
			break
		}
	}
	_ = cmd.Process.Kill() // it may go on to ask a collector
	_ = cmd.Wait()
	return said
}

func TestATokenIsAskedForAtATerminal(t *testing.T) {
	e, err := telemetry.NewEnrolment(telemetry.Address{Site: "gokina", Agent: "main"}, "https://127.0.0.1:1", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	token := e.String()
	const question = "Token from the NOC, ended by an empty line if it goes on over several: "
	for what, r := range map[string]struct{ typed, want string }{
		"over several lines":  {token[:50] + "\n" + token[50:100] + "\n" + token[100:] + "\n", "enrolling gokina/main at https://127.0.0.1:1\n"},
		"with its whole line": {"nabz-agent enroll " + token + "\n", "enrolling gokina/main at https://127.0.0.1:1\n"},
		"not to its end":      {token[:50] + "\n\n", "the enrolment token is cut short or mistyped"},
		"nothing but an end":  {"\x04", "this is no enrolment token"},
	} {
		if said := asked(t, r.typed, r.want); !strings.HasPrefix(said, question) || !strings.Contains(said, r.want) {
			t.Errorf("%s: it says %q\nwant %q", what, said, r.want)
		}
	}
}
