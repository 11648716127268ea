package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// stopLimit bounds a clean stop of a child.
const stopLimit = 20 * time.Second

// child is a program that runs beside us and ends with us.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // read after done
}

// start runs cmd. The kernel ties "end with the parent" to the thread that started it, so that thread waits for it too.
func start(name string, cmd *exec.Cmd) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c := &child{name: name, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// ended tells why the child is gone, nil while it runs.
func (c *child) ended() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended by itself: %w", c.name, errors.Join(c.err, io.ErrUnexpectedEOF))
	default:
		return nil
	}
}

// stop asks the child to end and waits, and kills it when it takes too long.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	t := time.NewTimer(stopLimit)
	defer t.Stop()
	select {
	case <-c.done:
		return nil
	case <-t.C:
		_ = c.cmd.Process.Kill()
		<-c.done
		return fmt.Errorf("%s did not end within %v of SIGTERM", c.name, stopLimit)
	}
}

// command runs a program to its end and returns what it printed; an error holds what it said.
func command(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// until asks every 100 ms whether it is so, at most for limit.
func until(ctx context.Context, limit time.Duration, what string, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %v until %s: %w", limit, what, ctx.Err())
		case <-t.C:
		}
	}
	return nil
}

// clean is the environment without what would configure our programs.
func clean() []string {
	var kept []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "NABZ_") && !strings.HasPrefix(e, "INFLUX_") {
			kept = append(kept, e)
		}
	}
	return kept
}
