package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/intake"
	"github.com/smartvillage/nabz/collector/ndt7"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/web"
	"github.com/smartvillage/nabz/telemetry"
)

// parts are the rooms of one collector, each knowing those that it needs.
type parts struct {
	c       Config
	log     *slog.Logger
	store   *store.Store
	writer  *store.Writer
	intake  *intake.Intake
	broker  *broker.Broker
	live    *fleet.Live
	influx  *influxWatch
	web     net.Listener
	handler http.Handler
	speed   net.Listener // nil: no speed tests
	tests   *ndt7.Server
}

// build opens files, folders and addresses. Nothing works yet.
func build(c Config, log *slog.Logger) (_ *parts, err error) {
	p := &parts{c: c, log: log}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	registry, err := fleet.OpenRegistry(c.SitesFile, c.AgentsFile)
	if err != nil {
		return nil, err
	}
	registry.LogTo(log)
	zone, err := time.LoadLocation(c.Web.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("web.time_zone: %w", err)
	}
	now := func() time.Time { return time.Now().In(zone) }
	metrics := newMetrics(c.Version)

	if p.store, err = store.Open(c.storeConfig(), log); err != nil {
		return nil, err
	}
	p.influx = newInfluxWatch(p.store, log, now)
	p.live = fleet.NewLive(registry, fleet.LiveOptions{Now: now, UnreachableAfter: c.UnreachableAfter.Std(), Deaf: func() bool { return p.influxFault() != nil }})
	p.influx.back = func() { p.intake.Recovered() }
	p.influx.restore = func(ctx context.Context) error { return p.live.Restore(ctx, p.store) }
	if err = p.openIntake(metrics, now); err != nil {
		return nil, err
	}
	if p.broker, err = broker.New(broker.Config{Listen: c.MQTT.Listen, TLSCert: c.MQTT.TLSCert, TLSKey: c.MQTT.TLSKey, Insecure: c.MQTT.Insecure, MaxConnections: c.MQTT.MaxConnections},
		broker.Parts{Auth: registry, OnData: p.intake.Deliver, OnPresence: p.live.Presence, Metrics: metrics, Log: log}); err != nil {
		return nil, err
	}
	if p.web, err = net.Listen("tcp", c.Web.Listen); err != nil {
		return nil, fmt.Errorf("listen for browsers: %w; web.listen changes the address", err)
	}
	if p.handler, err = web.New(web.Config{Registry: registry, Live: p.live, Store: p.store, Metrics: metrics, Ready: p.ready, Now: now, Log: log}); err != nil {
		return nil, err
	}
	if c.Speedtest.Listen != "" {
		if err = p.openSpeed(registry, metrics); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// openSpeed listens for speed tests, with the broker's certificate where it has one.
func (p *parts) openSpeed(registry *fleet.Registry, metrics *prometheus.Registry) (err error) {
	if p.tests, err = ndt7.New(ndt7.Config{AtOnce: p.c.Speedtest.AtOnce}, ndt7.Parts{Auth: registry, Metrics: metrics, Log: p.log}); err != nil {
		return err
	}
	if p.speed, err = net.Listen("tcp", p.c.Speedtest.Listen); err != nil {
		return fmt.Errorf("listen for speed tests: %w; speedtest.listen changes the address", err)
	}
	if p.c.MQTT.TLSCert == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(p.c.MQTT.TLSCert, p.c.MQTT.TLSKey)
	if err != nil {
		return fmt.Errorf("mqtt.tls_cert and mqtt.tls_key: %w", err)
	}
	p.speed = tls.NewListener(p.speed, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	return nil
}

func (p *parts) openIntake(metrics *prometheus.Registry, now func() time.Time) (err error) {
	c := p.c.Intake
	p.writer = store.NewWriter(p.store, store.WriterOptions{Lines: c.MergeLines, Linger: c.MergeWait.Std(), Requests: c.Requests,
		Observe: func(tier telemetry.Tier, lines, bytes int, took time.Duration, err error) {
			p.intake.Observe(tier, lines, bytes, took, err)
		}})
	settings := p.c.rules()
	settings.QueueMessages, settings.QueueBytes = c.QueueMessages, c.QueueBytes
	p.intake, err = intake.New(settings, intake.Parts{Writer: p.writer, Querier: p.store, Watcher: p.live, Publisher: late{p}, Metrics: metrics, Now: now, Log: p.log})
	return err
}

// late is the broker, which is made after the intake because it delivers to it.
type late struct{ p *parts }

// Publish hands an acknowledgement to the broker.
func (l late) Publish(topic string, payload []byte) error { return l.p.broker.Publish(topic, payload) }

// close gives back what build opened. Parts that have run have closed what was theirs.
func (p *parts) close() {
	if p.web != nil {
		p.web.Close()
	}
	if p.tests != nil {
		_ = p.tests.Close() // it always closes
	}
	if p.speed != nil {
		p.speed.Close()
	}
	if p.broker != nil {
		p.broker.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
}

// influxFault is why nothing can be stored at present, or nil.
func (p *parts) influxFault() error {
	if p.intake == nil {
		return errors.New("starting")
	}
	return errors.Join(p.influx.fault(), p.intake.Trouble())
}

// ready lists what the collector depends on. It does not wait for anything.
func (p *parts) ready() []web.Check {
	fault := p.influx.fault()
	if fault == nil {
		fault = p.intake.Trouble()
	}
	return []web.Check{{Name: "InfluxDB", Err: fault}}
}

func newMetrics(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nabz_build_info", Help: "Always 1; the label is the version of the program.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
