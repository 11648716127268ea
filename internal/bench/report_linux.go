package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/progress"
)

// Budgets of a report.
const (
	limitReport    = 2   // s
	limitReportRSS = 200 // MiB
)

// Report measures what a report costs: the built collector makes it, a process for each, with InfluxDB on the same machine.
type Report struct {
	Programs
	Rounds int      // of each report, of which the median counts
	Only   []string // names of parts that are wanted, such as month_100; none is all
	Log    io.Writer
}

// part is one report to be measured.
type part struct {
	name, period string
	hours        float64 // of the period
	ledger
	budget bool
}

func parts() []part {
	month := func(sites int) ledger { // with the month before, which a report compares with
		return ledger{sites, time.Date(2026, 8, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	}
	return []part{
		{"month_10", "2026-10", 31 * 24, month(10), false},
		{"month_100", "2026-10", 31 * 24, month(100), false},
		{"month_1000", "2026-10", 31 * 24, month(1000), true},
		{"year_100", "2025", 365 * 24, ledger{100, time.Date(2023, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, true},
	}
}

// Run measures part after part.
func (r Report) Run(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "nabz-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	influx, err := influxd.Start(ctx, influxd.Options{Path: r.Influxd, Dir: filepath.Join(dir, "influxdb"), NoFlux: true, Log: r.Log})
	if err != nil {
		return nil, err
	}
	defer func() { _ = influx.Kill() }()
	took := map[string]float64{}
	for _, p := range parts() {
		if len(r.Only) > 0 && !slices.Contains(r.Only, p.name) {
			continue
		}
		seconds, peak, err := r.measure(ctx, filepath.Join(dir, p.name), influx, p)
		if err != nil {
			return figures, fmt.Errorf("%s: %w", p.name, err)
		}
		took[p.name] = seconds
		time, memory := Figure{Name: "report_" + p.name, Value: seconds, Unit: "s"}, Figure{Name: "report_" + p.name + "_rss", Value: peak, Unit: "MiB", Limit: limitReportRSS}
		if p.budget {
			time.Limit = limitReport
		}
		figures = append(figures, time, memory, Figure{Name: "report_" + p.name + "_site_hour", Value: seconds / (p.hours * float64(p.sites)) * 1e6, Unit: "us"})
	}
	// Growing: what one more site costs must not rise with how many there are.
	for _, step := range [][2]int{{10, 100}, {100, 1000}} {
		less, more := took[fmt.Sprintf("month_%d", step[0])], took[fmt.Sprintf("month_%d", step[1])]
		if less > 0 && more > 0 {
			figures = append(figures, Figure{Name: fmt.Sprintf("report_one_more_site_%d_to_%d", step[0], step[1]), Value: (more - less) / float64(step[1]-step[0]) * 1e3, Unit: "ms"})
		}
	}
	return figures, nil
}

// settled waits until InfluxDB has put in order what was stored, as it has long done where months have passed.
func settled(ctx context.Context, pid int) error {
	last, err := readUsage(pid)
	if err != nil {
		return err
	}
	return until(ctx, slack, "InfluxDB rests", func() bool {
		now, err := readUsage(pid)
		if err != nil || now.at.Sub(last.at) < 3*time.Second {
			return false
		}
		rests := (now.cpu - last.cpu).Seconds() < 0.05*now.at.Sub(last.at).Seconds()
		last = now
		return rests
	})
}

// measure fills a database, and makes the report on it some times. It returns the median of seconds, and the most MiB of memory.
func (r Report) measure(ctx context.Context, dir string, influx *influxd.Server, p part) (seconds, peak float64, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, 0, err
	}
	bar := progress.New(r.Log, "ledger "+p.name, "lines", time.Now)
	if err := p.fill(ctx, influx.URL, p.name, bar.Show); err != nil {
		return 0, 0, err
	}
	bar.Finish("stored")
	if err := settled(ctx, influx.Pid()); err != nil {
		return 0, 0, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := p.writeSites(file("sites.toml")); err != nil {
		return 0, 0, err
	}
	text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n[influx]\nurl = %q\nledger_bucket = %q\n", file("sites.toml"), file("agents.toml"), file("data"), influx.URL, p.name)
	if err := os.WriteFile(file("collector.toml"), []byte(text), 0o600); err != nil {
		return 0, 0, err
	}
	var all []float64
	for n := range r.Rounds {
		cmd := exec.CommandContext(ctx, r.Collector, "report", "--config", file("collector.toml"), "--period", p.period, "--format", "json", "-o", file(fmt.Sprintf("%d.json", n)))
		cmd.Env = clean()
		begun := time.Now()
		if said, err := cmd.CombinedOutput(); err != nil {
			return 0, 0, fmt.Errorf("%s: %w: %s", cmd, err, said)
		}
		all = append(all, time.Since(begun).Seconds())
		peak = max(peak, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024) // told in KiB
	}
	slices.Sort(all)
	return all[len(all)/2], peak, nil
}
