package clock

import (
	"encoding/binary"
	"testing"
	"time"
)

// FuzzAnswer: no answer of a time server panics, and what is believed is synchronised, near a reference clock and of this century or the next.
func FuzzAnswer(f *testing.F) {
	good := make([]byte, sntpLen)
	good[0], good[1] = version4Client&^7|modeServer, 2
	binary.BigEndian.PutUint64(good[sntpTransmit:], uint64(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Unix()+era0)<<32)
	f.Add(good, int64(time.Millisecond))
	f.Add(make([]byte, sntpLen), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, rtt int64) {
		if len(b) < sntpLen {
			return
		}
		at, err := read(b, time.Duration(rtt))
		if err == nil && (b[0]>>6 == unsynchronised || b[1] == 0 || b[1] > 15 || at.Year() < 1968 || at.Year() > 2104) {
			t.Errorf("% x is taken for %v", b, at)
		}
	})
}
