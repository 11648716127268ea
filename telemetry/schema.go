package telemetry

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Tier says how precious a line is: what is kept for ever and dropped last, or kept 90 days and dropped first.
type Tier uint8

// The two tiers. A batch holds lines of one tier, besides its own header line.
const (
	Detail Tier = iota + 1
	Ledger
)

// String is "detail" or "ledger".
func (t Tier) String() string {
	switch t {
	case Detail:
		return "detail"
	case Ledger:
		return "ledger"
	}
	return fmt.Sprintf("tier %d", uint8(t))
}

// Type is the type of a field's value in InfluxDB. It never changes, because InfluxDB would refuse the line.
type Type uint8

// The field types.
const (
	Int Type = iota + 1
	Float
	String
	Bool
)

// String names the type as a person would.
func (t Type) String() string {
	return [...]string{"?", "integer", "float", "string", "boolean"}[min(int(t), 4)]
}

// Measurement is one row of the schema: all that a line of this name may carry.
type Measurement struct {
	Name   string
	Tier   Tier
	Help   string
	Tags   []TagSpec
	Fields []FieldSpec
}

// TagSpec is one tag. With no Values any text up to 64 bytes is accepted.
type TagSpec struct {
	Key      string
	Values   []string
	Optional bool
}

// FieldSpec is one field; Min and Max are inclusive and hold for numbers. Unit is "" for a count or a text. An agent
// rounds to a multiple of Step, or to so many significant Digits, because digits that mean nothing cost villagers bytes; finer values
// are accepted.
type FieldSpec struct {
	Key      string
	Type     Type
	Unit     string
	Min, Max float64
	Step     float64
	Digits   int
	Required bool
}

const (
	hourMs = 3600_000
	dayS   = 24 * 3600
	maxInt = 1 << 62 // far beyond any count that a router can reach
)

// HistogramEdgesMs are the upper edges of the hour's round-trip histogram, in milliseconds. Counts are
// cumulative, as the "le" in their names says; rtt_le_inf counts every answer.
func HistogramEdgesMs() []int64 { return []int64{25, 50, 100, 150, 300, 600, 1200} }

// Schema lists every measurement that an agent may send, in the order in which the documents show them.
func Schema() []Measurement {
	count := func(key string) FieldSpec { return FieldSpec{Key: key, Type: Int, Max: maxInt} }
	unit := func(key, u string) FieldSpec { return FieldSpec{Key: key, Type: Int, Unit: u, Max: maxInt} }
	float := func(key, u string, lo, hi, step float64) FieldSpec {
		return FieldSpec{Key: key, Type: Float, Unit: u, Min: lo, Max: hi, Step: step}
	}
	rtt := func(key string) FieldSpec { return float(key, "ms", 0, 600_000, 0.1) }
	pct := func(key string) FieldSpec { return float(key, "%", 0, 100, 1) }
	text := func(key string) FieldSpec { return FieldSpec{Key: key, Type: String} }
	must := func(f FieldSpec) FieldSpec { f.Required = true; return f }
	upTo := func(f FieldSpec, hi float64) FieldSpec { f.Max = hi; return f }
	peak := func(key string) FieldSpec { f := unit(key, "bit/s"); f.Digits = 3; return f }
	rates := []FieldSpec{peak("rx_peak_bps"), peak("tx_peak_bps")}
	coarse := func(f FieldSpec, step float64) FieldSpec { f.Step = step; return f }
	histogram := func() (fs []FieldSpec) {
		for _, e := range HistogramEdgesMs() {
			fs = append(fs, count(fmt.Sprintf("rtt_le_%d", e)))
		}
		return append(fs, count("rtt_le_inf"))
	}

	return []Measurement{
		{Name: "span", Tier: Ledger, Help: "a stretch of time in one state; timestamp = its start",
			Tags: []TagSpec{{Key: "state", Values: states()}, {Key: "cause", Values: causes(), Optional: true}},
			Fields: []FieldSpec{
				must(upTo(unit("ms", "ms"), hourMs)),
				must(unit("err_ms", "ms"))}},
		{Name: "hour", Tier: Ledger, Help: "sums of one UTC hour or the part of it that was covered",
			Fields: slices.Concat(
				[]FieldSpec{must(upTo(unit("ms", "ms"), hourMs))}, histogram(),
				[]FieldSpec{count("sent"), count("lost"), unit("rx_bytes", "B"), unit("tx_bytes", "B")}, rates,
				[]FieldSpec{count("clients_max")})},
		{Name: "hour_service", Tier: Ledger, Help: "how long a service could have been used in its own opening hours",
			Tags:   []TagSpec{{Key: "service"}},
			Fields: []FieldSpec{must(upTo(unit("ready_ms", "ms"), hourMs)), must(upTo(unit("window_ms", "ms"), hourMs))}},
		{Name: "speedtest", Tier: Ledger, Help: "one ndt7 test",
			Tags: []TagSpec{{Key: "server"}},
			Fields: []FieldSpec{unit("down_bps", "bit/s"), unit("up_bps", "bit/s"), rtt("min_rtt_ms"),
				float("retrans_pct", "%", 0, 100, 0.01), must(unit("used_bytes", "B"))}},
		{Name: "event", Tier: Ledger, Help: "something a person may want to know later",
			Tags:   []TagSpec{{Key: "kind"}},
			Fields: []FieldSpec{must(text("detail"))}},
		{Name: "link", Tier: Detail, Help: "round trips to one target since the line before",
			Tags:   []TagSpec{{Key: "target", Values: []string{"gateway", "internet", "collector", "dns"}}},
			Fields: []FieldSpec{must(count("sent")), must(count("lost")), rtt("rtt_min_ms"), rtt("rtt_avg_ms"), rtt("rtt_max_ms"), rtt("jitter_ms")}},
		{Name: "traffic", Tier: Detail, Help: "bytes through one interface since the line before",
			Tags: []TagSpec{{Key: "iface"}},
			Fields: slices.Concat([]FieldSpec{must(unit("rx_bytes", "B")), must(unit("tx_bytes", "B"))}, rates,
				[]FieldSpec{count("errs"), count("drops")})},
		{Name: "host", Tier: Detail, Help: "the machine itself",
			Fields: []FieldSpec{pct("cpu_pct"), pct("mem_pct"), pct("disk_pct"),
				float("load1", "", 0, 1e6, 0.01), float("temp_c", "°C", -90, 200, 1), unit("uptime_s", "s")}},
		{Name: "power", Tier: Detail, Help: "battery and mains of a solar kiosk",
			Fields: []FieldSpec{pct("battery_pct"), {Key: "charging", Type: Bool}, float("volts", "V", 0, 1000, 0.01), {Key: "mains", Type: Bool}}},
		{Name: "clients", Tier: Detail, Help: "how many use the link; counts only, never who",
			Fields: []FieldSpec{count("wifi_stations"), count("dhcp_leases")}},
		{Name: "batch", Tier: Detail, Help: "first line of every batch: its number, and the span still open",
			Fields: []FieldSpec{must(count("seq")), must(text("boot")), text("open_state"), text("open_cause"),
				upTo(unit("open_ms", "ms"), hourMs), unit("spool_bytes", "B"), count("spool_lines"), must(text("clock")), coarse(unit("wire_bytes", "B"), 1000),
				upTo(unit("next_s", "s"), dayS), upTo(unit("ack_s", "s"), dayS)}},
	}
}

