package collector

import (
	"errors"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// An agent that cannot be asked is no fault of the collector's, and a page must not send its reader to the collector's log.
func TestAnAgentThatHearsNoCommandsIsToldApartFromAFaultOfTheCollectors(t *testing.T) {
	s := start(t, influxd.ForTest(t), 2)
	s.ready()
	s.live.Presence(address(1), telemetry.Presence{Online: true, Session: 1}) // and the broker knows better
	v := s.join(0)
	v.client.Publish(v.a.Topic(telemetry.KindPresence), 1, true, "online 1")
	waitFor(t, "the agent is there", func() bool { return s.connected(v.a) })
	for a, want := range map[telemetry.Address]string{v.a: "does not hear commands", address(1): "is not connected to the broker"} {
		if _, err := s.commands.Ask("aisha", "192.0.2.7", a, telemetry.CommandDiagnostics); !errors.Is(err, command.ErrAbsent) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), command.ErrAbsent.Error()+":") {
			t.Errorf("asking %s: %v, want %q", a, err, want)
		}
	}
}
