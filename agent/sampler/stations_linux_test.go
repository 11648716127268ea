package sampler

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/testneed"
)

// The kernel's own family of generic netlink is there on every machine: it answers as nl80211 does.
func TestTheKernelAnswersOverNetlink(t *testing.T) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		testneed.Missing(t, "generic netlink", err.Error())
	}
	defer unix.Close(fd)
	r := request{n: kernel(fd), buf: make([]byte, 16<<10)}
	for _, flags := range []uint16{nlRequest, nlRequest | nlDump} {
		found := false
		attrs := attribute(genlFamilyName, []byte("nlctrl\x00"))
		if flags != nlRequest {
			attrs = nil
		}
		err = r.ask(genlControl, genlGetFamily, flags, attrs, func(attrs []byte) {
			each(attrs, func(kind uint16, value []byte) {
				found = found || kind == genlFamilyName && string(value) == "nlctrl\x00"
			})
		})
		if err != nil || !found {
			t.Errorf("flags %#x: found %v, %v", flags, found, err)
		}
	}
	if n, err := Stations(); err == nil {
		t.Logf("%d stations here", n)
	} else {
		t.Logf("not known here: %v", err)
	}
}
