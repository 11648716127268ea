package fleet

import (
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/collector/twin"
	"github.com/smartvillage/nabz/telemetry"
)

// agentLive is what is held of one agent.
type agentLive struct {
	past  timeline.Timeline // closed spans of the last 24 h; one that began before keeps its start
	head  telemetry.Header  // the newest by its own time; At is never after its receipt
	heard time.Time         // when anything was last received, old or new

	lastDetail time.Time
	every      [2]time.Duration // the last two gaps between headers of detail batches

	program telemetry.Program // what it said it is, in its newest boot event
	booted  int64             // ms, of that event

	session   uint64
	connected bool
	offlineAt time.Time // when presence said offline; zero while it has not

	internet  quality
	collector quality
	ifaces    []ifaceRate
	machine   machine
	twins     twin.Agent
}

// quality is what was measured of the way to one target.
type quality struct {
	at        time.Time
	latencyMs reading
	lossPct   reading
}

// steady is how old a measurement of the way to the internet may be while there is a newer one of the way to the collector, which
// agents get for nothing: longer than the gap between two of the former in the standard profile, so that the board does not swing.
const steady = 10 * time.Minute

// reading is a value that may be missing.
type reading struct {
	v  float64
	ok bool
}

func (r reading) pointer() *float64 {
	if !r.ok {
		return nil
	}
	v := r.v
	return &v
}

type ifaceRate struct {
	name         string
	at           int64 // ms, of its newest line
	rxBps, txBps reading
	rxBytes      int64
}

// takeHeader keeps the header when it is the newest, and says whether it is. A batch from the future is taken
// as of its receipt: a clock that runs ahead must not freeze the state.
func (ag *agentLive) takeHeader(h telemetry.Header, received time.Time, detail bool) bool {
	ag.twins.Take(h, received)
	if h.At.After(received) {
		h.At = received
	}
	if h.At.Before(ag.head.At) {
		return false
	}
	if detail {
		if gap := h.At.Sub(ag.lastDetail); gap > 0 && !ag.lastDetail.IsZero() {
			ag.every[0], ag.every[1] = ag.every[1], min(gap, maxEvery)
		}
		ag.lastDetail = h.At
	}
	ag.head = h
	return true
}

// patience is how long this agent may be silent: while its connection stands, half as long again as it says itself or, when it
// does not say, as its reports have come. After a restart that interval is not known yet; then it is taken to report as rarely as
// any may, so that nobody is unreachable for the collector's own absence. For that, too, the connection counts as standing until
// there was time to make it anew.
func (ag *agentLive) patience(l *Live, now time.Time) time.Duration {
	least := l.o.UnreachableAfter
	returning := ag.session == 0 && !l.back.IsZero() && l.silence(l.back, now) <= least
	if !ag.connected && !returning {
		return least
	}
	every := ag.head.Next
	if every == 0 {
		every = min(ag.every[0], ag.every[1])
	}
	if every == 0 {
		every = maxEvery
	}
	return max(least, every*3/2)
}

// takeReadings keeps the newest latency, loss, traffic, battery and disk of a batch.
func (ag *agentLive) takeReadings(lines []telemetry.Parsed) {
	for i := range lines {
		switch p := &lines[i]; p.Measurement {
		case "link":
			switch p.GetTag("target") {
			case "internet":
				ag.internet.take(&p.Line)
			case "collector":
				ag.collector.take(&p.Line)
			}
		case "traffic":
			ag.takeTraffic(&p.Line)
		case "power":
			ag.machine.takePower(&p.Line)
		case "host":
			ag.machine.takeHost(&p.Line)
		}
	}
}

func (q *quality) take(l *telemetry.Line) {
	at := time.UnixMilli(l.Time).UTC()
	if at.Before(q.at) {
		return
	}
	*q = quality{at: at}
	q.latencyMs.v, q.latencyMs.ok = l.GetFloat("rtt_avg_ms")
	sent, _ := l.GetInt("sent")
	lost, _ := l.GetInt("lost")
	if sent > 0 {
		q.lossPct = reading{100 * float64(lost) / float64(sent), true}
	}
}

// quality is what is known of the link now: of the way to the internet, or where that was not asked for lately of the way
// to the collector.
func (ag *agentLive) quality(now time.Time, fresh time.Duration) quality {
	q := ag.internet
	if ag.collector.at.After(q.at) && now.Sub(q.at) > steady {
		q = ag.collector
	}
	if now.Sub(q.at) > fresh {
		return quality{}
	}
	return q
}

