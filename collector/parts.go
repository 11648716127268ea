package collector

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/enrol"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/intake"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/ndt7"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/scribe"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/web"
	"github.com/smartvillage/nabz/telemetry"
)

// parts are the rooms of one collector, each knowing those that it needs.
type parts struct {
	c      Config
	log    *slog.Logger
	store  *store.Store
	writer *store.Writer
	intake *intake.Intake // nil: a board, which takes nothing in
	broker mqttEnd
	live   *fleet.Live
	scribe *scribe.Scribe
	influx *influxWatch

	commands *command.Commander // nil: an intake, which nobody asks
	web      net.Listener
	people   *people.People
	session  *people.Sessions
	journal  *journal.Journal // what operators wrote down
	pages    *web.Reports     // nil: an intake
	handler  http.Handler
	alerts   *alert.Engine    // nil: an intake, beside a board that has one
	desk     *report.Desk     // nil: an intake, of which nobody asks for reports
	archive  *archive.Archive // of published reports
	reports  *reporting       // makes those of the last month; nil: an intake
	shown    *authority.Shown // nil: no TLS
	agents   net.Listener     // where agents enrol and measure; nil: nowhere
	tests    *ndt7.Server     // nil: no speed tests
	visits   http.Handler     // of agents

	brokerFault func() error // of an external broker; nil: the embedded one
	polling     polling      // of a board

	shownPeople *authority.Shown // where the board has a certificate of its own
	caEnd       time.Time        // of the authority's certificate; zero: none is known
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
	p.live = fleet.NewLive(registry, fleet.LiveOptions{Now: now, UnreachableAfter: c.UnreachableAfter.Std(), Deaf: p.deaf})
	if c.Role != roleIntake {
		metrics.MustRegister(p.live.Metric())
	}
	p.influx.back = func() {
		if p.intake != nil {
			p.intake.Recovered()
		}
	}
	p.influx.restore = func(ctx context.Context) error {
		if c.Role == roleIntake {
			return nil
		}
		return p.live.Restore(ctx, p.store)
	}
	if c.Role != roleBoard {
		if err = p.openIntake(metrics, now); err != nil {
			return nil, err
		}
	}
	if c.Role != roleIntake {
		if err = p.openCommands(registry, metrics, now); err != nil {
			return nil, err
		}
	}
	var secure *tls.Config
	if c.MQTT.TLSCert != "" {
		if p.shown, err = authority.Show(c.MQTT.TLSCert, c.MQTT.TLSKey, c.Agents.CAFile, log); err != nil {
			return nil, err
		}
		secure = p.shown.Config()
		metrics.MustRegister(p.shown.Metric())
	}
	if c.MQTT.Broker != "" {
		err = p.openSubscriber(registry, metrics)
	} else {
		err = p.openBroker(registry, secure, metrics)
	}
	if err != nil {
		return nil, err
	}
	if err = p.openJournal(now); err != nil {
		return nil, err
	}
	if err = p.openAlerts(metrics, now); err != nil {
		return nil, err
	}
	if c.Role != roleIntake {
		if err = p.openReports(registry, zone, now); err != nil {
			return nil, err
		}
	}
	p.openScribe(registry, metrics)
	if err = p.openWeb(registry, metrics, now); err != nil {
		return nil, err
	}
	if c.Agents.Listen != "" && c.Role != roleIntake {
		if err = p.openAgents(registry, metrics); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *parts) openBroker(registry *fleet.Registry, secure *tls.Config, metrics prometheus.Registerer) error {
	c := p.c.MQTT
	b, err := broker.New(broker.Config{Listen: c.Listen, TLS: secure, Insecure: c.Insecure, MaxConnections: c.MaxConnections,
		Rates: broker.Rates{Messages: c.AgentMessages, Bytes: c.AgentBytes}},
		broker.Parts{Auth: registry, OnData: p.intake.Deliver, OnPresence: p.live.Presence, OnResult: p.commands.Result, Metrics: metrics, Log: p.log})
	if err == nil {
		p.broker = b // not a nil one
	}
	return err
}

// openAgents listens for agents that enrol or measure, with the broker's certificate where it has one.
func (p *parts) openAgents(registry *fleet.Registry, metrics *prometheus.Registry) (err error) {
	c, mux := p.c.Agents, http.NewServeMux()
	p.visits = mux
	if p.c.Speedtest.AtOnce > 0 {
		if p.tests, err = ndt7.New(ndt7.Config{AtOnce: p.c.Speedtest.AtOnce}, ndt7.Parts{Auth: registry, Metrics: metrics, Log: p.log}); err != nil {
			return err
		}
		for _, path := range ndt7.Paths() {
			mux.Handle(path, p.tests)
		}
	}
	if c.URL != "" {
		told := enrol.Config{Brokers: c.Brokers, Profile: c.Profile, Template: c.ConfigFile}
		if p.tests != nil {
			told.SpeedServer = c.URL
		}
		if c.CAFile != "" {
			if _, told.CA, err = authority.Fingerprint(c.CAFile); err != nil {
				return fmt.Errorf("agents.ca_file: %w", err)
			}
		}
		door, err := enrol.New(told, enrol.Parts{Registry: registry, Metrics: metrics, Now: time.Now, Log: p.log})
		if err != nil {
			return err
		}
		mux.Handle(telemetry.EnrolPath, door)
	}
	if err = p.openHelp(mux); err != nil {
		return err
	}
	if p.agents, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("listen for agents: %w; agents.listen changes the address", err)
	}
	if p.shown != nil {
		p.agents = tls.NewListener(p.agents, p.shown.WholeConfig())
	}
	return nil
}

