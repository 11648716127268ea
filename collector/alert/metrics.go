package alert

import "github.com/prometheus/client_golang/prometheus"

// counts is what is told to Prometheus. The engine's mutex guards it.
type counts struct {
	raised       map[Rule]int
	sent, failed map[string]int
	trouble      map[string]int // failures of a channel since it last worked
}

func (c *counts) begin() {
	c.raised, c.sent, c.failed, c.trouble = map[Rule]int{}, map[string]int{}, map[string]int{}, map[string]int{}
}

// metrics reads an engine.
type metrics struct {
	e                                     *Engine
	active, raised, sent, failed, waiting *prometheus.Desc
}

// Metrics tells how many alerts go on, and how telling of them went.
func (e *Engine) Metrics() prometheus.Collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &metrics{e, d("nabz_alerts_active", "Alerts that go on.", "rule"), d("nabz_alerts_raised_total", "Alerts since the start.", "rule"),
		d("nabz_alert_deliveries_total", "Messages that a channel has taken.", "channel"),
		d("nabz_alert_deliveries_failed_total", "Messages that a channel has not taken; they are tried again.", "channel"),
		d("nabz_alert_deliveries_waiting", "News that wait for a channel.", "channel")}
}

// Describe is for Prometheus.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.active, m.raised, m.sent, m.failed, m.waiting} {
		out <- d
	}
}

// Collect is for Prometheus. All rules and channels are there from the start, so that a rate can be taken.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	e := m.e
	e.mu.Lock()
	defer e.mu.Unlock()
	active, waiting := map[Rule]int{}, map[string]int{}
	for _, a := range e.active {
		active[a.Rule]++
	}
	for _, i := range e.outbox {
		waiting[i.Channel]++
	}
	for _, r := range Rules() {
		out <- prometheus.MustNewConstMetric(m.active, prometheus.GaugeValue, float64(active[r]), string(r))
		out <- prometheus.MustNewConstMetric(m.raised, prometheus.CounterValue, float64(e.counts.raised[r]), string(r))
	}
	for _, c := range e.c.Channels {
		out <- prometheus.MustNewConstMetric(m.sent, prometheus.CounterValue, float64(e.counts.sent[c.Name()]), c.Name())
		out <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(e.counts.failed[c.Name()]), c.Name())
		out <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(waiting[c.Name()]), c.Name())
	}
}
