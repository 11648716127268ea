package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/agent/speedtest"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/agent/uplink"
	"github.com/smartvillage/nabz/telemetry"
)

// agent is one run, with its parts.
type agent struct {
	c        Config
	log      *slog.Logger
	boot     string
	spool    *spool.Spool
	sealer   *telemetry.Sealer
	read     func() clock.Reading // of this machine's clocks
	clock    *clock.Clock
	uplink   *uplink.Uplink
	prober   *probe.Prober
	recorder *Recorder
	network  *probe.Net
	wan      bool // a WAN counter that moves is evidence
	method   string
	changed  bool // the configuration, since the run before
	verdicts chan probe.Verdict
	first    chan telemetry.Ack // the first acknowledgement of this boot
	settled  bool               // it has come; used by the uplink's goroutine alone
	started  time.Time
	usage    *usage
	seen     atomic.Pointer[seen] // what the recorder's goroutine last saw
	proofs   chan chan sealedProof
	proving  proving
	twin     twin
	services *service.Monitor
	checker  *service.Checker
	checks   chan service.Check
	speed    *speedtest.Runner // nil: none
	speeds   chan speedtest.Result
	load     speedtest.Load
	ended    chan struct{} // nobody takes speeds any more
	orders   orders
	doubt    chan struct{}
	unsaved  fault                    // of the month's bytes
	ill      string                   // what is wrong with the spool's folder now; "" when it works
	sets     int                      // taken by the recorder's goroutine
	found    map[spool.Kind]time.Time // when an event has told of it last; used there too
}

func open(ctx context.Context, c Config, log *slog.Logger) (_ *agent, err error) {
	a := &agent{c: c, log: log, verdicts: make(chan probe.Verdict), first: make(chan telemetry.Ack, 1), started: time.Now(),
		proofs: make(chan chan sealedProof), doubt: make(chan struct{}, 1),
		checks: make(chan service.Check), speeds: make(chan speedtest.Result), ended: make(chan struct{}), found: map[spool.Kind]time.Time{}, read: c.Clock}
	if a.read == nil {
		a.read = clock.SystemReading
	}
	a.seen.Store(&seen{})
	secret, err := c.Secret()
	if err != nil {
		return nil, err
	}
	trust, err := c.Trust()
	if err != nil {
		return nil, err
	}
	if a.boot, err = bootID(ctx); err != nil {
		return nil, err
	}
	targets := make([]probe.Target, len(c.Probe.Anchors))
	for i, s := range c.Probe.Anchors {
		if targets[i], err = probe.ParseTarget(s); err != nil {
			return nil, fmt.Errorf("probe.anchors: %w", err)
		}
	}
	network, method, err := probe.NewNet(ctx, probe.Method(c.Probe.Method), uint16(c.Probe.TCPPort))
	if err != nil {
		return nil, err
	}
	a.method = method
	if a.sealer, err = telemetry.NewSealer(); err != nil {
		return nil, err
	}
	if a.spool, err = openSpool(c, a.fresh, log); err != nil {
		a.sealer.Close()
		return nil, err
	}
	mark, marked := a.spool.Mark()
	a.clock = clock.New(a.read, mark.At)
	if marked && mark.Boot == a.boot && mark.Clock == telemetry.ClockSynced {
		a.clock.Continue(mark.At, mark.Mono)
	}
	if c.Time.Trust {
		a.clock.Believe()
	}
	if err = errors.Join(a.openServices(), a.openSpeed(secret)); err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.loadOrders()
	a.usage = openUsage(c.DataDir, c.MonthlyMB)
	a.wan = c.Probe.wanProves()
	if a.changed, err = configChanged(c); err != nil {
		log.Warn("the next start cannot tell whether the configuration has changed", "err", err)
	}
	a.uplink = uplink.New(uplink.Config{
		Brokers: c.Brokers, Address: c.Address(), Secret: secret, TLS: trust, Time: a.now,
		Keepalive: c.Uplink.Keepalive.Std(), AckTimeout: c.Uplink.AckTimeout.Std(), MaxBackoff: c.Uplink.MaxBackoff.Std(), Window: c.Uplink.Window,
		AckWithin: c.Uplink.AckWithin.Std(), BacklogKbps: c.Uplink.BacklogMaxKbps, Near: c.Probe.near,
		Session: a.spool.NextSession, OnAck: a.acked, OnCommand: a.command, Doubt: a.inDoubt, Log: log,
	}, a.spool)
	a.network = network
	pc := probe.Config{
		Every: c.Probe.Every.Std(), SampleEvery: c.Probe.SampleEvery.Std(), DNSEvery: c.Probe.DNSEvery.Std(), ExtraPerHour: c.Probe.ExtraPerHour,
		Count: c.Probe.Count, Confirm: c.Probe.Confirm, Timeout: c.Probe.Timeout.Std(), Anchors: targets,
		DNSName: c.Probe.DNSName, DNSTimeout: c.Probe.DNSTimeout.Std(), Limits: c.Probe.limits(),
		Route: c.Probe.Way, Changed: probe.Watch(ctx, log), Doubt: a.doubt, Evidence: a.uplink.Evidence,
		Neighbour: func(gateway netip.Addr) ledger.Answer { return probe.Neighbour(procNet, gateway) }, Log: log,
	}
	if a.wan {
		pc.Counters = func(iface string) (probe.Counters, bool) { return probe.ReadCounters(procNet, iface) }
	}
	a.prober = probe.New(pc, network)
	rc := RecorderConfig{Boot: a.boot, Clock: a.clock, Known: a.clock.Known, Queue: a.spool, Sealer: a.sealer,
		ReportEvery: c.ReportEvery.Std(), DetailEvery: c.DetailEvery.Std(), MarkEvery: c.MarkEvery.Std(),
		Patience: func() time.Duration { return c.Uplink.AckWithin.Std() }, Path: a.uplink.TakeQuality, Limits: c.Probe.limits(), Services: a.services,
		WireBytes: a.wireBytes, Wake: a.uplink.Wake, Log: log}
	if marked {
		rc.Mark = &mark
	}
	a.recorder = NewRecorder(rc)
	return a, nil
}

// openSpool opens the data folder. A wrong one is an error for a person to mend; a disk that is full, read-only or broken is not waited
// for: the agent works from RAM then, and says so.
func openSpool(c Config, fresh func() (uint64, bool), log *slog.Logger) (*spool.Spool, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("open data_dir: %w; set data_dir to a folder that the agent may write to", err)
	}
	return spool.Open(c.DataDir, spool.Options{MaxBytes: c.SpoolMaxBytes, FlushEvery: c.SpoolFlushEvery.Std(), OrRAM: true, Fresh: fresh, Log: log})
}

func (a *agent) close() error {
	err := a.spool.Close()
	a.sealer.Close()
	return err
}
