package agent

import (
	"fmt"
	"time"

	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/agent/speedtest"
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

// openSpeed makes the runner of speed tests; nil where none are wanted.
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
	zone, err := service.ParseZone(a.c.TimeZone)
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
	if err != nil {
		return fmt.Errorf("open the budget of speed tests: %w", err)
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
