package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/internal/progress"
	"github.com/smartvillage/nabz/telemetry"
)

// Config is one run of the simulator.
type Config struct {
	Brokers    []string // such as tcp://127.0.0.1:1883
	Sites      []Site
	Secrets    map[telemetry.Address]string
	Seed       uint64
	History    time.Duration // told before now to a site that is new, default 0
	Speed      float64       // simulated seconds in a second once the history is told; 0 is 1
	Once       bool          // stop when the history is acknowledged
	AckTimeout time.Duration // before a batch is sent again; 0 is 20 s
	Forced     []Forced      // outages for show, from the start of the run; From and To are filled in
	StateFile  string        // "" keeps none: the next run begins anew
	TruthFile  string        // "" writes none
	Out        io.Writer     // progress, for people
	Now        func() time.Time
	Log        *slog.Logger
}

const saveEvery = 2 * time.Second

// fleet is a run at work.
type fleet struct {
	Config
	state   *state
	truth   *truthFile
	senders []*sender
	codec   *telemetry.Codec
	working chan struct{} // as many generate at a time as there are processors
	began   time.Time
}

// Run tells the history that is not told yet, then lives on until ctx ends: each agent on a connection of its
// own, cut while the site is cut. What was acknowledged is in the state file when it returns.
func Run(ctx context.Context, c Config) (err error) {
	if c.Speed == 0 {
		c.Speed = 1
	}
	f := &fleet{Config: c, working: make(chan struct{}, runtime.GOMAXPROCS(0)), began: c.Now()}
	if f.state, err = loadState(c.StateFile, c.Seed); err != nil {
		return err
	}
	if f.truth, err = openTruth(c.TruthFile); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.truth.close()) }()
	if f.codec, err = telemetry.NewCodec(); err != nil {
		return err
	}
	defer f.codec.Close()
	if err := f.prepare(); err != nil {
		return err
	}
	err = f.run(ctx)
	f.endForced()
	return errors.Join(err, f.save(true))
}

// now is the time at the simulated sites, in ms.
func (f *fleet) now() int64 {
	return f.began.UnixMilli() + int64(float64(f.Now().Sub(f.began).Milliseconds())*f.Speed)
}

func (f *fleet) prepare() error {
	now := f.began.UnixMilli()
	f.endForced() // of a run that was killed
	for _, o := range f.Forced {
		o.From = f.began
		f.state.Forced = append(f.state.Forced, o)
	}
	f.state.Runs++
	world := World{Seed: f.Seed, Forced: f.state.Forced}
	for _, s := range f.Sites {
		secret, ok := f.Secrets[s.Address()]
		if !ok {
			return fmt.Errorf("no secret for %s; make one with nabz-collector agent add --secret %s", s.Address(), s.Address())
		}
		f.senders = append(f.senders, f.newSender(world, s, secret, f.state.begin(s.ID, now, f.History.Milliseconds())))
	}
	return f.state.save(f.StateFile)
}

// endForced gives each outage for show that goes on for ever an end at the last moment told of.
func (f *fleet) endForced() {
	for i, o := range f.state.Forced {
		if !o.To.IsZero() {
			continue
		}
		end := o.From.UnixMilli()
		if s, ok := f.state.Sites[o.Site]; ok {
			end = max(end, s.High)
		}
		for _, s := range f.senders {
			if s.site.ID == o.Site {
				end = max(end, s.sealed.Load())
			}
		}
		f.state.Forced[i].To = time.UnixMilli(end).UTC()
	}
}

func (f *fleet) run(ctx context.Context) error {
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	links, cut := context.WithCancel(ctx)
	defer cut()
	for _, s := range f.senders {
		g.Go(func() error { return s.up.Run(links) })
	}
	g.Go(func() error {
		defer cut()
		if err := f.backfill(ctx); err != nil || f.Once {
			return err
		}
		return f.live(ctx)
	})
	err := g.Wait()
	if outer.Err() != nil && errors.Is(err, outer.Err()) { // asked to stop
		return nil
	}
	return err
}

// backfill tells all up to now, and returns when it is acknowledged.
func (f *fleet) backfill(ctx context.Context) error {
	now := f.began.UnixMilli()
	var total, first int64
	var goals []int64
	for _, s := range f.senders {
		goal := max(s.seal.at, s.reached(now))
		goals = append(goals, goal)
		total += goal - s.seal.at
		first += s.seal.at
	}
	bar := progress.New(f.Out, "history", "lines", f.Now)
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for i, s := range f.senders {
		g.Go(func() error {
			defer done.Add(1)
			return s.history(ctx, goals[i])
		})
	}
	g.Go(func() error {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		saved := f.Now()
		for {
			var at, lines int64
			for _, s := range f.senders {
				q := s.queue.fill()
				at, lines = at+q.sentUpTo, lines+q.acked
			}
			if done.Load() == int64(len(f.senders)) {
				bar.Show(1, lines)
				bar.Finish("acknowledged")
				return nil
			}
			bar.Show(float64(at-first)/float64(max(total, 1)), lines)
			if f.Now().Sub(saved) > saveEvery {
				saved = f.Now()
				if err := f.save(false); err != nil {
					return err
				}
			}
			select {
			case <-ctx.Done():
				bar.Finish("stopped")
				return nil
			case <-tick.C:
			}
		}
	})
	return g.Wait()
}

// live lets time go on.
func (f *fleet) live(ctx context.Context) error {
	fmt.Fprintf(f.Out, "live: %d sites, %g simulated seconds a second\n", len(f.senders), f.Speed)
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range f.senders {
		g.Go(func() error { return s.live(ctx) })
	}
	g.Go(func() error {
		tick := time.NewTicker(saveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				if err := f.save(false); err != nil {
					return err
				}
			}
		}
	})
	return g.Wait()
}

// save writes the truth of what is acknowledged, then how far each site is. With all set, also the true span
// that is still open.
func (f *fleet) save(all bool) error {
	for _, s := range f.senders {
		v := f.state.Sites[s.site.ID]
		seq := s.sequence.Load() // before the mark, so that no batch beyond it was sealed
		v.Sent = s.queue.fill().sentUpTo
		v.Seq, v.High = max(v.Seq, seq), max(v.High, s.sealed.Load())
		if err := f.truth.advance(s.true, v.From, v.Sent, all); err != nil {
			return err
		}
	}
	if err := f.truth.sync(); err != nil {
		return err
	}
	return f.state.save(f.StateFile)
}
