package agent

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/sampler"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// maxHeld bounds what waits in RAM for the clock: about ten hours, some hundred bytes each.
const maxHeld = 2000

// jumpMin is how far the clock must move against elapsed time to be taken for a step.
const jumpMin = 2 * time.Second

// wallClock is what the recorder needs of the clock.
type wallClock interface {
	Now() time.Time
	Status() telemetry.Clock
}

// RecorderConfig is what a recorder is made of.
type RecorderConfig struct {
	Boot      string
	Clock     wallClock
	Known     func() bool // whether the clock can be believed; until then lines are held and not stamped
	Queue     queue
	Codec     *telemetry.Codec
	Mark      *spool.Mark   // of the run before; nil when there was none
	MarkEvery time.Duration // how often the mark is renewed while nothing changes
	WireBytes func() int64
	Wake      func() // tells the uplink that there is something new
	Log       *slog.Logger
}

// queue is what the recorder needs of the spool.
type queue interface {
	NextSeq() uint64
	Put(spool.Batch) error
	SetMark(spool.Mark) error
	Stats() spool.Stats
}

// Recorder turns what was measured into lines, seals them into batches and puts these into the spool. One goroutine
// uses it. Until the clock is known, and it is settled what became of the time before this start, everything is held in
// RAM and nothing is stamped: what is sent can never be changed.
type Recorder struct {
	c      RecorderConfig
	log    *slog.Logger
	ledger ledger.Ledger
	hours  ledger.Hours
	box    box
	links  map[string]*probe.Sample

	start    time.Time // of this agent
	released bool
	settled  bool                 // the collector has told what it knows, or will not
	last     *telemetry.LastBatch // what it told
	held     []input
	lost     int // inputs that were dropped from held

	begun      bool      // a first verdict has come
	good       time.Time // the last proof of a working link before the suspicion
	suspicious bool      // a round has failed and none confirmed it yet: nothing is sealed now
	due        bool      // seal both tiers
	urgent     bool      // seal what tells the change of state

	wall, mono time.Time // the same moment, by the clock and by elapsed time
	marked     time.Time // when the mark was set last
	unmarked   fault     // of the mark
	eventAt    map[string]int64
	told       spool.Stats // losses that an event has told already
	toldAt     time.Time
}

// input is one thing that happened, by elapsed time.
type input struct {
	at      time.Time
	verdict *probe.Verdict
	tick    *tick
	event   *event
}

type tick struct {
	traffic []sampler.Traffic
	host    sampler.State
}

type event struct{ kind, detail string }

// NewRecorder begins a run. Time before it is told by Release.
func NewRecorder(c RecorderConfig) *Recorder {
	r := &Recorder{c: c, log: c.Log, start: time.Now(), links: map[string]*probe.Sample{}, eventAt: map[string]int64{}}
	r.box = box{c: c, log: c.Log}
	if c.Mark != nil {
		r.box.lastAt = c.Mark.At
	}
	return r
}

// Hello seals a batch without lines, so that the collector tells what it knows of the time before.
func (r *Recorder) Hello() {
	r.look()
	r.box.seal(telemetry.Detail, r.wall, telemetry.OpenSpan{})
}

// Verdict takes the result of a round of probes.
func (r *Recorder) Verdict(v probe.Verdict) { r.take(input{at: v.Until, verdict: &v}) }

// Tick takes what was sampled since the last Tick, and seals it.
func (r *Recorder) Tick(t []sampler.Traffic, h sampler.State) {
	r.take(input{at: time.Now(), tick: &tick{t, h}})
}

// Event notes something that a person may want to know later. It is sent with the next ledger batch.
func (r *Recorder) Event(kind, detail string) {
	r.take(input{at: time.Now(), event: &event{kind, detail}})
}

// Acked hears an acknowledgement. The first one of this boot says what the collector knows of the time before.
func (r *Recorder) Acked(a telemetry.Ack) {
	if a.Boot == r.c.Boot && !r.settled {
		r.last = a.Last
		r.Settle()
	}
}

// Settle says that the collector has told what it knows of the time before, or is not waited for any longer.
func (r *Recorder) Settle() {
	r.settled = true
	r.release()
	r.seal()
}

