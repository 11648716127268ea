package collector

import (
	_ "embed"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

// Example is the commented configuration with every key at its default.
//
//go:embed collector.example.toml
var Example string

// Config is all that the collector can be told. collector.example.toml says what each key means and takes.
type Config struct {
	SitesFile        string        `toml:"sites_file"`
	AgentsFile       string        `toml:"agents_file"`
	DataDir          string        `toml:"data_dir"`
	UnreachableAfter conf.Duration `toml:"unreachable_after"`
	LogLevel         string        `toml:"log_level"`
	Influx           InfluxConfig  `toml:"influx"`
	MQTT             MQTTConfig    `toml:"mqtt"`
	Web              WebConfig     `toml:"web"`
	Intake           IntakeConfig  `toml:"intake"`

	Version  string                // of the program, for /metrics
	Notify   func(state ...string) // tells the service manager; nil tells nobody
	Watchdog time.Duration         // how often the service manager wants a sign of life; 0 never
}

// InfluxConfig is where lines are kept.
type InfluxConfig struct {
	URL             string        `toml:"url"`
	Token           string        `toml:"token"`
	Org             string        `toml:"org"`
	DetailBucket    string        `toml:"detail_bucket"`
	LedgerBucket    string        `toml:"ledger_bucket"`
	DetailRetention conf.Duration `toml:"detail_retention"`
	Timeout         conf.Duration `toml:"timeout"`
	Gzip            bool          `toml:"gzip"`
}

// MQTTConfig is where agents connect.
type MQTTConfig struct {
	Listen         string `toml:"listen"`
	TLSCert        string `toml:"tls_cert"`
	TLSKey         string `toml:"tls_key"`
	Insecure       bool   `toml:"insecure"`
	MaxConnections int    `toml:"max_connections"`
}

// WebConfig is where people look.
type WebConfig struct {
	Listen   string `toml:"listen"`
	TimeZone string `toml:"time_zone"`
}

// IntakeConfig bounds what is taken in.
type IntakeConfig struct {
	QueueMessages   int           `toml:"queue_messages"`
	QueueBytes      int64         `toml:"queue_bytes"`
	FlightBytes     int64         `toml:"flight_bytes"`
	MaxAge          conf.Duration `toml:"max_age"`
	MaxAhead        conf.Duration `toml:"max_ahead"`
	MergeLines      int           `toml:"merge_lines"`
	MergeWait       conf.Duration `toml:"merge_wait"`
	Requests        int           `toml:"requests"`
	DeadLetterBytes int64         `toml:"dead_letter_bytes"`
}

// Defaults is the configuration of the example file.
func Defaults() Config {
	d := func(t time.Duration) conf.Duration { return conf.Duration(t) }
	return Config{
		SitesFile: "/etc/nabz/sites.toml", AgentsFile: "/var/lib/nabz-collector/agents.toml", DataDir: "/var/lib/nabz-collector",
		UnreachableAfter: d(90 * time.Second), LogLevel: "info",
		Influx: InfluxConfig{URL: "http://127.0.0.1:8086", DetailBucket: "nabz", LedgerBucket: "nabz_ledger", DetailRetention: d(90 * 24 * time.Hour), Timeout: d(20 * time.Second)},
		MQTT:   MQTTConfig{Listen: "127.0.0.1:1883", MaxConnections: 20_000},
		Web:    WebConfig{Listen: "127.0.0.1:8080"},
		Intake: IntakeConfig{QueueMessages: 20_000, QueueBytes: 64 << 20, FlightBytes: 64 << 20, MaxAge: d(400 * 24 * time.Hour), MaxAhead: d(24 * time.Hour),
			MergeLines: 5000, MergeWait: d(50 * time.Millisecond), Requests: 4, DeadLetterBytes: 64 << 20},
	}
}

// Validate reports every value that cannot be, with the line of its key where d has one.
func (c *Config) Validate(d *conf.Doc) error {
	v := validator{doc: d}
	v.set("sites_file", c.SitesFile, "name the file of the programme's sites; it may be missing at first")
	v.set("agents_file", c.AgentsFile, "name the file of the agents' credentials; it may be missing at first")
	v.set("data_dir", c.DataDir, "name a folder that the collector may write to")
	v.duration("unreachable_after", c.UnreachableAfter, 10*time.Second, 24*time.Hour)
	v.oneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	c.Influx.validate(&v)
	c.MQTT.validate(&v)
	v.address("web.listen", c.Web.Listen)
	if _, err := time.LoadLocation(c.Web.TimeZone); err != nil {
		v.fault("web.time_zone", "%q is not an IANA name such as \"Asia/Karachi\"", c.Web.TimeZone)
	}
	if c.Web.Listen == c.MQTT.Listen && !strings.HasSuffix(c.Web.Listen, ":0") {
		v.fault("web.listen", "%s is mqtt.listen too; give each its own port", c.Web.Listen)
	}
	c.Intake.validate(&v)
	return errors.Join(v.faults...)
}

func (c *InfluxConfig) validate(v *validator) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		v.fault("influx.url", "%q is not an address; write it as \"http://host:8086\" or \"https://host\"", c.URL)
	case u.User != nil:
		v.fault("influx.url", "holds a user; put \"user:password\" into influx.token, or into the environment as INFLUX_TOKEN")
	}
	v.set("influx.detail_bucket", c.DetailBucket, "name the database or bucket of the detail tier")
	v.set("influx.ledger_bucket", c.LedgerBucket, "name the database or bucket of the ledger tier")
	if c.DetailBucket != "" && c.DetailBucket == c.LedgerBucket {
		v.fault("influx.ledger_bucket", "%q is influx.detail_bucket too; the ledger is kept for ever and detail is not, so give each its own", c.LedgerBucket)
	}
	if c.DetailRetention != 0 {
		v.duration("influx.detail_retention", c.DetailRetention, 24*time.Hour, 100*365*24*time.Hour)
	}
	v.duration("influx.timeout", c.Timeout, time.Second, 10*time.Minute)
}

