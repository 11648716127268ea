package collector

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

// AlertConfig is what is worth an alert, and who is told.
type AlertConfig struct {
	URLsFile          string        `toml:"urls_file"`
	Alertmanager      []string      `toml:"alertmanager"`
	BoardURL          string        `toml:"board_url"`
	HeartbeatEvery    conf.Duration `toml:"heartbeat_every"`
	UnreachableAfter  conf.Duration `toml:"unreachable_after"`
	DownAfter         conf.Duration `toml:"down_after"`
	DegradedAfter     conf.Duration `toml:"degraded_after"`
	BatteryBelowPct   float64       `toml:"battery_below_pct"`
	DiskAbovePct      float64       `toml:"disk_above_pct"`
	SpoolAbovePct     float64       `toml:"spool_above_pct"`
	SpoolBytes        int64         `toml:"spool_bytes"`
	SpoolAfter        conf.Duration `toml:"spool_after"`
	ClockAfter        conf.Duration `toml:"clock_after"`
	BudgetAbovePct    float64       `toml:"budget_above_pct"`
	BudgetMB          int64         `toml:"budget_mb"`
	CertificateWithin conf.Duration `toml:"certificate_within"`
	OwnAfter          conf.Duration `toml:"own_after"`
	RecoverAfter      conf.Duration `toml:"recover_after"`
	GroupWindow       conf.Duration `toml:"group_window"`
	FlapOutages       int           `toml:"flap_outages"`
	FlapQuiet         conf.Duration `toml:"flap_quiet"`
	FlapAfter         conf.Duration `toml:"flap_after"`
	LostPct           float64       `toml:"lost_pct"`
	Grace             conf.Duration `toml:"grace"`
	Repeat            conf.Duration `toml:"repeat"`
}

func alertDefaults() AlertConfig {
	s := alert.Defaults()
	d := func(t time.Duration) conf.Duration { return conf.Duration(t) }
	return AlertConfig{Alertmanager: []string{}, HeartbeatEvery: d(time.Minute),
		UnreachableAfter: d(s.UnreachableAfter), DownAfter: d(s.DownAfter), DegradedAfter: d(s.DegradedAfter), BatteryBelowPct: s.BatteryBelowPct,
		DiskAbovePct: s.DiskAbovePct, SpoolAbovePct: s.SpoolAbovePct, SpoolBytes: s.SpoolBytes, SpoolAfter: d(s.SpoolAfter), ClockAfter: d(s.ClockAfter),
		BudgetAbovePct: s.BudgetAbovePct, BudgetMB: s.BudgetMB, CertificateWithin: d(s.CertificateWithin), OwnAfter: d(s.OwnAfter), RecoverAfter: d(s.RecoverAfter),
		GroupWindow: d(s.GroupWindow), FlapOutages: s.FlapOutages, FlapQuiet: d(s.FlapQuiet), FlapAfter: d(s.FlapAfter), LostPct: s.LostPct, Grace: d(s.Grace), Repeat: d(s.Repeat)}
}

func (c *AlertConfig) settings() alert.Settings {
	return alert.Settings{UnreachableAfter: c.UnreachableAfter.Std(), DownAfter: c.DownAfter.Std(), DegradedAfter: c.DegradedAfter.Std(), BatteryBelowPct: c.BatteryBelowPct,
		DiskAbovePct: c.DiskAbovePct, SpoolAbovePct: c.SpoolAbovePct, SpoolBytes: c.SpoolBytes, SpoolAfter: c.SpoolAfter.Std(), ClockAfter: c.ClockAfter.Std(),
		BudgetAbovePct: c.BudgetAbovePct, BudgetMB: c.BudgetMB, CertificateWithin: c.CertificateWithin.Std(), OwnAfter: c.OwnAfter.Std(), RecoverAfter: c.RecoverAfter.Std(),
		GroupWindow: c.GroupWindow.Std(), FlapOutages: c.FlapOutages, FlapQuiet: c.FlapQuiet.Std(), FlapAfter: c.FlapAfter.Std(), LostPct: c.LostPct, Grace: c.Grace.Std(), Repeat: c.Repeat.Std()}
}

