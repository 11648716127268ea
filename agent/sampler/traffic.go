package sampler

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/net"

	"github.com/smartvillage/nabz/telemetry"
)

// Traffic is what passed one interface between two moments.
type Traffic struct {
	Interface        string
	WAN              bool // the interface of the default route
	From, To         time.Time
	RxBytes, TxBytes int64
	Errs, Drops      int64
	RxPeak, TxPeak   int64 // bit/s, the highest mean between two readings; WAN only
	PeakKnown        bool
}

// Line is the traffic line; at is the wall time of To.
func (t Traffic) Line(at time.Time) *telemetry.Line {
	l := telemetry.NewLine("traffic", at).Tag("iface", t.Interface).Int("rx_bytes", t.RxBytes).Int("tx_bytes", t.TxBytes)
	if t.PeakKnown {
		l.Int("rx_peak_bps", t.RxPeak).Int("tx_peak_bps", t.TxPeak)
	}
	return l.Int("errs", t.Errs).Int("drops", t.Drops)
}

// Flow is what the WAN interface received and sent between two readings.
type Flow struct {
	At                 time.Time
	Elapsed            time.Duration
	RxBytes, RxPackets uint64
	TxBytes            uint64
}

// iface is one interface that is followed.
type iface struct {
	last    counters
	present bool
	sum     counters
	from    time.Time // start of what sum holds; zero: nothing yet
	rxPeak  int64
	txPeak  int64
	peaks   bool
}

// Interfaces follows the counters. One goroutine uses it.
type Interfaces struct {
	wanted  []string // a configured list, or nil: all that are real
	wan     func() string
	sysNet  string // /sys/class/net
	read    func(context.Context) (map[string]counters, error)
	known   map[string]*iface
	real    map[string]bool
	last    time.Time
	lastWAN string
}

// NewInterfaces follows the interfaces in list; with none, all but loopback and virtual ones. Wan tells the
// interface of the default route, "" when there is none; it is always followed unless there is a list.
func NewInterfaces(list []string, wan func() string) *Interfaces {
	return &Interfaces{wanted: list, wan: wan, sysNet: "/sys/class/net", read: readCounters, known: map[string]*iface{}, real: map[string]bool{}}
}

func readCounters(ctx context.Context) (map[string]counters, error) {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("read interface counters: %w", err)
	}
	m := make(map[string]counters, len(all))
	for _, c := range all {
		m[c.Name] = counters{c.BytesRecv, c.BytesSent, c.PacketsRecv, c.PacketsSent, c.Errin + c.Errout, c.Dropin + c.Dropout}
	}
	return m, nil
}

// Read takes the counters once; call it every ten seconds. The flow is that of the WAN interface since the
// reading before; its Elapsed is 0 when there is none to compare with.
func (s *Interfaces) Read(ctx context.Context) (Flow, error) {
	all, err := s.read(ctx)
	if err != nil {
		return Flow{}, err
	}
	now, first := time.Now(), s.last.IsZero()
	wan := s.wan()
	flow := Flow{At: now}
	for name, c := range all {
		i := s.known[name]
		switch {
		case i == nil && first:
			s.known[name] = &iface{last: c, present: true, from: now}
			continue
		case i == nil: // it came up since the last reading, so it has counted from zero
			i = &iface{from: s.last}
			s.known[name] = i
		case !i.present:
			i.last = counters{}
		}
		passed := c.since(i.last)
		i.sum.add(passed)
		i.last, i.present = c, true
		if name != wan || wan != s.lastWAN {
			continue
		}
		if elapsed := now.Sub(s.last); elapsed > 0 {
			flow = Flow{At: now, Elapsed: elapsed, RxBytes: passed.rxBytes, RxPackets: passed.rxPackets, TxBytes: passed.txBytes}
			i.rxPeak, i.txPeak, i.peaks = max(i.rxPeak, rate(passed.rxBytes, elapsed)), max(i.txPeak, rate(passed.txBytes, elapsed)), true
		}
	}
	for name, i := range s.known {
		if _, there := all[name]; !there {
			i.present = false
		}
	}
	s.last, s.lastWAN = now, wan
	return flow, nil
}

func rate(bytes uint64, d time.Duration) int64 { return int64(float64(bytes) * 8 / d.Seconds()) }

// Take returns what has passed each interface since the last Take, up to the last Read, in order of name. Interfaces
// that were away all the time are left out.
func (s *Interfaces) Take() (out []Traffic) {
	for name, i := range s.known {
		if !i.from.Before(s.last) {
			continue
		}
		if s.follow(name) && (i.present || i.sum != counters{}) {
			out = append(out, Traffic{Interface: name, WAN: name == s.lastWAN, From: i.from, To: s.last,
				RxBytes: int64(i.sum.rxBytes), TxBytes: int64(i.sum.txBytes), Errs: int64(i.sum.errs), Drops: int64(i.sum.drops),
				RxPeak: i.rxPeak, TxPeak: i.txPeak, PeakKnown: i.peaks})
		}
		*i = iface{last: i.last, present: i.present, from: s.last}
		if !i.present {
			delete(s.known, name) // should it come back, it is new
		}
	}
	slices.SortFunc(out, func(a, b Traffic) int { return strings.Compare(a.Interface, b.Interface) })
	return out
}

func (s *Interfaces) follow(name string) bool {
	if len(s.wanted) > 0 {
		return slices.Contains(s.wanted, name)
	}
	if name == s.lastWAN {
		return true
	}
	is, known := s.real[name]
	if !known {
		is = s.isReal(name)
		s.real[name] = is
	}
	return is
}

// isReal tells interfaces with a device behind them from loopback, bridges, tunnels and containers.
func (s *Interfaces) isReal(name string) bool {
	if _, err := os.Stat(s.sysNet); err == nil {
		_, err := os.Stat(s.sysNet + "/" + name + "/device")
		return err == nil
	}
	for _, virtual := range []string{"lo", "docker", "veth", "br-", "virbr", "tun", "tap", "ifb", "dummy", "utun", "gif", "stf", "bridge"} {
		if strings.HasPrefix(name, virtual) {
			return false
		}
	}
	return true
}
