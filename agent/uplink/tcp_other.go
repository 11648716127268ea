//go:build !linux

package uplink

import (
	"syscall"
	"time"
)

// readTCP is for Linux. Elsewhere batches go at QoS 1, and the broker's own confirmations tell what arrived.
func readTCP(syscall.RawConn, int) (tcpInfo, bool) { return tcpInfo{}, false }

// setUserTimeout is for Linux. Elsewhere unanswered pings and unconfirmed batches end the connection.
func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
