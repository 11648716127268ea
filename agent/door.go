package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// The door is a socket in the data folder, through which a person on the same machine asks the running agent: one word in, one line
// of JSON out. Only who may read the folder may ask.
const (
	doorName   = "agent.sock"
	askStatus  = "status"
	askProve   = "prove"
	askSpeed   = "speedtest"
	doorWait   = 5 * time.Second  // for the question
	proveWait  = 45 * time.Second // for a test line to be acknowledged
	speedWait  = time.Minute      // for a speed test
	doorGuests = 4                // at once
)

// ErrNotRunning says that no agent works on the data folder.
var ErrNotRunning = errors.New("no agent is running")

// answer is what goes out of the door.
type answer struct {
	Status *Status `json:"status,omitempty"`
	Proof  *Proof  `json:"proof,omitempty"`
	Speed  *Speed  `json:"speedtest,omitempty"`
	Err    string  `json:"error,omitempty"`
}

// ask asks the agent that works on dir.
func ask(ctx context.Context, dir, word string) (answer, error) {
	path := filepath.Join(dir, doorName)
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && readOnly(dir): // an agent works there from RAM, but cannot make its socket
		return answer{}, fmt.Errorf("ask the agent at %s: %w, so one that runs cannot be asked; mount it writable and start the agent anew", path, syscall.EROFS)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
		return answer{}, fmt.Errorf("ask the agent at %s: %w; start it, or name its configuration with --config", path, ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return answer{}, fmt.Errorf("ask the agent at %s: %w; ask as root or as the agent's own user", path, err)
	case err != nil:
		return answer{}, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = conn.Write([]byte(word + "\n")); err != nil {
		return answer{}, fmt.Errorf("ask the agent at %s: %w", path, err)
	}
	var a answer
	if err = json.NewDecoder(conn).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("ask the agent at %s: %w; is it of another version?", path, err)
	}
	if a.Err != "" {
		return a, errors.New(a.Err)
	}
	return a, nil
}

// readOnly tells whether dir lies on a file system that takes nothing: it says so before it looks whether there is what is to be removed.
func readOnly(dir string) bool {
	return errors.Is(os.Remove(filepath.Join(dir, doorName+".none")), syscall.EROFS)
}

// ReadStatus asks the agent that works on the data folder.
func ReadStatus(ctx context.Context, dataDir string) (Status, error) {
	ctx, cancel := context.WithTimeout(ctx, doorWait)
	defer cancel()
	a, err := ask(ctx, dataDir, askStatus)
	if err != nil || a.Status == nil {
		return Status{}, err
	}
	return *a.Status, nil
}

// SpeedTest has the agent that works on the data folder measure its throughput now. It is part of the month's budget for speed tests, and
// its result is reported like any other.
func SpeedTest(ctx context.Context, dataDir string) (Speed, error) {
	ctx, cancel := context.WithTimeout(ctx, speedWait+doorWait)
	defer cancel()
	a, err := ask(ctx, dataDir, askSpeed)
	if err != nil || a.Speed == nil {
		return Speed{}, err
	}
	return *a.Speed, nil
}

// listen opens the door. The spool's lock is held, so what lies there is of a run that is over.
func listen(dir string) (net.Listener, error) {
	path := filepath.Join(dir, doorName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serve answers questions until l is closed.
func (a *agent) serve(ctx context.Context, l net.Listener) {
	var guests errgroup.Group
	guests.SetLimit(doorGuests)
	for {
		conn, err := l.Accept()
		if err != nil {
			_ = guests.Wait() // none returns an error
			return
		}
		guests.Go(func() error {
			a.reply(ctx, conn)
			return nil
		})
	}
}

func (a *agent) reply(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if conn.SetDeadline(time.Now().Add(doorWait)) != nil {
		return
	}
	word, err := bufio.NewReaderSize(conn, 64).ReadSlice('\n')
	if err != nil {
		return
	}
	var out answer
	switch string(word) {
	case askStatus + "\n":
		s := a.status()
		out.Status = &s
	case askProve + "\n":
		if conn.SetDeadline(time.Now().Add(proveWait+doorWait)) != nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, proveWait)
		p, err := a.prove(limited)
		cancel()
		if out.Proof = &p; err != nil {
			out.Err = err.Error()
		}
	case askSpeed + "\n":
		if conn.SetDeadline(time.Now().Add(speedWait+doorWait)) != nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, speedWait)
		r, err := a.testNow(limited, true)
		cancel()
		if out.Speed = &r; err != nil {
			out.Err = err.Error()
		}
	default:
		out.Err = "unknown question; this agent answers status, prove and speedtest"
	}
	if text, err := json.Marshal(out); err == nil {
		_, _ = conn.Write(append(text, '\n')) // who asked may have gone
	}
}
