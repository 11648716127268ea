package sampler

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Traffic is what passed one interface between two moments.
type Traffic struct {
	Interface        string
	WAN              bool // it was the interface of the default route, at least for a while
	From, To         time.Time
	RxBytes, TxBytes int64
	WANRx, WANTx     int64 // the part of these bytes that passed while it was
	Errs, Drops      int64
	RxPeak, TxPeak   int64 // bit/s, the highest mean of ten seconds while it was the WAN
	PeakKnown        bool
}

// Line is the traffic line; at is the wall time of To.
func (t Traffic) Line(at time.Time) *telemetry.Line {
	l := telemetry.NewLine("traffic", at).Tag("iface", shownName(t.Interface)).Int("rx_bytes", t.RxBytes).Int("tx_bytes", t.TxBytes)
	if t.PeakKnown {
		l.Int("rx_peak_bps", t.RxPeak).Int("tx_peak_bps", t.TxPeak)
	}
	return l.Int("errs", t.Errs).Int("drops", t.Drops)
}

// Flow is what the WAN interface received and sent between two readings.
type Flow struct {
	Interface          string
	At                 time.Time
	Elapsed            time.Duration
	RxBytes, RxPackets uint64
	TxBytes            uint64
}

// peakOver is the shortest time whose mean rate counts as a peak: ten seconds, less what a timer may come early. A
// reading that follows another at once, for a report, would else make a peak of a single packet.
const peakOver = 9500 * time.Millisecond

// iface is one interface.
type iface struct {
	device int // the kernel's number of the device, which a rename does not change; 0: not told
	last   counters
	here   bool // at the last reading

	from         time.Time // start of what follows
	sum          counters
	wan          bool
	wanRx, wanTx uint64

	window         time.Time // start of the ten seconds that are under way; zero: none
	windowRx       uint64
	windowTx       uint64
	rxPeak, txPeak int64
	peaks          bool
}

// Interfaces follows the counters. One goroutine uses it.
type Interfaces struct {
	wanted  []string
	wan     func() string
	read    func(context.Context) (map[string]counters, error)
	device  func(name string) int
	known   map[string]*iface
	newest  int // the highest device number that was ever seen
	last    time.Time
	lastWAN string
}

// NewInterfaces follows the interface of the default route, which wan tells ("": there is none), wherever it moves, and
// those of the list beside it.
func NewInterfaces(list []string, wan func() string) *Interfaces {
	return &Interfaces{wanted: list, wan: wan, read: readCounters, device: deviceNumber, known: map[string]*iface{}}
}

// Read takes the counters once; call it every ten seconds. The flow is that of the WAN interface since the
// reading before; its Elapsed is 0 when there is none to compare with.
func (s *Interfaces) Read(ctx context.Context) (Flow, error) {
	all, err := s.read(ctx)
	if err != nil {
		return Flow{}, err
	}
	now, wan := time.Now(), s.wan()
	flow := Flow{At: now}
	before, newest, told := s.devices(), s.newest, map[int]string{}
	for name, c := range all {
		i, passed := s.passed(name, c, now, before, newest, told)
		i.sum.add(passed)
		i.last, i.here = c, true
		if name == wan || name == s.lastWAN { // the default route stood here at one end of this time, or at both
			i.wan = true
			i.wanRx += passed.rxBytes
			i.wanTx += passed.txBytes
		}
		if name != wan || wan != s.lastWAN || s.last.IsZero() {
			i.window, i.windowRx, i.windowTx = time.Time{}, 0, 0
			if name == wan {
				i.window = now
			}
			continue
		}
		if elapsed := now.Sub(s.last); elapsed > 0 {
			flow = Flow{Interface: name, At: now, Elapsed: elapsed, RxBytes: passed.rxBytes, RxPackets: passed.rxPackets, TxBytes: passed.txBytes}
		}
		i.peak(now, passed)
	}
	for name, i := range s.known {
		if _, here := all[name]; !here {
			i.here, i.window = false, time.Time{}
		}
		if owner, ok := told[i.device]; ok && owner != name {
			i.device = 0 // it goes by another name now
		}
	}
	s.last, s.lastWAN = now, wan
	return flow, nil
}

