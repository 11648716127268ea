package store

import (
	"net/http"
	"testing"
)

// What real servers say of themselves at /ping.
func TestTheMajorVersionIsKnownByThePing(t *testing.T) {
	for _, tt := range []struct {
		name, version, build string
		want                 int
	}{
		{"1.8 of a package", "1.8.10", "OSS", 1},
		{"1.8 built by go install", "unknown", "", 1},
		{"2.7", "v2.7.12", "OSS", 2},
		{"2.x built from source", "dev", "OSS", 2},
		{"the cloud", "", "cloud", 2},
		{"3", "3.0.1", "Core", 3},
	} {
		h := http.Header{}
		h.Set("X-Influxdb-Version", tt.version)
		h.Set("X-Influxdb-Build", tt.build)
		if got := major(h); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}
