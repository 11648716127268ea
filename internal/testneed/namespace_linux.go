package testneed

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Namespaces runs the test once more as a child in network and mount namespaces of its own, and there it is true: nothing that is done to
// interfaces, routes and mounts reaches the machine. To the parent it is false, once the child has passed. Where there can be no namespaces, or the command that try
// names fails in them, the test is skipped by name.
func Namespaces(t *testing.T, try ...string) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	if os.Getuid() != 0 {
		Missing(t, "network namespaces", "run the test as root on linux")
	}
	Program(t, "ip", "apt-get install iproute2")
	if len(try) == 0 {
		try = []string{"ip", "link"}
	}
	if out, err := Apart(t.Context(), try[0], try[1:]...).CombinedOutput(); err != nil {
		Missing(t, "network namespaces", err.Error()+" "+string(out))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := Apart(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=15m", "-test.parallel=8") // what runs side by side there mostly waits
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// Apart is a command in network and mount namespaces of its own, which end with it, and it with this process.
func Apart(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return cmd
}
