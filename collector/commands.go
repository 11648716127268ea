package collector

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// openCommands makes what carries operators' commands to agents. It is there before the broker, which hands it the results.
func (p *parts) openCommands(registry *fleet.Registry, metrics prometheus.Registerer, now func() time.Time) (err error) {
	if err = os.MkdirAll(p.c.DataDir, 0o750); err != nil {
		return fmt.Errorf("make data_dir: %w", err)
	}
	p.commands, err = command.Open(command.Parts{
		File: filepath.Join(p.c.DataDir, "commands.jsonl"), Known: registry.Known, Connected: p.connected,
		Send: func(a telemetry.Address, payload []byte) error {
			err := p.broker.Command(a, payload)
			if errors.Is(err, broker.ErrGone) || errors.Is(err, broker.ErrDeaf) {
				return absent{err}
			}
			return err
		},
		Audit: Audit(p.c), Metrics: metrics, Now: now, Log: p.log,
	})
	return err
}

// absent is why an agent cannot be asked, in the words of the broker, which knows more of that than its presence told.
type absent struct{ error }

// Is says that it is the agent that is not there, and no fault of the collector's.
func (absent) Is(target error) bool { return target == command.ErrAbsent }

// connected tells whether an agent is there, by its presence.
func (p *parts) connected(a telemetry.Address) bool {
	site, ok := p.live.Site(a.Site)
	if !ok {
		return false
	}
	for _, one := range site.Agents {
		if one.Agent == a.Agent {
			return one.Connected
		}
	}
	return false
}
