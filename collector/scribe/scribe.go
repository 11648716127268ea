package scribe

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	lookEvery = 5 * time.Second // how often roster and states are looked at
	tellEvery = time.Minute     // how often the collector's own figures are told
)

// database is what the scribe needs of the store.
type database interface {
	Write(ctx context.Context, tier telemetry.Tier, lines []byte) error
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// live is what the scribe needs of the sites' state now.
type live interface {
	Overview() []fleet.Status
}

// Config says who writes.
type Config struct {
	Name string // tells collectors apart
	Role string // all, intake or board
	// Sites is whether to tell of the sites and their states: one collector of a programme does.
	Sites bool
}

// Parts are what a scribe works with.
type Parts struct {
	Database database
	Roster   fleet.Roster
	Live     live
	Metrics  prometheus.Gatherer
	Influx   func() error // why InfluxDB is not asked to take anything now, or nil
	Fault    func() error // why agents' data cannot be stored or read now, or nil
	MQTT     func() error // the same of an external broker; nil where the broker is embedded
	Deaf     func() bool  // nothing of the agents reaches the board, so that their states are not known; nil: never
	Now      func() time.Time
	Log      *slog.Logger
}

// Scribe writes the collector's own lines. Run makes it work.
type Scribe struct {
	c       Config
	p       Parts
	mu      sync.Mutex
	figures figures
	sites   sites
	states  states
	ailing  bool // a fault was told and is not over
}

// New prepares a scribe, which reckons from now.
func New(c Config, p Parts) *Scribe {
	s := &Scribe{c: c, p: p, sites: sites{told: map[string]toldSite{}}, states: states{told: map[string]toldState{}}}
	s.figures.begin(p)
	return s
}

// Run writes until ctx ends.
func (s *Scribe) Run(ctx context.Context) error {
	look, tell := time.NewTicker(lookEvery), time.NewTicker(tellEvery)
	defer look.Stop()
	defer tell.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-tell.C:
			err = s.Note(ctx)
		case <-look.C:
			err = s.Look(ctx)
		}
		s.tell(ctx, err)
	}
}

// Look writes what is news of the sites and their states. Run does so each five seconds.
func (s *Scribe) Look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.c.Sites:
		return nil
	case s.p.Influx() != nil:
		return errAway
	}
	err := s.sites.write(ctx, s.p)
	if s.p.Deaf != nil && s.p.Deaf() { // the board shows what it heard last, marked as old; told again here it would pass for what is so now
		return err
	}
	return errors.Join(err, s.states.write(ctx, s.p))
}

// Note writes how the collector fared since New or the Note before, and what waits from before. Run does so each minute.
func (s *Scribe) Note(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures.note(s.c, s.p)
	return s.figures.write(ctx, s.p)
}

// tell logs a lasting fault once when it begins and once when it ends. That InfluxDB is away others tell.
func (s *Scribe) tell(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil, errors.Is(err, errAway):
	case err != nil && !s.ailing:
		s.ailing = true
		s.p.Log.Error("the collector's own lines are not stored; Grafana lacks them until they are", "error", err)
	case err == nil && s.ailing:
		s.ailing = false
		s.p.Log.Info("the collector's own lines are stored again")
	}
}

// errAway is that InfluxDB is known to be away, so that nothing was tried.
var errAway = errors.New("InfluxDB is away")
