package service

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/hours"
	"github.com/smartvillage/nabz/telemetry"
)

// Examples are services to begin with, with the sources of their limits.
//
//go:embed examples.toml
var Examples string

// maxServices bounds the lines of an hour.
const maxServices = 16

// Config is one [[service]] of the agent's configuration. A limit of 0 is none.
type Config struct {
	Name        string  `toml:"name"`          // a-z, 0-9 and "-"; the same at every site, so that figures can be summed up
	Endpoint    string  `toml:"endpoint"`      // "host:port", asked for a TCP connection; "" asks nobody
	Hours       string  `toml:"hours"`         // "Mo-Fr 08:00-16:00, Sa 09:00-12:00"; "" is always
	TimeZone    string  `toml:"time_zone"`     // "+05:00", "PKT-5" or, where the system knows names, "Asia/Karachi"
	MinDownKbps int     `toml:"min_down_kbps"` // kbit/s down; 0 is no limit
	MinUpKbps   int     `toml:"min_up_kbps"`   // kbit/s up; 0 is no limit
	MaxRTTMs    float64 `toml:"max_rtt_ms"`    // median round trip, there and back; 0 is no limit
	MaxJitterMs float64 `toml:"max_jitter_ms"` // mean difference between neighbouring round trips; 0 is no limit
	MaxLossPct  float64 `toml:"max_loss_pct"`  // percent of what was sent; 0 is no limit
}

// Spec is a service that can be judged.
type Spec struct {
	Name     string
	Endpoint string
	Week     hours.Week
	Zone     *time.Location
	Limits   Limits
}

// Limits are what a service needs; zero is no limit.
type Limits struct {
	DownBps, UpBps int64
	RTT, Jitter    time.Duration
	LossPct        float64
}

// Validate notes every fault of the services in v, by key: "service[1].hours".
func Validate(v *conf.Faults, list []Config) {
	if len(list) > maxServices {
		v.Add("service", "%d services are configured; at most %d are allowed", len(list), maxServices)
	}
	names := map[string]bool{}
	for i, c := range list {
		key := func(name string) string { return "service[" + strconv.Itoa(i) + "]." + name }
		switch {
		case c.Name == "":
			v.Check(key("name"), errNoName)
		case names[c.Name]:
			v.Add(key("name"), "%q is the name of another service too", c.Name)
		default:
			v.Check(key("name"), telemetry.CheckID("service", c.Name))
		}
		names[c.Name] = true
		v.Check(key("endpoint"), checkEndpoint(c.Endpoint))
		w, err := hours.Parse(c.Hours)
		v.Check(key("hours"), err)
		if _, err := c.zone(w); err != nil {
			v.Check(key("time_zone"), err)
		}
		conf.Between(v, key("min_down_kbps"), c.MinDownKbps, 0, 100_000_000)
		conf.Between(v, key("min_up_kbps"), c.MinUpKbps, 0, 100_000_000)
		conf.Between(v, key("max_rtt_ms"), c.MaxRTTMs, 0, 600_000)
		conf.Between(v, key("max_jitter_ms"), c.MaxJitterMs, 0, 600_000)
		conf.Between(v, key("max_loss_pct"), c.MaxLossPct, 0, 100)
	}
}

// zone may be left out where it makes no difference.
func (c Config) zone(w hours.Week) (*time.Location, error) {
	if c.TimeZone == "" && w.Always() {
		return time.UTC, nil
	}
	return hours.ParseZone(c.TimeZone)
}

func checkEndpoint(text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" || len(host) > 253 {
		return fmt.Errorf("%q is not an endpoint; write it as \"video.example.org:443\", a host and a port", text)
	}
	return nil
}

// Specs makes services of their configuration, which Validate has found to be good.
func Specs(list []Config) ([]Spec, error) {
	v := conf.NewFaults(nil)
	Validate(v, list)
	if err := v.Err(); err != nil {
		return nil, err
	}
	specs := make([]Spec, len(list))
	for i, c := range list {
		w, _ := hours.Parse(c.Hours)
		zone, _ := c.zone(w)
		ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
		specs[i] = Spec{Name: c.Name, Endpoint: c.Endpoint, Week: w, Zone: zone,
			Limits: Limits{int64(c.MinDownKbps) * 1000, int64(c.MinUpKbps) * 1000, ms(c.MaxRTTMs), ms(c.MaxJitterMs), c.MaxLossPct}}
	}
	return specs, nil
}

var errNoName = errors.New("is not set; name the service, such as \"e-health\"")
