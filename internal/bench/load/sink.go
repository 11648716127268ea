package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// sink answers as an InfluxDB 1.8 that has both databases and keeps nothing.
func sink(ctx context.Context, p Plan, r *reporter) error {
	l, err := net.Listen("tcp", p.Addr)
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("X-Influxdb-Version", "1.8.10")
		switch {
		case strings.HasSuffix(q.URL.Path, "/write"):
			_, _ = io.Copy(io.Discard, q.Body) // the writer sees it when its request breaks
			w.WriteHeader(http.StatusNoContent)
		case q.URL.Path == "/query":
			answer := `{"results":[{"statement_id":0}]}`
			if strings.Contains(q.FormValue("q"), "SHOW DATABASES") {
				answer = `{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["nabz"],["nabz_ledger"]]}]}]}`
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, answer)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})}
	r.tell(Status{Ready: true})
	go func() { <-ctx.Done(); s.Close() }()
	return s.Serve(l)
}
