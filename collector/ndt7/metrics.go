package ndt7

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what an operator sees of speed tests.
type metrics struct {
	tests, bytes, refused, tokens *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, s *Server) *metrics {
	f := promauto.With(r) // nil registers nowhere
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_ndt7_" + name, Help: help}, labels)
	}
	m := &metrics{
		tests:   vec("tests_total", "Speed tests that ended, by direction seen from the agent, and by what ended them.", "direction", "end"),
		bytes:   vec("bytes_total", "Bytes of the tests' messages, without the cost of WebSocket, TLS and TCP.", "direction"),
		refused: vec("refused_total", "Tests that were not begun, by reason.", "reason"),
		tokens:  vec("token_requests_total", "Requests for a token, by outcome.", "outcome"),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_ndt7_running", Help: "Speed tests under way."}, func() float64 { return float64(s.atWork()) })
	for _, d := range []direction{download, upload} {
		m.bytes.WithLabelValues(d.String())
		for _, end := range []string{endTime, endBytes, endClient, endStop, endFault} {
			m.tests.WithLabelValues(d.String(), end)
		}
	}
	for _, reason := range []string{whyFull, whyTwice, whyClosing, tokenForged, tokenExpired, tokenUsed, "request"} {
		m.refused.WithLabelValues(reason)
	}
	for _, outcome := range []string{"issued", "anonymous", "secret", "too_many", "full"} {
		m.tokens.WithLabelValues(outcome)
	}
	return m
}
