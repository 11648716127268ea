package uplink

import (
	"sync"
	"time"
)

// maxTrips bounds the round trips kept between two calls of TakeQuality; a minute brings one or two.
const maxTrips = 512

// path gathers what the connections tell of the way to the broker.
type path struct {
	mu         sync.Mutex
	evidence   time.Time
	sent, lost int
	trips      []time.Duration
}

// seen notes a moment at which the far end was there.
func (p *path) seen(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.After(p.evidence) {
		p.evidence = at
	}
}

func (p *path) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.evidence
}

// counted notes what was sent and lost, and a round trip (zero: none).
func (p *path) counted(sent, lost int, trip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.lost = p.sent+sent, p.lost+lost
	if trip > 0 && len(p.trips) < maxTrips {
		p.trips = append(p.trips, trip)
	}
}

func (p *path) take() (sent, lost int, trips []time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent, lost, trips = p.sent, min(p.lost, p.sent), p.trips
	p.sent, p.lost, p.trips = 0, 0, nil
	return sent, lost, trips
}
