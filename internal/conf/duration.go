package conf

import (
	"fmt"
	"time"
)

// Duration is a length of time, written in the file as text: "60s", "5m", "1h30m".
type Duration time.Duration

// UnmarshalText reads a length of time as time.ParseDuration does; the error names the accepted form.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is not a length of time; write it in quotes with its unit, such as "60s", "5m" or "1h30m"`, text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the shortest form that reads back as the same value.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the shortest form: "1h30m", not "1h30m0s".
func (d Duration) String() string {
	v := time.Duration(d)
	s := v.String()
	if v != 0 && v%time.Minute == 0 {
		s = s[:len(s)-len("0s")]
		if v%time.Hour == 0 {
			s = s[:len(s)-len("0m")]
		}
	}
	return s
}

// Std is the same length of time as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }
