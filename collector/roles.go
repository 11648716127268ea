package collector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/subscriber"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

// What one collector does of the whole. Where several share the work, each batch goes to one intake, and the board lives on what InfluxDB has.
const (
	roleAll    = "all"
	roleIntake = "intake"
	roleBoard  = "board"
)

// mqttEnd is where acknowledgements go: the embedded broker, or a connection to another.
type mqttEnd interface {
	Run(ctx context.Context) error
	Publish(topic string, payload []byte) error
	Command(a telemetry.Address, payload []byte) error
	Addr() string
	Close()
}

// nobody hears what an intake has stored: the board asks InfluxDB.
type nobody struct{}

// Stored does nothing.
func (nobody) Stored(telemetry.Address, time.Time, []telemetry.Parsed) {}

// openSubscriber prepares the connection to an external broker. A collector alone gets all the data, so that whoever else may be connected
// takes nothing from its board; intakes share them.
func (p *parts) openSubscriber(registry *fleet.Registry, metrics prometheus.Registerer) error {
	c := p.c.MQTT
	config := subscriber.Config{URL: c.Broker, User: c.User, Name: "nabz-" + p.c.Role, Shared: p.c.Role == roleIntake}
	if c.SecretFile != "" {
		config.Secret = func() (string, error) {
			b, err := os.ReadFile(c.SecretFile)
			return strings.TrimSpace(string(b)), err
		}
		if _, err := config.Secret(); err != nil {
			return fmt.Errorf("mqtt.secret_file: %w", err)
		}
	}
	if u, err := url.Parse(c.Broker); err == nil && u.Scheme == "mqtts" {
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CAFile != "" {
			b, err := os.ReadFile(c.CAFile)
			if err != nil {
				return fmt.Errorf("mqtt.ca_file: %w", err)
			}
			config.TLS.RootCAs = x509.NewCertPool()
			if !config.TLS.RootCAs.AppendCertsFromPEM(b) {
				return fmt.Errorf("mqtt.ca_file: %s holds no certificate (PEM)", c.CAFile)
			}
		}
	}
	to := subscriber.Parts{Known: registry.Known, Metrics: metrics, Log: p.log}
	if p.intake != nil {
		to.OnData = p.intake.Deliver
	}
	if p.c.Role != roleIntake {
		to.OnPresence, to.OnResult = p.live.Presence, p.commands.Result
	}
	s := subscriber.New(config, to)
	p.broker, p.brokerFault = s, s.Fault
	return nil
}

// mqttFault is why nothing comes in over MQTT at present, or nil. The embedded broker has no such reason.
func (p *parts) mqttFault() error {
	if p.brokerFault == nil {
		return nil
	}
	return p.brokerFault()
}

// storeFault is why nothing can be stored or asked for at present, or nil.
func (p *parts) storeFault() error {
	if err := p.influx.fault(); err != nil {
		return err
	}
	if p.intake != nil {
		return p.intake.Trouble()
	}
	err, _ := p.polling.faults()
	return err
}

// validateRole wants roles that go with the broker.
func (c *Config) validateRole(v *conf.Faults) {
	v.OneOf("role", c.Role, roleAll, roleIntake, roleBoard)
	if c.Role != roleAll && c.MQTT.Broker == "" {
		v.Add("role", "%q shares a broker with other collectors, and the embedded one cannot be shared; set mqtt.broker, or role to \"all\"", c.Role)
	}
}

// external checks how an external broker is reached. Nothing of the embedded one counts then.
func (c *MQTTConfig) external(v *conf.Faults) {
	if c.Listen != "" {
		v.Add("mqtt.listen", "%s is for the embedded broker, which is off where mqtt.broker is set; set mqtt.listen = \"\"", c.Listen)
	}
	u, ok := brokerURL(c.Broker)
	switch {
	case !ok:
		v.Add("mqtt.broker", "%q is not a broker; write it as \"mqtts://broker.example.org:8884\"", c.Broker)
	case u.Scheme == "mqtt" && !c.Insecure && !broker.Loopback(u.Host):
		v.Add("mqtt.broker", "%s is on another machine, and without TLS every secret and every line could be read on the way; use mqtts://, or mqtt.insecure = true", c.Broker)
	}
	if (c.User == "") != (c.SecretFile == "") {
		v.Add("mqtt.secret_file", "mqtt.user and mqtt.secret_file go together; one of them is empty")
	}
}

// onlyExternal refuses what counts for an external broker only.
func (c *MQTTConfig) onlyExternal(v *conf.Faults) {
	for _, x := range [][2]string{{"mqtt.user", c.User}, {"mqtt.secret_file", c.SecretFile}, {"mqtt.ca_file", c.CAFile}} {
		if x[1] != "" {
			v.Check(x[0], errors.New("is for an external broker, and mqtt.broker is empty"))
		}
	}
}

// brokerURL reads the address of a broker, with its port and without anything behind it.
func brokerURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	return u, err == nil && (u.Scheme == "mqtts" || u.Scheme == "mqtt") && u.Hostname() != "" && u.Port() != "" && u.User == nil && u.Path == ""
}
