package speedtest

import (
	"testing"
	"time"
)

func TestWhatTheServerHasReceivedIsFoundInItsMeasurements(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		at    time.Duration
		bytes int64
	}{
		"what the application counted": {`{"AppInfo":{"ElapsedTime":1500000,"NumBytes":77},"TCPInfo":{"BytesReceived":99,"ElapsedTime":1500001}}`, 1500 * time.Millisecond, 77},
		"what TCP counted":             {`{"TCPInfo":{"BytesReceived":99,"ElapsedTime":1000,"MinRTT":5}}`, time.Millisecond, 99},
		"nothing":                      {`{"ConnectionInfo":{"Client":"[::1]:1"}}`, 0, 0},
		"no JSON":                      {`{"AppInfo":{"NumBytes":`, 0, 0},
		"a number that is none":        {`{"AppInfo":{"NumBytes":"77"}}`, 0, 0},
	} {
		if at, n, ok := hear([]byte(c.text)).received(); at != c.at || n != c.bytes || ok != (n > 0) {
			t.Errorf("%s: %d bytes at %v, %v", name, n, at, ok)
		}
	}
}

// FuzzHear lets a server say anything: no estimate may break on it.
func FuzzHear(f *testing.F) {
	f.Add([]byte(`{"AppInfo":{"ElapsedTime":1500000,"NumBytes":77},"TCPInfo":{"BytesReceived":99,"ElapsedTime":1500001,"BytesSent":9,"MinRTT":4}}`))
	f.Add([]byte(`{"AppInfo":{"ElapsedTime":-1,"NumBytes":9223372036854775807}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var e estimate
		var r Result
		for range 3 {
			m := hear(text)
			m.path(&r)
			if at, n, ok := m.received(); ok {
				e.add(at, n)
			}
			e.add(e.last+sampleEvery, e.count)
		}
		if r.MinRTT < 0 || e.result() < 0 || e.n > maxSamples {
			t.Fatalf("%q: %+v, %d bit/s", text, r, e.result())
		}
	})
}
