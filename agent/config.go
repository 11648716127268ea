package agent

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/agent/speedtest"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// Example is the commented configuration with every key at its default.
//
//go:embed agent.example.toml
var Example string

// Config is all that the agent can be told. agent.example.toml says what each key means and takes.
type Config struct {
	Site            string           `toml:"site"`
	Agent           string           `toml:"agent"`
	Profile         string           `toml:"profile"`
	Brokers         []string         `toml:"brokers"`
	SecretFile      string           `toml:"secret_file"`
	CAFile          string           `toml:"ca_file"`
	DataDir         string           `toml:"data_dir"`
	SpoolMaxBytes   int64            `toml:"spool_max_bytes"`
	SpoolFlushEvery conf.Duration    `toml:"spool_flush_every"`
	DetailEvery     conf.Duration    `toml:"detail_every"`
	ReportEvery     conf.Duration    `toml:"report_every"`
	MonthlyMB       float64          `toml:"monthly_mb"`
	MarkEvery       conf.Duration    `toml:"mark_every"`
	ResumeWait      conf.Duration    `toml:"resume_wait"`
	TimeZone        string           `toml:"time_zone"`
	LogLevel        string           `toml:"log_level"`
	Time            TimeConfig       `toml:"time"`
	Uplink          UplinkConfig     `toml:"uplink"`
	Probe           ProbeConfig      `toml:"probe"`
	Sampler         SamplerConfig    `toml:"sampler"`
	Speedtest       SpeedConfig      `toml:"speedtest"`
	ServiceEvery    conf.Duration    `toml:"service_every"`
	Services        []service.Config `toml:"service"`
	Commands        CommandsConfig   `toml:"commands"`

	Version string                // of the program, for the boot event
	Notify  func(state ...string) // tells the service manager; nil tells nobody
	Clock   func() clock.Reading  // nil: this machine's
	// Checkup is what "nabz-agent check" would say now, for whoever asks from afar; nil: nothing.
	Checkup func(ctx context.Context) string
}

// CommandsConfig is what the NOC may ask for.
type CommandsConfig struct {
	Allow []string `toml:"allow"`
}

// TimeConfig is whom to ask for the time.
type TimeConfig struct {
	Servers []string `toml:"servers"`
	Trust   bool     `toml:"trust_system"`
}

// UplinkConfig is how batches travel.
type UplinkConfig struct {
	Keepalive      conf.Duration `toml:"keepalive"`
	AckWithin      conf.Duration `toml:"ack_within"`
	AckTimeout     conf.Duration `toml:"ack_timeout"`
	MaxBackoff     conf.Duration `toml:"max_backoff"`
	Window         int           `toml:"window"`
	BacklogMaxKbps int           `toml:"backlog_max_kbps"`
}

// ProbeConfig is whom to ask and how often.
type ProbeConfig struct {
	Every        conf.Duration `toml:"every"`
	SampleEvery  conf.Duration `toml:"sample_every"`
	Method       string        `toml:"method"`
	Count        int           `toml:"count"`
	Confirm      int           `toml:"confirm"`
	Timeout      conf.Duration `toml:"timeout"`
	TCPPort      int           `toml:"tcp_port"`
	Anchors      []string      `toml:"anchors"`
	Gateway      string        `toml:"gateway"`
	Interface    string        `toml:"interface"`
	DNSName      string        `toml:"dns_name"`
	DNSTimeout   conf.Duration `toml:"dns_timeout"`
	DNSEvery     conf.Duration `toml:"dns_every"`
	ExtraPerHour int           `toml:"extra_per_hour"`
	LossPct      float64       `toml:"loss_pct"`
	MedianRTT    conf.Duration `toml:"median_rtt"`
	WANEvidence  string        `toml:"wan_evidence"`
}

// SamplerConfig is what to read of the machine.
type SamplerConfig struct {
	Interfaces []string `toml:"interfaces"`
}

// The profiles. Each is a set of defaults that keeps a budget of bytes on the wire.
const (
	Standard = "standard" // detail each minute, an outage is seen within 90 s, 15 MB a month
	Metered  = "metered"  // batches each 15 minutes, an outage is seen within 8 min, 4 MB a month
)

