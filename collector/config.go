package collector

import (
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

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
	UsersFile        string        `toml:"users_file"`
	DataDir          string        `toml:"data_dir"`
	UnreachableAfter conf.Duration `toml:"unreachable_after"`
	LogLevel         string        `toml:"log_level"`
	Name             string        `toml:"name"`
	Role             string        `toml:"role"`
	Influx           InfluxConfig  `toml:"influx"`
	MQTT             MQTTConfig    `toml:"mqtt"`
	Agents           AgentsConfig  `toml:"agents"`
	Web              WebConfig     `toml:"web"`
	Intake           IntakeConfig  `toml:"intake"`
	Speedtest        SpeedConfig   `toml:"speedtest"`
	Alert            AlertConfig   `toml:"alert"`
	Report           ReportConfig  `toml:"report"`

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
	AgentMessages  int    `toml:"agent_messages"`
	AgentBytes     int64  `toml:"agent_bytes"`
	Broker         string `toml:"broker"`
	User           string `toml:"user"`
	SecretFile     string `toml:"secret_file"`
	CAFile         string `toml:"ca_file"`
}

// AgentsConfig is where agents enrol and measure their throughput, and what enrolled ones are told.
type AgentsConfig struct {
	Listen     string        `toml:"listen"`
	URL        string        `toml:"url"`
	Brokers    []string      `toml:"brokers"`
	CAFile     string        `toml:"ca_file"`
	Profile    string        `toml:"profile"`
	ConfigFile string        `toml:"config_file"`
	TokenLife  conf.Duration `toml:"token_life"`
}

