package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what an operator sees of the broker.
type metrics struct {
	accepted, oversize, unsent, slowed prometheus.Counter
	rejected, forbidden                *prometheus.CounterVec
	limit                              func(write func(more int64))
}

func newMetrics(r prometheus.Registerer, b *Broker) metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "nabz_broker_" + name, Help: help})
	}
	vec := func(name, help string, values ...string) *prometheus.CounterVec {
		v := f.NewCounterVec(prometheus.CounterOpts{Name: "nabz_broker_" + name, Help: help}, []string{"reason"})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	read := func(name, help string, value func() int64) {
		f.NewCounterFunc(prometheus.CounterOpts{Name: "nabz_broker_" + name, Help: help}, func() float64 { return float64(value()) })
	}
	info := b.server.Info
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_broker_connections", Help: "Agents that are connected."},
		func() float64 { return float64(atomic.LoadInt64(&info.ClientsConnected)) })
	read("bytes_received_total", "Bytes of MQTT received, without TLS and TCP.", func() int64 { return atomic.LoadInt64(&info.BytesReceived) })
	read("bytes_sent_total", "Bytes of MQTT sent, without TLS and TCP.", func() int64 { return atomic.LoadInt64(&info.BytesSent) })
	read("connections_refused_total", "Connections closed at once because there were too many.", b.gate.full.Load)
	read("hellos_refused_total", "Connections whose first packet was larger than a sign-in can be.", b.gate.oversize.Load)
	return metrics{
		accepted:  counter("signins_total", "Sign-ins accepted."),
		rejected:  vec("signins_rejected_total", "Sign-ins refused, by reason.", "user_name", "client_id", "secret", "will"),
		forbidden: vec("forbidden_total", "Messages and subscriptions that broke a rule, by rule.", "publish", "subscribe", "retain", "presence", "result", "revoked"),
		oversize:  counter("oversize_total", "Messages over the size limit."),
		unsent:    counter("unsent_total", "Acknowledgements dropped because the agent did not take them fast enough."),
		slowed:    counter("slowed_total", "Packets after which their agent had to wait, as it sent more than mqtt.agent_messages or mqtt.agent_bytes."),
		limit:     limiter(),
	}
}

// logEvery is the least time between two lines on refusals: one misconfigured agent must not fill the log.
const logEvery = 10 * time.Second

// limiter lets one line through in logEvery, with the number of those left out.
func limiter() func(func(more int64)) {
	var mu sync.Mutex
	var last time.Time
	var more int64
	return func(write func(int64)) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); last.IsZero() || now.Sub(last) >= logEvery {
			write(more)
			last, more = now, 0
			return
		}
		more++
	}
}

// quiet is the logger for the broker library: it warns of every connection that ends, and prints whole packets.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(quietHandler{log.Handler()}) }

type quietHandler struct{ slog.Handler }

// Enabled asks for debug, as which everything is written.
func (h quietHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle leaves packets out.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, slog.LevelDebug, "mqtt: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "pk", "packet", "will":
		default:
			out.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs keeps the wrapping.
func (h quietHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(a)}
}

// WithGroup keeps the wrapping.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}
