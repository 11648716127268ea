package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// village is a checker in a bubble, whose clock begins in 2000, at midnight between Friday and Saturday.
type village struct {
	k       *Checker
	up      atomic.Bool
	known   atomic.Bool
	mu      sync.Mutex
	err     error
	asked   []string // "MINUTE service ok"
	started time.Time
}

func newVillage(t *testing.T, every time.Duration, list ...Config) *village {
	t.Helper()
	return begin(t, true, every, list...)
}

// begin starts the checks, with a clock that is known or not.
func begin(t *testing.T, known bool, every time.Duration, list ...Config) *village {
	t.Helper()
	specs, err := Specs(list)
	if err != nil {
		t.Fatal(err)
	}
	v := &village{started: time.Now()}
	v.up.Store(true)
	v.known.Store(known)
	v.k = NewChecker(CheckerConfig{Services: specs, Every: every, Log: quiet, Up: v.up.Load,
		Now: func() (time.Time, bool) { return time.Now().UTC(), v.known.Load() },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.err != nil {
				return nil, v.err
			}
			a, b := net.Pipe()
			_ = b.Close()
			return a, nil
		}})
	v.k.early = 30 * time.Second
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- v.k.Run(ctx, func(c Check) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.asked = append(v.asked, fmt.Sprintf("%.0f %s %v", c.At.Sub(v.started).Minutes(), c.Service, c.OK))
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v *village) after(t *testing.T, d time.Duration, want ...string) {
	t.Helper()
	time.Sleep(d)
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if got := strings.Join(v.asked, ", "); got != strings.Join(want, ", ") {
		t.Errorf("after %v:\n got %s\nwant %s", time.Since(v.started), got, strings.Join(want, ", "))
	}
	v.asked = nil
}

func (v *village) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func TestEndpointsAreAskedInTheirOpeningHoursOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 30*time.Minute,
			Config{Name: "clinic", Endpoint: "a.example.org:443", Hours: "Sa 02:00-03:10", TimeZone: "UTC"},
			Config{Name: "school", Hours: "Sa 00:00-24:00", TimeZone: "UTC"})
		v.after(t, 119*time.Minute)
		v.after(t, 2*time.Minute, "120 clinic true") // half a minute before it opens
		v.after(t, 2*time.Hour, "150 clinic true", "180 clinic true")
		v.after(t, 6*24*time.Hour)
	})
}

func TestADeadEndpointIsAskedMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 30*time.Minute, Config{Name: "clinic", Endpoint: "192.0.2.1:443"})
		v.after(t, 31*time.Minute, "0 clinic true", "30 clinic true")
		v.fail(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		v.after(t, 40*time.Minute, "60 clinic false", "65 clinic false", "70 clinic false")
		v.fail(nil)
		v.after(t, 40*time.Minute, "75 clinic true", "105 clinic true")
		if got, want := v.k.Bytes(), int64(4*(2*synBytes+2*ackBytes)+3*(synBytes+refusalBytes)); got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
	})
}

func TestWhileTheLinkIsDownNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 30*time.Minute, Config{Name: "clinic", Endpoint: "192.0.2.1:443"})
		v.after(t, time.Minute, "0 clinic true")
		v.up.Store(false)
		v.after(t, 2*time.Hour)
		v.up.Store(true)
		v.k.Changed()
		v.k.Changed()
		v.after(t, time.Minute, "121 clinic true")
	})
}

func TestWithoutAClockNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := begin(t, false, 2*time.Hour, Config{Name: "clinic", Endpoint: "192.0.2.1:443"})
		v.after(t, 3*time.Hour)
		v.known.Store(true)
		v.k.Changed()
		v.after(t, time.Minute, "180 clinic true")
	})
}

func TestAnEndpointIsReachedWhenItTakesAConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := NewChecker(CheckerConfig{Log: quiet})
	if !k.ask(t.Context(), l.Addr().String()) {
		t.Error("an open port was not reached")
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v; want a reset, which is one packet", n, err)
	}
	_ = c.Close()
	_ = l.Close()
	if k.ask(t.Context(), l.Addr().String()) {
		t.Error("a closed port was reached")
	}
	if got := k.Bytes(); got <= 2*synBytes+2*ackBytes {
		t.Errorf("a refusal cost nothing: %d bytes", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if k.ask(ctx, l.Addr().String()) {
		t.Error("reached, though nobody waits")
	}
}
