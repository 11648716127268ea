package speedtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// lookEvery is the longest sleep. A gap that is longer is drawn anew after it: what is left of an exponential gap is distributed as a
	// whole one, so nothing changes, and a clock that has stepped meanwhile is followed.
	lookEvery = time.Hour
	// clockEvery is how often to look whether the time is known by now.
	clockEvery = 5 * time.Minute
	// A test that finds the link busy, or the server, comes back tries times at random moments about retryEvery apart, and is then given up.
	tries      = 5
	retryEvery = 3 * time.Minute
)

// Why a test does not begin.
var (
	ErrBusy    = errors.New("the link is in use") // by villagers
	ErrRunning = errors.New("a speed test is under way already")
)

// Config is what the runner needs.
type Config struct {
	Client   *Client
	PerDay   float64 // tests a day on average, in the window; 0: none but by Now
	Window   Window
	Monthly  int64                    // bytes a month, headers included
	MaxTest  int64                    // bytes of one test; 0: as many as are left
	Dir      string                   // folder of the budget's file
	Clock    func() (time.Time, bool) // the time, and whether it is known; its location is the site's time zone
	Busy     func() bool              // villagers are using the link; nil: never. Load.Busy fits
	OnResult func(Result)             // called for each test that measured something; nil: nobody
	Log      *slog.Logger             // nil: silent
}

// Stats counts since the start.
type Stats struct {
	Tests   int   // that measured something
	Faults  int   // that began and did not
	Busy    int   // given up because the link or the server was busy each time
	Spent   int   // not begun because the budget had no room, or was ahead of the month's course
	Used    int64 // bytes of the present month, what a test under way may cost included
	Monthly int64
}

// Runner runs tests at random times, one at a time. Safe for concurrent use.
type Runner struct {
	c      Config
	budget *Budget
	one    chan struct{}

	mu    sync.Mutex
	stats Stats
}

// New reads the budget.
func New(c Config) (*Runner, error) {
	if c.Client == nil || c.Clock == nil {
		return nil, errors.New("speedtest: Client and Clock are required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Busy == nil {
		c.Busy = func() bool { return false }
	}
	if c.OnResult == nil {
		c.OnResult = func(Result) {}
	}
	b, err := OpenBudget(c.Dir, c.Monthly, c.Log)
	if err != nil {
		return nil, err
	}
	return &Runner{c: c, budget: b, one: make(chan struct{}, 1)}, nil
}

// Stats is what has happened so far.
func (r *Runner) Stats() Stats {
	now, known := r.c.Clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Monthly = r.c.Monthly
	if known {
		s.Used, _ = r.budget.Month(now)
	}
	return s
}

// Run tests until ctx ends, and returns nil then.
func (r *Runner) Run(ctx context.Context) error {
	if r.c.PerDay <= 0 {
		<-ctx.Done()
		return nil
	}
	for {
		now, known := r.c.Clock()
		wait, due := clockEvery, false
		if known {
			wait = r.c.Window.After(now, r.gap()).Sub(now)
			if due = wait <= lookEvery; !due {
				wait = lookEvery
			}
		}
		if !sleep(ctx, wait) {
			return nil
		}
		if due {
			r.due(ctx)
		}
	}
}

// gap is the time inside the window until the next test: exponential, so that the moments of tests are independent of anything that
// has a rhythm, and of each other. This is how Measurement Lab wants clients to choose them; it bounds the gap besides, which needs a memory.
func (r *Runner) gap() time.Duration {
	mean := float64(r.c.Window.Length()) / r.c.PerDay
	return time.Duration(math.Min(rand.ExpFloat64()*mean, float64(365*day)))
}

// due runs the test whose time has come, or gives it up.
func (r *Runner) due(ctx context.Context) {
	for try := 1; ; try++ {
		now, known := r.c.Clock()
		if known && !r.c.Window.Contains(now) {
			return // the clock has stepped, or the tries took too long
		}
		_, err := r.run(ctx, true)
		switch {
		case ctx.Err() != nil || err == nil:
			return
		case !errors.Is(err, ErrBusy) && !errors.Is(err, ErrBusyServer):
			r.gaveUp(err)
			return
		case try == tries:
			r.count(func(s *Stats) { s.Busy++ })
			r.c.Log.Info("speed test given up, the link or the server was busy each time", "tries", tries, "err", err)
			return
		}
		if !sleep(ctx, time.Duration((0.5+rand.Float64())*float64(retryEvery))) {
			return
		}
	}
}

func (r *Runner) gaveUp(err error) {
	switch {
	case errors.Is(err, ErrSpent) || errors.Is(err, ErrPaced):
		r.count(func(s *Stats) { s.Spent++ })
		r.c.Log.Debug("no speed test", "err", err)
	case errors.Is(err, ErrClock) || errors.Is(err, ErrMonth):
		r.c.Log.Debug("no speed test", "err", err)
	default:
		r.count(func(s *Stats) { s.Faults++ })
		r.c.Log.Warn("speed test failed", "server", r.c.Client.Server.Name(), "err", err)
	}
}

// Now runs a test at once, in the window or not, ahead of the month's course or not; never beyond the budget, never while villagers use the link
// (ErrBusy), and never beside another (it waits for that).
func (r *Runner) Now(ctx context.Context) (Result, error) { return r.run(ctx, false) }

// Try is Now, but does not wait for another test (ErrRunning): two in a row tell no more than one and cost twice.
func (r *Runner) Try(ctx context.Context) (Result, error) {
	select {
	case r.one <- struct{}{}:
		defer func() { <-r.one }()
		return r.test(ctx, false)
	default:
		return Result{}, ErrRunning
	}
}

// run waits for its turn and runs one test.
func (r *Runner) run(ctx context.Context, paced bool) (Result, error) {
	select {
	case r.one <- struct{}{}:
		defer func() { <-r.one }()
		return r.test(ctx, paced)
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
}

// test runs one test. The turn is the caller's.
func (r *Runner) test(ctx context.Context, paced bool) (Result, error) {
	if r.c.Busy() {
		return Result{}, ErrBusy
	}
	now, known := r.c.Clock()
	g, err := r.budget.Reserve(now, known, r.c.MaxTest, paced)
	if err != nil {
		return Result{}, err
	}
	res, err := r.c.Client.Test(ctx, g.Bytes)
	res.At = now
	if e := r.budget.Settle(g, res.bound); e != nil {
		r.c.Log.Warn("the budget of speed tests is charged with more than one has cost", "err", e)
	}
	r.c.Log.Info("speed test", "server", res.Server, "down_bps", res.DownBps, "up_bps", res.UpBps, "min_rtt", res.MinRTT, "used_bytes", res.UsedBytes,
		"charged_bytes", res.bound, "granted_bytes", g.Bytes, "down_end", string(res.DownEnd), "up_end", string(res.UpEnd), "err", err)
	if !res.Measured() {
		if err == nil {
			err = fmt.Errorf("a speed test at %s moved too few bytes to tell a throughput; its cap was %d bytes", res.Server, g.Bytes)
		}
		return res, err
	}
	r.count(func(s *Stats) { s.Tests++ })
	r.c.OnResult(res)
	return res, nil
}

func (r *Runner) count(f func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.stats)
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
