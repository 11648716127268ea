package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/sampler"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	readEvery = 10 * time.Second // counters of the interfaces, for peaks and evidence
	lastWords = 5 * time.Second  // for the last batches to be acknowledged at the end

	// uptimeSets is in how many sets the uptime is told once: it changes by itself, and costs 6 bytes.
	uptimeSets = 10

	powerSupplies = "/sys/class/power_supply"
)

// What the service manager is told.
const (
	notifyReady    = "READY=1"
	notifyAlive    = "WATCHDOG=1"
	notifyStopping = "STOPPING=1"
	notifyStatus   = "STATUS=" // a line for systemctl status follows
)

// Run measures and reports until ctx ends, and returns nil then. An error is a configuration or a disk that cannot work. At
// the end the open span is closed and sealed, and the collector gets 5 s to take what waits; what it does not take stays on disk.
func Run(ctx context.Context, c Config, log *slog.Logger) (err error) {
	a, err := open(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()

	door, err := listen(c.DataDir)
	if err != nil {
		log.Warn("nabz-agent status will not work", "err", err)
		a.c.Checkup = nil // it could not ask us, and would sign in beside us
	} else {
		served := make(chan struct{})
		go func() { defer close(served); a.serve(ctx, door) }()
		defer func() { _ = door.Close(); <-served }()
	}
	g, gctx := errgroup.WithContext(ctx)
	a.begin(gctx)
	above := context.WithoutCancel(ctx)
	upCtx, stopUplink := context.WithCancel(above)
	uplinkDone := make(chan error, 1)
	go func() { uplinkDone <- a.uplink.Run(upCtx) }()

	g.Go(func() error {
		return a.prober.Run(gctx, func(v probe.Verdict) {
			select {
			case a.verdicts <- v:
			case <-gctx.Done():
			}
		})
	})
	g.Go(func() error { return a.record(gctx) })
	g.Go(func() error {
		return a.checker.Run(gctx, func(c service.Check) {
			select {
			case a.checks <- c:
			case <-gctx.Done():
			}
		})
	})
	if a.speed != nil {
		g.Go(func() error { return a.speed.Run(gctx) })
	}
	g.Go(func() error { return a.clock.Keep(gctx, c.Time.Servers, log) })
	g.Go(func() error {
		select {
		case err := <-uplinkDone:
			uplinkDone <- err
			return err
		case <-gctx.Done():
			return nil
		}
	})
	err = g.Wait()
	a.orders.end()

	a.notify(notifyStopping, notifyStatus+"gives the collector a moment to take what waits")
	a.drain(above)
	stopUplink()
	if e := <-uplinkDone; err == nil {
		err = e
	}
	return err
}

func (a *agent) notify(state ...string) {
	if a.c.Notify != nil {
		a.c.Notify(state...)
	}
}

// now is the time, and whether somebody has told it.
func (a *agent) now() (time.Time, bool) { return a.clock.Now(), a.clock.Known() }

// fresh is a number above those of runs that this folder does not tell of; 0 while the time is not known. It is sure when somebody has told
// the time, and not only this machine's clock.
func (a *agent) fresh() (n uint64, sure bool) {
	if a.clock != nil && a.clock.Known() {
		return spool.Seed(a.clock.Now()), true
	}
	if wall := a.read().Wall; !wall.Before(clock.Floor()) {
		return spool.Seed(wall), false
	}
	return 0, false
}

// inDoubt has the prober ask now.
func (a *agent) inDoubt() {
	select {
	case a.doubt <- struct{}{}:
	default:
	}
}

// acked is called by the uplink for each batch that the collector has taken.
func (a *agent) acked(k telemetry.Ack, _ int) {
	s := a.uplink.Stats()
	a.clock.Acked(k.Now, s.Rtt)
	a.proving.heard(k)
	a.twin.heard(a, k)
	if k.Boot == a.boot && !a.settled {
		a.settled = true
		a.first <- k
	}
}

// record is the one goroutine that uses the recorder, and reads the machine for it.
func (a *agent) record(ctx context.Context) error {
	defer close(a.ended)
	ifaces := sampler.NewInterfaces(a.c.Sampler.Interfaces, func() string { return a.prober.Route().Interface })
	machine := sampler.NewHost(a.c.DataDir)
	machine.Read(ctx) // the busy share of the cpu is counted from here
	a.traffic(ctx, ifaces)
	a.recorder.Hello()
	a.recorder.Event("boot", a.program().BootDetail(fmt.Sprintf("boot %s, asks by %s", a.boot, a.method)))
	if a.changed {
		a.recorder.Event("config_change", "the configuration is not that of the run before")
	}
	a.findings()
	a.account(false)
	r := a.c.Probe.Way()
	a.log.Info("measuring", "site", a.c.Site, "agent", a.c.Agent, "interface", r.Interface, "gateway", r.Gateway, "interface_up", r.Up,
		"asks_by", a.method, "wan_counter_is_evidence", a.wan, "waiting_batches", a.spool.Stats().Batches)
	a.notify(notifyReady, a.headline())

	read, detail := time.NewTicker(min(readEvery, a.c.DetailEvery.Std())), time.NewTicker(a.c.DetailEvery.Std())
	defer read.Stop()
	defer detail.Stop()
	// A router is up minutes before its modem is: the collector's word is waited for from when the link works. Without a link that may last as
	// long as the mark may be old, as no power cut takes more than it does at any time.
	enough, worked := time.NewTimer(max(a.c.ResumeWait.Std(), a.c.MarkEvery.Std())), false
	defer enough.Stop()
	for {
		select {
		case <-ctx.Done():
			last := context.WithoutCancel(ctx)
			a.traffic(last, ifaces)
			a.account(true)
			a.recorder.Close(a.sample(last, ifaces, machine))
			return nil
		case v := <-a.verdicts:
			a.recorder.Verdict(v)
			a.note(v)
			if works := v.State == telemetry.StateUp || v.State == telemetry.StateDegraded; works && !v.Pending && !worked {
				worked = true
				enough.Reset(a.c.ResumeWait.Std())
			}
		case c := <-a.checks:
			a.reached(c)
		case r := <-a.speeds:
			a.speedLine(r)
		case p := <-a.proofs:
			p <- a.sealProof()
		case k := <-a.first:
			a.recorder.Acked(k)
		case <-enough.C:
			a.recorder.Settle()
		case <-read.C:
			a.traffic(ctx, ifaces)
			a.notify(notifyAlive, a.headline())
		case <-detail.C:
			a.tick(ctx, ifaces, machine)
		}
	}
}

// traffic takes the counters of the interfaces.
func (a *agent) traffic(ctx context.Context, ifaces *sampler.Interfaces) {
	flow, err := ifaces.Read(ctx)
	if err != nil {
		a.log.Debug("interface counters cannot be read", "err", err)
		return
	}
	if flow.Elapsed > 0 {
		a.load.Saw(flow.Interface, flow.Elapsed, flow.RxBytes, flow.TxBytes)
	}
}

// findings tells what the spool has found, and keeps what is wrong with the disk now for the status.
func (a *agent) findings() {
	for _, f := range a.spool.Findings() {
		if last := a.found[f.Kind]; last.IsZero() || time.Since(last) >= tellAgain {
			a.found[f.Kind] = time.Now()
			a.recorder.Event(string(f.Kind), f.Detail)
		}
		switch f.Kind {
		case spool.ReadOnly, spool.DiskFull, spool.DiskError, spool.RAMOnly:
			a.ill = f.Detail
		case spool.WorksAgain:
			a.ill = ""
		}
	}
}

// tick hands over what was sampled since the last one.
func (a *agent) tick(ctx context.Context, ifaces *sampler.Interfaces, machine *sampler.Host) {
	a.traffic(ctx, ifaces)
	a.findings()
	a.twin.event(a)
	for _, s := range a.clock.Steps() {
		a.recorder.Event("clock_step", s.String())
	}
	a.recorder.Tick(a.sample(ctx, ifaces, machine))
	a.account(false)
}

// sample takes one set of all that the machine tells.
func (a *agent) sample(ctx context.Context, ifaces *sampler.Interfaces, machine *sampler.Host) Tick {
	var now time.Time
	if a.clock.Known() {
		now = a.clock.Now()
	}
	clients := sampler.Counter{}.Read(now)
	host := machine.Read(ctx)
	if a.sets++; a.sets%uptimeSets != 1 {
		host.UptimeSec = -1
	}
	t := Tick{Traffic: ifaces.Take(), Host: host, More: []Liner{sampler.ReadPower(powerSupplies), clients}}
	n, known := clients.Count()
	t.Clients, t.ClientsKnown = int(n), known
	return t
}

// drain gives the collector a moment to take what waits.
func (a *agent) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for a.uplink.Stats().Connected && a.spool.Stats().Batches > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
