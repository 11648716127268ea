package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// world is a machine with an agent on it whose truth is known: the real recorder, ledger and clock, with a clock, a disk, a link and
// a collector that the test moves. It has one time, in milliseconds.
type world struct {
	t     *rapid.T
	now   time.Time
	truth []stretch // what was, without gap, from the start on

	// the machine
	on     bool
	boots  int
	booted time.Time
	raw    time.Duration // how far the system's clock is from the truth
	ntp    bool          // the system keeps it right
	steady bool          // it always does
	asleep time.Duration // in this boot
	awake  time.Duration // since the world began; what a process measures time by
	link   telemetry.State
	cause  telemetry.Cause

	// the agent; nil while it does not run
	agent   *Recorder
	clock   *clock.Clock
	began   time.Time
	waiting bool // for the collector's first word
	verdict time.Time
	ticked  time.Time

	// what outlives it
	mark    *spool.Mark
	batches []spool.Batch
	deaf    bool // the disk takes no mark
	failed  bool // and did not take the last one
	sent    int  // batches the collector has
	away    bool // the collector is not there
	heads   []telemetry.Header
	heard   map[string]bool // boots of which the collector has told
	open    *telemetry.Codec
	seal    *telemetry.Sealer
	pending int
}

type stretch struct {
	from, to time.Time
	state    telemetry.State
	cause    telemetry.Cause
	boot     int
	deaf     bool // the disk took no marks
	lone     bool // nor does any batch tell of it, or nobody who has it could say so
}

// The queue of the recorder.

func (w *world) NextSeq() uint64 { return uint64(len(w.batches)) + 1 }
func (w *world) Put(b spool.Batch) error {
	b.Payload = slices.Clone(b.Payload)
	w.batches = append(w.batches, b)
	return nil
}
func (w *world) SetMark(m spool.Mark) error {
	if w.failed = w.deaf; w.failed {
		return errors.New("read-only file system")
	}
	m.Extra = slices.Clone(m.Extra)
	w.mark = &m
	return nil
}
func (w *world) Stats() spool.Stats { return spool.Stats{} }

func (w *world) bootID() string { return fmt.Sprintf("%08x", w.boots) }

func (w *world) reading() clock.Reading {
	mono := w.now.Sub(w.booted) + time.Second
	return clock.Reading{Wall: w.now.Add(w.raw), Mono: mono, Awake: mono - w.asleep, Synced: w.ntp}
}

func (w *world) elapsed() time.Time { return time.Unix(0, 0).Add(w.awake) }

// state is the truth of now.
func (w *world) state() (telemetry.State, telemetry.Cause) {
	if w.agent == nil {
		return telemetry.StateOff, ""
	}
	return w.link, w.cause
}

func (w *world) move(d time.Duration, s telemetry.State, c telemetry.Cause) {
	to := w.now.Add(d)
	x := stretch{from: w.now, to: to, state: s, cause: c, boot: w.boots, deaf: w.deaf || w.failed, lone: w.deaf && w.agent != nil && !w.agent.released}
	if n := len(w.truth); n > 0 && (x == stretch{x.from, x.to, w.truth[n-1].state, w.truth[n-1].cause, w.truth[n-1].boot, w.truth[n-1].deaf, w.truth[n-1].lone}) {
		w.truth[n-1].to = to
	} else {
		w.truth = append(w.truth, x)
	}
	w.now = to
}

const (
	verdictEvery = time.Minute
	worldTicks   = 5 * time.Minute
	worldReports = 15 * time.Minute
)

// run lets time pass, with all that goes on in it by itself.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		step := end.Sub(w.now)
		if w.agent != nil {
			step = min(step, max(w.verdict.Add(verdictEvery).Sub(w.now), time.Millisecond))
		}
		s, c := w.state()
		w.move(step, s, c)
		w.awake += step
		if w.agent == nil {
			continue
		}
		if w.now.Sub(w.verdict) >= verdictEvery {
			w.judge(0)
		}
		if w.now.Sub(w.ticked) >= worldTicks {
			w.ticked = w.now
			w.agent.Tick(Tick{Host: nothing(), Clients: 3, ClientsKnown: true})
		}
		w.deliver()
	}
}

