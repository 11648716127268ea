package probe

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Counters is what an interface has received and sent since it came up.
type Counters struct {
	RxBytes, RxPackets, TxPackets uint64
}

// ReadCounters reads the counters of one interface out of the file dev in dir, which is /proc/net. It is false when there is no such
// interface, or the platform has no such file.
func ReadCounters(dir, iface string) (c Counters, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, "dev"))
	if err != nil {
		return c, false
	}
	return parseCounters(text, iface)
}

// parseCounters reads lines of an interface's name, a colon, eight numbers of what was received and eight of what was sent.
func parseCounters(text []byte, iface string) (c Counters, ok bool) {
	for line := range bytes.Lines(text) {
		name, numbers, found := bytes.Cut(line, []byte{':'})
		if !found || string(bytes.TrimSpace(name)) != iface {
			continue
		}
		f := bytes.Fields(numbers)
		if len(f) < 10 {
			return c, false
		}
		var err [3]error
		c.RxBytes, err[0] = strconv.ParseUint(string(f[0]), 10, 64)
		c.RxPackets, err[1] = strconv.ParseUint(string(f[1]), 10, 64)
		c.TxPackets, err[2] = strconv.ParseUint(string(f[9]), 10, 64)
		return c, err == [3]error{}
	}
	return c, false
}

// Bounds of link-local noise. On a WAN port whose link beyond is dead there is still ARP, DHCP, router
// advertisements, the modem's own chatter and an ICMP error for what villagers send: small packets, well below 1 KiB/s
// of them in the mean. Whatever carries content has larger ones.
const (
	movedBytes      = 16 << 10 // at least this much at all
	movedPerSecond  = 1 << 10  // and this much a second
	movedPacketSize = 200      // and this mean packet size, in bytes
)

// Moved tells whether bytes and packets received on the WAN interface within elapsed are more than link-local noise.
func Moved(rxBytes, rxPackets uint64, elapsed time.Duration) bool {
	return rxBytes >= movedBytes && moves(rxBytes, rxPackets, elapsed)
}

// moves is the same without the least amount, for a flow that goes on.
func moves(rxBytes, rxPackets uint64, elapsed time.Duration) bool {
	return rxPackets > 0 && float64(rxBytes) >= movedPerSecond*elapsed.Seconds() && rxBytes/rxPackets >= movedPacketSize
}

// readEvery is the gap between two readings of the counters. They cost no byte. A link in use that is cut between two readings is
// silent at the second one after: so the cut is known to lie within twice this gap and the time that one question takes.
const readEvery = 3 * time.Second

// gatherFor is how long a slow flow may take to add up to more than noise.
const gatherFor = 20 * time.Second

// proof says that the link worked at some moment not before from and not after to.
type proof struct{ from, to time.Time }

// mood is what the last reading says of the traffic.
type mood uint8

const (
	unknown mood = iota
	moving       // content comes in
	oneWay       // packets go out, and nothing or next to nothing comes back
	quiet        // neither
)

// flow follows the counters of the WAN interface.
type flow struct {
	iface      string
	base, last reading // the flow is weighed since base
	flowing    bool
}

type reading struct {
	at time.Time
	Counters
}

// oneWayPackets is how many packets must have gone out for silence to be an answer.
const oneWayPackets = 3

// read takes one reading. The proof is zero unless content came in.
func (f *flow) read(now time.Time, iface string, c Counters) (proof, mood) {
	r := reading{now, c}
	before := f.last
	if iface != f.iface || before.at.IsZero() || c.RxBytes < before.RxBytes || c.RxPackets < before.RxPackets || c.TxPackets < before.TxPackets {
		*f = flow{iface: iface, base: r, last: r} // another interface, or one that was taken out and put in again
		return proof{}, unknown
	}
	f.last = r
	rx, packets, tx := c.RxBytes-before.RxBytes, c.RxPackets-before.RxPackets, c.TxPackets-before.TxPackets
	since := reading{f.base.at, Counters{c.RxBytes - f.base.RxBytes, c.RxPackets - f.base.RxPackets, 0}}
	switch goesOn := moves(rx, packets, now.Sub(before.at)); {
	case f.flowing && goesOn:
		f.base = r
		return proof{before.at, now}, moving
	case Moved(since.RxBytes, since.RxPackets, now.Sub(since.at)):
		f.flowing, f.base = goesOn, r
		return proof{since.at, now}, moving
	case now.Sub(since.at) >= gatherFor:
		f.base = r
	}
	f.flowing = false
	if tx >= oneWayPackets && packets*oneWayPackets < tx {
		return proof{}, oneWay
	}
	return proof{}, quiet
}

// forget makes the next proof begin after now: what has come in before proves nothing about the time to come.
func (f *flow) forget() { f.base, f.flowing = f.last, false }
