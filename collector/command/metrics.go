package command

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smartvillage/nabz/telemetry"
)

type metrics struct{ asked, ended, dropped *prometheus.CounterVec }

func newMetrics(r prometheus.Registerer, c *Commander) metrics {
	f := promauto.With(r)
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_commands_under_way", Help: "Commands whose end is awaited."}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, o := range c.all {
			if !o.State.Ended() {
				n++
			}
		}
		return float64(n)
	})
	m := metrics{
		asked:   f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_commands_asked_total", Help: "Commands that operators asked for, by whether they were sent."}, []string{"kind", "outcome"}),
		ended:   f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_commands_ended_total", Help: "Commands that have ended, by state."}, []string{"kind", "state"}),
		dropped: f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_command_results_dropped_total", Help: "Results of agents that were dropped, by reason."}, []string{"reason"}),
	}
	for _, reason := range []string{"rate", "malformed", "unknown"} {
		m.dropped.WithLabelValues(reason)
	}
	return m
}

// label keeps what a stranger typed out of the metrics.
func label(k Kind) string {
	if slices.Contains(telemetry.CommandKinds(), k) {
		return string(k)
	}
	return "unknown"
}