func (c *MQTTConfig) validate(v *validator) {
	v.address("mqtt.listen", c.Listen)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		v.fault("mqtt.tls_key", "mqtt.tls_cert and mqtt.tls_key go together; one of them is empty")
	}
	if c.TLSCert == "" && !c.Insecure && !broker.Loopback(c.Listen) {
		v.fault("mqtt.listen", "%s can be reached from other machines, and without TLS so can every secret and every line; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true", c.Listen)
	}
	between(v, "mqtt.max_connections", c.MaxConnections, 1, 1_000_000)
}

func (c *IntakeConfig) validate(v *validator) {
	between(v, "intake.queue_messages", c.QueueMessages, 100, 1_000_000)
	between(v, "intake.queue_bytes", c.QueueBytes, 2*telemetry.MaxMessage, 1<<40)
	between(v, "intake.flight_bytes", c.FlightBytes, telemetry.MaxExpanded, 1<<40)
	v.duration("intake.max_age", c.MaxAge, 24*time.Hour, 100*365*24*time.Hour)
	v.duration("intake.max_ahead", c.MaxAhead, time.Minute, 366*24*time.Hour)
	between(v, "intake.merge_lines", c.MergeLines, 1, 100_000)
	v.duration("intake.merge_wait", c.MergeWait, time.Millisecond, 10*time.Second)
	between(v, "intake.requests", c.Requests, 1, 64)
	between(v, "intake.dead_letter_bytes", c.DeadLetterBytes, 16<<20, 1<<40)
}

func (c *Config) deadLetters() string { return filepath.Join(c.DataDir, "dead-letters") }

// validator gathers faults.
type validator struct {
	doc    *conf.Doc
	faults []error
}

func (v *validator) fault(key, format string, a ...any) {
	v.faults = append(v.faults, v.doc.Faultf(key, format, a...))
}

func (v *validator) set(key, got, todo string) {
	if got == "" {
		v.fault(key, "is empty; %s", todo)
	}
}

func (v *validator) duration(key string, d conf.Duration, lo, hi time.Duration) {
	if d.Std() < lo || d.Std() > hi {
		v.fault(key, "%v is outside %v to %v", d, conf.Duration(lo), conf.Duration(hi))
	}
}

func (v *validator) oneOf(key, got string, want ...string) {
	if !slices.Contains(want, got) {
		v.fault(key, "%q is none of %s", got, strings.Join(want, ", "))
	}
}

func (v *validator) address(key, got string) {
	_, port, err := net.SplitHostPort(got)
	if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
		v.fault(key, "%q is not an address to listen on; write it as \"127.0.0.1:1883\", or \":1883\" for all interfaces", got)
	}
}

func between[T int | int64](v *validator, key string, got, lo, hi T) {
	if got < lo || got > hi {
		v.fault(key, "%v is outside %v to %v", got, lo, hi)
	}
}
