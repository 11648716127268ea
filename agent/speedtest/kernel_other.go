//go:build !linux

package speedtest

import "net"

// readKernel is for Linux only.
func readKernel(net.Conn) (kernel, bool) { return kernel{}, false }

// room is not told.
func room(net.Conn) int64 { return unknownWindow }

// keepFresh is for Linux only.
func keepFresh(net.Conn) {}