func (c *AlertConfig) validate(v *conf.Faults) {
	const week = 7 * 24 * time.Hour
	for _, d := range []struct {
		key     string
		got     conf.Duration
		lo, hi  time.Duration
		without bool // 0 switches it off
	}{
		{"unreachable_after", c.UnreachableAfter, 90 * time.Second, week, true}, {"down_after", c.DownAfter, time.Second, week, true}, {"degraded_after", c.DegradedAfter, time.Minute, week, true},
		{"spool_after", c.SpoolAfter, time.Minute, week, false}, {"clock_after", c.ClockAfter, time.Minute, week, true}, {"certificate_within", c.CertificateWithin, 24 * time.Hour, 366 * 24 * time.Hour, true},
		{"own_after", c.OwnAfter, time.Second, 24 * time.Hour, true}, {"recover_after", c.RecoverAfter, time.Second, 24 * time.Hour, false}, {"group_window", c.GroupWindow, time.Second, 24 * time.Hour, true},
		{"flap_quiet", c.FlapQuiet, time.Minute, 24 * time.Hour, false}, {"flap_after", c.FlapAfter, time.Minute, 24 * time.Hour, false}, {"grace", c.Grace, 90 * time.Second, 24 * time.Hour, false},
		{"repeat", c.Repeat, time.Minute, week, true}, {"heartbeat_every", c.HeartbeatEvery, 10 * time.Second, 24 * time.Hour, true},
	} {
		if !d.without || d.got != 0 {
			v.Within("alert."+d.key, d.got, d.lo, d.hi)
		}
	}
	conf.Between(v, "alert.battery_below_pct", c.BatteryBelowPct, 0, 90)
	conf.Between(v, "alert.disk_above_pct", c.DiskAbovePct, 0, 100)
	conf.Between(v, "alert.spool_above_pct", c.SpoolAbovePct, 0, 100)
	conf.Between(v, "alert.spool_bytes", c.SpoolBytes, 64<<10, 1<<40)
	conf.Between(v, "alert.budget_above_pct", c.BudgetAbovePct, 0, 1000)
	conf.Between(v, "alert.budget_mb", c.BudgetMB, 0, 1_000_000)
	conf.Between(v, "alert.flap_outages", c.FlapOutages, 0, 100)
	conf.Between(v, "alert.lost_pct", c.LostPct, 0, 100)
	for i, address := range c.Alertmanager {
		key := fmt.Sprintf("alert.alertmanager[%d]", i)
		u, err := url.Parse(address)
		switch {
		case err == nil && u.User != nil:
			v.Add(key, "holds a user; write it into alert.urls_file, with a name: alertmanager alertmanager+https://user:password@host:9093")
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			v.Add(key, "%q is not the address of an Alertmanager; write it as \"http://127.0.0.1:9093\"", address)
		}
	}
	if u, err := url.Parse(c.BoardURL); c.BoardURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		v.Add("alert.board_url", "%q is not the address of the board; write it as \"https://noc.example.org:8443\"", c.BoardURL)
	}
}

// AlertFile is where the state of the alerts is kept.
func (c *Config) AlertFile() string { return filepath.Join(c.DataDir, "alerts.json") }

// AlertWays are those who are told of alerts, those of the file first.
func (c *Config) AlertWays() (w alert.Ways, err error) {
	if c.Alert.URLsFile != "" {
		if w, err = alert.ReadWays(c.Alert.URLsFile); err != nil {
			return w, err
		}
	}
	for i, address := range c.Alert.Alertmanager {
		name := "alertmanager"
		if i > 0 {
			name = fmt.Sprintf("alertmanager-%d", i+1)
		}
		for _, ch := range w.Channels {
			if ch.Name() == name {
				return w, fmt.Errorf("alert.urls_file: the name %q is that of alert.alertmanager; choose another", name)
			}
		}
		ch, err := alert.NewAlertmanager(name, address, alert.Info)
		if err != nil {
			return w, fmt.Errorf("alert.alertmanager: %w", err)
		}
		w.Channels = append(w.Channels, ch)
	}
	return w, nil
}

// openAlerts makes the engine that decides what is an alert. It belongs to a board: an intake beside one has none.
func (p *parts) openAlerts(metrics prometheus.Registerer, now func() time.Time) error {
	if p.c.Role == roleIntake {
		return nil
	}
	ways, err := p.c.AlertWays()
	if err != nil {
		return err
	}
	checks := func() []alert.Check {
		var out []alert.Check
		for _, c := range p.ready() {
			out = append(out, alert.Check{Name: c.Name, Err: c.Err})
		}
		return out
	}
	p.alerts, err = alert.Open(alert.Config{Settings: p.c.Alert.settings(), File: p.c.AlertFile(), Fleet: p.live, Journal: p.journal, Checks: checks, Certificates: p.certificates,
		Channels: ways.Channels, Heartbeat: alert.Heartbeat{URL: ways.Heartbeat, Every: p.c.Alert.HeartbeatEvery.Std(), Well: p.well}, Link: p.c.Alert.BoardURL, Now: now, Log: p.log})
	if err != nil {
		return err
	}
	if p.c.Agents.CAFile != "" {
		if p.caEnd, err = authority.End(p.c.Agents.CAFile); err != nil {
			return fmt.Errorf("agents.ca_file: %w", err)
		}
	}
	metrics.MustRegister(p.alerts.Metrics())
	return nil
}

// certificates are those without which agents or people cannot connect.
func (p *parts) certificates() (out []alert.Expiry) {
	if p.shown != nil {
		out = append(out, alert.Expiry{Name: "the certificate that agents are shown (" + filepath.Base(p.c.MQTT.TLSCert) + ")", End: p.shown.End(), Then: "no agent can connect", Next: "run nabz-collector renew"})
	}
	if p.shownPeople != nil {
		out = append(out, alert.Expiry{Name: "the board's certificate (" + filepath.Base(p.c.Web.TLSCert) + ")", End: p.shownPeople.End(), Then: "browsers refuse the board", Next: "renew it where it came from"})
	}
	if !p.caEnd.IsZero() {
		out = append(out, alert.Expiry{Name: "the authority's certificate (" + filepath.Base(p.c.Agents.CAFile) + ")", End: p.caEnd, Then: "no agent can connect", Next: "plan for a new authority, with which every agent has to be enrolled anew"})
	}
	return out
}

// well tells why what is taken in would not be stored, by storing something: the same point all day long.
func (p *parts) well(ctx context.Context) error {
	for _, c := range p.ready() {
		if c.Err != nil {
			return fmt.Errorf("%s: %w", c.Name, c.Err)
		}
	}
	line := fmt.Appendf(nil, "nabz_heartbeat well=true %d\n", time.Now().Truncate(24*time.Hour).UnixMilli())
	if err := p.store.Write(ctx, telemetry.Detail, line); err != nil {
		return errors.Join(errors.New("InfluxDB does not take a point"), err)
	}
	return nil
}
