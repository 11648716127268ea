package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
)

// storm is two thousand agents that come back with a backlog, beside two hundred that report as ever.
func (n *noc) storm(ctx context.Context) ([]Figure, error) {
	const agents, week = 2000, 7 * 24 * 60 // batches of a week, one a minute
	if err := n.open(ctx, n.influx.URL, agents+liveAgents, false); err != nil {
		return nil, err
	}
	batches := max(8, int(guess*n.c.For.Seconds())/3/agents) // four lines a batch
	p := load.Plan{Kind: "pour", Addr: n.mqtt, Agents: agents, Batches: batches, Window: 8, Zstd: true, Detail: true, Boot: "0000beef",
		Start: time.Now().Add(-3 * 24 * time.Hour).UnixMilli(), Live: liveAgents, Every: 5 * time.Second}
	l, err := startLoader(n.c.Self, p, n.c.Log)
	if err != nil {
		return nil, err
	}
	defer l.end()
	if _, _, err := l.until(ctx, slack, "all is prepared", func(s load.Status) bool { return s.Ready }); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	begun := time.Now()
	s, end, err := l.until(ctx, slack, "the backlog is drained", func(s load.Status) bool { return s.Done })
	if err != nil {
		return nil, err
	}
	u, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	if s.Bad > 0 {
		return nil, fmt.Errorf("%d batches were refused, or some of their lines", s.Bad)
	}
	took := end.Sub(begun).Seconds()
	scale := float64(week) / float64(batches)
	fmt.Fprintf(n.c.Log, "bench-collector: storm: %d agents with %d batches each in %.1f s, a week being %.1f times as much; %d sent again\n", agents, batches, took, scale, s.Again)
	return []Figure{
		{Name: "storm_batches", Value: round(float64(agents*batches)/took, 1), Unit: "batches/s"},
		{Name: "storm_scale", Value: round(scale, 0.1), Unit: "times"},
		{Name: "storm_drain_week", Value: round(took*scale/60, 0.1), Unit: "min"},
		{Name: "storm_live_wait_max", Value: round(s.WaitMax, 0.01), Unit: "s", Limit: limitWait},
		{Name: "storm_live_wait_p99", Value: round(s.WaitP99, 0.01), Unit: "s"},
		{Name: "storm_rss", Value: round(float64(u.peak)/(1<<20), 0.1), Unit: "MiB"},
	}, nil
}

