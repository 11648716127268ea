package speedtest

import (
	"encoding/json"
	"time"
)

// measurement is what we read of the protocol's text messages. Times are microseconds since the test began.
type measurement struct {
	AppInfo *struct{ ElapsedTime, NumBytes int64 }
	TCPInfo *struct{ ElapsedTime, BytesReceived, BytesSent, BytesRetrans, MinRTT int64 }
}

// maxText is the longest measurement that is read; the rest of a longer one is thrown away, and it counts for nothing.
const maxText = 4 << 10

// hear reads a measurement of the server; what cannot be read counts for nothing, as the protocol allows.
func hear(text []byte) (m measurement) {
	if json.Unmarshal(text, &m) != nil {
		return measurement{}
	}
	return m
}

// received is what the server has received of an upload, and when; what the application counted, else what TCP has.
func (m measurement) received() (at time.Duration, bytes int64, ok bool) {
	switch {
	case m.AppInfo != nil && m.AppInfo.NumBytes > 0:
		return time.Duration(m.AppInfo.ElapsedTime) * time.Microsecond, m.AppInfo.NumBytes, true
	case m.TCPInfo != nil && m.TCPInfo.BytesReceived > 0:
		return time.Duration(m.TCPInfo.ElapsedTime) * time.Microsecond, m.TCPInfo.BytesReceived, true
	}
	return 0, 0, false
}

// path takes what the server's kernel knows of the way to us.
func (m measurement) path(r *Result) {
	if t := m.TCPInfo; t != nil {
		if t.MinRTT > 0 {
			r.MinRTT = time.Duration(t.MinRTT) * time.Microsecond
		}
		if t.BytesSent > 0 {
			r.SentBytes, r.RetransBytes = t.BytesSent, t.BytesRetrans
		}
	}
}
