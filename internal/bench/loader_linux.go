package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
)

// loader is a process of its own that sends, writes or swallows lines.
type loader struct {
	*child
	in io.WriteCloser

	mu   sync.Mutex
	last load.Status
	at   time.Time // when it came
}

// startLoader runs this program again with the plan.
func startLoader(self string, p load.Plan, log io.Writer) (*loader, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "load", string(text))
	cmd.Env, cmd.Stderr = clean(), log
	l := &loader{}
	if l.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = w
	if l.child, err = start("load "+p.Kind, cmd); err != nil {
		return nil, err
	}
	w.Close()
	go func() {
		defer out.Close()
		for in := bufio.NewScanner(out); in.Scan(); {
			var s load.Status
			if json.Unmarshal(in.Bytes(), &s) == nil {
				l.mu.Lock()
				l.last, l.at = s, time.Now()
				l.mu.Unlock()
			}
		}
	}()
	return l, nil
}

// begin lets it go.
func (l *loader) begin() error {
	_, err := io.WriteString(l.in, "begin\n")
	return err
}

func (l *loader) status() (load.Status, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.at
}

// until waits for a status.
func (l *loader) until(ctx context.Context, limit time.Duration, what string, so func(load.Status) bool) (s load.Status, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, at = l.status()
		if s.Fault != "" {
			return s, at, fmt.Errorf("%s: %s", l.name, s.Fault)
		}
		if so(s) {
			return s, at, nil
		}
		if err := l.ended(); err != nil {
			return s, at, err
		}
		select {
		case <-ctx.Done():
			return s, at, fmt.Errorf("waited %v until %s, %d batches sent, %d acknowledged: %w", limit, what, s.Sent, s.Acked, ctx.Err())
		case <-tick.C:
		}
	}
}

// end closes its input and waits.
func (l *loader) end() {
	l.in.Close()
	t := time.NewTimer(stopLimit)
	defer t.Stop()
	select {
	case <-l.done:
	case <-t.C:
		_ = l.stop() // it is thrown away
	}
}
