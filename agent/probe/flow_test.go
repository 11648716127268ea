package probe

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
)

const devText = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
eth0.2: 7123456    5100    0   12    0     0          0        33   654321    4100    0    0    0     0       0          0
 wwan0:123 45 0 0 0 0 0 0 6 78 0 0 0 0 0 0
damaged: 1 2
`

func TestTheKernelsCountersAreRead(t *testing.T) {
	for name, want := range map[string]Counters{"eth0.2": {7123456, 5100, 4100}, "wwan0": {123, 45, 78}, "lo": {100, 1, 1}} {
		if c, ok := parseCounters([]byte(devText), name); !ok || c != want {
			t.Errorf("%s: %+v, %v; want %+v", name, c, ok, want)
		}
	}
	for _, name := range []string{"", "eth0", "damaged", "face |bytes    packets errs drop fifo frame compressed multicast|bytes"} {
		if c, ok := parseCounters([]byte(devText), name); ok {
			t.Errorf("%q: read %+v", name, c)
		}
	}
}

func TestAFlowIsProvedFromTheReadingBeforeIt(t *testing.T) {
	start := time.Now()
	f := flow{}
	var c Counters
	for _, tt := range []struct {
		name        string
		at          int // seconds
		rx, in, out uint64
		from        int // of the proof; -1: none
		mood        mood
	}{
		{"the first reading proves nothing", 0, 0, 0, 0, -1, unknown},
		{"a page", 3, 60_000, 60, 40, 0, moving},
		{"a flow that goes on may be thin", 6, 4_000, 8, 8, 3, moving},
		{"noise", 9, 600, 10, 2, -1, quiet},
		{"only out", 12, 60, 1, 12, -1, oneWay},
		{"a thin flow begins", 15, 9_000, 12, 12, -1, quiet},
		{"and adds up", 18, 9_000, 12, 12, 6, moving},
		{"and goes on", 21, 6_000, 12, 12, 18, moving},
		{"an hour of sleep, with noise", 3621, 900_000, 9_000, 9_000, -1, quiet},
	} {
		c = Counters{c.RxBytes + tt.rx, c.RxPackets + tt.in, c.TxPackets + tt.out}
		now := start.Add(time.Duration(tt.at) * time.Second)
		pr, m := f.read(now, "wan", c)
		if m != tt.mood || pr.to.IsZero() != (tt.from < 0) || tt.from >= 0 && (pr.to != now || pr.from != start.Add(time.Duration(tt.from)*time.Second)) {
			t.Errorf("%s: mood %d, proof %v … %v", tt.name, m, pr.from.Sub(start), pr.to.Sub(start))
		}
	}
	if pr, m := f.read(start.Add(2*time.Hour), "lte", Counters{RxBytes: 1 << 40, RxPackets: 1 << 30}); m != unknown || !pr.to.IsZero() {
		t.Error("the counters of another interface are held against those of the one before")
	}
	if pr, m := f.read(start.Add(3*time.Hour), "lte", Counters{RxBytes: 1 << 20}); m != unknown || !pr.to.IsZero() {
		t.Error("counters that begin anew are held against those before")
	}
}

func TestExtraProbesOfAQuietNightAreThereInTheEvening(t *testing.T) {
	now := time.Now()
	e := newExtra(12, now)
	spend := func(share float64) (n int) {
		for e.take(1, share, now) {
			n++
		}
		return n
	}
	if n := spend(forLull); n != 12*24*3/4 {
		t.Errorf("%d for lulls at once", n)
	}
	if n := spend(forOneWay); n != 12*24/4 {
		t.Errorf("%d more for a link in doubt", n)
	}
	now = now.Add(90 * time.Minute)
	if n := spend(forOneWay); n != 18 {
		t.Errorf("%d after an hour and a half", n)
	}
	now = now.Add(90 * 24 * time.Hour)
	if n := spend(forOneWay); n != 12*24 {
		t.Errorf("%d after three months", n)
	}
	if e := newExtra(0, now); e.take(1, forOneWay, now) {
		t.Error("spent where nothing may be")
	}
}

func TestANeighbourIsThereWhileTheKernelHasItsAddress(t *testing.T) {
	const text = "IP address       HW type     Flags       HW address            Mask     Device\n" +
		"10.77.0.1        0x1         0x2         0a:00:00:00:00:01     *        wan\n" +
		"10.77.0.3        0x1         0x0         00:00:00:00:00:00     *        wan\n" +
		"10.77.0.4        0x1         0x6         0a:00:00:00:00:04     *        wan\ndamaged\n"
	for addr, want := range map[string]ledger.Answer{"10.77.0.1": ledger.Answered, "10.77.0.3": ledger.Silent, "10.77.0.4": ledger.Answered, "10.77.0.9": ledger.Silent} {
		if got := parseNeighbour([]byte(text), addr); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if got := Neighbour(t.TempDir(), gateway); got != ledger.NotAsked {
		t.Errorf("without a table: %v", got)
	}
}

func FuzzTables(f *testing.F) {
	f.Add([]byte(devText), "eth0.2")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		if c, ok := parseCounters(text, name); !ok && c.RxPackets != 0 && len(text) == 0 {
			t.Errorf("%+v", c)
		}
		if a := parseNeighbour(text, name); a != ledger.Answered && a != ledger.Silent {
			t.Errorf("neighbour %v", a)
		}
	})
}
