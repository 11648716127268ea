package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Told is what an agent tells in a stretch of time: line protocol of the two tiers.
type Told struct {
	Ledger, Detail           []byte
	LedgerLines, DetailLines int
}

// Reset makes room for the next stretch, keeping the memory.
func (o *Told) Reset() { *o = Told{Ledger: o.Ledger[:0], Detail: o.Detail[:0]} }

func (o *Told) add(t telemetry.Tier, l *telemetry.Line) (err error) {
	if t == telemetry.Ledger {
		o.LedgerLines++
		o.Ledger, err = l.Append(o.Ledger)
		return err
	}
	o.DetailLines++
	o.Detail, err = l.Append(o.Detail)
	return err
}

// never is the time at which something is told that is not known to be told.
const never = math.MaxInt64

// Tell appends the lines that the agent comes to know in [from, to): spans and hours that close, minutes that
// end, and on return from a gap what it can say of it. Step is the length in ms of the detail interval that
// ends at an instant, 0 for none; nil is a minute throughout.
func (k *Track) Tell(o *Told, from, to time.Time, step func(end int64) int64) error {
	if step == nil {
		step = func(int64) int64 { return minute }
	}
	return k.tell(o, from.UnixMilli(), to.UnixMilli(), step)
}

func (k *Track) tell(o *Told, from, to int64, step func(int64) int64) error {
	if from >= to {
		return nil
	}
	// What is told from here on began in this hour, or in the one in which the gap began that ends here.
	known := from - 1
	if k.at(known).gap() {
		known = k.back(known, on) - 1
	}
	if b, ok := k.blackout(known); ok {
		known = b.off - 1
	}
	t := teller{k: k, out: o, from: from, to: to}
	t.spans = k.spans(floor(known, hour), to)
	t.guess()
	t.returns()
	t.tellSpans()
	t.tellHours()
	t.tellDetail(step)
	t.tellTests()
	return t.err
}

// teller works on one window. back[i] is, for a span in a gap, when the agent returns from it.
type teller struct {
	k        *Track
	out      *Told
	from, to int64
	spans    []fault
	back     []int64
	err      error
}

func (t *teller) emit(tier telemetry.Tier, l *telemetry.Line) {
	if t.err == nil {
		t.err = t.out.add(tier, l)
	}
}

func (t *teller) now(told int64) bool { return told >= t.from && told < t.to }

func (t *teller) returns() {
	t.back = make([]int64, len(t.spans))
	next := int64(never)
	for i, f := range slices.Backward(t.spans) {
		if !f.gap() {
			next = f.start
		}
		t.back[i] = next
	}
}

// guess puts what an agent guesses in the place of what was.
func (t *teller) guess() {
	var out []fault
	for i := 0; i < len(t.spans); i++ {
		out = append(out, t.spans[i])
		b, ok := t.k.blackout(t.spans[i].start)
		if !ok || b.ending != guessed || t.spans[i].start != b.off || b.back > t.to {
			continue
		}
		told, _ := b.told()
		out = append(out[:len(out)-1], told...)
		for i+1 < len(t.spans) && t.spans[i+1].start < b.back {
			i++
		}
	}
	t.spans = out
}

// told is when a stretch of span i that ends at end is told: at once, or on return when a gap follows, or when the time is known again.
func (t *teller) told(i int, end int64) int64 {
	if b, ok := t.k.blackout(end); ok {
		return b.back
	}
	switch {
	case end == t.k.end:
		return end
	case t.spans[i].gap():
		return t.back[i]
	case end == t.spans[i].end && i+1 < len(t.spans) && t.spans[i+1].gap():
		return t.back[i+1]
	}
	return end
}

func (t *teller) tellSpans() {
	for i, f := range t.spans {
		if f.gap() && t.now(t.told(i, f.end)) && (i+1 == len(t.spans) || !t.spans[i+1].gap()) {
			t.tellReturn(i)
		}
		if f.state == Unknown {
			continue
		}
		for at := f.start; at < f.end; {
			end := min(f.end, floor(at, hour)+hour)
			if t.now(t.told(i, end)) {
				s := telemetry.Span{Start: time.UnixMilli(at), Length: time.Duration(end-at) * time.Millisecond, State: f.state, Cause: f.cause}
				s.Err = time.Duration(max(t.doubt(i, at), t.doubt(i, end))) * time.Millisecond
				t.emit(telemetry.Ledger, s.Line())
			}
			at = end
		}
	}
}

