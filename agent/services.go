package agent

import (
	"time"

	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/telemetry"
)

// openServices makes what judges the configured services, and what asks their endpoints.
func (a *agent) openServices() error {
	specs, err := service.Specs(a.c.Services)
	if err != nil {
		return err
	}
	every := a.c.ServiceEvery.Std()
	a.services = service.NewMonitor(specs, service.Believed{Quality: 2 * max(a.c.DetailEvery.Std(), a.c.Probe.SampleEvery.Std()), Check: every * 3 / 2,
		// An outage of an idle link is told to have begun half of probe.every before it was found, and it takes a few rounds to be sure of it.
		Settle: a.c.Probe.Every.Std()/2 + 2*time.Minute})
	a.checker = service.NewChecker(service.CheckerConfig{
		Services: specs, Every: every, Log: a.log,
		Now: a.now,
		Up: func() bool {
			s := a.seen.Load().state
			return s == telemetry.StateUp || s == telemetry.StateDegraded
		},
	})
	return nil
}

// reached tells the recorder what became of a check. The monitor is used in the recorder's goroutine alone.
func (a *agent) reached(c service.Check) {
	a.recorder.Lines(c.At, func(at time.Time) []*telemetry.Line {
		a.services.Reached(at, c.Service, c.OK)
		return nil
	})
}
