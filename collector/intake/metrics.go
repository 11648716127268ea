package intake

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// metrics are what an operator sees of the intake.
type metrics struct {
	messages, bytes, dropped, unstored, unsent, expired, newer prometheus.Counter
	lines, refused, acks, faults                               *prometheus.CounterVec
	letters                                                    letterMetrics
	writes                                                     *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, i *Intake) metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "nabz_intake_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_intake_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_intake_" + name, Help: help}, value)
	}
	m := metrics{
		messages: counter("messages_total", "Messages that came in on data topics."),
		bytes:    counter("bytes_total", "Bytes of those messages, as they were sent."),
		dropped:  counter("dropped_total", "Messages dropped without an acknowledgement because the queue was full, InfluxDB took nothing, or the collector was closing."),
		unstored: counter("unstored_total", "Batches that were not acknowledged because InfluxDB did not take them."),
		expired:  counter("expired_total", "Lines of detail that came when InfluxDB would no longer have kept them; acknowledged all the same."),
		newer:    counter("newer_total", "Batches that were not acknowledged because only a newer collector can open them."),
		unsent:   counter("acks_unsent_total", "Acknowledgements that could not be handed to the broker."),
		lines:    vec("lines_total", "Lines that InfluxDB has stored.", "measurement"),
		refused:  vec("refused_total", "Messages and lines that can never be stored, by reason; newer: lines of newer agents, of which the fields that are known here are stored.", "reason"),
		faults:   vec("write_faults_total", "Writes that InfluxDB did not take: refused is about their lines, denied about the token, fault about anything else.", "kind"),
		acks:     vec("acks_total", "Acknowledgements sent, by verdict; one may tell of several batches.", "verdict"),
		letters: letterMetrics{
			written: counter("dead_letters_total", "Dead letters written."),
			dropped: counter("dead_letters_dropped_total", "Oldest dead letters dropped to make room for new ones."),
		},
		writes: f.NewHistogramVec(prometheus.HistogramOpts{Name: "nabz_intake_write_seconds", Help: "How long InfluxDB took to answer one write.",
			Buckets: []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20}}, []string{"tier"}),
	}
	gauge("queue_messages", "Messages waiting for a worker.", func() float64 { n, _ := i.queue.size(); return float64(n) })
	gauge("queue_bytes", "Bytes of the messages waiting for a worker.", func() float64 { _, n := i.queue.size(); return float64(n) })
	gauge("acks_waiting", "Stored batches whose agents allow that they are told later.", func() float64 { return float64(i.lazy.waiting()) })
	for _, reason := range []string{"topic", "header", "time", "too_large", "malformed", "schema", "newer", "series", "influxdb"} {
		m.refused.WithLabelValues(reason)
	}
	for _, kind := range []string{"refused", "denied", "fault"} {
		m.faults.WithLabelValues(kind)
	}
	for _, v := range []telemetry.Verdict{telemetry.Stored, telemetry.Rejected} {
		m.acks.WithLabelValues(string(v))
	}
	for _, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
		m.writes.WithLabelValues(tier.String())
	}
	return m
}

// Observe counts a write to InfluxDB; it fits store.WriterOptions.
func (i *Intake) Observe(tier telemetry.Tier, _, _ int, took time.Duration, err error) {
	i.m.writes.WithLabelValues(tier.String()).Observe(took.Seconds())
	var refused *store.RefusedError
	switch {
	case err == nil:
	case errors.As(err, &refused):
		i.m.faults.WithLabelValues("refused").Inc()
	case errors.Is(err, store.ErrUnauthorized):
		i.m.faults.WithLabelValues("denied").Inc()
	default:
		i.m.faults.WithLabelValues("fault").Inc()
	}
}