// WebConfig is where people look.
type WebConfig struct {
	Listen      string        `toml:"listen"`
	TLSCert     string        `toml:"tls_cert"`
	TLSKey      string        `toml:"tls_key"`
	Insecure    bool          `toml:"insecure"`
	Open        bool          `toml:"open"`
	Proxy       bool          `toml:"proxy"`
	SessionIdle conf.Duration `toml:"session_idle"`
	SessionLife conf.Duration `toml:"session_life"`
	TimeZone    string        `toml:"time_zone"`
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

// SpeedConfig is what speed tests may take.
type SpeedConfig struct {
	AtOnce int `toml:"at_once"`
}

// Gone are the keys that earlier releases had, and what is there instead. They stay here: somebody may come from any of those.
func (c *Config) Gone() map[string]string {
	return map[string]string{"speedtest.listen": "agents measure where they enrol: set listen in [agents], and at_once above 0 in [speedtest]"}
}

// Defaults is the configuration of the example file.
func Defaults() Config {
	d := func(t time.Duration) conf.Duration { return conf.Duration(t) }
	return Config{
		SitesFile: "/etc/nabz/sites.toml", AgentsFile: "/var/lib/nabz-collector/agents.toml", DataDir: "/var/lib/nabz-collector",
		UnreachableAfter: d(90 * time.Second), LogLevel: "info", Role: roleAll,
		Influx: InfluxConfig{URL: "http://127.0.0.1:8086", DetailBucket: "nabz", LedgerBucket: "nabz_ledger", DetailRetention: d(90 * 24 * time.Hour), Timeout: d(20 * time.Second)},
		MQTT:   MQTTConfig{Listen: "127.0.0.1:1883", MaxConnections: 20_000, AgentMessages: 500, AgentBytes: 1 << 20},
		Agents: AgentsConfig{Brokers: []string{}, Profile: "standard", TokenLife: d(24 * time.Hour)},
		Alert:  alertDefaults(),
		Report: reportDefaults(),
		Web:    WebConfig{Listen: "127.0.0.1:8080", SessionIdle: d(12 * time.Hour), SessionLife: d(7 * 24 * time.Hour)},
		Intake: IntakeConfig{QueueMessages: 20_000, QueueBytes: 64 << 20, FlightBytes: 64 << 20, MaxAge: d(400 * 24 * time.Hour), MaxAhead: d(24 * time.Hour),
			MergeLines: 5000, MergeWait: d(50 * time.Millisecond), Requests: 4, DeadLetterBytes: 64 << 20, MaxSeries: 1000, Extra: []string{}},
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
	if len(c.Name) > 64 || strings.ContainsFunc(c.Name, unicode.IsControl) {
		v.Add("name", "%.80q is not a name; use at most 64 characters", c.Name)
	}
	c.validateRole(v)
	c.Influx.validate(v)
	c.MQTT.validate(v)
	c.Web.validate(v)
	if c.Web.Listen == c.MQTT.Listen && !strings.HasSuffix(c.Web.Listen, ":0") {
		v.Add("web.listen", "%s is mqtt.listen too; give each its own port", c.Web.Listen)
	}
	c.Intake.validate(v)
	c.Agents.validate(v, c.MQTT)
	c.Alert.validate(v)
	c.Report.validate(v, c.Alert.BoardURL)
	if c.Speedtest.AtOnce > 0 && c.Agents.Listen == "" {
		v.Add("speedtest.at_once", "speed tests are served at agents.listen, which is not set; set it, or at_once to 0")
	}
	conf.Between(v, "speedtest.at_once", c.Speedtest.AtOnce, 0, 1000)
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
	if c.Broker != "" {
		c.external(v)
	} else {
		c.onlyExternal(v)
		listenAddress(v, "mqtt.listen", c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		v.Add("mqtt.tls_key", "mqtt.tls_cert and mqtt.tls_key go together; one of them is empty")
	}
	if c.Broker == "" && c.TLSCert == "" && !c.Insecure && !broker.Loopback(c.Listen) {
		v.Add("mqtt.listen", "%s can be reached from other machines, and without TLS so can every secret and every line; set mqtt.tls_cert and mqtt.tls_key, or mqtt.insecure = true", c.Listen)
	}
	conf.Between(v, "mqtt.max_connections", c.MaxConnections, 1, 1_000_000)
	if c.AgentMessages != 0 {
		conf.Between(v, "mqtt.agent_messages", c.AgentMessages, 10, 1_000_000)
	}
	if c.AgentBytes != 0 {
		conf.Between(v, "mqtt.agent_bytes", c.AgentBytes, 256<<10, 1<<40)
	}
}

func (c *AgentsConfig) validate(v *conf.Faults, m MQTTConfig) {
	if c.Listen != "" {
		listenAddress(v, "agents.listen", c.Listen)
		if m.TLSCert == "" && !m.Insecure && !broker.Loopback(c.Listen) {
			v.Add("agents.listen", "%s can be reached from other machines, and without TLS so can the agents' secrets; set mqtt.tls_cert and mqtt.tls_key, which serve here too", c.Listen)
		}
	}
	if c.URL != "" {
		v.Check("agents.url", telemetry.CheckEnrolURL(c.URL))
		if len(c.Brokers) == 0 {
			v.Add("agents.brokers", "is empty; name what enrolled agents connect to, such as \"mqtts://noc.example.org:8883\"")
		}
		if c.Listen == "" {
			v.Add("agents.listen", "is empty, so nobody can enrol at agents.url; name an address to listen on, such as \":8443\"")
		}
		if m.TLSCert == "" {
			v.Add("agents.url", "agents enrol over TLS only; set mqtt.tls_cert and mqtt.tls_key, which \"nabz-collector init\" makes")
		}
	}
	for i, b := range c.Brokers {
		if _, ok := brokerURL(b); !ok {
			v.Add(fmt.Sprintf("agents.brokers[%d]", i), "%q is not a broker; write it as \"mqtts://noc.example.org:8883\"", b)
		}
	}
	v.OneOf("agents.profile", c.Profile, "standard", "metered")
	v.Within("agents.token_life", c.TokenLife, time.Minute, 31*24*time.Hour)
}

func (c *WebConfig) validate(v *conf.Faults) {
	understood := listenAddress(v, "web.listen", c.Listen)
	if (c.TLSCert == "") != (c.TLSKey == "") {
		v.Add("web.tls_key", "web.tls_cert and web.tls_key go together; one of them is empty")
	}
	local := !understood || broker.Loopback(c.Listen)
	if c.TLSCert == "" && !c.Insecure && !local {
		v.Add("web.listen", "%s can be reached from other machines, and without TLS so can every password and session; set web.tls_cert and web.tls_key, or web.insecure = true", c.Listen)
	}
	if c.Open && !local {
		v.Add("web.open", "%s can be reached from other machines, and nobody there would have to sign in; set web.open = false, or web.listen to a loopback address", c.Listen)
	}
	if c.Proxy && (c.Open || !local) {
		v.Add("web.proxy", "believes what a proxy on this machine says; it goes with a loopback address in web.listen, and with web.open = false")
	}
	v.Within("web.session_idle", c.SessionIdle, 10*time.Minute, 90*24*time.Hour)
	v.Within("web.session_life", c.SessionLife, 10*time.Minute, 90*24*time.Hour)
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		v.Add("web.time_zone", "%q is not an IANA name such as \"Asia/Karachi\"", c.TimeZone)
	}
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

// Users is the file of those who may sign in at the board.
func (c *Config) Users() string {
	if c.UsersFile != "" {
		return c.UsersFile
	}
	return filepath.Join(filepath.Dir(c.AgentsFile), "users.toml")
}

func (c *Config) deadLetters() string { return filepath.Join(c.DataDir, "dead-letters") }

// listenAddress wants host:port to listen on.
func listenAddress(v *conf.Faults, key, got string) (ok bool) {
	_, port, err := net.SplitHostPort(got)
	if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
		v.Add(key, "%q is not an address to listen on; write it as \"127.0.0.1:1883\", or \":1883\" for all interfaces", got)
		return false
	}
	return true
}
