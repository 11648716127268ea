package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/wholefile"
)

// Setup says how a programme's collector is to be set up. Zero values are those of the example configuration.
type Setup struct {
	File      string   // configuration; its folder holds the certificates and the list of sites, too
	Programme string   // name of the programme, for the authority's certificate
	Hosts     []string // names and addresses by which agents reach the collector; the first is what they are told
	DataDir   string
	MQTTPort  int
	HTTPSPort int // where agents enrol
	WebPort   int // where the board is, for other machines too, with the certificate of the agents; 0: on this machine alone
	Influx    InfluxConfig
	Operator  string // the first user of the board; "" makes none
	Typist    string // who does this, for the audit log
	Now       func() time.Time
	Out       io.Writer
}

// group is that of the collector's own user where one was made for it; it has to read what root writes here.
const group = "nabz-collector"

// SetUp makes what a collector needs: the programme's authority and the server's certificate, a configuration, the list of sites, and the databases in
// InfluxDB. What is there stays, so that it can be run again. It tells each step in a line.
func SetUp(ctx context.Context, s Setup) error {
	if len(s.Hosts) == 0 {
		if _, err := os.Stat(s.File); err != nil {
			return errors.New("how do agents reach this collector? name it: --host noc.example.org (a second --host for each further name or address)")
		}
	}
	for _, h := range s.Hosts {
		if net.ParseIP(h) == nil && !hostName(h) {
			return fmt.Errorf("--host %q is neither a host name nor an IP address; write it without scheme and port", h)
		}
	}
	if s.Operator != "" {
		if err := people.CheckName(s.Operator); err != nil {
			return err
		}
	}
	dir := filepath.Dir(s.File)
	files := authority.In(filepath.Join(dir, "tls"))
	for _, d := range []string{dir, filepath.Join(dir, "tls")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make a folder for the configuration: %w; run this as root, or name another with --config", err)
		}
	}
	made, err := authority.Ensure(files, cmp.Or(s.Programme, "nabz programme"), s.Hosts, s.Now())
	for _, m := range made {
		fmt.Fprintln(s.Out, "made  "+m)
	}
	if err != nil {
		return err
	}
	if len(made) == 0 {
		fmt.Fprintf(s.Out, "kept  authority and certificate in %s\n", filepath.Join(dir, "tls"))
	}
	if err := wholefile.Share(files.Key, group, 0o640); err != nil {
		return err
	}
	c, err := s.configuration(files)
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.SitesFile); errors.Is(err, fs.ErrNotExist) {
		const head = "# The programme's sites: name, place, operator. Keep this file under version control. nabz-collector site add and site import write into it.\n"
		if err := wholefile.Replace(c.SitesFile, []byte(head), 0o644); err != nil {
			return fmt.Errorf("write the list of sites: %w", err)
		}
		fmt.Fprintln(s.Out, "made  "+c.SitesFile+", the list of sites, empty")
	}
	if err := s.influx(ctx, c); err != nil {
		return err
	}
	if err := s.operator(c); err != nil {
		return err
	}
	if c.Agents.URL == "" {
		return nil // what it lacks was told
	}
	_, err = fmt.Fprintf(s.Out, "next: start the collector (systemctl enable --now nabz-collector, or nabz-collector run --config %s), and let %s and %s in through the firewall;\n"+
		"      nabz-collector site add ID and nabz-collector agent add ID/main make a token, and the router takes it: nabz-agent enroll TOKEN\n", s.File, c.MQTT.Listen, c.Agents.Listen)
	return err
}

// configuration writes one, or reads the one that is there and says what it lacks.
func (s *Setup) configuration(files authority.Files) (Config, error) {
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := s.example(files)
		c := Defaults()
		doc, err := conf.Parse(s.File, []byte(fresh), &c)
		if doc != nil {
			err = errors.Join(err, c.Validate(doc))
		}
		if err != nil {
			return c, err
		}
		if err := wholefile.Replace(s.File, []byte(fresh), 0o640); err != nil {
			return c, fmt.Errorf("write the configuration: %w", err)
		}
		fmt.Fprintln(s.Out, "made  "+s.File+", with every key and what it means")
		return c, wholefile.Share(s.File, group, 0o640)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c := Defaults()
	doc, err := conf.Parse(s.File, text, &c)
	if doc != nil {
		err = errors.Join(err, c.Validate(doc))
	}
	if err != nil {
		return c, fmt.Errorf("the configuration that is there is not right; mend it and run this again:\n%w", err)
	}
	fmt.Fprintln(s.Out, "kept  "+s.File)
	if c.MQTT.TLSCert == "" || c.Agents.URL == "" {
		host := "noc.example.org"
		if len(s.Hosts) > 0 {
			host = s.Hosts[0]
		}
		fmt.Fprintf(s.Out, "      but it lacks what routers need to enrol; put this into it:\n%s", s.excerpt(files, host))
	}
	return c, nil
}

