package speedtest

import (
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/ndt7"
)

var errNoNetwork = errors.New("no network in this test")

// plan runs a runner for days of a bubble's time, with a network that does not answer, and tells when tests began.
func plan(t *testing.T, days int, perDay float64, window string, offset int, change func(*Config)) (starts []time.Time, stats Stats) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, err := ParseWindow(window)
		if err != nil {
			t.Fatal(err)
		}
		srv, err := ParseServer("http://127.0.0.1:1", true, false)
		if err != nil {
			t.Fatal(err)
		}
		zone := time.FixedZone("", offset)
		var mu sync.Mutex
		cl := &Client{Server: srv, Dial: func(context.Context, string, string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if n := len(starts); n == 0 || !starts[n-1].Equal(time.Now()) { // the upload's follows the download's at once
				starts = append(starts, time.Now().In(zone))
			}
			return nil, errNoNetwork
		}}
		c := Config{Client: cl, PerDay: perDay, Window: w, Monthly: 1 << 30, Dir: t.TempDir(), Clock: func() (time.Time, bool) { return time.Now().In(zone), true }}
		if change != nil {
			change(&c)
		}
		r, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(days)*24*time.Hour)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
		stats = r.Stats()
	})
	return starts, stats
}

func TestTestsComeAtRandomMomentsOfTheirHours(t *testing.T) {
	const days, perDay = 100, 4
	starts, stats := plan(t, days, perDay, "08:00-20:00", 5*3600, nil)
	if n, sigma := float64(len(starts)), math.Sqrt(days*perDay); math.Abs(n-days*perDay) > 5*sigma {
		t.Errorf("%v tests in %d days, want about %d", n, days, days*perDay)
	}
	if stats.Faults != len(starts) || stats.Tests != 0 {
		t.Errorf("%+v for %d tests that failed", stats, len(starts))
	}
	hours, short := map[int]int{}, 0
	for i, s := range starts {
		hours[s.Hour()]++
		if i > 0 && s.Sub(starts[i-1]) < 15*time.Minute {
			short++
		}
	}
	for h, n := range hours {
		if h < 8 || h >= 20 || float64(n) > days*perDay/12+5*math.Sqrt(days*perDay/12) {
			t.Errorf("%d tests in hour %d", n, h)
		}
	}
	// In a Poisson process the gap is below 15 of the mean 180 minutes in 8 % of cases, the first of a day aside.
	if part := float64(short) / float64(len(starts)); len(hours) != 12 || part < 0.03 || part > 0.13 {
		t.Errorf("%d hours have tests; %.3f of gaps are short", len(hours), part)
	}
}

func TestRestartsNeitherAddNorLoseTests(t *testing.T) {
	n := 0
	const perDay, runs, restarts = 4, 10, 160 // each 36 minutes: 40 a day would bunch tests, or starve them, if a gap had a memory
	for range runs {
		synctest.Test(t, func(t *testing.T) {
			srv, err := ParseServer("http://127.0.0.1:1", true, false)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for range restarts {
				last := time.Time{}
				cl := &Client{Server: srv, Dial: func(context.Context, string, string) (net.Conn, error) {
					if !last.Equal(time.Now()) {
						n++
					}
					last = time.Now()
					return nil, errNoNetwork
				}}
				r, err := New(Config{Client: cl, PerDay: perDay, Monthly: 1 << 30, Dir: dir, Clock: func() (time.Time, bool) { return time.Now(), true }})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 36*time.Minute)
				_ = r.Run(ctx)
				cancel()
			}
		})
	}
	want := float64(runs*restarts) * perDay * 36 / (24 * 60)
	if math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
		t.Errorf("%d tests, want about %v", n, want)
	}
}

func TestNoTestWhileVillagersUseTheLink(t *testing.T) {
	starts, stats := plan(t, 60, 4, "", 0, func(c *Config) { c.Busy = func() bool { return true } })
	if len(starts) != 0 || stats.Busy < 120 || stats.Busy > 300 {
		t.Errorf("%d tests on a busy link; %+v", len(starts), stats)
	}
	asked := 0
	starts, stats = plan(t, 60, 4, "", 0, func(c *Config) { c.Busy = func() bool { asked++; return asked%3 != 0 } })
	if len(starts) == 0 || stats.Busy != 0 || asked < 3*len(starts)-2 {
		t.Errorf("%d tests after %d looks; %+v", len(starts), asked, stats)
	}
}

