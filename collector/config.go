package collector

import (
	_ "embed"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/intake"
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
	Speedtest        SpeedConfig   `toml:"speedtest"`

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
	MaxSeries       int           `toml:"max_series"`
	Extra           []string      `toml:"extra_measurements"`
}

// SpeedConfig is where agents measure their throughput.
type SpeedConfig struct {
	Listen string `toml:"listen"`
	AtOnce int    `toml:"at_once"`
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
			MergeLines: 5000, MergeWait: d(50 * time.Millisecond), Requests: 4, DeadLetterBytes: 64 << 20, MaxSeries: 1000, Extra: []string{}},
		Speedtest: SpeedConfig{AtOnce: 4},
	}
}

// Validate reports every value that cannot be, with the line of its key where d has one.
func (c *Config) Validate(d *conf.Doc) error {
	v := conf.NewFaults(d)
	v.Filled("sites_file", c.SitesFile, "name the file of the programme's sites; it may be missing at first")
	v.Filled("agents_file", c.AgentsFile, "name the file of the agents' credentials; it may be missing at first")
	v.Filled("data_dir", c.DataDir, "name a folder that the collector may write to")
	v.Within("unreachable_after", c.UnreachableAfter, 10*time.Second, 24*time.Hour)
	v.OneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	c.Influx.validate(v)
	c.MQTT.validate(v)
	listenAddress(v, "web.listen", c.Web.Listen)
	if _, err := time.LoadLocation(c.Web.TimeZone); err != nil {
		v.Add("web.time_zone", "%q is not an IANA name such as \"Asia/Karachi\"", c.Web.TimeZone)
	}
	if c.Web.Listen == c.MQTT.Listen && !strings.HasSuffix(c.Web.Listen, ":0") {
		v.Add("web.listen", "%s is mqtt.listen too; give each its own port", c.Web.Listen)
	}
	c.Intake.validate(v)
	if c.Speedtest.Listen != "" {
		listenAddress(v, "speedtest.listen", c.Speedtest.Listen)
		if c.MQTT.TLSCert == "" && !c.MQTT.Insecure && !broker.Loopback(c.Speedtest.Listen) {
			v.Add("speedtest.listen", "%s can be reached from other machines, and without TLS so can the agents' secrets; set mqtt.tls_cert and mqtt.tls_key, which serve here too", c.Speedtest.Listen)
		}
	}
	conf.Between(v, "speedtest.at_once", c.Speedtest.AtOnce, 1, 1000)
	return v.Err()
}

func (c *InfluxConfig) validate(v *conf.Faults) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		v.Add("influx.url", "%q is not an address; write it as \"http://host:8086\" or \"https://host\"", c.URL)
	case u.User != nil:
		v.Add("influx.url", "holds a user; put \"user:password\" into influx.token, or into the environment as INFLUX_TOKEN")
	}
	v.Filled("influx.detail_bucket", c.DetailBucket, "name the database or bucket of the detail tier")
	v.Filled("influx.ledger_bucket", c.LedgerBucket, "name the database or bucket of the ledger tier")
	if c.DetailBucket != "" && c.DetailBucket == c.LedgerBucket {
		v.Add("influx.ledger_bucket", "%q is influx.detail_bucket too; the ledger is kept for ever and detail is not, so give each its own", c.LedgerBucket)
	}
	if c.DetailRetention != 0 {
		v.Within("influx.detail_retention", c.DetailRetention, 24*time.Hour, 100*365*24*time.Hour)
	}
	v.Within("influx.timeout", c.Timeout, time.Second, 10*time.Minute)
}

func (c *MQTTConfig) validate(v *conf.Faults) {
	listenAddress(v, "mqtt.listen", c.Listen)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		v.Add("mqtt.tls_key", "mqtt.tls_cert and mqtt.tls_key go together; one of them is empty")
	}
	if c.TLSCert == "" && !c.Insecure && !broker.Loopback(c.Listen) {
		v.Add("mqtt.listen", "%s can be reached from other machines, and without TLS so can every secret and every line; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true", c.Listen)
	}
	conf.Between(v, "mqtt.max_connections", c.MaxConnections, 1, 1_000_000)
}

func (c *IntakeConfig) validate(v *conf.Faults) {
	conf.Between(v, "intake.queue_messages", c.QueueMessages, 100, 1_000_000)
	conf.Between(v, "intake.queue_bytes", c.QueueBytes, 2*telemetry.MaxMessage, 1<<40)
	conf.Between(v, "intake.flight_bytes", c.FlightBytes, telemetry.MaxExpanded, 1<<40)
	v.Within("intake.max_age", c.MaxAge, 24*time.Hour, 100*365*24*time.Hour)
	v.Within("intake.max_ahead", c.MaxAhead, time.Minute, 366*24*time.Hour)
	conf.Between(v, "intake.merge_lines", c.MergeLines, 1, 100_000)
	v.Within("intake.merge_wait", c.MergeWait, time.Millisecond, 10*time.Second)
	conf.Between(v, "intake.requests", c.Requests, 1, 64)
	conf.Between(v, "intake.dead_letter_bytes", c.DeadLetterBytes, 16<<20, 1<<40)
	conf.Between(v, "intake.max_series", c.MaxSeries, 50, 1_000_000)
	for _, name := range c.Extra {
		if err := intake.CheckExtra(name); err != nil {
			v.Add("intake.extra_measurements", "%v", err)
		}
	}
}

func (c *Config) deadLetters() string { return filepath.Join(c.DataDir, "dead-letters") }

// listenAddress wants host:port to listen on.
func listenAddress(v *conf.Faults, key, got string) {
	_, port, err := net.SplitHostPort(got)
	if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
		v.Add(key, "%q is not an address to listen on; write it as \"127.0.0.1:1883\", or \":1883\" for all interfaces", got)
	}
}
