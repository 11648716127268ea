package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
)

// A backlog that Mosquitto holds: each agent first sends so many batches, with which the questions about former boots are over, and then so many that count.
const (
	drainFirst = 20
	drainEach  = 300
)

// openMosquitto starts an external broker that keeps whatever a slow reader leaves with it.
func (n *noc) openMosquitto(ctx context.Context) (*child, error) {
	program := "/usr/sbin/mosquitto" // not on everybody's PATH
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("mosquitto"); err != nil {
			return nil, fmt.Errorf("%w; install Mosquitto, on Debian with: apt-get install mosquitto", err)
		}
	}
	at, err := free()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nsys_interval 0\nlog_type error\n", port)
	if err := os.WriteFile(n.path("mosquitto.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-c", n.path("mosquitto.conf"))
	cmd.Env, cmd.Stderr = clean(), n.c.Log
	m, err := start("mosquitto", cmd)
	if err != nil {
		return nil, err
	}
	n.other = at
	err = until(ctx, time.Minute, "Mosquitto listens", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
		}
		return err == nil || m.ended() != nil
	})
	return m, errors.Join(err, m.ended())
}

// drain measures the collector at an external broker, into a null sink.
func (n *noc) drain(ctx context.Context) ([]Figure, error) {
	sink, url, err := n.sink()
	if err != nil {
		return nil, err
	}
	defer sink.end()
	return n.external(ctx, "null", url)
}

// mosquitto measures it into InfluxDB, beside a tight writer.
func (n *noc) mosquitto(ctx context.Context) ([]Figure, error) {
	return n.external(ctx, "influx", n.influx.URL)
}

// external measures end to end with a thousand agents who wait for their answers, and then what the collector gets through of a backlog that Mosquitto holds.
func (n *noc) external(ctx context.Context, name, influx string) (figures []Figure, err error) {
	m, err := n.openMosquitto(ctx)
	if m != nil {
		defer func() { n.other = ""; _ = m.stop() }() // what it kept is thrown away
	}
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name string
		zstd bool
	}{{name + "_plain", false}, {name + "_zstd", true}} {
		var drained, poured, tight, ratios []slice
		if err := n.open(ctx, influx, fewAgents, false); err != nil {
			return figures, err
		}
		for round := range n.c.Rounds {
			p := load.Plan{Kind: "pour", Addr: n.other, Agents: fewAgents, Batches: max(24, int(guess*n.c.For.Seconds())/load.Lines/fewAgents), Window: 8, Zstd: c.zstd, Boot: fmt.Sprintf("%08x", 1000+n.plan())}
			p.Start = n.day()
			s, err := n.measure(ctx, p, n.collector.pid())
			if err != nil {
				return figures, err
			}
			poured = append(poured, s)
			if influx == n.influx.URL {
				p.Kind, p.Addr, p.Start, p.Database = "write", n.influx.URL, n.day(), [2]string{"nabz_ledger", "nabz"}
				w, err := n.measure(ctx, p, 0)
				if err != nil {
					return figures, err
				}
				tight, ratios = append(tight, w), append(ratios, slice{points: s.points / w.points})
			}
			fmt.Fprintf(n.c.Log, "bench-collector: Mosquitto, %s, round %d: %.0f points/s, %.2f CPU s/M\n", c.name, round+1, s.points, s.cpu)
		}
		u, err := readUsage(n.collector.pid())
		if err != nil {
			return figures, err
		}
		if err := n.shut(); err != nil {
			return figures, err
		}
		for round := range n.c.Rounds {
			s, err := n.backlog(ctx, influx, c.zstd)
			if err != nil {
				return figures, err
			}
			fmt.Fprintf(n.c.Log, "bench-collector: Mosquitto's backlog, %s, round %d: %.0f points/s, %.2f CPU s/M\n", c.name, round+1, s.points, s.cpu)
			drained = append(drained, s)
		}
		points, cpu, allocs := func(s slice) float64 { return s.points }, func(s slice) float64 { return s.cpu }, func(s slice) float64 { return s.allocs }
		rate := Figure{Name: "drain_points_" + c.name, Value: round(median(drained, points), 1), Unit: "points/s"}
		if influx != n.influx.URL {
			rate.Limit, rate.Least = limitPoints, true
		}
		figures = append(figures, rate,
			Figure{Name: "drain_cpu_" + c.name, Value: round(median(drained, cpu), 0.01), Unit: "s/million", Limit: limitCPU},
			Figure{Name: "drain_allocs_" + c.name, Value: round(median(drained, allocs), 0.01), Unit: "/line"},
			Figure{Name: "mosquitto_points_" + c.name, Value: round(median(poured, points), 1), Unit: "points/s"},
			Figure{Name: "mosquitto_cpu_" + c.name, Value: round(median(poured, cpu), 0.01), Unit: "s/million", Limit: limitCPU},
			Figure{Name: "mosquitto_rss_" + c.name, Value: round(float64(u.peak)/(1<<20), 0.1), Unit: "MiB", Limit: limitIntake})
		if len(tight) > 0 {
			figures = append(figures, Figure{Name: "mosquitto_writer_points_" + c.name, Value: round(median(tight, points), 1), Unit: "points/s"},
				Figure{Name: "mosquitto_ratio_" + c.name, Value: round(median(ratios, points), 0.001), Unit: "of-writer", Limit: limitRatio, Least: true})
		}
	}
	return figures, nil
}

