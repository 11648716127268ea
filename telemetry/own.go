package telemetry

import (
	"fmt"
	"slices"
)

// OwnSchema lists the measurements that the collector writes by itself, beside what agents send. No agent may send them, and no other
// program either.
func OwnSchema() []Measurement {
	count := func(key string) FieldSpec { return FieldSpec{Key: key, Type: Int, Max: maxInt} }
	unit := func(key, u string) FieldSpec { return FieldSpec{Key: key, Type: Int, Unit: u, Max: maxInt} }
	text := func(key string) FieldSpec { return FieldSpec{Key: key, Type: String} }
	float := func(key, u string, lo, hi, step float64) FieldSpec {
		return FieldSpec{Key: key, Type: Float, Unit: u, Min: lo, Max: hi, Step: step}
	}
	must := func(f FieldSpec) FieldSpec { f.Required = true; return f }
	listed := must(count("listed"))
	listed.Max = 1
	code := must(count("code")) // the most urgent first: down 0, unreachable 1, off 2, degraded 3, never seen 4, up 5
	code.Max = 5
	return []Measurement{
		{Name: "site", Tier: Ledger, Help: "what the sites file says of a site; written when that changes and once a day, to both tiers",
			Tags: []TagSpec{{Key: "site"}},
			Fields: []FieldSpec{listed, must(text("name")), must(text("label")), must(text("choice")), must(text("district")), must(text("operator")), must(text("technology")),
				float("latitude", "°", -90, 90, 1e-6), float("longitude", "°", -180, 180, 1e-6), count("population"),
				unit("target_down_bps", "bit/s"), unit("target_up_bps", "bit/s"), text("service_hours"), text("time_zone")}},
		{Name: "state", Tier: Detail, Help: "what the board showed of a site; written when that changes and each five minutes",
			Tags:   []TagSpec{{Key: "site"}},
			Fields: []FieldSpec{must(code), must(text("state")), text("cause"), unit("since_ms", "ms")}},
		{Name: "collector", Tier: Detail, Help: "how one collector fared since its line before; a line a minute",
			Tags: []TagSpec{{Key: "collector"}, {Key: "role", Values: []string{"all", "intake", "board"}}},
			Fields: []FieldSpec{must(unit("ms", "ms")), count("messages"), unit("message_bytes", "B"), count("lines"), count("refused"), count("dropped"), count("unstored"), count("dead_letters"),
				count("acks"), count("queue_messages"), unit("queue_bytes", "B"),
				count("writes"), unit("write_ms", "ms"), count("write_le_10"), count("write_le_100"), count("write_le_1000"), count("write_faults"),
				count("connections"), count("signins_refused"), must(count("influx_fault")), count("mqtt_fault"),
				unit("rss_bytes", "B"), unit("heap_bytes", "B"), count("goroutines"), float("cpu_pct", "%", 0, 1e6, 0.1)}},
	}
}

// ownIndex is OwnSchema by name: a table, built once and only read.
var ownIndex = func() map[string]Measurement {
	m := map[string]Measurement{}
	for _, s := range OwnSchema() {
		m[s.Name] = s
	}
	return m
}()

// CheckOwn holds a line of the collector's own against OwnSchema.
func CheckOwn(l *Line) error {
	m, ok := ownIndex[l.Measurement]
	if !ok {
		return fmt.Errorf("measurement %.60q is none of the collector's own", l.Measurement)
	}
	for _, t := range l.Tags {
		i := slices.IndexFunc(m.Tags, func(s TagSpec) bool { return s.Key == t.Key })
		if i < 0 || m.Tags[i].Values != nil && !slices.Contains(m.Tags[i].Values, t.Value) {
			return fmt.Errorf("%s: tag %s=%.60q is not in the schema", m.Name, t.Key, t.Value)
		}
	}
	for _, s := range m.Tags {
		if l.GetTag(s.Key) == "" {
			return fmt.Errorf("%s: tag %q is missing", m.Name, s.Key)
		}
	}
	return m.checkFields(l)
}
