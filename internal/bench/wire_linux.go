package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Wire says what to measure on the wire.
type Wire struct {
	Programs Programs
	For      time.Duration // length of the window
	Warm     time.Duration // before it, from the first acknowledged batch on
	Log      io.Writer     // progress, a line a minute, and the breakdown
}

// profile is one way to configure an agent, with its budget of bytes a month.
type profile struct {
	name     string
	broker   string // host
	settings string
	limit    float64
}

// profiles are those of the agent, each also where a proxy acknowledges for the broker, as on most ways over a geostationary satellite.
func profiles() []profile {
	anchorList := fmt.Sprintf("[probe]\nanchors = [%q, %q, %q]\n", anchors()[0], anchors()[1], anchors()[2])
	return []profile{
		{"standard", brokerHost, "profile = \"standard\"\n" + anchorList, 15e6},
		{"metered", brokerHost, "profile = \"metered\"\n" + anchorList, 4e6},
		{"standard-proxied", proxyHost, "profile = \"standard\"\n" + anchorList, 15e6},
		{"metered-proxied", proxyHost, "profile = \"metered\"\n" + anchorList, 4e6},
	}
}

// Run measures the profiles side by side and returns the month's bytes of each. It has to run in an empty network namespace of its own.
func (w Wire) Run(ctx context.Context) (_ []Figure, err error) {
	dir, err := os.MkdirTemp("", "bench-wire-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sites []string
	for _, p := range profiles() {
		sites = append(sites, p.name)
	}
	c, err := openCentre(ctx, w.Programs, dir, sites, w.Log)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var all []*survey
	defer func() {
		for _, s := range all {
			if !s.closed {
				err = errors.Join(err, s.village.close())
			}
		}
	}()
	for i, p := range profiles() {
		v, err := openVillage(ctx, c, p.name, p.broker, i+1, p.settings)
		if err != nil {
			return nil, err
		}
		all = append(all, &survey{profile: p, village: v})
	}
	for _, s := range all {
		if err := s.village.connected(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.wait(ctx, "bench-wire: warming up", w.Warm, all); err != nil {
		return nil, err
	}
	for _, s := range all {
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	if err := w.wait(ctx, "bench-wire: measuring", w.For, all); err != nil {
		return nil, err
	}
	var figures []Figure
	for _, s := range all {
		f, err := s.end(w.Log)
		if err != nil {
			return nil, err
		}
		figures = append(figures, f...)
	}
	return figures, nil
}

// wait passes the time, tells each minute how it goes, and ends early when an agent does.
func (w Wire) wait(ctx context.Context, what string, length time.Duration, all []*survey) error {
	begin := time.Now()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	end := time.NewTimer(length)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-look.C:
			for _, s := range all {
				if err := s.village.agent.ended(); err != nil {
					return fmt.Errorf("%w; it said:\n%s", err, tail(s.village.file("agent.log")))
				}
			}
		case now := <-minute.C:
			line := fmt.Sprintf("%s, %v of %v", what, now.Sub(begin).Round(time.Second), length)
			for _, s := range all {
				b := sum(s.village.capture.seen(), begin, now)
				line += fmt.Sprintf(", %s %d B", s.profile.name, b.Total())
			}
			fmt.Fprintln(w.Log, line)
		}
	}
}

// survey is one profile under measurement.
type survey struct {
	profile profile
	village *village
	from    time.Time
	bytes   int64 // counters at the beginning
	packets int64
	closed  bool
}

func (s *survey) begin() (err error) {
	s.from = time.Now()
	s.bytes, s.packets, err = counters(s.village.agent.pid(), wan)
	return err
}

// end closes the window, stops the agent, prints the breakdown and makes the figures.
func (s *survey) end(log io.Writer) ([]Figure, error) {
	to := time.Now()
	bytes, packets, err := counters(s.village.agent.pid(), wan)
	if err != nil {
		return nil, err
	}
	bytes, packets = bytes-s.bytes, packets-s.packets
	s.closed = true
	if err := s.village.close(); err != nil {
		return nil, err
	}
	if err := s.village.capture.err; err != nil {
		return nil, fmt.Errorf("capture of %s: %w", s.profile.name, err)
	}
	events := s.village.capture.seen()
	window := sum(events, s.from, to)
	// A packet may pass between reading the clock and reading the counters.
	if gap := window.Total() - bytes; gap > 1600 || gap < -1600 {
		return nil, fmt.Errorf("%s: the packets seen are %d B and the interface counted %d B; the breakdown cannot be trusted", s.profile.name, window.Total(), bytes)
	}
	last := sum(events, to, to.Add(time.Hour))
	last[Handshake] = 0 // the end of the connection is not part of an hour
	e := estimate(events, s.from, to, last.Total())
	first := sum(events, time.Time{}, s.from)
	fmt.Fprintf(log, "\n%s: %d packets, %d B by the interface's counters in %v; %d B by capture\n", s.profile.name, packets, bytes, to.Sub(s.from).Round(time.Second), window.Total())
	fmt.Fprintf(log, "%-14s %12s %12s %14s\n", "kind", "before", "window", "a month")
	for k := range kinds {
		fmt.Fprintf(log, "%-14s %10d B %10d B %12d B\n", k, first[k], window[k], e.Month[k])
	}
	figures := []Figure{}
	name := "wire_" + strings.ReplaceAll(s.profile.name, "-", "_") + "_"
	for k := range kinds {
		figures = append(figures, Figure{Name: name + k.String() + "_bytes_month", Value: float64(e.Month[k]), Unit: "B"})
	}
	if !e.Whole {
		figures = append(figures, Figure{Name: name + "hour_closing_bytes_month", Value: e.Hours, Unit: "B"})
	}
	plain := float64(bytes) * float64(Month) / float64(to.Sub(s.from))
	return append(figures,
		Figure{Name: name + "counters_bytes_month", Value: float64(int64(plain)), Unit: "B"},
		Figure{Name: name + "bytes_month", Value: float64(int64(e.Total())), Unit: "B", Limit: s.profile.limit}), nil
}