// Close takes what was sampled since the last Tick, seals all there is and notes that the agent stopped in good order.
func (r *Recorder) Close(t []sampler.Traffic, h sampler.State) {
	r.settled = true
	if !r.c.Known() {
		r.log.Warn("the clock was never known; what was measured cannot be told", "held", len(r.held))
		return
	}
	r.release()
	r.look()
	r.toldAt = time.Time{} // what was lost since it was told last is not known to the next run
	r.tick(r.wall, tick{t, h})
	end := r.wall
	if r.suspicious {
		end = r.at(r.good) // what came after will stay unknown
	}
	r.spans(r.ledger.Close(end, 0))
	r.lines(r.hours.Close(r.wall))
	if r.mark(true) {
		r.box.seal(telemetry.Ledger, r.wall, telemetry.OpenSpan{})
	}
	r.box.seal(telemetry.Detail, r.wall, telemetry.OpenSpan{})
}

func (r *Recorder) take(in input) {
	if !r.release() {
		r.hold(in)
		return
	}
	r.look()
	r.apply(in)
	r.seal()
}

// hold keeps what happened in RAM. Of the quick rounds of an outage that all say the same, the last is enough.
func (r *Recorder) hold(in input) {
	if n := len(r.held); n > 0 && in.quick() && r.held[n-1].quick() {
		if last, v := r.held[n-1].verdict, in.verdict; v.State == last.State && v.Cause == last.Cause {
			last.Until = v.Until
			return
		}
	}
	if len(r.held) == maxHeld {
		r.held = append(r.held[:0], r.held[1:]...)
		r.lost++
	}
	r.held = append(r.held, in)
}

// quick tells a verdict that says nothing but the state.
func (in input) quick() bool {
	v := in.verdict
	return v != nil && !v.Pending && v.Gateway.Sent+v.Internet.Sent+v.DNS.Sent == 0
}

// release begins to stamp, once it can, with the time before this start and then all that was held.
func (r *Recorder) release() bool {
	if r.released || !r.settled || !r.c.Known() {
		return r.released
	}
	r.released = true
	r.look()
	start := r.at(r.start)
	back := ledger.Return{Batch: r.last, Boot: r.c.Boot, Start: start, Slack: r.c.MarkEvery}
	if m := r.c.Mark; m != nil {
		back.Mark = &ledger.Last{At: m.At, Open: m.Open, Boot: m.Boot, Clean: m.Clean}
	}
	r.spans(r.ledger.Resume(back))
	r.hours.Begin(start)
	if r.lost > 0 {
		r.apply(input{at: time.Now(), event: &event{"spool_overflow", fmt.Sprintf("%d measurements dropped while the clock was not known", r.lost)}})
	}
	for _, in := range r.held {
		r.apply(in)
	}
	r.held, r.due = nil, true
	return true
}

// look reads the clock, and moves what is open when it was stepped forward. It never runs backwards.
func (r *Recorder) look() {
	wall, mono := r.c.Clock.Now(), time.Now()
	if expected := r.wall.Add(mono.Sub(r.mono)); !r.mono.IsZero() && wall.Sub(expected) > jumpMin {
		r.ledger.Step(wall.Sub(expected))
		r.lines(r.hours.Step(expected, wall))
	}
	r.wall, r.mono = wall, mono
}

// at is the wall time of a moment of elapsed time.
func (r *Recorder) at(t time.Time) time.Time { return r.wall.Add(t.Sub(r.mono)) }

func (r *Recorder) apply(in input) {
	switch {
	case in.verdict != nil:
		r.verdict(*in.verdict)
	case in.tick != nil:
		r.tick(r.at(in.at), *in.tick)
	case in.event != nil:
		r.event(r.at(in.at), *in.event)
	}
}

func (r *Recorder) verdict(v probe.Verdict) {
	until := r.at(v.Until)
	for target, s := range map[string]probe.Sample{"gateway": v.Gateway, "internet": v.Internet, "dns": v.DNS} {
		if s.Sent == 0 {
			continue
		}
		if r.links[target] == nil {
			r.links[target] = &probe.Sample{}
		}
		r.links[target].Add(s)
	}
	if v.Internet.Sent > 0 {
		r.hours.Probed(until, v.Internet.Quality)
	}
	if r.suspicious = v.Pending; v.Pending {
		r.good = v.Until
		return
	}
	state, cause := r.ledger.State()
	if state == "" && !r.begun && r.lost == 0 { // the first verdict speaks for the moments before it too, unless others were lost
		v.Err += v.At.Sub(r.start)
		v.At = r.start
	}
	r.begun = true
	r.spans(r.ledger.Observe(r.at(v.At), v.State, v.Cause, v.Err))
	r.spans(r.ledger.Advance(until))
	if v.State != state || v.Cause != cause {
		r.urgent = true
		r.log.Info("the link changed its state", "state", string(v.State), "cause", string(v.Cause), "was", string(state), "since", r.at(v.At), "uncertain_by", v.Err.String())
	}
}

