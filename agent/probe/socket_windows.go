package probe

import (
	"errors"
	"net"
)

func pingSocket(bool) (net.PacketConn, error) {
	return nil, errors.New("ping sockets: not on this platform")
}
