package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
)

// Budgets of the collector.
const (
	limitRatio  = 0.9     // of what a tight writer gets into the same InfluxDB
	limitPoints = 300_000 // a second, where nothing else is the limit
	limitCPU    = 2.2     // seconds a million points
	limitIntake = 64      // MiB of memory
	limitFleet  = 1024    // MiB with ten thousand agents over TLS
	limitBack   = 60      // s until all are back
	limitWait   = 30      // s that a live agent's data may wait behind a backlog
)

// Collect measures a collector: Programs as they were built, and this program itself for what is beside it.
type Collect struct {
	Programs
	Self    string        // the program that runs load.Run for "load PLAN"
	For     time.Duration // of one slice
	Rounds  int           // slices of each, of which the median counts
	Only    []string      // parts that are wanted: rates, null, drain, mosquitto, fleet, storm; none is all
	Profile string        // file for a profile of the collector's processor time
	Extra   string        // lines at the end of its configuration, to try something
	Log     io.Writer
}

func (c Collect) wants(part string) bool { return len(c.Only) == 0 || slices.Contains(c.Only, part) }

// Run measures part after part.
func (c Collect) Run(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "nabz-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	n, err := openNOC(ctx, c, dir)
	if n != nil {
		defer n.close()
	}
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		run  func(context.Context) ([]Figure, error)
	}{{"rates", n.rates}, {"null", n.null}, {"drain", n.drain}, {"mosquitto", n.mosquitto}, {"storm", n.storm}, {"fleet", n.fleet}} {
		if !c.wants(part.name) {
			continue
		}
		f, err := part.run(ctx)
		figures = append(figures, f...)
		if err != nil {
			return figures, fmt.Errorf("%s: %w", part.name, err)
		}
		if err := n.shut(); err != nil {
			return figures, err
		}
	}
	return figures, nil
}

const (
	fewAgents  = 1000
	manyAgents = 10_000
	liveAgents = 200
	guess      = 60_000 // points a second, for how much to prepare
	slack      = 5 * time.Minute
)

// slice is what one run of a loader came to.
type slice struct {
	points float64 // a second
	cpu    float64 // s a million points
	allocs float64 // a line, of points and headers
}

// measure looks at the middle of the loader's work: from a sixth of it to five sixths, or for so long where it never ends. The processor
// time is that of process pid, 0 being the loader itself.
func (n *noc) measure(ctx context.Context, p load.Plan, pid int) (s slice, err error) {
	l, err := startLoader(n.c.Self, p, n.c.Log)
	if err != nil {
		return s, err
	}
	defer l.end()
	if _, _, err = l.until(ctx, slack, "all is prepared", func(s load.Status) bool { return s.Ready }); err != nil {
		return s, err
	}
	if err = l.begin(); err != nil {
		return s, err
	}
	total := int64(p.Agents * p.Batches)
	first := func(s load.Status) bool { return s.Acked >= total/6 }
	last := func(s load.Status) bool { return s.Acked >= total*5/6 || s.Done }
	if p.Repeat {
		first = func(s load.Status) bool { return s.Begun && s.Acked >= 4*int64(p.Agents) }
	}
	var a, b mark
	if a, err = n.mark(ctx, l, pid, first); err != nil {
		return s, err
	}
	if p.Repeat {
		last = func(load.Status) bool { return time.Since(a.at) >= n.c.For }
	}
	if b, err = n.mark(ctx, l, pid, last); err != nil {
		return s, err
	}
	end := b.Status
	if !p.Repeat {
		if end, _, err = l.until(ctx, slack, "all is acknowledged", func(s load.Status) bool { return s.Done }); err != nil {
			return s, err
		}
	}
	if end.Bad > 0 {
		return s, fmt.Errorf("%d batches were refused, or some of their lines", end.Bad)
	}
	if end.Again > 0 {
		fmt.Fprintf(n.c.Log, "bench-collector: %d batches were sent again, as nobody had answered in time\n", end.Again)
	}
	points := float64(b.Acked-a.Acked) * load.Lines
	return slice{points / b.at.Sub(a.at).Seconds(), (b.use.cpu - a.use.cpu).Seconds() / points * 1e6, (b.mallocs - a.mallocs) / points * load.Lines / (load.Lines + 1)}, nil
}

// mark is how far things are at a moment.
type mark struct {
	load.Status
	at      time.Time
	use     usage
	mallocs float64
}

func (n *noc) mark(ctx context.Context, l *loader, pid int, so func(load.Status) bool) (m mark, err error) {
	if m.Status, m.at, err = l.until(ctx, slack, "it has come so far", so); err != nil {
		return m, err
	}
	if pid == 0 {
		pid = l.pid()
	} else if m.mallocs, err = n.metric("go_memstats_mallocs_total"); err != nil {
		return m, err
	}
	m.use, err = readUsage(pid)
	return m, err
}

// median of some slices, each figure by itself.
func median(all []slice, of func(slice) float64) float64 {
	v := make([]float64, len(all))
	for i, s := range all {
		v[i] = of(s)
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func round(v, to float64) float64 { return float64(int64(v/to+0.5)) * to }