func (r *Recorder) tick(at time.Time, t tick) {
	r.flushLinks(at)
	for _, x := range t.traffic {
		r.box.add(x.Line(at))
		if x.WAN {
			r.hours.Traffic(r.at(x.From), r.at(x.To), x.RxBytes, x.TxBytes)
			if x.PeakKnown {
				r.hours.Peak(r.at(x.To), x.RxPeak, x.TxPeak)
			}
		}
	}
	if l := t.host.Line(at); l != nil {
		r.box.add(l)
	}
	r.tellLosses(at)
	r.lines(r.hours.Cover(at))
	r.due = true
}

func (r *Recorder) flushLinks(at time.Time) {
	for _, target := range []string{"gateway", "internet", "dns"} {
		if s := r.links[target]; s != nil {
			r.box.add(s.Line(target, at))
		}
	}
	clear(r.links)
}

func (r *Recorder) event(at time.Time, e event) {
	ms := max(at.UnixMilli(), r.eventAt[e.kind]+1) // two of a kind never share a timestamp
	r.eventAt[e.kind] = ms
	r.box.add(telemetry.NewLine("event", time.UnixMilli(ms)).Tag("kind", e.kind).Str("detail", e.detail))
	r.log.Info("event", "kind", e.kind, "detail", e.detail)
}

// tellLosses tells what the spool has dropped or found damaged, at once and then once an hour while it goes on.
func (r *Recorder) tellLosses(at time.Time) {
	s := r.c.Queue.Stats()
	if !r.toldAt.IsZero() && at.Sub(r.toldAt) < time.Hour {
		return
	}
	if n := s.DroppedBatches - r.told.DroppedBatches; n > 0 {
		r.event(at, event{"spool_overflow", fmt.Sprintf("%d batches with %d lines dropped because the spool was full", n, s.DroppedLines-r.told.DroppedLines)})
		r.toldAt = at
	}
	if c, t := s.CorruptRecords-r.told.CorruptRecords, s.TornBytes-r.told.TornBytes; c > 0 || t > 0 {
		r.event(at, event{"spool_corrupt", fmt.Sprintf("%d damaged records skipped, %d torn bytes cut off", c, t)})
		r.toldAt = at
	}
	r.told = s
}

func (r *Recorder) spans(spans []telemetry.Span) {
	for _, s := range spans {
		r.box.add(s.Line())
	}
}

func (r *Recorder) lines(lines []*telemetry.Line) {
	for _, l := range lines {
		r.box.add(l)
	}
}

// seal puts into the spool what is due. While a suspicion is open it waits, for seconds: a header must not tell a span as lasting
// that may have ended.
func (r *Recorder) seal() {
	every := r.c.MarkEvery
	if r.due {
		every -= every / 10 // a tick that comes a moment early must not double the time between two marks
	}
	stale := r.wall.Sub(r.marked) >= every
	if !r.released || r.suspicious || !r.due && !r.urgent && !stale {
		return
	}
	r.spans(r.ledger.Advance(r.wall))
	ledgerToo := r.box.waiting(telemetry.Ledger)
	if ledgerToo || r.urgent || stale {
		ledgerToo = r.mark(false) && ledgerToo
	}
	if ledgerToo {
		r.box.seal(telemetry.Ledger, r.wall, r.open())
	}
	if r.due || r.urgent && !ledgerToo {
		r.box.seal(telemetry.Detail, r.wall, r.open())
	}
	r.due, r.urgent = false, false
}

func (r *Recorder) open() telemetry.OpenSpan { return r.ledger.Open(r.wall) }

// mark notes on disk how far the ledger has come. It comes before the batch that holds the spans closed so far: a power cut between
// the two leaves their time unknown, the other way round would tell it twice. So where it cannot be written (false), no ledger batch
// may go: the next start would close the span of the mark before once more, with another length.
func (r *Recorder) mark(clean bool) bool {
	at := r.box.next(r.wall)
	if clean { // later than the last headers, or the collector's word on these would be taken for news
		at = at.Add(time.Duration(len(r.box.tiers[telemetry.Ledger])+len(r.box.tiers[telemetry.Detail])+2) * time.Millisecond)
	}
	err := r.c.Queue.SetMark(spool.Mark{Boot: r.c.Boot, At: at, Clock: r.c.Clock.Status(), Open: r.ledger.Open(at), Clean: clean})
	r.unmarked.tell(r.log, err, "the disk does not take the mark of the moment last known alive; spans and hours wait in RAM", "the mark is on disk again")
	r.marked = r.wall
	return err == nil
}
