package speedtest

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/ndt7"
)

// within tells how far got is off, and fails beyond pct.
func within(t *testing.T, what string, got int64, want, pct float64) {
	t.Helper()
	off := 100 * (float64(got)/want - 1)
	t.Logf("%s: %.2f Mbit/s on a link of %.2f (%+.1f %%)", what, float64(got)/1e6, want/1e6, off)
	if off < -pct || off > pct {
		t.Errorf("%s: %d bit/s measured, the link carries %.0f", what, got, want)
	}
}

func TestATestMeasuresTheRateOfTheLink(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down, up float64
		tls      bool
	}{
		"plain, 16 down, 4 up":     {16e6, 4e6, false},
		"TLS, 3 down, 1 up":        {3e6, 1e6, true},
		"TLS, slower down than up": {1e6, 6e6, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, dial := newMiddle(t, c.down, c.up)
			s := serve(t, ndt7.Config{}, c.tls)
			r, err := client(t, s, dial).Test(t.Context(), 100<<20)
			if err != nil {
				t.Fatal(err)
			}
			within(t, "download", r.DownBps, c.down, 10)
			within(t, "upload", r.UpBps, c.up, 10)
			passed := m.down.passed.Load() + m.up.passed.Load()
			t.Logf("%+v; %d bytes of TCP passed", r, passed)
			if r.bound < passed {
				t.Errorf("the test may have cost %d bytes by its own account; %d passed", r.bound, passed)
			}
			if r.MinRTT <= 0 || r.MinRTT > time.Second || r.SentBytes <= 0 {
				t.Errorf("the server's TCP_INFO is missing: %+v", r)
			}
		})
	}
}
