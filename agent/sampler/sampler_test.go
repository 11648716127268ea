package sampler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

func TestCountersThatGoBackHaveWrappedOrWereReset(t *testing.T) {
	const top32, top64 = math.MaxUint32, uint64(math.MaxUint64)
	for _, tt := range []struct {
		name        string
		before, now counters
		want        counters
	}{
		{"onward", counters{100, 10, 5, 1, 1, 1}, counters{1100, 30, 15, 3, 4, 1}, counters{1000, 20, 10, 2, 3, 0}},
		{"32-bit bytes wrap", counters{rxBytes: top32 - 99, rxPackets: 5}, counters{rxBytes: 900, rxPackets: 7}, counters{rxBytes: 1000, rxPackets: 2}},
		{"64-bit bytes wrap", counters{rxBytes: top64 - 99, rxPackets: 5}, counters{rxBytes: 900, rxPackets: 7}, counters{rxBytes: 1000, rxPackets: 2}},
		{"32-bit packets wrap", counters{txBytes: 1 << 40, txPackets: top32}, counters{txBytes: 1<<40 + 5000, txPackets: 4}, counters{txBytes: 5000, txPackets: 5}},
		{"reset", counters{1 << 30, 1 << 20, 9999, 999, 7, 7}, counters{500, 60, 5, 1, 0, 0}, counters{500, 60, 5, 1, 0, 0}},
		{"reset, more small packets since than large ones before", counters{rxBytes: 6000, rxPackets: 4, txBytes: 1}, counters{rxBytes: 500, rxPackets: 5, txBytes: 9}, counters{rxBytes: 500, rxPackets: 5, txBytes: 9}},
		{"reset, sending has overtaken already", counters{rxBytes: 1 << 30, rxPackets: 9999, txBytes: 10, txPackets: 1}, counters{rxBytes: 50, rxPackets: 1, txBytes: 40, txPackets: 2}, counters{rxBytes: 50, rxPackets: 1, txBytes: 40, txPackets: 2}},
		{"reset to nothing", counters{rxBytes: 1 << 40, rxPackets: 9999}, counters{}, counters{}},
	} {
		if got := tt.now.since(tt.before); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// An interface with a counter of 32 or 64 bits carries packets; the sampler reads it now and then.
func TestNoByteIsMadeUpAndNoneLostButInAReset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mask := rapid.SampledFrom([]uint64{math.MaxUint32, math.MaxUint64}).Draw(t, "width")
		var truth, hidden, sum counters // hidden: passed after a reading and lost to a reset
		shown := counters{rxBytes: rapid.Uint64().Draw(t, "start") & mask, rxPackets: rapid.Uint64().Draw(t, "packets") & mask}
		last := shown
		var unread counters
		t.Repeat(map[string]func(*rapid.T){
			"traffic": func(*rapid.T) {
				n := rapid.Uint64Range(0, 2_000_000).Draw(t, "packets")
				size := rapid.Uint64Range(40, 1500).Draw(t, "size")
				shown.rxPackets, shown.rxBytes = (shown.rxPackets+n)&mask, (shown.rxBytes+n*size)&mask
				unread.add(counters{rxPackets: n, rxBytes: n * size})
				truth.add(counters{rxPackets: n, rxBytes: n * size})
				if unread.rxBytes > math.MaxUint32/2 { // read in time: twice round the counter nobody can see
					sum.add(shown.since(last))
					last, unread = shown, counters{}
				}
			},
			"read": func(*rapid.T) {
				sum.add(shown.since(last))
				last, unread = shown, counters{}
			},
			"reset": func(*rapid.T) {
				// The reboot is seen by its zeros: it takes longer than a reading, and the interface says nothing at once.
				shown = counters{}
				hidden.add(unread)
				sum.add(shown.since(last))
				last, unread = shown, counters{}
			},
		})
		sum.add(shown.since(last))
		if sum.rxBytes+hidden.rxBytes != truth.rxBytes || sum.rxPackets+hidden.rxPackets != truth.rxPackets {
			t.Fatalf("summed %+v, lost to resets %+v, truly %+v", sum, hidden, truth)
		}
	})
}

func TestAnInterfaceMayComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now map[string]counters
		s := NewInterfaces([]string{"wan", "usb0"}, func() string { return "wan" })
		s.read = func(context.Context) (map[string]counters, error) { return now, nil }
		read := func(m map[string]counters) Flow {
			t.Helper()
			now = m
			f, err := s.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			return f
		}
		take := func(want string) {
			t.Helper()
			got := ""
			for _, i := range s.Take() {
				got += fmt.Sprintf("%s %v rx %d tx %d peak %d/%d; ", i.Interface, i.To.Sub(i.From), i.RxBytes, i.TxBytes, i.RxPeak, i.TxPeak)
			}
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		}
		if f := read(map[string]counters{"wan": {1000, 100, 1, 1, 0, 0}, "lo": {9, 9, 9, 9, 0, 0}}); f.Elapsed != 0 {
			t.Errorf("a first reading has no flow: %+v", f)
		}
		take("")
		f := read(map[string]counters{"wan": {2000, 300, 11, 3, 0, 0}, "usb0": {70, 7, 2, 1, 0, 0}, "lo": {19, 19, 19, 19, 0, 0}})
		if f.Elapsed != 10*time.Second || f.RxBytes != 1000 || f.RxPackets != 10 || f.TxBytes != 200 {
			t.Errorf("flow %+v", f)
		}
		read(map[string]counters{"wan": {2500, 300, 12, 3, 0, 0}})
		take("usb0 20s rx 70 tx 7 peak 0/0; wan 20s rx 1500 tx 200 peak 800/160; ")
		read(map[string]counters{"wan": {2500, 300, 12, 3, 0, 0}, "usb0": {90, 9, 3, 2, 0, 0}})
		take("usb0 10s rx 90 tx 9 peak 0/0; wan 10s rx 0 tx 0 peak 0/0; ")
		take("")
	})
}

func TestAFailedReadingLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := uint64(0)
		s := NewInterfaces([]string{"wan"}, func() string { return "wan" })
		broken := errors.New("proc is gone")
		s.read = func(context.Context) (map[string]counters, error) {
			if n++; n%2 == 0 {
				return nil, broken
			}
			return map[string]counters{"wan": {n * 1000, n, n, n, 0, 0}}, nil
		}
		for i := range 7 {
			if _, err := s.Read(t.Context()); (err != nil) != (i%2 == 1) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got := s.Take(); len(got) != 1 || got[0].RxBytes != 6000 {
			t.Errorf("%+v", got)
		}
	})
}

func TestVirtualInterfacesAreLeftOutUnlessTheyAreTheWAN(t *testing.T) {
	s := NewInterfaces(nil, nil)
	s.sysNet = t.TempDir()
	if err := os.MkdirAll(filepath.Join(s.sysNet, "eth0", "device"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.lastWAN = "ppp0"
	for name, want := range map[string]bool{"eth0": true, "ppp0": true, "lo": false, "br-lan": false, "docker0": false} {
		if s.follow(name) != want {
			t.Errorf("follow %s: %v", name, !want)
		}
	}
	s.sysNet += "/none"
	s.real = map[string]bool{}
	for name, want := range map[string]bool{"en0": true, "lo0": false, "veth12": false} {
		if s.follow(name) != want {
			t.Errorf("by name alone, follow %s: %v", name, !want)
		}
	}
}

func TestThisMachineIsRead(t *testing.T) {
	s := NewInterfaces([]string{loopback(t)}, func() string { return loopback(t) })
	if _, err := s.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	talk(t)
	f, err := s.Read(t.Context())
	if err != nil || f.RxBytes < 100_000 || f.RxPackets == 0 {
		t.Errorf("flow %+v, %v", f, err)
	}
	got := s.Take()
	if len(got) != 1 || got[0].RxBytes < 100_000 || !got[0].WAN || got[0].RxPeak == 0 {
		t.Fatalf("%+v", got)
	}
	h := NewHost(t.TempDir())
	h.Read(t.Context())
	state := h.Read(t.Context())
	for _, l := range []*telemetry.Line{got[0].Line(time.Now()), state.Line(time.Now())} {
		text, _ := l.Append(nil)
		if _, err := telemetry.Check(l); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		t.Logf("%s", text)
	}
	if !(state.MemPct > 0) || !(state.DiskPct > 0) || state.UptimeSec <= 0 {
		t.Errorf("state %+v", state)
	}
}

func TestWhatThePlatformLacksIsLeftOut(t *testing.T) {
	n := math.NaN()
	if l := (State{n, n, n, n, n, -1}).Line(time.Now()); l != nil {
		t.Errorf("a line of nothing: %+v", l)
	}
	b, _ := (State{n, 5, n, 0, n, -1}).Line(time.UnixMilli(1763900000000)).Append(nil)
	if want := "host mem_pct=5,load1=0 1763900000000\n"; string(b) != want {
		t.Errorf("got %q want %q", b, want)
	}
}

func loopback(t *testing.T) string {
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Fatal("no loopback interface")
	return ""
}

// talk sends a little over 100 kB through the loopback interface.
func talk(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("udp", l.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 110 {
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
}