// onTheWay is how long a verdict takes from the answer to the recorder.
const onTheWay = time.Millisecond

// judge is a round of the prober; ago is how long the state has held at least.
func (w *world) judge(ago time.Duration) {
	now, state, cause := w.elapsed(), w.link, w.cause
	w.move(onTheWay, state, cause)
	w.awake += onTheWay
	w.verdict = w.now
	w.agent.Verdict(probe.Verdict{State: state, Cause: cause, At: now.Add(-ago), Until: now,
		Internet: probe.Sample{Quality: ledger.Quality{Sent: 1, RTTs: []time.Duration{40 * time.Millisecond}}}})
}

// deliver hands the collector what waits, and the agent its acknowledgements.
func (w *world) deliver() {
	if w.waiting && w.now.Sub(w.began) > 2*time.Minute {
		w.waiting = false
		w.forsaken()
		w.agent.Settle()
	}
	if w.away || w.link == telemetry.StateDown {
		return
	}
	for ; w.sent < len(w.batches); w.sent++ {
		h := w.header(w.batches[w.sent])
		a := telemetry.Ack{Verdict: telemetry.Stored, Boot: h.Boot, Seq: h.Seq, Now: w.now}
		if !w.heard[h.Boot] {
			w.heard[h.Boot] = true
			a.Last = w.lastBefore(h)
		}
		w.heads = append(w.heads, h)
		w.clock.Acked(w.now.Add(-100*time.Millisecond), 200*time.Millisecond)
		if h.Boot == w.bootID() && w.waiting {
			w.waiting = false
			if a.Last == nil { // it has told an earlier run of this boot, and does so once
				w.forsaken()
			}
			w.agent.Acked(a)
		}
	}
}

// lastBefore is the newest batch of another boot, as the collector looks it up.
func (w *world) lastBefore(h telemetry.Header) (last *telemetry.LastBatch) {
	until := h.At
	if h.Clock == telemetry.ClockEstimated {
		until = w.now
	}
	for _, o := range w.heads {
		if o.Boot != h.Boot && o.At.Before(until) && (last == nil || o.At.After(last.At)) {
			last = &telemetry.LastBatch{At: o.At, Open: o.Open}
		}
	}
	return last
}

