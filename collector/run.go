package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// What the service manager is told.
const (
	notifyReady    = "READY=1"
	notifyAlive    = "WATCHDOG=1"
	notifyStopping = "STOPPING=1"
	notifyStatus   = "STATUS=" // a line for systemctl status follows
)

// Bounds on the end of a run; together they are less than the 30 s that the systemd unit allows.
const (
	drainTime = 10 * time.Second // for what was taken in to get its verdict
	webTime   = 2 * time.Second  // for pages under way
)

// Run collects until ctx ends, and returns nil then. An error is a configuration, an address or a folder that cannot
// work; InfluxDB that is not there is none. At the end it takes no more in, has what it took stored and acknowledged
// within 10 s, and then closes its connections.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	p, err := build(c, log)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // reading the agents of a large programme takes many times what they take
	return p.run(ctx)
}

// stage is a part that runs until it is told to end. Stages end one after the other, in the reverse of their start:
// after the drain the broker, then the writer, which cuts short what InfluxDB has not answered, then the intake,
// which hears of that.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// run starts all parts, waits for ctx or for one that fails, and ends them in order.
func (p *parts) run(ctx context.Context) error {
	defer p.close()
	failed := make(chan error, 8)
	var ends []func() error
	stages := []stage{{"web", p.serveWeb}}
	if p.intake != nil {
		stages = append(stages, stage{"intake", p.intake.Run}, stage{"writer", p.writer.Run})
	}
	for _, s := range append(stages, stage{"broker", p.broker.Run}, stage{"agents", p.serveAgents}, stage{"keeper", p.keep}) {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() {
			err := s.run(own)
			if err != nil {
				err = fmt.Errorf("%s: %w", s.name, err)
			}
			if err != nil || own.Err() == nil {
				failed <- err
			}
			done <- err
		}()
		ends = append(ends, func() error { cancel(); return <-done })
	}
	p.log.Info("collector runs", "role", p.c.Role, "mqtt", p.broker.Addr(), "web", p.webURL(), "influxdb", p.c.Influx.URL)
	p.notify(notifyReady, headline(p.live.Overview()))
	select {
	case <-ctx.Done():
	case <-failed: // its error comes again below
	}
	p.notify(notifyStopping, notifyStatus+"stores what was taken in")
	p.log.Info("collector ends")
	if p.intake != nil {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if err := p.intake.Drain(drain); err != nil {
			p.log.Warn("not all batches came to an end", "error", err)
		}
	}
	var faults []error
	for i := len(ends) - 1; i >= 0; i-- {
		faults = append(faults, ends[i]())
	}
	return errors.Join(faults...)
}

// serveWeb answers HTTP until ctx ends, and then gives pages under way a moment.
func (p *parts) serveWeb(ctx context.Context) error {
	pages, endPages := context.WithCancel(ctx) // ends event streams, which would go on for ever
	defer endPages()
	s := p.server(p.handler)
	s.ConnState = atMost(webVisitors)
	s.BaseContext = func(net.Listener) context.Context { return pages }
	return serve(ctx, s, p.web)
}

// serveAgents lets agents enrol and serves their speed tests until ctx ends, and cuts them off then.
func (p *parts) serveAgents(ctx context.Context) error {
	if p.agents == nil {
		<-ctx.Done()
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		if p.tests != nil {
			_ = p.tests.Close() // it always closes
		}
	})
	defer stop()
	s := p.server(p.visits)
	s.ConnState = atMost(agentVisitors)
	return serve(ctx, s, p.agents)
}

// agentVisitors is how many connections there may be at once that are not a test yet, or only enrol or ask for leave. Strangers can reach
// this listener, and must not use up the files that the broker needs for its agents.
const agentVisitors = 256

// webVisitors is how many connections there may be at once to the board: its event streams, and pages and programs beside them.
const webVisitors = 2048

// atMost closes connections beyond so many. One that became a WebSocket no longer counts: places for tests have a bound of their own.
func atMost(most int64) func(net.Conn, http.ConnState) {
	var here atomic.Int64
	return func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if here.Add(1) > most {
				c.Close()
			}
		case http.StateHijacked, http.StateClosed:
			here.Add(-1)
		}
	}
}

func (p *parts) server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
}

// serve answers until ctx ends.
func serve(ctx context.Context, s *http.Server, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), webTime)
	defer cancel()
	if err := s.Shutdown(last); err != nil {
		_ = s.Close() // cuts off who did not end in time; that is no fault of ours
	}
	<-served
	return nil
}

// keep does what has to be done from time to time: it looks after InfluxDB, lets time turn into states, and tells
// the service manager that the collector is alive.
func (p *parts) keep(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.live.Run(ctx) })
	if p.alerts != nil {
		g.Go(func() error { return p.alerts.Run(ctx) })
	}
	g.Go(func() error { return p.scribe.Run(ctx) })
	if p.reports != nil {
		g.Go(func() error { return p.reports.run(ctx) })
	}
	if p.commands != nil {
		g.Go(func() error { return p.commands.Run(ctx) })
	}
	if p.session != nil {
		g.Go(func() error { return p.session.Run(ctx) })
	}
	if p.pages != nil {
		g.Go(func() error { return p.pages.Run(ctx) })
	}
	g.Go(func() error { p.influx.watch(ctx); return nil })
	if p.c.Role == roleBoard {
		g.Go(func() error { p.poll(ctx); return nil })
	}
	if p.shown != nil {
		g.Go(func() error { p.shown.Watch(ctx); return nil })
	}
	if p.c.Watchdog > 0 {
		g.Go(func() error {
			tick := time.NewTicker(p.c.Watchdog / 2)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					// It takes the locks that everything takes: when it does not come back, neither does the sign.
					p.notify(notifyAlive, headline(p.live.Overview()))
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	return g.Wait()
}

func (p *parts) notify(state ...string) {
	if p.c.Notify != nil {
		p.c.Notify(state...)
	}
}
