package service

import (
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/conf"
)

// file is what stands around the services in the agent's configuration.
type file struct {
	Service []Config `toml:"service"`
}

func TestTheExamplesAreGood(t *testing.T) {
	var f file
	doc, err := conf.Parse("examples.toml", []byte(Examples), &f)
	if err != nil {
		t.Fatal(err)
	}
	v := conf.NewFaults(doc)
	Validate(v, f.Service)
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	names := ""
	for _, c := range f.Service {
		names += c.Name + " "
		if c.Hours == "" || c.TimeZone != "+05:00" || c.MinDownKbps == 0 || c.MaxRTTMs == 0 || c.MaxLossPct == 0 {
			t.Errorf("an example that shows too little: %+v", c)
		}
	}
	if names != "e-health-video e-learning digital-skills " {
		t.Errorf("examples are %s", names)
	}
	for _, source := range []string{"G.114", "G.1010", "Y.1541", "Zoom", "Teams", "FCC"} {
		if !strings.Contains(Examples, source) {
			t.Errorf("the examples do not name %s", source)
		}
	}
}

func TestEveryFaultSaysWhatWhereAndWhatToDo(t *testing.T) {
	const text = `[[service]]
name = "E-health"
endpoint = "video.example.org"
hours = "Mo-Fr 8-16"
time_zone = "PK"
min_up_kbps = -1
max_loss_pct = 101.0

[[service]]
name = "school"
hours = "Mo-Fr 08:00-16:00"

[[service]]
name = "school"
max_rtt_sm = 5
`
	var f file
	doc, err := conf.Parse("agent.toml", []byte(text), &f)
	if doc == nil {
		t.Fatal(err)
	}
	v := conf.NewFaults(doc)
	Validate(v, f.Service)
	got := err.Error() + "\n" + v.Err().Error()
	const want = `agent.toml:15: unknown key "max_rtt_sm" in [service[2]]; did you mean "max_rtt_ms"?
agent.toml:2: service[0].name: service id "E-health": use a-z, 0-9 and "-", beginning with a letter or a digit, at most 63 characters
agent.toml:3: service[0].endpoint: "video.example.org" is not an endpoint; write it as "video.example.org:443", a host and a port
agent.toml:4: service[0].hours: "8-16" is not a pair of times; write hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00"
agent.toml:5: service[0].time_zone: this machine has no data for the time zone "PK"; write an offset such as "+05:00", or a rule such as "PKT-5"
agent.toml:6: service[0].min_up_kbps: -1 is outside 0 to 100000000
agent.toml:7: service[0].max_loss_pct: 101 is outside 0 to 100
agent.toml: service[1].time_zone: is not set; write an offset such as "+05:00", or a rule such as "PKT-5"
agent.toml:14: service[2].name: "school" is the name of another service too`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if _, err := Specs(f.Service); err == nil {
		t.Error("faulty services were taken")
	}
	if _, err := Specs(make([]Config, maxServices+1)); err == nil || !strings.Contains(err.Error(), "service: 17 services are configured; at most 16 are allowed") {
		t.Errorf("got %v", err)
	}
}

func TestLimitsCarryTheirUnits(t *testing.T) {
	s := spec(t, Config{Name: "x", MinDownKbps: 600, MinUpKbps: 5, MaxRTTMs: 300, MaxJitterMs: 2.5, MaxLossPct: 1.5})
	if want := (Limits{600_000, 5000, 300 * time.Millisecond, 2500 * time.Microsecond, 1.5}); s.Limits != want {
		t.Errorf("got %+v want %+v", s.Limits, want)
	}
}