// doubt is how well a boundary of span i is known: an hour cut exactly, a probe to a second or two, the moment
// of a power cut to what the last mark says.
func (t *teller) doubt(i int, at int64) int64 {
	least := int64(0)
	if b, ok := t.k.blackout(at); ok {
		_, least = b.told()
	}
	if at%hour == 0 {
		return least
	}
	r := randomOf(t.k.world.Seed, t.k.id, key("doubt"), uint64(at))
	next := at == t.spans[i].end && i+1 < len(t.spans) && t.spans[i+1].gap()
	before := at == t.spans[i].start && i > 0 && t.spans[i-1].gap()
	if t.spans[i].gap() || next || before {
		return least + int64(r.between(2000, 30000))
	}
	return least + int64(r.between(300, 2200))
}

// tellReturn is the event with which the agent comes back after the gap that ends with span i.
func (t *teller) tellReturn(i int) {
	f := t.spans[i]
	kind, what := "boot", map[telemetry.Cause]string{
		telemetry.CausePower: "power came back after", telemetry.CauseShutdown: "switched on after", telemetry.CauseAgent: "agent started again after",
		telemetry.CauseNone: "records lost, nothing is known of the",
	}[f.cause]
	away := (time.Duration(f.end-max(t.k.begin, t.k.back(f.start, on))) * time.Millisecond).Round(time.Second)
	detail := fmt.Sprintf("%s %v", what, away)
	switch {
	case f.end == t.k.begin:
		kind, detail = "start", "first start"
	case f.state == Unknown:
		kind = "spool_lost"
	case f.cause == telemetry.CauseAgent:
		kind = "start"
	}
	t.emit(telemetry.Ledger, telemetry.NewLine("event", time.UnixMilli(f.end)).Tag("kind", kind).Str("detail", detail))
}

// tellHours sums each hour, or each part of it in which the agent ran.
func (t *teller) tellHours() {
	for i := 0; i < len(t.spans); {
		if t.spans[i].gap() {
			i++
			continue
		}
		last := i
		for last+1 < len(t.spans) && !t.spans[last+1].gap() {
			last++
		}
		for at, end := t.spans[i].start, int64(0); at < t.spans[last].end; at = end {
			end = min(t.spans[last].end, floor(at, hour)+hour)
			if b, ok := t.k.blackout(at); ok && b.ending == guessed && at < b.back {
				continue // the mark has room for states, not for sums
			}
			if t.now(t.told(last, end)) {
				t.tellHour(at, end)
			}
		}
		i = last + 1
	}
}

func (t *teller) tellHour(from, to int64) {
	s := t.k.measure(from, to)
	start := time.UnixMilli(from)
	l := telemetry.NewLine("hour", start).Int("ms", to-from)
	for i, edge := range telemetry.HistogramEdgesMs() {
		l.Int(fmt.Sprintf("rtt_le_%d", edge), s.histogram[i])
	}
	l.Int("rtt_le_inf", s.histogram[len(s.histogram)-1]).Int("sent", s.internet.sent).Int("lost", s.internet.lost)
	l.Int("rx_bytes", s.rx).Int("tx_bytes", s.tx).Int("rx_peak_bps", s.rxPeak).Int("tx_peak_bps", s.txPeak)
	t.emit(telemetry.Ledger, l.Int("clients_max", s.clients))
	for _, v := range t.k.site.services() {
		a, b := t.k.window(v, from, to)
		if a >= b {
			continue
		}
		var ready int64
		for _, f := range t.k.spans(a, b) {
			if f.state == telemetry.StateUp {
				ready += f.end - f.start
			}
		}
		t.emit(telemetry.Ledger, telemetry.NewLine("hour_service", start).Tag("service", v.name).Int("ready_ms", ready).Int("window_ms", b-a))
	}
}

// service is what a village opens its link for, between two local hours.
type service struct {
	name        string
	open, close int64
}

func (s *Site) services() (out []service) {
	if s.Clinic {
		out = append(out, service{"clinic", 9, 16})
	}
	if s.School {
		out = append(out, service{"school", 8, 14})
	}
	if s.NightWatch {
		out = append(out, service{"night", 22, 28})
	}
	return out
}