// takeTraffic turns the bytes since the line before into a rate. The first line of an interface gives none.
func (ag *agentLive) takeTraffic(line *telemetry.Line) {
	name := line.GetTag("iface")
	var f *ifaceRate
	for i := range ag.ifaces {
		if ag.ifaces[i].name == name {
			f = &ag.ifaces[i]
		}
	}
	if f == nil {
		if len(ag.ifaces) == maxIfaces {
			ag.ifaces = ag.ifaces[1:]
		}
		ag.ifaces = append(ag.ifaces, ifaceRate{name: string([]byte(name))})
		f = &ag.ifaces[len(ag.ifaces)-1]
	}
	if line.Time <= f.at {
		return
	}
	gap := line.Time - f.at
	rx, _ := line.GetInt("rx_bytes")
	tx, _ := line.GetInt("tx_bytes")
	known := f.at > 0 && gap <= maxEvery.Milliseconds()
	f.at, f.rxBytes = line.Time, rx
	f.rxBps, f.txBps = reading{float64(rx) * 8000 / float64(gap), known}, reading{float64(tx) * 8000 / float64(gap), known}
}

// uplink is the interface that receives most, of those that still report: the one that faces the internet,
// since villages receive more than they send.
func (ag *agentLive) uplink() (best ifaceRate) {
	newest := int64(0)
	for _, f := range ag.ifaces {
		newest = max(newest, f.at)
	}
	best.rxBytes = -1
	for _, f := range ag.ifaces {
		if f.at == newest && f.rxBytes > best.rxBytes {
			best = f
		}
	}
	return best
}

// openSegment is the span that was open in the newest header, from where closed spans end.
func (ag *agentLive) openSegment() (timeline.Segment, bool) {
	o := ag.head.Open
	if o.State == "" {
		return timeline.Segment{}, false
	}
	end := ag.head.At.UnixMilli()
	s := timeline.Segment{Start: end - o.Length.Milliseconds(), End: end, State: o.State, Cause: o.Cause}
	if segs := ag.past.Segments(); len(segs) > 0 {
		s.Start = max(s.Start, segs[len(segs)-1].End) // what is closed is known better
	}
	return s, s.Start < s.End
}

// offline tells whether presence said so and nothing newer came.
func (ag *agentLive) offline() bool { return !ag.offlineAt.IsZero() && !ag.head.At.After(ag.offlineAt) }

// state is the part of status that is asked of all agents each second.
func (ag *agentLive) state(l *Live, now time.Time) (SiteState, telemetry.Cause) {
	o := ag.head.Open
	switch {
	case ag.head.At.IsZero():
		return NeverSeen, ""
	case o.State == "" || ag.offline() || l.overdue(ag.head.At, now, ag.patience(l, now)):
		return Unreachable, ""
	}
	return SiteState(o.State), o.Cause
}

// status is the agent's state at now.
func (ag *agentLive) status(l *Live, a telemetry.Address, now time.Time) AgentStatus {
	st := AgentStatus{Agent: a.Agent, State: NeverSeen, Connected: ag.connected, Heard: ag.heard, Boot: ag.head.Boot,
		Clock: ag.head.Clock, BacklogLines: ag.head.SpoolLines, BacklogBytes: ag.head.SpoolBytes, WireBytes: ag.head.WireBytes, Machine: ag.machine.told(), Twins: ag.twins.Seen(now), Program: ag.program}
	if ag.head.At.IsZero() {
		return st
	}
	o := ag.head.Open
	since := ag.past.Run(o.State, o.Cause, ag.head.At.Add(-o.Length).UnixMilli(), spanSlack)
	st.Told = Told{State: o.State, Cause: o.Cause, At: ag.head.At, Since: time.UnixMilli(since).UTC()}
	if st.State, st.Cause = ag.state(l, now); st.State == Unreachable {
		st.Since = ag.head.At
		st.CatchingUp = !ag.offline() && l.silence(ag.heard, now) <= l.o.UnreachableAfter
		return st
	}
	st.Since = st.Told.Since
	fresh := 2 * ag.patience(l, now)
	q := ag.quality(now, fresh)
	st.LatencyMs, st.LossPct = q.latencyMs.pointer(), q.lossPct.pointer()
	if up := ag.uplink(); up.at > 0 && now.UnixMilli()-up.at <= fresh.Milliseconds() {
		st.RxBps, st.TxBps = up.rxBps.pointer(), up.txBps.pointer()
	}
	return st
}
