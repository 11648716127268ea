package web

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Probes are /healthz, /readyz and /metrics alone, for a collector without a board. /metrics is for this machine alone: there is nobody to sign in as.
// Ready must not wait.
func Probes(ready func() []Check, metrics prometheus.Gatherer) http.Handler {
	s := &server{Config: Config{Ready: ready}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	all := promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r) {
			http.Error(w, "without a board there is no sign-in, so metrics are read on this machine alone", http.StatusForbidden)
			return
		}
		all.ServeHTTP(w, r)
	})
	return secure(mux)
}