// Defaults is the configuration of the example file, which is that of the profile "standard".
func Defaults() Config {
	d := func(t time.Duration) conf.Duration { return conf.Duration(t) }
	return Config{
		Agent: "main", Profile: Standard, Brokers: []string{"mqtt://127.0.0.1:1883"}, SecretFile: "/etc/nabz/secret", DataDir: "/var/lib/nabz-agent",
		SpoolMaxBytes: 4 << 20, SpoolFlushEvery: d(20 * time.Minute), DetailEvery: d(time.Minute), ReportEvery: d(time.Minute), MonthlyMB: 15, MarkEvery: d(15 * time.Minute), ResumeWait: d(2 * time.Minute), LogLevel: "info",
		Time:   TimeConfig{Servers: []string{"time.cloudflare.com", "time.google.com"}},
		Uplink: UplinkConfig{Keepalive: d(time.Minute), AckWithin: d(10 * time.Minute), AckTimeout: d(30 * time.Second), MaxBackoff: d(time.Minute), Window: 8, BacklogMaxKbps: 128},
		Probe: ProbeConfig{Every: d(75 * time.Second), SampleEvery: d(5 * time.Minute), ExtraPerHour: 10, Method: "auto", Count: 1, Confirm: 8, Timeout: d(2 * time.Second), TCPPort: 53,
			Anchors: []string{"1.1.1.1", "8.8.8.8", "9.9.9.9"}, DNSName: "example.com", DNSTimeout: d(3 * time.Second), DNSEvery: d(15 * time.Minute),
			LossPct: 20, MedianRTT: d(400 * time.Millisecond), WANEvidence: "auto"},
		Sampler:      SamplerConfig{Interfaces: []string{}},
		TimeZone:     "UTC",
		Speedtest:    SpeedConfig{PerDay: 1, Window: "08:00-20:00", MonthlyMB: 500, TestMB: 30, BusyShare: 0.2},
		ServiceEvery: d(30 * time.Minute),
		Commands:     CommandsConfig{Allow: []string{string(telemetry.CommandSpeedtest), string(telemetry.CommandDiagnostics)}},
	}
}

func (c *ProbeConfig) limits() ledger.Limits {
	return ledger.Limits{LossPct: c.LossPct, MedianRTT: c.MedianRTT.Std()}
}

// DefaultsOf is the configuration where only the profile is told. An unknown one is taken for standard; Validate refuses it.
func DefaultsOf(profile string) Config {
	c, d := Defaults(), func(t time.Duration) conf.Duration { return conf.Duration(t) }
	if c.Profile = profile; profile == Metered {
		c.DetailEvery, c.ReportEvery, c.MonthlyMB = d(5*time.Minute), d(15*time.Minute), 4
		c.Uplink.Keepalive, c.Uplink.AckWithin, c.Uplink.BacklogMaxKbps, c.SpoolFlushEvery = d(5*time.Minute), d(40*time.Minute), 32, d(time.Hour)
		c.Probe.Every, c.Probe.SampleEvery, c.Probe.DNSEvery, c.Probe.ExtraPerHour, c.ServiceEvery = d(330*time.Second), d(time.Hour), d(time.Hour), 3, d(2*time.Hour)
		c.Speedtest.PerDay, c.Speedtest.MonthlyMB, c.Speedtest.TestMB = 0.1, 50, 15
	}
	return c
}

// ExampleOf is the commented configuration with every key at the default of a profile.
func ExampleOf(profile string) string {
	if profile == Standard || profile == "" {
		return Example
	}
	values := map[string]string{}
	differ("", reflect.ValueOf(Defaults()), reflect.ValueOf(DefaultsOf(profile)), values)
	text := Example
	for key, value := range values {
		text = conf.Set(text, key, value)
	}
	return text
}

// differ gathers the keys whose values in b are not those in a, as they are written in a file.
func differ(prefix string, a, b reflect.Value, to map[string]string) {
	for i := range a.NumField() {
		key := a.Type().Field(i).Tag.Get("toml")
		switch x, y := a.Field(i), b.Field(i); {
		case key == "":
		case x.Kind() == reflect.Struct:
			differ(prefix+key+".", x, y, to)
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			switch v := y.Interface().(type) {
			case conf.Duration:
				to[prefix+key] = strconv.Quote(v.String())
			case string:
				to[prefix+key] = strconv.Quote(v)
			case float64:
				to[prefix+key] = float(v)
			default:
				to[prefix+key] = fmt.Sprint(v)
			}
		}
	}
}