func (w *world) header(b spool.Batch) telemetry.Header {
	text, _, err := w.open.Open(nil, b.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 {
		w.t.Fatal(bad, err)
	}
	h, err := telemetry.HeaderOf(&good[0].Line)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) boot() {
	w.on, w.booted, w.asleep, w.raw, w.ntp = true, w.now, 0, 0, w.steady || rapid.Bool().Draw(w.t, "a time service runs")
	if !w.ntp {
		w.raw = w.rawAt()
	}
	w.boots++
	w.run(time.Duration(rapid.IntRange(8_000, 60_000).Draw(w.t, "boot ms")) * time.Millisecond)
	w.start()
}

func (w *world) start() {
	var before time.Time
	if w.mark != nil {
		before = w.mark.At
	}
	w.clock = clock.New(w.reading, before)
	c := RecorderConfig{Boot: w.bootID(), Clock: w.clock, Known: w.clock.Known, Queue: w, Sealer: w.seal, MarkEvery: time.Minute, ReportEvery: worldReports,
		DetailEvery: worldTicks, WireBytes: func() int64 { return 1 }, Wake: func() {}, Log: slog.New(slog.DiscardHandler), elapsed: w.elapsed}
	if w.mark != nil {
		m := *w.mark
		c.Mark = &m
		if m.Boot == w.bootID() {
			w.clock.Continue(m.At, m.Mono)
		}
	}
	for i, x := range w.truth { // the collector tells of other boots only
		w.truth[i].lone = x.lone || x.deaf && x.boot == w.boots
	}
	w.agent, w.began, w.ticked, w.waiting = NewRecorder(c), w.now, w.now, true
	w.agent.Hello()
	w.judge(0)
	w.deliver()
	w.run(time.Second) // a life that the truth can tell
}

// forsaken: the collector does not say what it has heard of runs whose marks the disk did not take. Then nobody does.
func (w *world) forsaken() {
	for i, x := range w.truth {
		w.truth[i].lone = x.lone || x.deaf
	}
}

func (w *world) stop(clean bool) {
	if clean {
		if w.waiting {
			w.forsaken()
		}
		w.agent.Close(Tick{Host: nothing()})
		w.deliver()
	} else if w.deaf || w.failed || !w.agent.released {
		w.forsaken() // what the collector had told this run goes with it
	}
	w.agent = nil
}

// check holds all that was ever sealed against the truth.
func (w *world) check() []telemetry.Span {
	var spans []telemetry.Span
	var hours []stretch
	seen := map[string]string{}
	for _, b := range w.batches {
		text, _, _ := w.open.Open(nil, b.Payload)
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 {
			w.t.Fatal(bad, err)
		}
		for _, l := range good {
			key := fmt.Sprint(l.Measurement, l.Tags, l.Time)
			if before, again := seen[key]; again && !guessed(before) && !guessed(string(l.Raw)) {
				w.t.Fatalf("told twice:\n%s\n%s", before, l.Raw)
			}
			seen[key] = string(l.Raw)
			switch l.Measurement {
			case "span":
				s, err := telemetry.SpanOf(&l.Line)
				if err != nil {
					w.t.Fatal(err)
				}
				spans = append(spans, s)
			case "hour":
				ms, _ := l.GetInt("ms")
				at := time.UnixMilli(l.Time).UTC()
				hours = append(hours, stretch{from: at, to: at.Add(time.Duration(ms) * time.Millisecond)})
				answers, _ := l.GetInt("rtt_le_inf")
				sent, _ := l.GetInt("sent")
				if lost, _ := l.GetInt("lost"); answers != sent-lost {
					w.t.Fatalf("%d answers of %d sent and %d lost", answers, sent, lost)
				}
			}
		}
	}
	slices.SortStableFunc(spans, func(a, b telemetry.Span) int { return a.Start.Compare(b.Start) })
	slices.SortStableFunc(hours, func(a, b stretch) int { return a.from.Compare(b.from) })
	for i, h := range hours {
		if !h.to.After(h.from) || h.to.After(h.from.Truncate(time.Hour).Add(time.Hour)) || i > 0 && h.from.Before(hours[i-1].to) {
			w.t.Fatalf("hours overlap or cross: %v", hours[max(0, i-1):i+1])
		}
	}
	for i, s := range spans {
		if s.Length <= 0 || s.Err < 0 || s.Start.Truncate(time.Hour) != s.End().Add(-1).Truncate(time.Hour) || i > 0 && s.Start.Before(spans[i-1].End()) {
			w.t.Fatalf("spans are empty, overlap or cross an hour:\n%s", w.show(spans[max(0, i-1):i+1]))
		}
		w.checkSpan(s, spans)
	}
	return spans
}

// guessed tells the header of a run that did not know the time. Its number parts it from others of its kind; a header that a disk without
// marks let slip into the same minute may share its time.
func guessed(raw string) bool {
	return strings.HasPrefix(raw, "batch ") && strings.Contains(raw, `clock="estimated"`) && !strings.Contains(raw, "open_state")
}

// slackOfClock is what the clocks may differ by and still agree, and how late a change may be noticed.
const slackOfClock = 6 * time.Second

func (w *world) checkSpan(s telemetry.Span, all []telemetry.Span) {
	allowed := s.Err + slackOfClock
	var lie time.Duration
	for i := 0; i < len(w.truth); i++ {
		x := w.truth[i]
		for ; i+1 < len(w.truth) && w.truth[i+1].state == x.state && w.truth[i+1].cause == x.cause && w.truth[i+1].lone == x.lone; i++ {
			x.to = w.truth[i+1].to
		}
		from, to := later(x.from, s.Start), earlier(x.to, s.End())
		if x.state == s.State && (x.cause == s.Cause || s.State == telemetry.StateOff) || !to.After(from) {
			continue
		}
		if s.State == telemetry.StateOff && x.lone {
			continue
		}
		// The point of this piece that is furthest from a change of the truth.
		off := min(to.Sub(x.from), x.to.Sub(from))
		if mid := x.to.Sub(x.from) / 2; from.Before(x.from.Add(mid)) && to.After(x.from.Add(mid)) {
			off = mid
		}
		if i == len(w.truth)-1 {
			off = to.Sub(x.from)
		}
		lie = max(lie, off)
	}
	if start := w.truth[0].from; s.Start.Before(start) {
		lie = max(lie, earlier(start, s.End()).Sub(s.Start))
	}
	if s.End().After(w.now) {
		lie = max(lie, s.End().Sub(w.now))
	}
	if lie > allowed {
		w.t.Fatalf("%s\nis %v further from any change than its err of %v allows\ntold\n%s\ntruth\n%s", w.show([]telemetry.Span{s}), lie-s.Err, s.Err, w.show(all), w.tale())
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (w *world) show(spans []telemetry.Span) string {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "  %s +%v %s %s err %v\n", s.Start.Format("02 15:04:05.000"), s.Length, s.State, s.Cause, s.Err)
	}
	return b.String()
}

func (w *world) tale() string {
	var b strings.Builder
	for _, x := range w.truth {
		fmt.Fprintf(&b, "  %s +%v %s %s\n", x.from.Format("02 15:04:05.000"), x.to.Sub(x.from), x.state, x.cause)
	}
	return b.String()
}

var links = []telemetry.OpenSpan{{State: telemetry.StateUp}, {State: telemetry.StateUp}, {State: telemetry.StateDegraded}, {State: telemetry.StateDown, Cause: telemetry.CauseLocal}, {State: telemetry.StateDown, Cause: telemetry.CauseBackhaul}, {State: telemetry.StateDown, Cause: telemetry.CauseDNS}}

// rawAt draws what the system's clock says after a boot: 1970, the firmware's date, the date of a file, a battery clock that is right or
// wrong by hours or years either way.
func (w *world) rawAt() time.Duration {
	hours := time.Duration(rapid.IntRange(-30*60, 30*60).Draw(w.t, "wrong by minutes")) * time.Minute
	rows := []time.Duration{0, time.Unix(20, 0).Sub(w.now), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Sub(w.now), hours, 10 * 365 * 24 * time.Hour}
	if w.mark != nil && !w.mark.At.IsZero() {
		rows = append(rows, w.mark.At.Sub(w.now))
	}
	return rapid.SampledFrom(rows).Draw(w.t, "system clock")
}

func newWorld(t *rapid.T, open *telemetry.Codec, seal *telemetry.Sealer) *world {
	return &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), link: telemetry.StateUp, heard: map[string]bool{}, open: open, seal: seal}
}

