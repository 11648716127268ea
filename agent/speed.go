package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/smartvillage/nabz/agent/speedtest"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// SpeedConfig is what speed tests may cost.
type SpeedConfig struct {
	Server    string  `toml:"server"`
	Open      bool    `toml:"open_server"`
	PerDay    float64 `toml:"per_day"`
	Window    string  `toml:"window"`
	MonthlyMB float64 `toml:"monthly_mb"`
	TestMB    float64 `toml:"test_mb"`
	BusyShare float64 `toml:"busy_share"`
}

// openSpeed makes the runner of speed tests; nil where none are wanted, or the budget cannot be read.
func (a *agent) openSpeed(secret string) error {
	c := a.c.Speedtest
	if c.Server == "" {
		return nil
	}
	server, err := speedtest.ParseServer(c.Server, c.Open, false)
	if err != nil {
		return err
	}
	window, err := speedtest.ParseWindow(c.Window)
	if err != nil {
		return err
	}
	zone, err := hours.ParseZone(a.c.TimeZone)
	if err != nil {
		return err
	}
	trust, err := a.c.Trust()
	if err != nil {
		return err
	}
	trust.Time = a.clock.Now // no test runs before it is known
	a.load.Share = c.BusyShare
	a.speed, err = speedtest.New(speedtest.Config{
		Client: &speedtest.Client{Server: server, Address: a.c.Address(), Secret: secret, TLS: trust, Version: a.c.Version},
		PerDay: c.PerDay, Window: window, Monthly: int64(c.MonthlyMB * 1e6), MaxTest: int64(c.TestMB * 1e6), Dir: a.c.DataDir,
		Clock:    func() (time.Time, bool) { return a.clock.Now().In(zone), a.clock.Known() },
		Busy:     func() bool { return a.load.Busy() || a.seen.Load().state != telemetry.StateUp },
		OnResult: a.tested, Log: a.log,
	})
	if err != nil { // a disk that cannot be read must not keep the link from being measured
		a.log.Error("no speed tests in this run: what they have cost so far is not known", "err", err)
	}
	return nil
}

// tested is called for each test that measured something.
func (a *agent) tested(r speedtest.Result) {
	a.load.Tested(r)
	select {
	case a.speeds <- r:
	case <-a.ended:
	}
}

// speedLine tells the recorder of a test.
func (a *agent) speedLine(r speedtest.Result) {
	a.recorder.Lines(time.Now(), func(at time.Time) []*telemetry.Line {
		a.services.Speed(at, r.DownBps, r.UpBps)
		return []*telemetry.Line{r.Line()}
	})
}

// Speed is the result of one test for a person. What was not measured is 0.
type Speed struct {
	Server     string  `json:"server"`
	DownBps    int64   `json:"down_bps"`
	UpBps      int64   `json:"up_bps"`
	MinRTTMs   float64 `json:"min_rtt_ms,omitempty"`
	UsedBytes  int64   `json:"used_bytes"`
	MonthBytes int64   `json:"month_bytes"` // what speed tests have cost this month
	LimitBytes int64   `json:"limit_bytes"`
}

// Why there is no test now.
var (
	errNoSpeed = errors.New("no speed tests are configured; set speedtest.server, for example to the collector's \"https://noc.example.org:8443\"")
	errNotNow  = errors.New("no speed test now")
)

// testNow runs a speed test now, within the month's budget. With wait it waits for one that is under way.
func (a *agent) testNow(ctx context.Context, wait bool) (Speed, error) {
	if a.speed == nil {
		return Speed{}, errNoSpeed
	}
	run := a.speed.Try
	if wait {
		run = a.speed.Now
	}
	r, err := run(ctx)
	switch {
	case errors.Is(err, speedtest.ErrBusy):
		err = a.whyBusy()
	case errors.Is(err, speedtest.ErrRunning):
		err = fmt.Errorf("%w; its result is told like any other, in a minute", err)
	case errors.Is(err, speedtest.ErrSpent):
		s := a.speed.Stats()
		err = fmt.Errorf("%w: %s of %s, which the village pays for; wait for next month, or agree on a higher speedtest.monthly_mb", err, size(s.Used), size(s.Monthly))
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = fmt.Errorf("%w; look at speedtest.server, and ask the NOC whether speed tests are served there", err)
	}
	s := a.speed.Stats()
	return Speed{Server: r.Server, DownBps: r.DownBps, UpBps: r.UpBps, MinRTTMs: float64(r.MinRTT) / float64(time.Millisecond), UsedBytes: r.UsedBytes,
		MonthBytes: s.Used, LimitBytes: s.Monthly}, err
}

// whyBusy is why no test began, and what to do.
func (a *agent) whyBusy() error {
	switch s := a.seen.Load(); s.state {
	case "":
		return fmt.Errorf("%w: it is not known yet whether the link works; ask again in a minute", errNotNow)
	case telemetry.StateDown:
		return fmt.Errorf("%w: the link is down (%s); \"nabz-agent check\" says what to do", errNotNow, s.cause)
	case telemetry.StateDegraded:
		return fmt.Errorf("%w: the link is degraded, and a test would make it worse; ask again when it is up", errNotNow)
	}
	return fmt.Errorf("%w by more than speedtest.busy_share; ask again when there is less traffic", speedtest.ErrBusy)
}

// WriteTo writes the result for a person.
func (s Speed) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintln(w, s.String())
	return int64(n), err
}

// String is the result in one line for a person.
func (s Speed) String() string {
	return fmt.Sprintf("from %s: down %s, up %s, round trip %.0f ms; the test cost %s, this month's tests %s of %s", s.Server, rate(s.DownBps), rate(s.UpBps),
		s.MinRTTMs, size(s.UsedBytes), size(s.MonthBytes), size(s.LimitBytes))
}

// rate is a throughput for a person.
func rate(bps int64) string {
	switch {
	case bps == 0:
		return "not measured"
	case bps < 1_000_000:
		return fmt.Sprintf("%.0f kbit/s", float64(bps)/1e3)
	}
	return fmt.Sprintf("%.1f Mbit/s", float64(bps)/1e6)
}
