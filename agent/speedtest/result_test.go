package speedtest

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestALineLeavesOutWhatWasNotMeasured(t *testing.T) {
	at := time.UnixMilli(1763900000123)
	for name, c := range map[string]struct {
		r    Result
		want string
	}{
		"all": {Result{At: at, Server: "noc.example.org", DownBps: 4_000_000, UpBps: 900_000, MinRTT: 41_500 * time.Microsecond, SentBytes: 2000, RetransBytes: 5, UsedBytes: 7},
			"speedtest,server=noc.example.org down_bps=4000000i,up_bps=900000i,min_rtt_ms=41.5,retrans_pct=0.25,used_bytes=7i 1763900000123\n"},
		"no upload":    {Result{At: at, Server: "s", DownBps: 1, SentBytes: 10, UsedBytes: 9}, "speedtest,server=s down_bps=1i,retrans_pct=0,used_bytes=9i 1763900000123\n"},
		"no TCP_INFO":  {Result{At: at, Server: "s", UpBps: 2, UsedBytes: 9}, "speedtest,server=s up_bps=2i,used_bytes=9i 1763900000123\n"},
		"nothing else": {Result{At: at, Server: "s", UsedBytes: 9}, "speedtest,server=s used_bytes=9i 1763900000123\n"},
	} {
		l := c.r.Line()
		if _, err := telemetry.Check(l); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := l.Append(nil)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s want %s (%v)", name, got, c.want, err)
		}
	}
}
