package testtty

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/testneed"
)

// Terminal is one with a command in it.
type Terminal struct {
	cmd    *exec.Cmd
	master *os.File
	read   chan struct{} // closed when there is nothing more to read

	mu  sync.Mutex
	got bytes.Buffer
}

// Open makes a pseudo-terminal of 80 by 24 and gives both of its ends. They are closed with the test.
func Open(t *testing.T) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		testneed.Missing(t, "pseudo terminals", err.Error())
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that closing it ends a read
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

// Watched runs this test's own program under a name, in a terminal of a kind that has colours, and returns what it wrote and its exit status. Env
// comes on top. The test's main has to be that of testscript, which runs the program where its file has this name.
func Watched(t *testing.T, name string, env []string, args ...string) (text string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NO_COLOR=") || strings.HasPrefix(v, "TERM=")
	}), env...)
	return Start(t, cmd).Wait(t)
}

// Start runs a command in a terminal of its own. What of its streams is set already stays so.
func Start(t *testing.T, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, slave := Open(t)
	if cmd.Stdin == nil {
		cmd.Stdin = slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = slave
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: cmd.Stdin == slave, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	tty := &Terminal{cmd: cmd, master: master, read: make(chan struct{})}
	go tty.drain()
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return tty
}

func (tty *Terminal) drain() {
	defer close(tty.read)
	buf := make([]byte, 4096)
	for {
		n, err := tty.master.Read(buf)
		tty.mu.Lock()
		tty.got.Write(buf[:n])
		tty.mu.Unlock()
		if err != nil { // EIO: nobody has the other end open any more
			return
		}
	}
}

// Type types a text.
func (tty *Terminal) Type(t *testing.T, text string) {
	t.Helper()
	if _, err := tty.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// Text is what was written so far. The terminal's own line ends are plain ones in it.
func (tty *Terminal) Text() string {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	return strings.ReplaceAll(tty.got.String(), "\r\n", "\n")
}

// Wait waits for the end of the command and gives all that it wrote, and its exit status.
func (tty *Terminal) Wait(t *testing.T) (text string, status int) {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() { _ = tty.cmd.Process.Kill() })
	defer timer.Stop()
	_ = tty.cmd.Wait()
	select {
	case <-tty.read:
	case <-time.After(10 * time.Second):
		t.Error("somebody keeps the terminal open")
	}
	return tty.Text(), tty.cmd.ProcessState.ExitCode()
}