// devices finds the interfaces of the last reading by their number.
func (s *Interfaces) devices() map[int]counters {
	m := make(map[int]counters, len(s.known))
	for _, i := range s.known {
		if i.device != 0 {
			m[i.device] = i.last
		}
	}
	return m
}

// passed is what an interface has counted since the last reading. Names come and go and are given anew: what tells a
// device is its number, which the kernel gives in rising order and never twice. Where it is not told, the name has to do. Of
// interfaces that nobody asked for it is asked only when they are new or count anew: it costs as much as all counters together.
func (s *Interfaces) passed(name string, c counters, now time.Time, before map[int]counters, newest int, told map[int]string) (*iface, counters) {
	i := s.known[name]
	number := 0
	if i == nil || !i.here || name == s.lastWAN || slices.Contains(s.wanted, name) || c.rxBytes < i.last.rxBytes || c.txBytes < i.last.txBytes {
		if number = s.device(name); number != 0 {
			s.newest = max(s.newest, number)
			told[number] = name
		}
	} else {
		number = i.device
	}
	stayed := i != nil && (number == i.device || number == 0 || i.device == 0)
	if i == nil {
		i = &iface{from: s.last}
		if s.last.IsZero() {
			i.from = now
		}
		s.known[name] = i
	}
	sameNumber := number != 0 && number == i.device
	i.device = number
	if stayed && (i.here || sameNumber) { // or it was away, in another network namespace, and counted on
		return i, c.since(i.last)
	}
	last, renamed := before[number]
	switch {
	case s.last.IsZero():
		return i, counters{}
	case renamed && number != 0:
		return i, c.since(last)
	case number > newest || number == 0: // it came up since the last reading, so it has counted from zero
		return i, c
	}
	return i, counters{} // it was moved here from elsewhere, with counts of its own
}

func (i *iface) peak(now time.Time, passed counters) {
	if i.window.IsZero() {
		i.window = now
		return
	}
	i.windowRx += passed.rxBytes
	i.windowTx += passed.txBytes
	if elapsed := now.Sub(i.window); elapsed >= peakOver {
		i.rxPeak, i.txPeak, i.peaks = max(i.rxPeak, rate(i.windowRx, elapsed)), max(i.txPeak, rate(i.windowTx, elapsed)), true
		i.window, i.windowRx, i.windowTx = now, 0, 0
	}
}

func rate(bytes uint64, d time.Duration) int64 { return int64(float64(bytes) * 8 / d.Seconds()) }

// Take returns what has passed each interface since the last Take, up to the last Read, in order of name. Interfaces
// that were away all the time are left out.
func (s *Interfaces) Take() (out []Traffic) {
	for _, name := range slices.Sorted(maps.Keys(s.known)) {
		i := s.known[name]
		if !i.from.Before(s.last) {
			continue
		}
		if (i.wan || slices.Contains(s.wanted, name)) && (i.here || i.sum != counters{}) {
			out = append(out, Traffic{Interface: name, WAN: i.wan, From: i.from, To: s.last,
				RxBytes: int64(i.sum.rxBytes), TxBytes: int64(i.sum.txBytes), WANRx: int64(i.wanRx), WANTx: int64(i.wanTx),
				Errs: int64(i.sum.errs), Drops: int64(i.sum.drops), RxPeak: i.rxPeak, TxPeak: i.txPeak, PeakKnown: i.peaks})
		}
		if !i.here {
			delete(s.known, name) // should it come back, its number tells whether it is new
			continue
		}
		*i = iface{device: i.device, last: i.last, here: true, from: s.last, window: i.window, windowRx: i.windowRx, windowTx: i.windowTx}
	}
	return out
}
