package scribe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// mostPending bounds the lines that wait while InfluxDB is away: three hours of them.
const mostPending = 180

// figures turns what /metrics shows into a line a minute.
type figures struct {
	before  map[string]float64
	at      time.Time
	pending [][]byte
}

// counters are told as what came since the line before; gauges as they are. The metric is summed over its labels.
var (
	counters = []struct{ field, metric string }{
		{"messages", "nabz_intake_messages_total"}, {"message_bytes", "nabz_intake_bytes_total"}, {"lines", "nabz_intake_lines_total"},
		{"refused", "nabz_intake_refused_total"}, {"dropped", "nabz_intake_dropped_total"}, {"unstored", "nabz_intake_unstored_total"},
		{"dead_letters", "nabz_intake_dead_letters_total"}, {"acks", "nabz_intake_acks_total"},
		{"writes", writeTimes + countOf}, {"write_ms", writeTimes + sumOf},
		{"write_le_10", writeTimes + "/0.01"}, {"write_le_100", writeTimes + "/0.1"}, {"write_le_1000", writeTimes + "/1"},
		{"write_faults", "nabz_intake_write_faults_total"}, {"signins_refused", "nabz_broker_signins_rejected_total"},
	}
	gauges = []struct{ field, metric string }{
		{"queue_messages", "nabz_intake_queue_messages"}, {"queue_bytes", "nabz_intake_queue_bytes"}, {"connections", "nabz_broker_connections"},
		{"rss_bytes", "process_resident_memory_bytes"}, {"heap_bytes", "go_memstats_heap_alloc_bytes"}, {"goroutines", "go_goroutines"},
	}
)

const (
	writeTimes = "nabz_intake_write_seconds"
	countOf    = "/count"
	sumOf      = "/ms"
	processor  = "process_cpu_seconds_total"
)

// read sums each metric over its labels. A histogram becomes its count, its sum in ms, and one number a bucket.
func read(p Parts) (map[string]float64, error) {
	families, err := p.Metrics.Gather() // with an error it returns what it could gather
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			switch {
			case m.GetHistogram() != nil:
				h := m.GetHistogram()
				all[name+countOf] += float64(h.GetSampleCount())
				all[name+sumOf] += 1000 * h.GetSampleSum()
				for _, b := range h.GetBucket() {
					all[fmt.Sprintf("%s/%v", name, b.GetUpperBound())] += float64(b.GetCumulativeCount())
				}
			case m.GetCounter() != nil:
				all[name] += m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				all[name] += m.GetGauge().GetValue()
			}
		}
	}
	return all, err
}

// begin takes the first look: what comes from here on is told.
func (f *figures) begin(p Parts) {
	f.before, _ = read(p)
	f.at = p.Now()
}

// note puts the line of the time since the look before behind those that wait. What is not measured here is left out.
func (f *figures) note(c Config, p Parts) {
	now, at := map[string]float64{}, p.Now()
	if now, _ = read(p); !at.After(f.at) { // somebody has set the clock back: the next line begins here
		f.before, f.at = now, at
		return
	}
	l := telemetry.NewLine("collector", at).Tag("collector", c.Name).Tag("role", c.Role).Int("ms", at.Sub(f.at).Milliseconds())
	for _, x := range counters {
		if v, ok := now[x.metric]; ok {
			l.Int(x.field, int64(max(0, v-f.before[x.metric])+0.5))
		}
	}
	for _, x := range gauges {
		if v, ok := now[x.metric]; ok {
			l.Int(x.field, int64(v))
		}
	}
	l.Int("influx_fault", fault(p.Fault()))
	if p.MQTT != nil {
		l.Int("mqtt_fault", fault(p.MQTT()))
	}
	if v, ok := now[processor]; ok {
		l.Float("cpu_pct", 100*max(0, v-f.before[processor])/at.Sub(f.at).Seconds())
	}
	f.before, f.at = now, at
	if text, err := l.Append(nil); err == nil { // names and numbers always encode
		f.pending = append(f.pending, text)
	}
	f.pending = f.pending[max(0, len(f.pending)-mostPending):]
}

func fault(err error) int64 {
	if err != nil {
		return 1
	}
	return 0
}

// write sends what waits. What InfluxDB refuses for ever does not wait any more.
func (f *figures) write(ctx context.Context, p Parts) error {
	if len(f.pending) == 0 {
		return nil
	}
	if p.Influx() != nil {
		return errAway
	}
	err := p.Database.Write(ctx, telemetry.Detail, slices.Concat(f.pending...))
	var refused *store.RefusedError
	if err == nil || errors.As(err, &refused) {
		f.pending = nil
	}
	return err
}