// minutes draws a time of up to so many minutes.
func (w *world) minutes(most int) time.Duration {
	return time.Duration(rapid.IntRange(1, most*60_000).Draw(w.t, "ms")) * time.Millisecond
}

// ordinary is what befalls a machine whose clock and disk are in order.
func (w *world) ordinary() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"time passes": func(*rapid.T) { w.run(w.minutes(150)) },
		"the link changes": func(t *rapid.T) {
			l := rapid.SampledFrom(links).Draw(t, "link")
			w.link, w.cause = l.State, l.Cause
			if w.agent != nil {
				ago := w.minutes(1) / 12 // up to 5 s until it is noticed
				w.verdict = w.now.Add(ago - verdictEvery + time.Hour)
				w.run(ago)
				w.judge(ago)
			}
		},
		"power cut": func(t *rapid.T) {
			if !w.on {
				t.Skip()
			}
			if w.agent != nil {
				w.stop(false)
			}
			w.on = false
			w.run(w.minutes(300))
		},
		"shutdown": func(t *rapid.T) {
			if !w.on {
				t.Skip()
			}
			if w.agent != nil {
				w.stop(true)
			}
			w.on = false
			w.run(w.minutes(300))
		},
		"boot": func(t *rapid.T) {
			if w.on {
				t.Skip()
			}
			w.boot()
		},
		"agent killed or stopped": func(t *rapid.T) {
			if w.agent == nil {
				t.Skip()
			}
			w.stop(rapid.Bool().Draw(t, "clean"))
			w.run(w.minutes(60) + 100*time.Millisecond) // a program takes so long to start
		},
		"agent started": func(t *rapid.T) {
			if !w.on || w.agent != nil {
				t.Skip()
			}
			w.start()
		},
	}
}

