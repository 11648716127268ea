package subscriber

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what an operator sees of the connection.
type metrics struct {
	connections, unsent prometheus.Counter
	refused             *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, s *Subscriber) metrics {
	f := promauto.With(r)
	const prefix = "nabz_external_broker_"
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "connected", Help: "1 while there is a connection to the external broker."}, func() float64 {
		if s.Fault() == nil {
			return 1
		}
		return 0
	})
	m := metrics{
		connections: f.NewCounter(prometheus.CounterOpts{Name: prefix + "connections_total", Help: "Connections made to the external broker."}),
		unsent:      f.NewCounter(prometheus.CounterOpts{Name: prefix + "unsent_total", Help: "Acknowledgements and commands dropped because the external broker did not take them."}),
		refused: f.NewCounterVec(prometheus.CounterOpts{Name: prefix + "refused_total",
			Help: "Messages dropped that the external broker let through: topic not ours, agent not in the agents' file or revoked, retained data or results, malformed presence, results or data that are too large."}, []string{"reason"}),
	}
	for _, reason := range []string{"topic", "agent", "retain", "presence", "result", "size"} {
		m.refused.WithLabelValues(reason)
	}
	return m
}
