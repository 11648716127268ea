package enrol

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// ownKeys are those of agent.toml that each agent has for itself, so that a template for all may not set them.
var ownKeys = []string{"site", "agent", "brokers", "secret_file", "ca_file", "data_dir"}

// readTemplate reads the keys that all agents are to have. "" is none.
func readTemplate(file string) (map[string]any, error) {
	tree := map[string]any{}
	if file == "" {
		return tree, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("agents.config_file: %w", err)
	}
	if err := toml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("agents.config_file: %s: %w", file, err)
	}
	for key := range tree {
		if slices.Contains(ownKeys, key) {
			return nil, fmt.Errorf("agents.config_file: %s sets %q, which each agent has for itself; take it out", file, key)
		}
	}
	return tree, nil
}

// configOf is an agent's configuration: the template, and what is known of this agent and its site.
func (s *Server) configOf(a telemetry.Address, site fleet.Site) (string, error) {
	tree, err := readTemplate(s.c.Template)
	if err != nil {
		return "", err
	}
	tree["site"], tree["agent"], tree["brokers"] = a.Site, a.Agent, s.c.Brokers
	set := func(in map[string]any, key, value string) {
		if _, there := in[key]; !there && value != "" {
			in[key] = value
		}
	}
	set(tree, "profile", s.c.Profile)
	set(tree, "time_zone", routerZone(site.TimeZone, s.p.Now()))
	if s.c.SpeedServer != "" {
		speed, ok := tree["speedtest"].(map[string]any)
		if !ok {
			speed = map[string]any{}
			tree["speedtest"] = speed
		}
		set(speed, "server", s.c.SpeedServer)
	}
	var b bytes.Buffer
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(tree); err != nil {
		return "", fmt.Errorf("write the configuration of %s: %w", a, err)
	}
	return b.String(), nil
}

// routerZone is a time zone as a router without the table of zones understands it: "+05:00". One whose clocks change within the year has no such
// form here and is left out; the agent's own default is UTC.
func routerZone(name string, now time.Time) string {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		return ""
	}
	at := now.In(zone)
	_, first := at.Zone()
	for month := range 24 {
		if _, offset := at.AddDate(0, month, 0).Zone(); offset != first {
			return ""
		}
	}
	return strings.Replace(at.Format("-07:00"), "-00:00", "+00:00", 1)
}
