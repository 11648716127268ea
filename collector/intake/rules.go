package intake

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// rules are what a message is held against, when it comes and when it is written again from the dead letters.
type rules struct {
	c      Config
	codec  *telemetry.Codec
	series *series
	extra  map[string]bool
}

func newRules(c Config) (*rules, error) {
	codec, err := telemetry.NewCodec()
	if err != nil {
		return nil, err
	}
	r := &rules{c: c, codec: codec, series: newSeries(c.MaxSeries), extra: map[string]bool{}}
	for _, name := range c.Extra {
		r.extra[name] = true
	}
	return r, nil
}

// keptFrom is the time before which InfluxDB keeps no detail any more; zero: it keeps all.
func (r *rules) keptFrom(now time.Time) time.Time {
	if r.c.DetailFor <= 0 {
		return time.Time{}
	}
	return now.Add(-r.c.DetailFor + time.Hour) // while it is on its way, too
}

// defaults fills what is not set.
func (c *Config) defaults() {
	fill(&c.MaxAge, 400*24*time.Hour)
	fill(&c.MaxAhead, 24*time.Hour)
	fill(&c.MaxSeries, 1000)
	fill(&c.FlightBytes, 64<<20)
	fill(&c.DeadLetterBytes, 64<<20)
}

func fill[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