// values are the keys of the example that are set otherwise.
func (s *Setup) values(files authority.Files, host string) map[string]string {
	mqtt, https := strconv.Itoa(cmp.Or(s.MQTTPort, 8883)), strconv.Itoa(cmp.Or(s.HTTPSPort, 8443))
	q := strconv.Quote
	v := map[string]string{
		"mqtt.listen": q(":" + mqtt), "mqtt.tls_cert": q(files.Cert), "mqtt.tls_key": q(files.Key),
		"agents.listen": q(":" + https), "agents.url": q("https://" + net.JoinHostPort(host, https)),
		"agents.brokers": "[" + q("mqtts://"+net.JoinHostPort(host, mqtt)) + "]", "agents.ca_file": q(files.CA),
	}
	if s.WebPort > 0 {
		v["web.listen"], v["web.tls_cert"], v["web.tls_key"] = q(":"+strconv.Itoa(s.WebPort)), q(files.Cert), q(files.Key)
	}
	if dir := filepath.Dir(s.File); dir != "/etc/nabz" {
		v["sites_file"] = q(filepath.Join(dir, "sites.toml"))
	}
	if s.DataDir != "" {
		v["data_dir"], v["agents_file"] = q(s.DataDir), q(filepath.Join(s.DataDir, "agents.toml"))
	}
	for key, value := range map[string]string{"influx.url": s.Influx.URL, "influx.org": s.Influx.Org} {
		if value != "" {
			v[key] = q(value)
		}
	}
	return v
}

// example is the commented example with those values.
func (s *Setup) example(files authority.Files) string {
	text := Example
	for key, value := range s.values(files, s.Hosts[0]) {
		text = conf.Set(text, key, value)
	}
	return text
}

// excerpt is what a configuration needs for agents to enrol.
func (s *Setup) excerpt(files authority.Files, host string) string {
	v := s.values(files, host)
	return fmt.Sprintf("[mqtt]\nlisten = %s\ntls_cert = %s\ntls_key = %s\n[agents]\nlisten = %s\nurl = %s\nbrokers = %s\nca_file = %s\n",
		v["mqtt.listen"], v["mqtt.tls_cert"], v["mqtt.tls_key"], v["agents.listen"], v["agents.url"], v["agents.brokers"], v["agents.ca_file"])
}

// influx makes the databases, and a credential that opens these two and nothing else, which goes into the configuration. The environment has the
// right to make them. An InfluxDB that is not there, or does not let us, is told, and is no error: all else is set up, and this can be run again.
func (s *Setup) influx(ctx context.Context, c Config) error {
	i := c.Influx
	token, done, err := store.Prepare(ctx, store.Config{URL: cmp.Or(s.Influx.URL, i.URL), Token: i.Token, Org: cmp.Or(s.Influx.Org, i.Org), DetailBucket: i.DetailBucket, LedgerBucket: i.LedgerBucket,
		DetailRetention: i.DetailRetention.Std(), Timeout: i.Timeout.Std()}, s.Influx.Token)
	for _, d := range done {
		fmt.Fprintln(s.Out, "influx "+d)
	}
	if err != nil {
		fmt.Fprintf(s.Out, "later %v\n      then run nabz-collector init again, with INFLUX_TOKEN in the environment where InfluxDB asks for one\n", err)
		return nil
	}
	if token == i.Token {
		return nil
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		return fmt.Errorf("write influx.token: %w", err)
	}
	now := Defaults()
	fresh := conf.Set(string(text), "influx.token", strconv.Quote(token))
	if _, err := conf.Parse(s.File, []byte(fresh), &now); err != nil || now.Influx.Token != token {
		return fmt.Errorf("influx.token could not be written into %s; set it by hand, in [influx]: token = %q", s.File, token)
	}
	if err := wholefile.Replace(s.File, []byte(fresh), 0o640); err != nil {
		return fmt.Errorf("write influx.token: %w", err)
	}
	fmt.Fprintf(s.Out, "made  influx.token in %s\n", s.File)
	return wholefile.Share(s.File, group, 0o640)
}

// Renew makes a new server certificate where the one in use ends within two months. A collector that runs takes it in by itself.
func Renew(c Config, now time.Time, out io.Writer) error {
	if c.MQTT.TLSCert == "" {
		return errors.New("mqtt.tls_cert is not set, so there is nothing to renew; nabz-collector init sets TLS up")
	}
	files := authority.In(filepath.Dir(c.MQTT.TLSCert))
	files.Cert, files.Key = c.MQTT.TLSCert, c.MQTT.TLSKey
	if c.Agents.CAFile != "" {
		files.CA = c.Agents.CAFile
	}
	for _, f := range []string{files.CA, files.CAKey} {
		if _, err := os.Stat(f); err != nil {
			return fmt.Errorf("the authority's files are not beside the certificate: %w; renew it where it came from", err)
		}
	}
	made, err := authority.Ensure(files, "", nil, now)
	if err != nil {
		return err
	}
	for _, m := range made {
		fmt.Fprintln(out, "made "+m)
	}
	if len(made) == 0 {
		fmt.Fprintln(out, "nothing to renew: "+files.Cert+" is good for two months more at least")
	}
	return wholefile.Share(files.Key, group, 0o640)
}

func hostName(h string) bool {
	return h != "" && len(h) <= 253 && !strings.ContainsFunc(h, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	})
}
