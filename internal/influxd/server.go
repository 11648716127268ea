//go:build unix

package influxd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

var (
	// ErrPortTaken is in the error of Start when another program listens on the address.
	ErrPortTaken = errors.New("address is taken by another program")
	// ErrInUse is in the error of Start when another influxd works in the folder.
	ErrInUse = errors.New("in use by another process")
)

// startLimit bounds how long a server may take to answer: a month of data of a hundred sites opens in seconds.
const startLimit = 2 * time.Minute

// stopLimit bounds a clean stop, after which the server is killed.
const stopLimit = 20 * time.Second

// Options say where a server runs.
type Options struct {
	Path     string    // the program, from Find or FindTwo
	Two      bool      // it is a 2.x: set up at its first start with one organisation, village, and a token that may do all in it
	NoFlux   bool      // 1.x without Flux, which takes three seconds of processor time at each start
	SignIn   bool      // 1.x asks for a user and password; 2.x always asks for a token
	Dir      string    // its folder, made when missing; data in it is gone on with
	HTTPAddr string    // address to listen on; empty or port 0 takes a free port of 127.0.0.1
	Log      io.Writer // gets the server's warnings and errors; nil for none
}

// Server is a running InfluxDB.
type Server struct {
	URL   string // such as http://127.0.0.1:8086
	Addr  string // host:port, to start again on the same one
	Token string // "" for a child of 1.x, which asks for none
	Org   string // "" for 1.x
	Dir   string // "" for a server that is not ours
	Path  string

	options Options // to start again
	process *os.Process
	done    chan struct{} // closed when the child has ended
	err     error         // how it ended; read after done
}

// Start runs influxd and returns when it answers. Ctx bounds the start only; the server goes on until Stop or
// Kill, or until this process ends.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start influxd in %s: %w", o.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if o.HTTPAddr == "" {
		o.HTTPAddr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", o.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; choose another port", ErrPortTaken, err)
	}
	l.Close()
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	held, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer held.Close() // the child keeps its own copy
	cmd, err := o.command(dir)
	if err != nil {
		return nil, err
	}
	cmd.Env = environment()
	cmd.SysProcAttr = apart()
	cmd.ExtraFiles = []*os.File{held}
	s := &Server{Dir: dir, Path: o.Path, options: o, done: make(chan struct{})}
	listening, err := s.run(cmd, o.Log)
	if err != nil {
		return nil, err
	}
	err = s.ready(ctx, listening)
	if err == nil && o.Two {
		err = s.setUp(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// command is the program with its settings, in dir.
func (o Options) command(dir string) (*exec.Cmd, error) {
	if o.Two {
		cmd := exec.Command(o.Path, argumentsOfTwo(dir, o.HTTPAddr)...)
		cmd.Dir = dir // else it takes a config.toml of ours for its own
		return cmd, nil
	}
	file := filepath.Join(dir, "influxd.conf")
	if err := os.WriteFile(file, []byte(configuration(dir, o.HTTPAddr, o.SignIn, !o.NoFlux)), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(o.Path, "-config", file), nil
}

// run starts the child and waits for its end on one thread that does nothing else: the kernel ties "kill the
// child when its parent dies" to the thread that started it.
func (s *Server) run(cmd *exec.Cmd, log io.Writer) (listening <-chan string, err error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = cmd.Stderr // where 2.x logs; 1.x says nothing there
	started, addr := make(chan error), make(chan string, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		last := follow(out, log, addr)
		if err := cmd.Wait(); err != nil {
			s.err = fmt.Errorf("influxd ended: %w; it said last:\n%s", err, strings.Join(last, "\n"))
		}
		close(s.done)
	}()
	return addr, <-started
}

// follow reads the server's log to its end: it passes on warnings and errors, tells the address listened on once
// the server also heeds signals (before that, SIGTERM would not end it cleanly), and returns the last lines.
func follow(r io.Reader, log io.Writer, addr chan<- string) (last []string) {
	const kept = 12
	var found string
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			last = append(last[max(0, len(last)+1-kept):], line)
			if log != nil && telling(line) {
				fmt.Fprintln(log, "influxd:", line)
			}
			if _, rest, ok := strings.Cut(line, `msg="Listening on HTTP" `); ok {
				found = value(rest, "addr=")
			}
			if strings.Contains(line, `msg="Listening for signals"`) {
				addr <- found
			}
			if _, rest, ok := strings.Cut(line, `msg=Listening `); ok && strings.Contains(rest, "transport=http") { // 2.x has heeded signals all along
				host, _, _ := net.SplitHostPort(value(rest, "addr="))
				addr <- net.JoinHostPort(host, value(rest, " port="))
			}
		}
		if err != nil {
			return last
		}
	}
}

// value is what stands behind key in a log line.
func value(line, key string) string {
	_, rest, _ := strings.Cut(line, key)
	rest, _, _ = strings.Cut(rest, " ")
	return rest
}

// telling picks warnings, errors, and what is not a log line at all, such as a panic; but not what the
// server's RPC port says at each stop.
func telling(line string) bool {
	return strings.Contains(line, "lvl=warn") || strings.Contains(line, "lvl=error") ||
		!strings.Contains(line, "lvl=") && !strings.HasPrefix(line, "[tcp] ")
}

// ready waits until the server listens and answers /ping.
func (s *Server) ready(ctx context.Context, listening <-chan string) error {
	select {
	case s.Addr = <-listening:
		s.URL = "http://" + s.Addr
	case <-s.done:
		return s.ended()
	case <-ctx.Done():
		return fmt.Errorf("wait for it to listen: %w", ctx.Err())
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := client.Get(s.URL + "/ping"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusNoContent {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.done:
			return s.ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer from %s: %w", s.URL, ctx.Err())
		}
	}
}

func (s *Server) ended() error {
	if s.err != nil {
		return s.err
	}
	return errors.New("influxd ended by itself")
}

// Pid is the process id of the child, 0 for a server that is not ours.
func (s *Server) Pid() int {
	if s.process == nil {
		return 0
	}
	return s.process.Pid
}

// Done is closed when the child has ended, by whatever cause; nil for a server that is not ours.
func (s *Server) Done() <-chan struct{} { return s.done }

// Wait returns when the child has ended, with what it said last when it did not end well.
func (s *Server) Wait() error {
	if s.process == nil {
		return errors.New("wait for influxd: the server is not ours")
	}
	<-s.done
	return s.err
}

// Stop lets the child close its files, and kills it when that takes more than 20 s. A second call does nothing.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	end := terminate
	if s.options.Two {
		end = interrupt
	}
	if err := end(s.process); errors.Is(err, os.ErrProcessDone) {
		<-s.done
		return nil
	}
	select {
	case <-s.done:
		return s.err
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("stop influxd: still running after %v, killed", stopLimit), s.Kill())
	}
}

// Kill ends the child at once, as a crash or power cut would, and returns when it is gone. Start on the same
// folder and address goes on from there.
func (s *Server) Kill() error {
	if s.process == nil {
		return errors.New("kill influxd: the server is not ours")
	}
	if err := s.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill influxd: %w", err)
	}
	<-s.done
	return nil
}

// environment leaves out what would override the configuration file.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "INFLUXDB_") && !strings.HasPrefix(e, "INFLUXD_") {
			env = append(env, e)
		}
	}
	return env
}