// fleet is ten thousand agents over TLS that report each five minutes, and a collector that is started anew under them.
func (n *noc) fleet(ctx context.Context) (figures []Figure, err error) {
	if err := n.open(ctx, n.influx.URL, manyAgents, true); err != nil {
		return nil, err
	}
	p := load.Plan{Kind: "fleet", Addr: n.mqtt, Agents: manyAgents, Every: 5 * time.Minute, CA: n.trust.ca, Boot: "000f1ee7", Start: time.Now().Add(-time.Hour).UnixMilli()}
	l, err := startLoader(n.c.Self, p, n.c.Log)
	if err != nil {
		return nil, err
	}
	defer l.end()
	whole := func(s load.Status) bool { return s.Ready }
	begun := time.Now()
	_, at, err := l.until(ctx, slack, "all are connected", whole)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(n.c.Log, "bench-collector: fleet: %d agents are here after %.1f s, %v of which they hold back at first\n", manyAgents, at.Sub(begun).Seconds(), 10*time.Second)
	if err := wait(ctx, max(n.c.For*6, 30*time.Second)); err != nil {
		return nil, err
	}
	u, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	calm, _, err := n.board(ctx, 20)
	if err != nil {
		return nil, err
	}
	// A kill, so that nobody is told goodbye; then everyone at once.
	_ = n.collector.cmd.Process.Kill()
	<-n.collector.done
	if _, _, err = l.until(ctx, slack, "all have noticed", func(s load.Status) bool { return s.Connected == 0 }); err != nil {
		return nil, err
	}
	begun = time.Now()
	if err = n.open(ctx, n.influx.URL, manyAgents, true); err != nil {
		return nil, err
	}
	ready := time.Since(begun)
	looking, stop := context.WithCancel(ctx)
	first := make(chan []time.Duration, 1)
	go func() {
		_, all, _ := n.board(looking, 1<<30) // it ends with an error, as it is told to stop
		first <- all
	}()
	_, at, err = l.until(ctx, slack, "all are back", whole)
	stop()
	pages := <-first
	if err != nil {
		return nil, err
	}
	back := at.Sub(begun)
	after, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, 10*time.Second); err != nil {
		return nil, err
	}
	lost, acked, err := n.lost(l, p)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(n.c.Log, "bench-collector: fleet: the new collector was ready after %.1f s; the board was asked %d times meanwhile; %d batches were acknowledged in all\n", ready.Seconds(), len(pages), acked)
	figures = []Figure{
		{Name: "fleet_rss", Value: round(float64(u.peak)/(1<<20), 1), Unit: "MiB", Limit: limitFleet},
		{Name: "fleet_back", Value: round(back.Seconds(), 0.1), Unit: "s", Limit: limitBack},
		{Name: "fleet_back_rss", Value: round(float64(after.peak)/(1<<20), 1), Unit: "MiB", Limit: limitFleet},
		{Name: "fleet_back_cpu", Value: round(after.cpu.Seconds(), 0.1), Unit: "s"},
		{Name: "fleet_lost", Value: float64(lost), Unit: "batches"},
		{Name: "board_first_byte_calm", Value: round(calm.Seconds()*1000, 0.1), Unit: "ms"},
	}
	if len(pages) > 0 {
		slices.Sort(pages)
		figures = append(figures, Figure{Name: "board_first_byte_storm_worst", Value: round(pages[len(pages)-1].Seconds()*1000, 0.1), Unit: "ms"},
			Figure{Name: "board_first_byte_storm_median", Value: round(pages[len(pages)/2].Seconds()*1000, 0.1), Unit: "ms"})
	}
	if lost > 0 {
		return figures, fmt.Errorf("%d batches that were acknowledged are not in InfluxDB", lost)
	}
	return figures, nil
}

// board asks for the sites so many times, four times a second, and returns the median and all times to the first byte.
func (n *noc) board(ctx context.Context, times int) (middle time.Duration, all []time.Duration, err error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	defer func() {
		if len(all) > 0 {
			sorted := slices.Sorted(slices.Values(all))
			middle = sorted[len(sorted)/2]
		}
	}()
	for range times {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.web+"/api/v1/sites", nil)
		if err != nil {
			return 0, all, err
		}
		begun := time.Now()
		r, err := client.Do(req)
		if err != nil {
			return 0, all, err
		}
		var one [1]byte
		_, err = r.Body.Read(one[:])
		all = append(all, time.Since(begun))
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return 0, all, fmt.Errorf("the board answers %s: %w", r.Status, err)
		}
		if err := wait(ctx, 250*time.Millisecond); err != nil {
			return 0, all, err
		}
	}
	return 0, all, nil
}

// lost stops the fleet and counts what was acknowledged and is not in InfluxDB, agent by agent.
func (n *noc) lost(l *loader, p load.Plan) (lost, acked int, err error) {
	l.end()
	text, err := os.ReadFile(p.CA + ".acked")
	if err != nil {
		return 0, 0, err
	}
	var each []int
	if err := json.Unmarshal(text, &each); err != nil {
		return 0, 0, err
	}
	rows, err := n.query("nabz", fmt.Sprintf(`SELECT count("seq") FROM batch WHERE "boot" = '%s' GROUP BY "site"`, p.Boot))
	if err != nil {
		return 0, 0, err
	}
	for a, want := range each {
		acked += want
		have := 0
		if row := rows[load.Address(a).Site]; len(row) > 0 {
			have = int(row[0])
		}
		lost += max(0, want-have)
	}
	return lost, acked, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
