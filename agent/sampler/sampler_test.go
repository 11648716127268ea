package sampler

import (
	"math"
	"net"
	"testing"
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
	if len(got) != 1 || got[0].RxBytes < 100_000 || !got[0].WAN || got[0].WANRx != got[0].RxBytes {
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
