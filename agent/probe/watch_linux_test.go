package probe

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"
)

func message(kind uint16, body []byte) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, 64)
	binary.NativeEndian.PutUint32(b, uint32(len(b)+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	return append(b, body...)
}

func linkMessage(kind uint16, index int32, flags uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	return message(kind, b)
}

func TestOnlyWhatMattersIsTold(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
	route := func(bits byte) []byte {
		b := make([]byte, unix.SizeofRtMsg)
		b[1] = bits
		return message(unix.RTM_NEWROUTE, b)
	}
	bridge := linkMessage(unix.RTM_NEWLINK, 9, up)
	bridge[unix.SizeofNlMsghdr] = unix.AF_BRIDGE
	links := map[int32]uint32{}
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"an interface is seen first", linkMessage(unix.RTM_NEWLINK, 3, up), true},
		{"nothing that matters has changed", linkMessage(unix.RTM_NEWLINK, 3, up|unix.IFF_PROMISC), false},
		{"the carrier is lost", linkMessage(unix.RTM_NEWLINK, 3, unix.IFF_UP), true},
		{"a port of a bridge", bridge, false},
		{"an interface is gone", linkMessage(unix.RTM_DELLINK, 3, 0), true},
		{"a default route", route(0), true},
		{"a route to somewhere", route(24), false},
		{"two in one, the second matters", append(route(24), linkMessage(unix.RTM_NEWLINK, 3, up)...), true},
		{"cut off", route(24)[:unix.SizeofNlMsghdr+3], true},
		{"nothing", nil, false},
	} {
		if got := news(tt.b, links); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestAWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told := Watch(ctx, slog.New(slog.DiscardHandler))
	cancel()
	for range told { // goleak says the rest
	}
}

func FuzzNews(f *testing.F) {
	f.Add(linkMessage(unix.RTM_NEWLINK, 3, unix.IFF_UP))
	f.Add(message(unix.RTM_NEWROUTE, make([]byte, unix.SizeofRtMsg)))
	f.Fuzz(func(t *testing.T, b []byte) {
		links := map[int32]uint32{}
		if !news(b, links) && len(links) > 0 {
			t.Error("a link was noted and not told")
		}
	})
}
