package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// serveNames answers questions for addresses until ctx ends: each name has the address given for it, all others that of "".
func serveNames(ctx context.Context, conn net.PacketConn, hosts map[string]netip.Addr) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		if answer := answerName(buf[:n], hosts); answer != nil {
			_, _ = conn.WriteTo(answer, from) // who asked asks again
		}
	}
}

// answerName answers one question (RFC 1035): an A record; any other type has none. What is no question gets nil.
func answerName(question []byte, hosts map[string]netip.Addr) []byte {
	const head, typeA, lifetime = 12, 1, 300
	if len(question) < head || question[2]&0x80 != 0 || binary.BigEndian.Uint16(question[4:]) != 1 {
		return nil
	}
	var labels []string
	at := head
	for {
		if at >= len(question) {
			return nil
		}
		n := int(question[at])
		at++
		if n == 0 {
			break
		}
		if n > 63 || at+n > len(question) {
			return nil
		}
		labels = append(labels, string(question[at:at+n]))
		at += n
	}
	if at+4 > len(question) {
		return nil
	}
	a := append([]byte(nil), question[:at+4]...)
	a[2], a[3] = question[2]&1|0x84, 0x80 // an answer, by an authority; recursion as asked for, and to be had
	for i := 6; i < head; i++ {
		a[i] = 0
	}
	if binary.BigEndian.Uint16(question[at:]) != typeA {
		return a
	}
	address, ok := hosts[strings.ToLower(strings.Join(labels, "."))]
	if !ok {
		address = hosts[""]
	}
	a[7] = 1
	a = append(a, 0xc0, head, 0, typeA, 0, 1) // the name asked for, class IN
	a = binary.BigEndian.AppendUint32(a, lifetime)
	a = append(a, 0, 4)
	b := address.As4()
	return append(a, b[:]...)
}