// plan counts plans, so that no two have the same boot; day is the beginning of a day of its own for each.
func (n *noc) plan() int { n.plans++; return n.plans }

func (n *noc) day() int64 {
	return time.Now().Add(-80*24*time.Hour + time.Duration(n.plan()%75)*24*time.Hour).UnixMilli()
}

// backlog stops the collector, has Mosquitto filled, and measures from the moment that the collector goes on. Its queue is large enough for all of it: agents, who
// would send again what is given up, are not there.
func (n *noc) backlog(ctx context.Context, influx string, zstd bool) (s slice, err error) {
	extra := n.c.Extra
	large := fmt.Sprintf("[intake]\nqueue_messages = %d\nqueue_bytes = %d\n", fewAgents*(drainEach+drainFirst), 2<<30)
	n.c.Extra = large + strings.Replace(extra, "[intake]\n", "", 1) // what is tried may be of this table
	err = n.open(ctx, influx, fewAgents, false)
	n.c.Extra = extra
	if err != nil {
		return s, err
	}
	p := load.Plan{Kind: "fill", Addr: n.other, Agents: fewAgents, Batches: drainFirst + drainEach, First: drainFirst, Zstd: zstd, Boot: fmt.Sprintf("%08x", 1000+n.plan()), Start: n.day()}
	l, err := startLoader(n.c.Self, p, n.c.Log)
	if err != nil {
		return s, err
	}
	defer l.end()
	if _, _, err = l.until(ctx, slack, "the first batches are sent", func(s load.Status) bool { return s.Ready }); err != nil {
		return s, err
	}
	first, all := float64(fewAgents*drainFirst*load.Lines), float64(fewAgents*(drainFirst+drainEach)*load.Lines)
	if err = n.stored(ctx, first); err != nil {
		return s, err
	}
	pid := n.collector.pid()
	mallocs, err := n.metric("go_memstats_mallocs_total")
	if err != nil {
		return s, err
	}
	if err = syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return s, err
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }() // it may be gone
	if err = l.begin(); err != nil {
		return s, err
	}
	if _, _, err = l.until(ctx, slack, "Mosquitto has the backlog", func(s load.Status) bool { return s.Done }); err != nil {
		return s, err
	}
	before, err := readUsage(pid)
	if err != nil {
		return s, err
	}
	if err = syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return s, err
	}
	if err = n.stored(ctx, all); err != nil {
		return s, err
	}
	after, err := readUsage(pid)
	if err != nil {
		return s, err
	}
	now, err := n.metric("go_memstats_mallocs_total")
	if err != nil {
		return s, err
	}
	points := all - first
	s = slice{points / after.at.Sub(before.at).Seconds(), (after.cpu - before.cpu).Seconds() / points * 1e6, (now - mallocs) / points * load.Lines / (load.Lines + 1)}
	return s, n.shut()
}

// stored waits until InfluxDB has so many points.
func (n *noc) stored(ctx context.Context, points float64) error {
	var got float64
	err := until(ctx, slack, "all of a backlog is stored", func() bool {
		r, err := http.Get("http://" + n.web + "/metrics")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		for in := bufio.NewScanner(r.Body); in.Scan(); {
			if v, ok := strings.CutPrefix(in.Text(), `nabz_intake_lines_total{measurement="hour"} `); ok {
				got, _ = strconv.ParseFloat(v, 64)
			}
		}
		return got >= points || n.collector.ended() != nil
	})
	if err != nil {
		return fmt.Errorf("%.0f of %.0f points: %w", got, points, err)
	}
	return n.collector.ended()
}