// index is the schema by name: a table, built once and only read.
var index = func() map[string]Measurement {
	m := map[string]Measurement{}
	for _, s := range Schema() {
		m[s.Name] = s
	}
	return m
}()

// maxTagBytes bounds free tag values: an interface, a service, a server.
const maxTagBytes = 64

// Check holds a line against the schema and returns its tier. The error names the measurement, the key and
// what would be accepted.
func Check(l *Line) (Tier, error) {
	m, ok := index[l.Measurement]
	if !ok {
		return 0, fmt.Errorf("measurement %.60q is not in the schema", l.Measurement)
	}
	if err := m.checkTags(l); err != nil {
		return 0, err
	}
	if err := m.checkFields(l); err != nil {
		return 0, err
	}
	return m.Tier, nil
}

func (m *Measurement) checkTags(l *Line) error {
	for _, t := range l.Tags {
		if t.Key == "site" || t.Key == "agent" {
			return fmt.Errorf("%s: tag %q is for the collector to set, from the topic", m.Name, t.Key)
		}
		i := slices.IndexFunc(m.Tags, func(s TagSpec) bool { return s.Key == t.Key })
		if i < 0 {
			return fmt.Errorf("%s: unknown tag %.60q", m.Name, t.Key)
		}
		if vs := m.Tags[i].Values; vs != nil && !slices.Contains(vs, t.Value) {
			return fmt.Errorf("%s: tag %s=%.60q is none of %s", m.Name, t.Key, t.Value, strings.Join(vs, ", "))
		}
		if len(t.Value) > maxTagBytes {
			return fmt.Errorf("%s: tag %s has %d bytes, at most %d are allowed", m.Name, t.Key, len(t.Value), maxTagBytes)
		}
	}
	for _, s := range m.Tags {
		if !s.Optional && l.GetTag(s.Key) == "" {
			return fmt.Errorf("%s: tag %q is missing", m.Name, s.Key)
		}
	}
	return nil
}

func (m *Measurement) checkFields(l *Line) error {
	required := 0
	for _, f := range l.Fields {
		i := slices.IndexFunc(m.Fields, func(s FieldSpec) bool { return s.Key == f.Key })
		if i < 0 {
			return fmt.Errorf("%s: unknown field %.60q", m.Name, f.Key)
		}
		if m.Fields[i].Required {
			required++
		}
		if err := m.Fields[i].check(f.Value); err != nil {
			return fmt.Errorf("%s: field %s: %w", m.Name, f.Key, err)
		}
	}
	for _, s := range m.Fields {
		if !s.Required {
			continue
		}
		if required--; required < 0 {
			return fmt.Errorf("%s: a required field is missing (%s)", m.Name, strings.Join(m.missing(l), ", "))
		}
	}
	return nil
}

func (m *Measurement) missing(l *Line) (keys []string) {
	for _, s := range m.Fields {
		if s.Required && !slices.ContainsFunc(l.Fields, func(f Field) bool { return f.Key == s.Key }) {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

func (s FieldSpec) check(v lineprotocol.Value) error {
	var n float64
	switch {
	case s.Type == Int && v.Kind() == lineprotocol.Int:
		n = float64(v.IntV())
	case s.Type == Float && v.Kind() == lineprotocol.Float:
		n = v.FloatV()
	case s.Type == Bool && v.Kind() == lineprotocol.Bool:
		return nil
	case s.Type == String && v.Kind() == lineprotocol.String:
		if b := v.BytesV(); len(b) > MaxString {
			return fmt.Errorf("%d bytes: %w of %d", len(b), ErrTooLarge, MaxString)
		}
		return nil
	default:
		return fmt.Errorf("%s given, %s wanted", v.Kind(), s.Type)
	}
	if math.IsNaN(n) || n < s.Min || n > s.Max {
		return fmt.Errorf("%v is outside %v to %v", n, s.Min, s.Max)
	}
	return nil
}
