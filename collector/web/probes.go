package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Probes are /healthz, /readyz and /metrics alone, for a collector without a board. Ready must not wait.
func Probes(ready func() []Check, metrics prometheus.Gatherer) http.Handler {
	s := &server{Config: Config{Ready: ready}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return secure(mux)
}
