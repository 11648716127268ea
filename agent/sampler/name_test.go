package sampler

import (
	"strings"
	"testing"
	"time"
)

func TestNoHardwareAddressIsToldInTheNameOfAnInterface(t *testing.T) {
	for _, name := range []string{"enx001122aabbcc", "wlx001122aabbcc", "wwx001122aabbcc"} {
		text, err := Traffic{Interface: name}.Line(time.Unix(1795000000, 0)).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		if strings.Contains(got, "1122aabbcc") || !strings.Contains(got, "iface="+name[:3]+"-") {
			t.Errorf("%s is told as %s", name, got)
		}
	}
	for _, name := range []string{"eth0", "wan", "br-lan", "ppp0", "wwan0", "enp0s31f6", "enx001122aabbc", "x001122aabbccg", "001122aabbcc"} {
		if got := shownName(name); got != name {
			t.Errorf("%s is told as %s", name, got)
		}
	}
	if a, b := shownName("enx001122aabbcc"), shownName("enx001122aabbcd"); a == b {
		t.Errorf("two sticks are both told as %s", a)
	}
}
