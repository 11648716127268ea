package ledger

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Hours sums up UTC hours. An hour's line is closed by the first Cover after its end, so what belongs to an hour
// may be added until then. The zero value covers nothing until Begin.
type Hours struct {
	from  time.Time // covered from here on
	floor time.Time // end of all that was closed
	until time.Time // all samples of up to here are in
	sums  map[time.Time]*sums
}

type sums struct {
	rtt                        []int64 // by edge, not cumulative; the last counts those above all edges
	sent, lost                 int64
	rx, tx, rxPeak, txPeak     int64
	clients                    int64
	probed, metered, peakKnown bool
	clientsKnown               bool
}

func newSums() *sums { return &sums{rtt: make([]int64, len(telemetry.HistogramEdgesMs())+1)} }

// hourMs is an hour in milliseconds.
const hourMs = 3600_000

// After says that the time up to at is told already, by the run before.
func (h *Hours) After(at time.Time) { h.floor = at.Truncate(time.Millisecond) }

// Begin covers time from at on.
func (h *Hours) Begin(at time.Time) {
	at = at.Truncate(time.Millisecond)
	if h.floor.Sub(at) > MaxAhead {
		h.floor = at
	}
	if at.Before(h.floor) {
		at = h.floor
	}
	h.from, h.until, h.sums = at, at, map[time.Time]*sums{}
}

func (h *Hours) at(t time.Time) *sums {
	if t.Before(h.from) {
		t = h.from
	}
	hour := t.Truncate(time.Hour)
	s := h.sums[hour]
	if s == nil {
		s = newSums()
		h.sums[hour] = s
	}
	return s
}

// Probed adds a sample of quality: a scheduled round of probes to the internet, or what traffic that flows anyway has told. It counts
// what agrees with itself: each round trip is one of those sent and not lost.
func (h *Hours) Probed(at time.Time, q Quality) {
	if h.sums == nil {
		return
	}
	s, edges := h.at(at), telemetry.HistogramEdgesMs()
	s.probed = true
	s.sent += int64(max(q.Sent, q.Lost+len(q.RTTs)))
	s.lost += int64(q.Lost)
	for _, d := range q.RTTs {
		i := slices.IndexFunc(edges, func(ms int64) bool { return d <= time.Duration(ms)*time.Millisecond })
		if i < 0 {
			i = len(edges)
		}
		s.rtt[i]++
	}
}

// Traffic adds bytes of the WAN interface between from and to. Bytes around a UTC hour are shared out by time;
// no byte is lost or doubled.
func (h *Hours) Traffic(from, to time.Time, rx, tx int64) {
	if h.sums == nil {
		return
	}
	for from.Before(to) {
		end := nextHour(from)
		if !end.Before(to) {
			break
		}
		share := func(n int64) int64 { return int64(float64(n) * (float64(end.Sub(from)) / float64(to.Sub(from)))) }
		a, b := share(rx), share(tx)
		h.add(from, a, b)
		rx, tx, from = rx-a, tx-b, end
	}
	h.add(from, rx, tx)
}

func (h *Hours) add(at time.Time, rx, tx int64) {
	s := h.at(at)
	s.metered = true
	s.rx += rx
	s.tx += tx
}

// Peak notes a rate of the WAN interface in bit/s.
func (h *Hours) Peak(at time.Time, rx, tx int64) {
	if h.sums == nil {
		return
	}
	s := h.at(at)
	s.peakKnown = true
	s.rxPeak, s.txPeak = max(s.rxPeak, rx), max(s.txPeak, tx)
}

// Clients notes how many clients were seen at once.
func (h *Hours) Clients(at time.Time, n int) {
	if h.sums == nil {
		return
	}
	s := h.at(at)
	s.clientsKnown, s.clients = true, max(s.clients, int64(n))
}

// running are the hours that hold sums, in order.
func (h *Hours) running() []time.Time {
	return slices.SortedFunc(maps.Keys(h.sums), time.Time.Compare)
}

// Cover says that time is covered until at and returns the lines of the hours that have ended.
func (h *Hours) Cover(at time.Time) (lines []*telemetry.Line) {
	at = at.Truncate(time.Millisecond)
	if h.sums == nil {
		return nil
	}
	if at.After(h.until) {
		h.until = at
	}
	for end := nextHour(h.from); !end.After(at); end = nextHour(h.from) {
		lines = append(lines, h.close(end))
	}
	return lines
}

// Close returns the part of the hour that was covered until at, and covers nothing more.
func (h *Hours) Close(at time.Time) []*telemetry.Line {
	at = at.Truncate(time.Millisecond)
	lines := h.Cover(at)
	if h.sums != nil && at.After(h.from) {
		lines = append(lines, h.close(at))
	}
	h.sums = nil
	return lines
}

// Recall is Close of what came back from a mark: up to where all samples were in.
func (h *Hours) Recall() []*telemetry.Line { return h.Close(h.until) }

// Step closes the hour of the old clock at before, and goes on at after by the new one. Samples whose part of an
// hour has no length yet go along.
func (h *Hours) Step(before, after time.Time) []*telemetry.Line {
	if h.sums == nil {
		return nil
	}
	lines := h.Cover(before)
	if before = before.Truncate(time.Millisecond); before.After(h.from) {
		lines = append(lines, h.close(before))
	}
	left := h.sums
	h.Begin(after)
	for _, s := range left {
		h.at(h.from).take(s)
	}
	return lines
}

func (s *sums) take(o *sums) {
	for i, n := range o.rtt {
		s.rtt[i] += n
	}
	s.sent, s.lost, s.rx, s.tx = s.sent+o.sent, s.lost+o.lost, s.rx+o.rx, s.tx+o.tx
	s.rxPeak, s.txPeak = max(s.rxPeak, o.rxPeak), max(s.txPeak, o.txPeak)
	s.clients, s.clientsKnown = max(s.clients, o.clients), s.clientsKnown || o.clientsKnown
	s.probed, s.metered, s.peakKnown = s.probed || o.probed, s.metered || o.metered, s.peakKnown || o.peakKnown
}

func (h *Hours) close(end time.Time) *telemetry.Line {
	s := h.at(h.from)
	l := telemetry.NewLine("hour", h.from).Int("ms", end.Sub(h.from).Milliseconds())
	if s.probed {
		n := int64(0)
		for i, ms := range telemetry.HistogramEdgesMs() {
			n += s.rtt[i]
			l.Int("rtt_le_"+strconv.FormatInt(ms, 10), n)
		}
		l.Int("rtt_le_inf", n+s.rtt[len(s.rtt)-1]).Int("sent", s.sent).Int("lost", s.lost)
	}
	if s.metered {
		l.Int("rx_bytes", s.rx).Int("tx_bytes", s.tx)
	}
	if s.peakKnown {
		l.Int("rx_peak_bps", s.rxPeak).Int("tx_peak_bps", s.txPeak)
	}
	if s.clientsKnown {
		l.Int("clients_max", s.clients)
	}
	delete(h.sums, h.from.Truncate(time.Hour))
	h.from, h.floor = end, end
	return l
}
