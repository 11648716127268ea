package speedtest

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/ndt7"
)

// within holds a throughput against what the link carried: its rate, within 10 %. Where this machine was too busy to be such a link, what it was instead
// is known less well.
func within(t *testing.T, what string, got int64, p *pace) {
	t.Helper()
	want, pct := p.bps, 10.
	if math.Abs(p.truth()/p.bps-1) > 0.04 {
		want, pct = p.truth(), 35
	}
	off := 100 * (float64(got)/want - 1)
	t.Logf("%s: %.2f Mbit/s on a link of %.2f that carried %.2f (%+.1f %%)", what, float64(got)/1e6, p.bps/1e6, p.truth()/1e6, off)
	if math.Abs(off) > pct {
		t.Errorf("%s: %d bit/s measured, the link carried %.0f", what, got, want)
	}
}

// tellsTCP is false where there is no TCP_INFO, as under emulation.
func tellsTCP(t *testing.T) bool {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, ok := readKernel(c)
	return ok
}

func TestATestMeasuresTheRateOfTheLink(t *testing.T) {
	t.Parallel()
	var early atomic.Int64
	t.Cleanup(func() { // when all have come to their end
		if early.Load() == 0 {
			t.Error("all links were steady, and no test ended early")
		}
	})
	for name, c := range map[string]struct {
		down, up float64
		tls      bool
	}{
		"plain, 16 down, 4 up":     {16e6, 4e6, false},
		"TLS, 3 down, 1 up":        {3e6, 1e6, true},
		"TLS, slower down than up": {1e6, 6e6, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, dial := newMiddle(t, c.down, c.up)
			s := serve(t, ndt7.Config{}, c.tls)
			r, err := client(t, s, dial).Test(t.Context(), 100<<20)
			if err != nil {
				t.Fatal(err)
			}
			within(t, "download", r.DownBps, &m.down)
			within(t, "upload", r.UpBps, &m.up)
			passed := m.down.passed.Load() + m.up.passed.Load()
			t.Logf("%+v; %d bytes of TCP passed", r, passed)
			if r.bound < passed {
				t.Errorf("the test may have cost %d bytes by its own account; %d passed", r.bound, passed)
			}
			for _, end := range []End{r.DownEnd, r.UpEnd} {
				if end == EndStable {
					early.Add(1)
				}
			}
			switch told := r.MinRTT > 0 && r.MinRTT < time.Second && r.SentBytes > 0; {
			case told != tellsTCP(t):
				t.Errorf("the system tells of TCP: %v; the result: %+v", !told, r)
			case !told && (r.MinRTT != 0 || r.SentBytes != 0):
				t.Errorf("what the system does not tell is not left out: %+v", r)
			}
		})
	}
}

// TestATestKeepsToItsCap goes by the test's own account, which TestUsedBytesAreWhatTheInterfaceCarried holds against the wire. What has come as far as the
// middle when the test ends need not have come to the site.
func TestATestKeepsToItsCap(t *testing.T) {
	t.Parallel()
	s := serve(t, ndt7.Config{}, true)
	for _, limit := range []int64{minGrant, 3 << 19, 4 << 20} {
		m, dial := newMiddle(t, 8e6, 8e6)
		r, err := client(t, s, dial).Test(t.Context(), limit)
		if err != nil && !errors.Is(err, ErrSpent) {
			t.Error(err)
		}
		passed := m.down.passed.Load() + m.up.passed.Load()
		t.Logf("cap %d: %d passed, %d used, %d charged; %s, %s", limit, passed, r.UsedBytes, r.bound, r.DownEnd, r.UpEnd)
		if r.UsedBytes > limit || r.bound > limit {
			t.Errorf("cap %d: %d used, %d charged", limit, r.UsedBytes, r.bound)
		}
		if limit > 3<<20 && (r.DownEnd != EndBudget || r.UpEnd != EndBudget || !r.Measured()) {
			t.Errorf("cap %d: %+v", limit, r)
		}
	}
}

func TestAnEndOfTheAgentEndsATest(t *testing.T) {
	t.Parallel()
	s := serve(t, ndt7.Config{}, false)
	for _, during := range []string{"download", "upload"} {
		m, dial := newMiddle(t, 4e6, 4e6)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := client(t, s, dial).Test(ctx, 100<<20)
			ended <- err
		}()
		flow := &m.down
		if during == "upload" {
			flow = &m.up
		}
		until(t, during+" to begin", func() bool { return flow.passed.Load() > 200<<10 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("in the %s: %v", during, err)
		}
	}
}

func TestWhatTheServerRefusesIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, ndt7.Config{AtOnce: 1, Time: 5 * time.Second}, false)
	c := client(t, s, nil)
	c.Secret = "wrong"
	if _, err := c.Test(t.Context(), 1<<20); err == nil || !strings.Contains(err.Error(), "get leave for a speed test at 127.0.0.1") || !strings.Contains(err.Error(), "correct its secret file") {
		t.Errorf("a wrong secret: %v", err)
	}
	c.Secret = secret
	_, dial := newMiddle(t, 1e6, 1e6)
	slow := client(t, s, dial)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = slow.Test(ctx, 100<<20) }()
	until(t, "the server to be full", func() bool {
		_, err := c.Test(t.Context(), 1<<20)
		return errors.Is(err, ErrBusyServer)
	})
	cancel()
	<-done
}

func TestAServerIsAnAddressThatKeepsTheSecret(t *testing.T) {
	for text, c := range map[string]struct {
		open, insecure bool
		name, part     string
	}{
		"https://noc.example.org":                               {name: "noc.example.org"},
		"https://noc.example.org:8443/":                         {name: "noc.example.org:8443"},
		"http://127.0.0.1:8080":                                 {name: "127.0.0.1:8080"},
		"http://noc.example.org":                                {part: "has no TLS"},
		"http://noc.example.org/":                               {insecure: true, name: "noc.example.org"},
		"wss://ndt.example.net/ndt/v7/download?access_token=xy": {open: true, name: "ndt.example.net"},
		"ws://ndt.example.net:3001":                             {open: true, name: "ndt.example.net:3001"},
		"https://noc.example.org?x=y":                           {part: "holds a query"},
		"https://me:pw@noc.example.org":                         {part: "holds a user"},
		"mqtt://noc.example.org":                                {part: "is not a server"},
		"noc.example.org":                                       {part: "is not a server"},
		"":                                                      {part: "is not a server"},
	} {
		s, err := ParseServer(text, c.open, c.insecure)
		switch {
		case c.part != "":
			if err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("%q: %v, want %q", text, err, c.part)
			}
		case err != nil:
			t.Errorf("%q: %v", text, err)
		case s.Name() != c.name:
			t.Errorf("%q is called %q, want %q", text, s.Name(), c.name)
		}
	}
	s, err := ParseServer("wss://ndt.example.net/ndt/v7/download?access_token=xy", true, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.url("/ndt/v7/upload", "").String(); got != "https://ndt.example.net/ndt/v7/upload?access_token=xy" {
		t.Errorf("upload goes to %s", got)
	}
}
