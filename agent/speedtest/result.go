package speedtest

import (
	"math"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Result is what one test has found. Zero means not measured.
type Result struct {
	At           time.Time     // of the beginning, by the site's clock
	Server       string        // host, and port where it is not the usual one
	DownBps      int64         // to the site, what arrived as messages, bit/s over the second half of the test
	UpBps        int64         // from the site, the same as the server counted it; else what it acknowledged
	MinRTT       time.Duration // the smallest round trip that TCP saw: the server's kernel in the download, else ours in the upload
	SentBytes    int64         // what RetransPct is of: bytes of TCP sent, by the server in the download, else by us in the upload
	RetransBytes int64         // of these, sent again
	UsedBytes    int64         // what the test has cost, both ways with the headers of TCP and IP
	DownEnd      End
	UpEnd        End
	bound        int64 // the most that it may have cost
}

// End says what ended a test in one direction.
type End string

// The ends.
const (
	EndStable End = "stable" // more bytes would not have changed the result
	EndTime   End = "time"   // it had all its time
	EndBudget End = "budget" // the cap was near
	EndServer End = "server" // the server closed before the time was over
	EndFault  End = "fault"  // the connection broke
	EndStop   End = "stop"   // the agent ends
)

// Measured tells whether there is anything to report.
func (r *Result) Measured() bool { return r.DownBps > 0 || r.UpBps > 0 }

// Line is the result as a `speedtest` line. What was not measured is left out.
func (r *Result) Line() *telemetry.Line {
	l := telemetry.NewLine("speedtest", r.At).Tag("server", cut(r.Server, 64))
	if r.DownBps > 0 {
		l.Int("down_bps", r.DownBps)
	}
	if r.UpBps > 0 {
		l.Int("up_bps", r.UpBps)
	}
	if r.MinRTT > 0 {
		l.Float("min_rtt_ms", float64(r.MinRTT)/float64(time.Millisecond))
	}
	if r.SentBytes > 0 {
		l.Float("retrans_pct", math.Min(100, 100*float64(r.RetransBytes)/float64(r.SentBytes)))
	}
	return l.Int("used_bytes", r.UsedBytes)
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
