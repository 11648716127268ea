package sampler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// What is needed of linux/netlink.h, linux/genetlink.h and linux/nl80211.h.
const (
	nlError, nlDone           = 2, 3
	nlRequest, nlDump         = 0x1, 0x300
	nlMulti                   = 0x2
	genlControl               = 0x10
	genlGetFamily             = 3
	genlFamilyID              = 1
	genlFamilyName            = 2
	wifiGetInterface          = 5
	wifiGetStation            = 17
	wifiIndex                 = 3
	wifiType                  = 5
	wifiAddress               = 6
	typeAP, typeVLAN, typeP2P = 3, 4, 9 // access point, its clients of another VLAN, a phone's hotspot

	nlHeader   = 16
	genlHeader = 4
)

var (
	errMessage = errors.New("a message of the kernel's has not the form that is expected")
	errNoAP    = errors.New("this machine runs no access point")
)

// netlink is what counting needs of a socket.
type netlink interface {
	send([]byte) error
	receive([]byte) (int, error)
}

// countStations asks for the family's number, the interfaces, and the stations of each access point. A station that is seen at two of
// them, because it roams between the bands, is one; so addresses are held while this function runs, and no longer.
func countStations(n netlink) (int64, error) {
	r := request{n: n, buf: make([]byte, 16<<10)}
	family := uint16(0)
	err := r.ask(genlControl, genlGetFamily, nlRequest, attribute(genlFamilyName, []byte("nl80211\x00")), func(attrs []byte) {
		each(attrs, func(kind uint16, value []byte) {
			if kind == genlFamilyID && len(value) == 2 {
				family = binary.NativeEndian.Uint16(value)
			}
		})
	})
	if err == nil && family == 0 {
		err = errMessage
	}
	if err != nil {
		return 0, fmt.Errorf("find nl80211: %w", err)
	}
	var points [][]byte // their indexes, as they stand on the wire
	err = r.ask(family, wifiGetInterface, nlRequest|nlDump, nil, func(attrs []byte) {
		var index []byte
		kind := uint32(0)
		each(attrs, func(k uint16, value []byte) {
			switch {
			case k == wifiIndex && len(value) == 4:
				index = value
			case k == wifiType && len(value) == 4:
				kind = binary.NativeEndian.Uint32(value)
			}
		})
		if index != nil && (kind == typeAP || kind == typeVLAN || kind == typeP2P) {
			points = append(points, append([]byte(nil), index...))
		}
	})
	if err != nil {
		return 0, fmt.Errorf("list the Wi-Fi interfaces: %w", err)
	}
	if len(points) == 0 {
		return 0, errNoAP
	}
	seen := map[[6]byte]struct{}{}
	for _, p := range points {
		err := r.ask(family, wifiGetStation, nlRequest|nlDump, attribute(wifiIndex, p), func(attrs []byte) {
			each(attrs, func(k uint16, value []byte) {
				if k == wifiAddress && len(value) == 6 {
					seen[[6]byte(value)] = struct{}{}
				}
			})
		})
		if err != nil {
			return 0, fmt.Errorf("list the stations of an access point: %w", err)
		}
	}
	return int64(len(seen)), nil
}

// request is a conversation with the kernel.
type request struct {
	n   netlink
	buf []byte
	seq uint32
}

// ask sends one message and calls take with the attributes of each that answers it.
func (r *request) ask(family uint16, command uint8, flags uint16, attrs []byte, take func(attrs []byte)) error {
	r.seq++
	e := binary.NativeEndian
	m := e.AppendUint32(nil, uint32(nlHeader+genlHeader+len(attrs)))
	m = e.AppendUint16(m, family)
	m = e.AppendUint16(m, flags)
	m = e.AppendUint32(m, r.seq)
	m = e.AppendUint32(m, 0)
	m = append(m, command, 1, 0, 0)
	if err := r.n.send(append(m, attrs...)); err != nil {
		return err
	}
	for {
		n, err := r.n.receive(r.buf)
		if err != nil {
			return err
		}
		if done, err := r.answers(r.buf[:n], take); done || err != nil {
			return err
		}
	}
}

// answers goes through the messages of one datagram; done when the last one has come.
func (r *request) answers(b []byte, take func(attrs []byte)) (done bool, err error) {
	e := binary.NativeEndian
	if len(b) < nlHeader {
		return true, errMessage
	}
	for len(b) >= nlHeader {
		size := int(e.Uint32(b))
		if size < nlHeader || size > len(b) {
			return true, errMessage
		}
		kind, flags, seq, body := e.Uint16(b[4:]), e.Uint16(b[6:]), e.Uint32(b[8:]), b[nlHeader:size]
		b = b[min(align(size), len(b)):]
		switch {
		case seq != r.seq: // the end of an earlier conversation that broke off
		case kind == nlDone:
			return true, nil
		case kind == nlError:
			if len(body) < 4 {
				return true, errMessage
			}
			if code := int32(e.Uint32(body)); code != 0 {
				return true, syscall.Errno(-code)
			}
			return true, nil
		case len(body) < genlHeader:
			return true, errMessage
		default:
			take(body[genlHeader:])
			done = flags&nlMulti == 0
		}
	}
	return done, nil
}

func align(n int) int { return (n + 3) &^ 3 }

func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// each goes through attributes, up to the first that is cut short.
func each(b []byte, take func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return
		}
		take(binary.NativeEndian.Uint16(b[2:])&0x3fff, b[4:size])
		b = b[min(align(size), len(b)):]
	}
}