func TestNoTestWithoutAClockOrABudget(t *testing.T) {
	starts, _ := plan(t, 60, 4, "", 0, func(c *Config) { c.Clock = func() (time.Time, bool) { return time.Now(), false } })
	if len(starts) != 0 {
		t.Errorf("%d tests while the time is unknown", len(starts))
	}
	starts, stats := plan(t, 60, 4, "", 0, func(c *Config) { c.Monthly = 0 })
	if len(starts) != 0 || stats.Spent < 120 {
		t.Errorf("%d tests without a budget; %+v", len(starts), stats)
	}
	if starts, _ := plan(t, 60, 0, "", 0, nil); len(starts) != 0 {
		t.Errorf("%d tests at none a day", len(starts))
	}
}

func TestATestCanBeAskedFor(t *testing.T) {
	t.Parallel()
	s := serve(t, ndt7.Config{Time: 1200 * time.Millisecond}, false)
	_, dial := newMiddle(t, 8e6, 8e6)
	busy, got := false, make(chan Result, 1)
	at := november(3, 12)
	r, err := New(Config{Client: client(t, s, dial), Monthly: 16 << 20, Dir: t.TempDir(), Clock: func() (time.Time, bool) { return at, true },
		Busy: func() bool { return busy }, OnResult: func(r Result) { got <- r }})
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !res.At.Equal(at) || !res.Measured() || <-got != res {
		t.Errorf("%+v", res)
	}
	if s := r.Stats(); s.Tests != 1 || s.Used != res.bound || s.Used < res.UsedBytes || s.Monthly != 16<<20 {
		t.Errorf("%+v for a test that cost %d and is charged with %d", s, res.UsedBytes, res.bound)
	}
	busy = true
	if _, err := r.Now(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("on a busy link: %v", err)
	}
	if _, err := r.Try(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("tried on a busy link: %v", err)
	}
	busy = false
	r.one <- struct{}{} // a test is under way
	if _, err := r.Try(t.Context()); !errors.Is(err, ErrRunning) {
		t.Errorf("tried beside another: %v", err)
	}
	<-r.one
	if n := len(got); n > 0 || r.Stats().Tests != 1 {
		t.Errorf("%d tests more", n)
	}
}

func TestTheLinkIsBusyAboveItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Load{Share: 0.2}
		want := func(when string, want bool) {
			t.Helper()
			if l.Busy() != want {
				t.Errorf("%s: busy %v", when, !want)
			}
		}
		saw := func(rxBps, txBps uint64) {
			time.Sleep(10 * time.Second)
			l.Saw("wan", 10*time.Second, rxBps/8*10, txBps/8*10)
		}
		want("nothing known", false)
		saw(200_000, 10_000)
		want("any use, the capacity unknown", true)
		saw(50_000, 10_000)
		want("no more than the agent's own", false)
		l.Tested(Result{DownBps: 4_000_000, UpBps: 1_000_000})
		saw(700_000, 100_000)
		want("a sixth", false)
		saw(900_000, 100_000)
		want("more than a fifth down", true)
		saw(100_000, 250_000)
		want("more than a fifth up", true)
		saw(4_000_000, 1_000_000)
		time.Sleep(5 * time.Second)
		l.Tested(Result{DownBps: 4_000_000, UpBps: 1_000_000})
		want("what passed was a test of our own", false)
		time.Sleep(5 * time.Second)
		l.Saw("wan", 10*time.Second, 2_500_000, 0)
		want("half of the time was that test's", false)
		saw(900_000, 0)
		want("more than a fifth, after a test", true)
		time.Sleep(time.Millisecond)
		l.Saw("wan", time.Millisecond, 0, 0)
		want("nothing passed in the millisecond until the report", true)
		time.Sleep(time.Millisecond)
		l.Saw("wan", time.Millisecond, 15_000, 0)
		saw(1_000_000, 0)
		want("a quarter, after 120 Mbit/s in a millisecond", true)
		saw(100_000, 0)
		time.Sleep(10 * time.Second)
		l.Saw("lte0", 10*time.Second, 200_000, 0)
		want("160 kbit/s of a stick of which nothing is known", true)
		time.Sleep(2 * time.Minute)
		want("no reading of late", false)
	})
}
