package broker

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestABacklogGoesThroughUnhinderedAndAFloodAtItsRate(t *testing.T) {
	const batch = 140 // bytes of a small batch with its topic
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	for _, tt := range []struct {
		name          string
		rates         Rates
		count, size   int
		every         time.Duration // between two packets, where nobody slows them
		least, atMost time.Duration // that they take longer for being slowed
	}{
		{"a backlog at 128 kbit/s for an hour", Rates{500, 1 << 20}, 3600 * 160, 100, time.Second / 160, 0, 0},
		{"a week of a kiosk's batches, all at once", Rates{500, 1 << 20}, 10_080, batch, 0, 0, 11 * time.Second},
		{"a flood of small messages", Rates{500, 1 << 20}, 50_000, 4, 0, 89 * time.Second, 91 * time.Second},
		{"a flood of large ones", Rates{500, 1 << 20}, 100, 1 << 20, 0, 91 * time.Second, 93 * time.Second},
		{"bytes alone", Rates{0, 1 << 20}, 50_000, 4, 0, 0, 0},
		{"messages alone", Rates{500, 0}, 100, 1 << 20, 0, 0, 0},
		{"no bounds", Rates{}, 50_000, 1 << 20, 0, 0, 0},
	} {
		p := newPace(tt.rates)
		now, waited := time.Now(), time.Duration(0)
		for range tt.count {
			d := p.take(a, tt.size, now)
			waited += d
			now = now.Add(d + tt.every)
		}
		if waited < tt.least || waited > tt.atMost {
			t.Errorf("%s: slowed down by %v, want %v to %v", tt.name, waited, tt.least, tt.atMost)
		}
		if d := p.take(telemetry.Address{Site: "other", Agent: "main"}, tt.size, now); d > 0 {
			t.Errorf("%s: another agent has to wait %v", tt.name, d)
		}
		if p.forget(now.Add(time.Hour)); len(p.agents) > 0 {
			t.Errorf("%s: %d agents are remembered after an hour", tt.name, len(p.agents))
		}
	}
}