func (p *parts) openIntake(metrics *prometheus.Registry, now func() time.Time) (err error) {
	c := p.c.Intake
	var watcher intake.Watcher = p.live
	if p.c.Role == roleIntake {
		watcher = nobody{}
	}
	p.writer = store.NewWriter(p.store, store.WriterOptions{Lines: c.MergeLines, Linger: c.MergeWait.Std(), Requests: c.Requests,
		Observe: func(tier telemetry.Tier, lines, bytes int, took time.Duration, err error) {
			p.intake.Observe(tier, lines, bytes, took, err)
		}})
	settings := p.c.rules()
	settings.QueueMessages, settings.QueueBytes = c.QueueMessages, c.QueueBytes
	p.intake, err = intake.New(settings, intake.Parts{Writer: p.writer, Querier: p.store, Watcher: watcher, Publisher: late{p}, Metrics: metrics, Now: now, Log: p.log})
	return err
}

// openScribe prepares the collector's own lines. One collector of a programme tells of the sites: the one with the board.
func (p *parts) openScribe(registry *fleet.Registry, metrics prometheus.Gatherer) {
	name := p.c.Name
	if name == "" {
		name, _ = os.Hostname() // a machine without a name is told by the role alone
	}
	p.scribe = scribe.New(scribe.Config{Name: cmp.Or(name, "collector"), Role: p.c.Role, Sites: p.c.Role != roleIntake},
		scribe.Parts{Database: p.store, Roster: registry, Metrics: metrics, Live: p.live, Influx: p.influx.fault, Fault: p.storeFault, MQTT: p.brokerFault, Deaf: p.deaf, Now: time.Now, Log: p.log})
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
	if p.agents != nil {
		p.agents.Close()
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
	if p.intake == nil && p.c.Role != roleBoard {
		return errors.New("starting")
	}
	return p.storeFault()
}

// deaf tells whether nothing of the agents can reach the board at present, for a reason that is here.
func (p *parts) deaf() bool {
	_, stalled := p.polling.faults()
	return p.influxFault() != nil || p.mqttFault() != nil || stalled != nil
}

func newMetrics(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nabz_build_info", Help: "Always 1; the label is the version of the program.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
