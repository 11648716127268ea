package collector

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/collector/web"
)

// openWeb listens for browsers and knows who may come in.
func (p *parts) openWeb(registry *fleet.Registry, metrics *prometheus.Registry, now func() time.Time) (err error) {
	c := p.c.Web
	if p.c.Role == roleIntake {
		p.handler = web.Probes(p.ready, metrics)
	} else if err = p.openBoard(registry, metrics, now); err != nil {
		return err
	}
	if p.web, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("listen for browsers: %w; web.listen changes the address", err)
	}
	if p.people != nil && !c.Open && len(p.people.Users()) == 0 {
		p.log.Warn("nobody can sign in at the board yet; add somebody: nabz-collector user add NAME --role operator", "file", p.c.Users())
	}
	if c.TLSCert == "" {
		return nil
	}
	shown := p.shown
	if c.TLSCert != p.c.MQTT.TLSCert || c.TLSKey != p.c.MQTT.TLSKey {
		if shown, err = authority.ShowPeople(c.TLSCert, c.TLSKey, p.log); err != nil {
			return err
		}
		p.shownPeople = shown
	}
	secure := shown.Config()
	secure.NextProtos = []string{"h2", "http/1.1"}
	p.web = tls.NewListener(p.web, secure)
	return nil
}

// openBoard is the board, with who may see it.
func (p *parts) openBoard(registry *fleet.Registry, metrics *prometheus.Registry, now func() time.Time) (err error) {
	c := p.c.Web
	if p.people, err = people.Open(p.c.Users()); err != nil {
		return err
	}
	p.people.LogTo(p.log)
	p.people.CountIn(metrics)
	limits := people.SessionLimits{Idle: c.SessionIdle.Std(), Life: c.SessionLife.Std()}
	p.session = people.OpenSessions(filepath.Join(p.c.DataDir, "sessions.jsonl"), p.people, limits, now, p.log)
	p.session.CountIn(metrics)
	shown := web.Config{Registry: registry, Live: p.live, Store: p.store, Metrics: metrics, Ready: p.ready, Now: now, Log: p.log,
		Open: c.Open, Proxy: c.Proxy, People: p.people, Sessions: p.session, Audit: Audit(p.c), SessionLife: limits.Life,
		Journal: p.journal, Commands: p.commands}
	if p.alerts != nil { // else it would be an AlertBook that is nil inside
		shown.Alerts = p.alerts
	}
	if p.pages, err = p.openPages(); err != nil {
		return err
	}
	shown.Reports = p.pages
	if shown.Help, err = p.guide(true); err != nil {
		return err
	}
	p.handler, err = web.New(shown)
	return err
}

// openPages is what the board needs to show reports.
func (p *parts) openPages() (*web.Reports, error) {
	set, err := Languages(p.c)
	if err != nil {
		return nil, err
	}
	var languages []*language.Text
	for _, code := range append(slices.Clone(p.c.Report.Languages), set.Codes()...) { // the programme's own first
		t, err := set.Text(code)
		if err != nil {
			return nil, fmt.Errorf("report.languages: %w", err)
		}
		if !slices.Contains(languages, t) {
			languages = append(languages, t)
		}
	}
	return web.NewReports(web.ReportsConfig{Desk: p.desk, Archive: p.archive, Languages: languages, Board: strings.TrimSuffix(p.c.Alert.BoardURL, "/")}), nil
}

// openJournal is what operators wrote down, which board and alerts go by. An intake beside a board has none.
func (p *parts) openJournal(now func() time.Time) (err error) {
	if p.c.Role == roleIntake {
		return nil
	}
	p.journal, err = journal.Open(filepath.Join(p.c.DataDir, "journal.jsonl"), now, p.log)
	return err
}

// ready lists what the collector depends on. It does not wait for anything.
func (p *parts) ready() []web.Check {
	all := []web.Check{{Name: "InfluxDB", Err: p.storeFault(), Next: next(p.c.Influx.URL, "influxdb", "/ping")}}
	if p.brokerFault != nil {
		all = append(all, web.Check{Name: "MQTT broker", Err: p.brokerFault(), Next: next(p.c.MQTT.Broker, "mosquitto", "")})
	}
	if p.c.Role == roleBoard {
		_, stalled := p.polling.faults()
		all = append(all, web.Check{Name: "intakes", Err: stalled, Next: "systemctl status nabz-collector"})
	}
	return all
}

// next is the command that says most about a server that is at fault: of the unit where it is on this machine, else whether it can be reached.
func next(address, unit, path string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return "systemctl status " + unit
	}
	if path == "" {
		return "nc -vz " + u.Hostname() + " " + u.Port()
	}
	return "curl -sS " + u.Scheme + "://" + u.Host + path
}

// webURL is where the board is.
func (p *parts) webURL() string {
	scheme := "http://"
	if p.c.Web.TLSCert != "" {
		scheme = "https://"
	}
	return scheme + p.web.Addr().String()
}

// Audit is the audit log of a collector with that configuration.
func Audit(c Config) *audit.Log { return audit.New(filepath.Join(c.DataDir, "audit"), time.Now) }