// troubled adds what befalls the others.
func (w *world) troubled(all map[string]func(*rapid.T)) map[string]func(*rapid.T) {
	all["suspend"] = func(t *rapid.T) {
		if !w.on {
			t.Skip()
		}
		d := w.minutes(120)
		w.asleep += d
		w.move(d, telemetry.StateOff, "")
		if w.agent != nil { // it wakes, and asks
			w.move(time.Millisecond, w.link, w.cause)
			w.awake += time.Millisecond
			w.judge(0)
			w.deliver()
		}
	}
	all["the system's clock is set"] = func(t *rapid.T) {
		if !w.on {
			t.Skip()
		}
		w.raw, w.ntp = 0, rapid.Bool().Draw(t, "by a time service")
		if !w.ntp {
			w.raw = w.rawAt()
		}
	}
	all["a time server answers"] = func(t *rapid.T) {
		if w.agent == nil || w.link == telemetry.StateDown {
			t.Skip()
		}
		w.clock.Heard(w.now.Add(-100*time.Millisecond), 150*time.Millisecond, clock.SNTP)
	}
	all["the centre comes or goes"] = func(*rapid.T) { w.away = !w.away }
	all["the disk takes no marks"] = func(*rapid.T) { w.deaf = !w.deaf }
	return all
}

// lives checks a property of the spans that random lives of an agent leave behind.
func lives(t *testing.T, live func(w *world, t *rapid.T)) {
	open, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	seal, err := telemetry.NewSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer seal.Close()
	rapid.Check(t, func(t *rapid.T) { live(newWorld(t, open, seal), t) })
}

// TestWhatIsToldIsTheTruthWithinItsUncertainty sends an agent through random months of village life. At every moment what was told is
// the truth, or a change of the truth lies within err_ms, or nothing was told; and nothing is told twice.
func TestWhatIsToldIsTheTruthWithinItsUncertainty(t *testing.T) {
	lives(t, func(w *world, t *rapid.T) {
		w.away = rapid.Bool().Draw(t, "the centre is away")
		w.boot()
		t.Repeat(w.troubled(w.ordinary()))
		if w.agent != nil {
			w.stop(true)
		}
		w.check()
	})
}

// TestWithAClockAndADiskNoTimeIsUnknown: what is told covers the time without a gap from the first start on, through changes, power
// cuts, shutdowns and kills, of lives however short.
func TestWithAClockAndADiskNoTimeIsUnknown(t *testing.T) {
	lives(t, func(w *world, t *rapid.T) {
		w.steady, w.away = true, rapid.Bool().Draw(t, "the centre is away")
		w.boot()
		first := w.began
		t.Repeat(w.ordinary())
		if w.agent == nil {
			if !w.on {
				w.boot()
			} else {
				w.start()
			}
		}
		w.stop(true)
		at := first
		for _, s := range w.check() {
			if gap := s.Start.Sub(at); gap > 10*time.Millisecond {
				t.Fatalf("nothing is told of %v from %v on\ntold\n%s\ntruth\n%s", gap, at, w.show(w.check()), w.tale())
			}
			at = s.End()
		}
		if gap := w.now.Sub(at); gap > 10*time.Millisecond {
			t.Fatalf("nothing is told of the last %v", gap)
		}
	})
}