// window is what of [from, to), an hour at most, lies in a service's hours by the site's clock. It lies in one opening: they are hours apart.
func (k *Track) window(v service, from, to int64) (a, b int64) {
	for d := k.zone.dayOf(from) - 1; d <= k.zone.dayOf(to); d++ {
		a, b = max(from, k.zone.wall(d, v.open*hour)), min(to, k.zone.wall(d, v.close*hour))
		if a < b {
			break
		}
	}
	return a, b
}

// tellDetail tells each interval at whose end the agent runs; what a power cut interrupts is lost.
func (t *teller) tellDetail(step func(int64) int64) {
	for b := floor(t.from+minute-1, minute); b < t.to; b += minute {
		long := step(b)
		if long == 0 || b%long != 0 {
			continue
		}
		r, ok := t.k.runAt(b - 1)
		if _, out := t.k.blackout(b); !ok || out { // of a time without the time there is the ledger alone
			continue
		}
		s := t.k.measure(max(b-long, r.start), b)
		at := time.UnixMilli(b)
		for _, target := range []struct {
			name string
			a    *answers
		}{{"gateway", &s.gateway}, {"internet", &s.internet}, {"dns", &s.dns}} {
			l := telemetry.NewLine("link", at).Tag("target", target.name).Int("sent", target.a.sent).Int("lost", target.a.lost)
			if n := float64(target.a.got()); n > 0 {
				l.Float("rtt_min_ms", target.a.min).Float("rtt_avg_ms", target.a.total/n).Float("rtt_max_ms", target.a.max).Float("jitter_ms", target.a.jitter/max(1, n-1))
			}
			t.emit(telemetry.Detail, l)
		}
		t.emit(telemetry.Detail, telemetry.NewLine("traffic", at).Tag("iface", "wan").Int("rx_bytes", s.rx).Int("tx_bytes", s.tx).
			Int("rx_peak_bps", s.rxPeak).Int("tx_peak_bps", s.txPeak).Int("errs", 0).Int("drops", s.internet.lost/3))
		m := t.k.machine(b)
		t.emit(telemetry.Detail, telemetry.NewLine("host", at).Float("cpu_pct", m.cpu).Float("mem_pct", m.mem).Float("disk_pct", m.disk).
			Float("load1", m.load).Float("temp_c", m.temp).Int("uptime_s", (b-r.boot)/1000))
		if t.k.site.Supply == Solar {
			pct, volts, charging := t.k.battery(b)
			t.emit(telemetry.Detail, telemetry.NewLine("power", at).Float("battery_pct", pct).Bool("charging", charging).Float("volts", volts))
		}
	}
}

// tellTests tells two speed tests a week, one in the quiet hours and one at the evening peak, where the link
// is there at that moment.
func (t *teller) tellTests() {
	p := t.k.site.Technology.profile()
	for d := floor(t.from, day)/day - 1; d*day < t.to+day; d++ {
		r := randomOf(t.k.world.Seed, t.k.id, key("speedtest"), uint64(d))
		hourOfDay := 0.0
		switch uint64(d) % 7 {
		case t.k.id % 7:
			hourOfDay = r.between(3, 5)
		case (t.k.id + 3) % 7:
			hourOfDay = r.between(19.5, 22)
		default:
			continue
		}
		at := t.k.zone.wall(d, int64(hourOfDay*float64(hour)))
		if !t.now(at) {
			continue
		}
		if f := t.k.at(at); f.state != telemetry.StateUp && f.state != telemetry.StateDegraded {
			continue
		}
		free := (1 - 0.65*use(hourOfDay)) * r.between(0.8, 1)
		down, up := p.down*free, p.up*free*r.between(0.9, 1.05)
		if t.k.at(at).state == telemetry.StateDegraded {
			down, up = down*0.2, up*0.3
		}
		t.emit(telemetry.Ledger, telemetry.NewLine("speedtest", time.UnixMilli(at)).Tag("server", "collector").
			Int("down_bps", int64(down)).Int("up_bps", int64(up)).Float("min_rtt_ms", p.rtt*r.between(0.92, 1)).
			Float("retrans_pct", 100*p.loss*r.between(0.5, 2)).Int("used_bytes", int64((down+up)*10/8)))
	}
}
