package telemetry

import "math"

// spec is what the schema says of a field; nothing when it does not know it.
func spec(measurement, key string) FieldSpec {
	for _, m := range []map[string]Measurement{index, ownIndex} {
		for _, f := range m[measurement].Fields {
			if f.Key == key {
				return f
			}
		}
	}
	return FieldSpec{}
}

// roundFloat is v as an agent writes it.
func (s FieldSpec) roundFloat(v float64) float64 {
	per := 1000.0
	if s.Step > 0 {
		per = math.Round(1 / s.Step) // dividing by a whole number gives the shortest decimal
	}
	return math.Round(v*per) / per
}

// roundInt is v as an agent writes it.
func (s FieldSpec) roundInt(v int64) int64 {
	step := int64(s.Step)
	if s.Digits > 0 {
		for step = 1; v/step >= int64(math.Pow10(s.Digits)); step *= 10 {
		}
	}
	if step <= 1 || v < 0 {
		return v
	}
	return (v + step/2) / step * step
}
