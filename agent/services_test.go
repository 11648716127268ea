package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/telemetry"
)

func clinic(t *testing.T) *service.Monitor {
	t.Helper()
	specs, err := service.Specs([]service.Config{{Name: "clinic", Endpoint: "192.0.2.1:443", Hours: "Mo 12:30-16:00", TimeZone: "UTC", MaxRTTMs: 300}})
	if err != nil {
		t.Fatal(err)
	}
	return service.NewMonitor(specs, service.Believed{Quality: 2 * time.Hour, Check: 2 * time.Hour})
}

func TestServicesAreToldBesideTheHourAndOutliveAPowerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.c.Services = clinic(t)
		g.Settle()
		s := probe.Sample{Quality: ledger.Quality{Sent: 2, RTTs: []time.Duration{30 * time.Millisecond, 31 * time.Millisecond}}}
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now(), Internet: s})
		minutes := func(n int) {
			for range n {
				time.Sleep(time.Minute)
				g.Tick(Tick{Host: nothing()})
			}
		}
		minutes(20)
		g.Lines(time.Now(), func(at time.Time) []*telemetry.Line {
			g.c.Services.Reached(at, "clinic", true)
			return nil
		})
		minutes(20) // 12:40
		g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, At: time.Now().Add(-time.Minute), Until: time.Now()})
		minutes(5)
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now()})
		g.news(t)
		minutes(17) // 13:02
		lacks(t, g.news(t), "hour_service,service=clinic ready_ms=1440000i,window_ms=1800000i 1795435200000\n")
		minutes(8)
		mark := g.q.marks[len(g.q.marks)-1] // 13:10: the power is cut
		time.Sleep(10 * time.Minute)
		after := newRig(t, &mark)
		after.c.Services, after.clock.offset = clinic(t), g.clock.offset
		after.Settle()
		after.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now()})
		time.Sleep(time.Minute)
		after.Close(Tick{Host: nothing()})
		lacks(t, after.news(t), "hour_service,service=clinic ready_ms=600000i,window_ms=600000i 1795438800000\n",
			"hour_service,service=clinic ready_ms=0i,window_ms=60000i 1795440000000\n")
	})
}

func TestWhatWasInDoubtAtTheEndWasNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		specs, err := service.Specs([]service.Config{{Name: "clinic"}})
		if err != nil {
			t.Fatal(err)
		}
		g.c.Services = service.NewMonitor(specs, service.Believed{})
		g.Settle()
		up(g)
		time.Sleep(10 * time.Minute)
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now()})
		good := time.Now()
		time.Sleep(2 * time.Minute)
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: good, Until: good, Pending: true})
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "span,state=up ms=600000i,err_ms=0i ", "hour_service,service=clinic ready_ms=600000i,window_ms=720000i ")
	})
}

func TestWhatIsAsleepIsNotInAServicesWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		specs, err := service.Specs([]service.Config{{Name: "always"}})
		if err != nil {
			t.Fatal(err)
		}
		g.c.Services = service.NewMonitor(specs, service.Believed{})
		g.Settle()
		up(g)
		time.Sleep(5 * time.Minute)
		g.Tick(Tick{Host: nothing()})
		g.clock.slept += 20 * time.Minute
		g.clock.offset += 20 * time.Minute
		time.Sleep(time.Second)
		g.Tick(Tick{Host: nothing()})
		time.Sleep(time.Minute)
		up(g)
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "hour_service,service=always ready_ms=300000i,window_ms=300000i 1795435200000\n", "hour_service,service=always ready_ms=60000i,window_ms=120000i 1795436701000\n")
	})
}