// float is a number as TOML wants one that need not be whole.
func float(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// LocalFile is the second file of a configuration, beside the first: agent.local.toml of agent.toml. Its keys win over those of the first. It is for
// what this router wants otherwise than the programme, and nothing of ours writes it; the OpenWrt package makes it of UCI's configuration.
func LocalFile(file string) string {
	return strings.TrimSuffix(file, ".toml") + ".local.toml"
}

// Read reads a configuration, of file and of LocalFile(file) where that is, over the defaults of the profile that it names, or over those of profile where
// that is not "". One of the two is enough. It returns what conf.Load does; the values are not checked yet.
func Read(file, profile string) (Config, *conf.Doc, error) {
	var sources []conf.Source
	var missing error
	for _, name := range []string{file, LocalFile(file)} {
		data, err := os.ReadFile(name)
		switch {
		case err == nil:
			sources = append(sources, conf.Source{File: name, Data: data})
		case !errors.Is(err, fs.ErrNotExist):
			return DefaultsOf(cmp.Or(profile, Standard)), nil, fmt.Errorf("read configuration: %w", err)
		case missing == nil:
			missing = fmt.Errorf("read configuration: %w", err)
		}
	}
	if sources == nil {
		return DefaultsOf(cmp.Or(profile, Standard)), nil, missing
	}
	return ParseAll(profile, sources...)
}

// Parse does what Read does, with the text of the only file at hand. File is used in messages only.
func Parse(file string, data []byte, profile string) (Config, *conf.Doc, error) {
	return ParseAll(profile, conf.Source{File: file, Data: data})
}

// ParseAll does what Read does, with the texts at hand; later ones win.
func ParseAll(profile string, sources ...conf.Source) (Config, *conf.Doc, error) {
	c := Defaults()
	doc, err := conf.ParseAll(&c, sources...)
	if of := cmp.Or(profile, c.Profile); of != Standard {
		c = DefaultsOf(of)
		doc, err = conf.ParseAll(&c, sources...)
	}
	c.Profile = cmp.Or(profile, c.Profile)
	return c, doc, err
}

// Address is the site and agent as one.
func (c *Config) Address() telemetry.Address { return telemetry.Address{Site: c.Site, Agent: c.Agent} }

// Validate reports every value that cannot be, with the line of its key where d has one.
func (c *Config) Validate(d *conf.Doc) error {
	v := conf.NewFaults(d)
	if c.Site == "" {
		v.Add("site", "is not set; name the site that this agent measures, as the list of sites does")
	} else {
		v.Check("site", telemetry.CheckID("site", c.Site))
	}
	v.Check("agent", telemetry.CheckID("agent", c.Agent))
	if len(c.Brokers) == 0 {
		v.Add("brokers", "is empty; name at least one, such as \"mqtts://noc.example.org:8883\"")
	}
	for i, b := range c.Brokers {
		v.Check(fmt.Sprintf("brokers[%d]", i), checkBroker(b))
	}
	if c.SecretFile == "" {
		v.Add("secret_file", "is empty; name the file that holds this agent's secret")
	}
	if c.DataDir == "" {
		v.Add("data_dir", "is empty; name a folder that the agent may write to")
	}
	v.OneOf("profile", c.Profile, Standard, Metered)
	conf.Between(v, "spool_max_bytes", c.SpoolMaxBytes, 64<<10, 1<<40)
	if c.SpoolFlushEvery != 0 {
		v.Within("spool_flush_every", c.SpoolFlushEvery, time.Second, 24*time.Hour)
	}
	v.Within("detail_every", c.DetailEvery, time.Second, time.Hour)
	v.Within("report_every", c.ReportEvery, c.DetailEvery.Std(), time.Hour)
	conf.Between(v, "monthly_mb", c.MonthlyMB, 0, 1e6)
	v.Within("mark_every", c.MarkEvery, time.Second, time.Hour)
	v.Within("resume_wait", c.ResumeWait, time.Second, time.Hour)
	v.OneOf("log_level", c.LogLevel, "debug", "info", "warn", "error")
	for i, server := range c.Time.Servers {
		if server == "" || strings.ContainsAny(server, "/ ") {
			v.Add(fmt.Sprintf("time.servers[%d]", i), "%q is not a host; write a name or an address, such as \"pool.ntp.org\"", server)
		}
	}
	v.Within("uplink.keepalive", c.Uplink.Keepalive, 10*time.Second, time.Hour)
	v.Within("uplink.ack_timeout", c.Uplink.AckTimeout, time.Second, time.Hour)
	v.Within("uplink.max_backoff", c.Uplink.MaxBackoff, time.Second, time.Hour)
	v.Within("uplink.ack_within", c.Uplink.AckWithin, 0, time.Hour)
	conf.Between(v, "uplink.window", c.Uplink.Window, 1, 100)
	conf.Between(v, "uplink.backlog_max_kbps", c.Uplink.BacklogMaxKbps, 0, 10_000_000)
	c.Probe.validate(v)
	c.Speedtest.validate(v)
	_, err := hours.ParseZone(c.TimeZone)
	v.Check("time_zone", err)
	v.Within("service_every", c.ServiceEvery, time.Minute, 24*time.Hour)
	service.Validate(v, c.Services)
	for i, kind := range c.Commands.Allow {
		if !slices.Contains(telemetry.CommandKinds(), telemetry.CommandKind(kind)) {
			v.Add(fmt.Sprintf("commands.allow[%d]", i), "%q is no command of the NOC's; there are %s", kind, kinds(telemetry.CommandKinds()))
		}
	}
	for i, name := range c.Sampler.Interfaces {
		if name == "" || len(name) > 15 || strings.ContainsAny(name, "/ ") {
			v.Add(fmt.Sprintf("sampler.interfaces[%d]", i), "%q is not the name of an interface", name)
		}
	}
	return v.Err()
}

func (c *ProbeConfig) validate(v *conf.Faults) {
	v.Within("probe.every", c.Every, 10*time.Second, time.Hour)
	v.Within("probe.sample_every", c.SampleEvery, 10*time.Second, 24*time.Hour)
	v.OneOf("probe.method", c.Method, "auto", "icmp", "tcp")
	conf.Between(v, "probe.count", c.Count, 1, 20)
	conf.Between(v, "probe.confirm", c.Confirm, 0, 50)
	v.Within("probe.timeout", c.Timeout, 100*time.Millisecond, 30*time.Second)
	conf.Between(v, "probe.tcp_port", c.TCPPort, 1, 65535)
	for i, a := range c.Anchors {
		_, err := probe.ParseTarget(a)
		v.Check(fmt.Sprintf("probe.anchors[%d]", i), err)
	}
	if _, err := netip.ParseAddr(c.Gateway); c.Gateway != "" && err != nil {
		v.Add("probe.gateway", "%q is not an address; write an IP address such as \"192.0.2.1\", without a port", c.Gateway)
	}
	if c.DNSName != "" {
		v.Check("probe.dns_name", probe.CheckName(c.DNSName))
	}
	v.Within("probe.dns_timeout", c.DNSTimeout, 100*time.Millisecond, 30*time.Second)
	v.Within("probe.dns_every", c.DNSEvery, time.Second, 24*time.Hour)
	conf.Between(v, "probe.extra_per_hour", c.ExtraPerHour, 0, 3600)
	conf.Between(v, "probe.loss_pct", c.LossPct, 0, 100)
	v.Within("probe.median_rtt", c.MedianRTT, time.Millisecond, time.Minute)
	v.OneOf("probe.wan_evidence", c.WANEvidence, "auto", "yes", "no")
}

func (c *SpeedConfig) validate(v *conf.Faults) {
	if c.Server != "" {
		_, err := speedtest.ParseServer(c.Server, c.Open, false)
		v.Check("speedtest.server", err)
	}
	_, err := speedtest.ParseWindow(c.Window)
	v.Check("speedtest.window", err)
	conf.Between(v, "speedtest.per_day", c.PerDay, 0, 100)
	conf.Between(v, "speedtest.monthly_mb", c.MonthlyMB, 0, 1e6)
	conf.Between(v, "speedtest.test_mb", c.TestMB, 0, 1e4)
	conf.Between(v, "speedtest.busy_share", c.BusyShare, 0, 1)
}

func checkBroker(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Path != "" || !slices.Contains([]string{"mqtt", "mqtts", "tcp", "tls", "ssl"}, u.Scheme) {
		return fmt.Errorf("%q is not a broker; write it as \"mqtt://host:1883\" or, for TLS, \"mqtts://host:8883\"", text)
	}
	if u.User != nil {
		return errors.New("holds a user; the agent's name and its secret file are what it signs in with")
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return fmt.Errorf("%q has no port from 1 to 65535; 8883 is usual with TLS, 1883 without", text)
	}
	return nil
}

// Secret reads the first line of the secret file.
func (c *Config) Secret() (string, error) {
	b, err := os.ReadFile(c.SecretFile)
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("read secret: %w; let the agent's user read it, or act as root", err)
	}
	if err != nil {
		return "", fmt.Errorf("read secret: %w; put this agent's secret there, or set secret_file", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSpace(line)
	if line == "" || len(line) > 1024 {
		return "", fmt.Errorf("read secret: %s holds none; put this agent's secret on its first line", c.SecretFile)
	}
	return line, nil
}
