//go:build unix

package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	stopLimit = 20 * time.Second // for a child to stop after SIGTERM, before it is killed
	tailLines = 8                // of a child's log, shown when it dies
)

// child is one program of ours at work.
type child struct {
	name string
	log  string // file
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	last []string // lines of its log
	err  error    // how it ended; read after done
}

// start runs a program. What it writes to stderr goes to dir/logs/NAME.log, warnings and errors to warn too;
// what it writes to stdout goes to out, or to the log when out is nil.
func start(dir, name, path string, args []string, out, warn io.Writer) (*child, error) {
	c := &child{name: name, log: filepath.Join(dir, "logs", name+".log"), done: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(c.log), 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.cmd = exec.Command(path, args...)
	c.cmd.SysProcAttr = apart()
	c.cmd.Env = environment()
	lines := &lineWriter{line: func(l string) { c.heard(l, log, warn) }}
	c.cmd.Stderr = lines
	c.cmd.Stdout = lines // the same writer, so that one goroutine serves both
	if out != nil {
		c.cmd.Stdout = out
	}
	c.cmd.WaitDelay = 2 * time.Second // a grandchild that holds the pipe is not waited for
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the kernel ties Pdeathsig to this thread's life
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
		lines.flush()
		log.Close()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w; build the programs with make build", name, err)
	}
	return c, nil
}

// environment is the demo's own, without what would override the configuration that the demo writes.
func environment() (env []string) {
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "NABZ_") && !strings.HasPrefix(e, "INFLUX_") {
			env = append(env, e)
		}
	}
	return env
}

// heard takes in one line of the child's log.
func (c *child) heard(line string, log, warn io.Writer) {
	fmt.Fprintln(log, line)
	c.mu.Lock()
	c.last = append(c.last[max(0, len(c.last)+1-tailLines):], line)
	c.mu.Unlock()
	if warn != nil && (strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR")) {
		fmt.Fprintf(warn, "%s: %s\n", c.name, line)
	}
}

// died says how a child ended that should have gone on, with its last words.
func (c *child) died() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	how := "ended by itself"
	if c.err != nil {
		how = "died: " + c.err.Error()
	}
	said := "and said nothing"
	if len(c.last) > 0 {
		said = "it said last:\n  " + strings.Join(c.last, "\n  ")
	}
	return fmt.Errorf("%s %s; the whole log is %s; %s", c.name, how, c.log, said)
}

// alive tells whether the child has not ended.
func (c *child) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// stop asks the child to end, kills it and all it has started when that takes too long, and returns when it has
// ended. The error says that it had to be killed, or ended badly.
func (c *child) stop() error {
	if !c.alive() {
		return nil
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-c.done:
		var exit *exec.ExitError
		if errors.As(c.err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
			return nil // had not come as far as listening for it
		}
		if c.err != nil {
			return fmt.Errorf("stop %s: %w; see %s", c.name, c.err, c.log)
		}
		return nil
	case <-limit.C:
		// The group is the child's own, and the child has not been waited for, so its id is still its own.
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.done
		return fmt.Errorf("stop %s: still running after %v, killed; see %s", c.name, stopLimit, c.log)
	}
}

// lineWriter cuts what is written into lines. A line beyond 64 KiB comes in pieces.
type lineWriter struct {
	mu   sync.Mutex
	rest []byte
	line func(string)
}

const longestLine = 64 << 10

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		n, text, _ := bufio.ScanLines(w.rest, false)
		if n == 0 && len(w.rest) > longestLine {
			n, text = longestLine, w.rest[:longestLine]
		}
		if n == 0 {
			return len(p), nil
		}
		w.line(string(text))
		w.rest = append(w.rest[:0], w.rest[n:]...)
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.line(string(w.rest))
		w.rest = nil
	}
}
