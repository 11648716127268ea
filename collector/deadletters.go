package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smartvillage/nabz/collector/intake"
	"github.com/smartvillage/nabz/collector/store"
)

// DeadLetters is the folder of what could never be stored.
func (c *Config) DeadLetters() string { return c.deadLetters() }

// rules is what the intake holds messages against.
func (c *Config) rules() intake.Config {
	return intake.Config{MaxAge: c.Intake.MaxAge.Std(), MaxAhead: c.Intake.MaxAhead.Std(), DetailFor: c.Influx.DetailRetention.Std(), FlightBytes: c.Intake.FlightBytes,
		DeadLetters: c.deadLetters(), DeadLetterBytes: c.Intake.DeadLetterBytes, MaxSeries: c.Intake.MaxSeries, Extra: c.Intake.Extra}
}

// ReplayDeadLetters writes the letters of these ids, or all, to InfluxDB, and takes away what that has then. With dry it only holds them against the
// rules. Progress may be nil.
func ReplayDeadLetters(ctx context.Context, c Config, ids []string, all, dry bool, progress func(done float64, lines int64), log *slog.Logger) (sum intake.Replayed, err error) {
	p := intake.Replay{Config: c.rules(), IDs: ids, All: all, Now: time.Now, Progress: progress}
	if dry {
		return p.Run(ctx)
	}
	s, err := store.Open(c.storeConfig(), log)
	if err != nil {
		return sum, err
	}
	defer s.Close()
	if err := s.Ensure(ctx); err != nil {
		return sum, fmt.Errorf("replay dead letters: %w", err)
	}
	w := store.NewWriter(s, store.WriterOptions{Lines: c.Intake.MergeLines, Linger: c.Intake.MergeWait.Std(), Requests: c.Intake.Requests})
	own, end := context.WithCancel(context.WithoutCancel(ctx)) // what is under way when ctx ends is still answered for
	ended := make(chan error, 1)
	go func() { ended <- w.Run(own) }()
	p.Writer = w
	sum, err = p.Run(ctx)
	end()
	return sum, errors.Join(err, <-ended)
}

func (c *Config) storeConfig() store.Config {
	i := c.Influx
	return store.Config{URL: i.URL, Token: i.Token, Org: i.Org, DetailBucket: i.DetailBucket, LedgerBucket: i.LedgerBucket,
		DetailRetention: i.DetailRetention.Std(), Timeout: i.Timeout.Std(), Gzip: i.Gzip}
}

// OpenStore opens the InfluxDB of that configuration, to ask it.
func OpenStore(c Config) (*store.Store, error) {
	return store.Open(c.storeConfig(), slog.New(slog.DiscardHandler))
}
