//go:build !linux

package ndt7

import "net"

// readTCP is for Linux only.
func readTCP(net.Conn) *tcpInfo { return nil }

// keepFresh is for Linux only.
func keepFresh(net.Conn) {}
