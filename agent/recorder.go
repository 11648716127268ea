package agent

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/service"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// wallClock is what the recorder needs of the clock.
type wallClock interface {
	Now() time.Time
	Status() telemetry.Clock
	Mono() time.Duration  // since boot, sleep included
	Slept() time.Duration // how long the machine has slept
	Bind()                // from now on times are stamped for good
}

// RecorderConfig is what a recorder is made of.
type RecorderConfig struct {
	Boot        string
	Clock       wallClock
	Known       func() bool // whether the clock can be believed; until then lines are held and not stamped
	Queue       queue
	Sealer      *telemetry.Sealer
	Mark        *spool.Mark          // of the run before; nil when there was none
	MarkEvery   time.Duration        // how often the mark is renewed while nothing changes
	ReportEvery time.Duration        // between two batches while nothing changes; 0: each Tick is sealed
	DetailEvery time.Duration        // between two Ticks; several go in one batch
	Patience    func() time.Duration // how late an acknowledgement of detail may be, as of now; nil: at once
	// Path is what the connection to the broker has told of the link since it was last asked: segments sent and lost, round trips. nil:
	// nothing.
	Path      func() (sent, lost int, rtts []time.Duration)
	Limits    ledger.Limits    // of a link that is up but degraded, for what Path tells
	Services  *service.Monitor // nil: none
	WireBytes func() int64
	Wake      func() // tells the uplink that there is something new
	Log       *slog.Logger

	elapsed func() time.Time // time.Now, but for tests
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
// RAM and nothing is stamped: what is sent can never be changed. A short history of that time is kept in the mark, for the next run
// should this one end before.
type Recorder struct {
	c        RecorderConfig
	log      *slog.Logger
	ledger   ledger.Ledger
	hours    ledger.Hours
	box      box
	links    map[string]*probe.Sample
	path     path
	deaf     bool // the one before it brought nothing back
	unjudged tick // the last one

	start    time.Time // of this agent
	released bool
	settled  bool                 // the collector has told what it knows, or will not
	last     *telemetry.LastBatch // what it told
	held     []input
	lost     int           // inputs that were dropped from held
	before   ledger.Memory // what the mark held of the runs before
	life     ledger.Life   // this run, as long as it does not know the time
	kept     time.Time     // when the life was last kept

	begun      bool            // a first verdict has come
	told       telemetry.State // what the prober last said
	downAt     time.Time       // when the link was last told to be down, by elapsed time
	good       time.Time       // the last proof of a working link before the suspicion
	suspicious bool            // a round has failed and none confirmed it yet: nothing is sealed now
	due        bool            // seal both tiers
	urgent     bool            // seal what tells the change of state
	ticked     time.Time       // when the last Tick was, by elapsed time
	setAt      time.Time       // the wall time of its lines
	sealed     time.Time       // when detail was last sealed
	came       time.Time       // when the last input came

	wall, mono time.Time // the same moment, by the clock and by elapsed time
	slept      time.Duration
	naps       []nap
	awoke      time.Time // when the last one was noticed, by elapsed time
	marked     time.Time // when the mark was set last
	unmarked   fault     // of the mark
	eventAt    map[string]int64
	losses     spool.Stats // losses that an event has told already
	lossesAt   time.Time
}

// NewRecorder begins a run. Time before it is told by Release.
func NewRecorder(c RecorderConfig) *Recorder {
	if c.elapsed == nil {
		c.elapsed = time.Now
	}
	if c.Services == nil {
		c.Services = service.NewMonitor(nil, service.Believed{})
	}
	r := &Recorder{c: c, log: c.Log, start: c.elapsed(), links: map[string]*probe.Sample{}, eventAt: map[string]int64{}}
	r.mono, r.ticked, r.came, r.slept = r.start, r.start, r.start, c.Clock.Slept()
	r.life = ledger.Life{Boot: c.Boot, From: c.Clock.Mono()}
	r.box = box{c: c, log: c.Log}
	r.recall()
	return r
}

// helloEvery parts the headers of runs that do not know the time: all begin at the same mark, and no two may bear the same time, so
// the number of the batch is in it.
const helloEvery = time.Minute

// Hello seals a batch without lines, so that the collector tells what it knows of the time before.
func (r *Recorder) Hello() {
	at, open := r.c.Clock.Now(), telemetry.OpenSpan{State: telemetry.StateOff, Cause: telemetry.CauseAgent} // up to here
	if !r.c.Known() {
		// Behind all that was sent, and never in the future, however wrong the system's clock is. No open span says that it is a guess.
		open = telemetry.OpenSpan{}
		since := r.c.Clock.Mono()
		at = clock.Floor()
		if m := r.c.Mark; m != nil {
			if at = m.At; m.Boot == r.c.Boot {
				since -= min(m.Mono, since)
			}
		}
		at = at.Add(since.Truncate(helloEvery) + time.Duration(r.c.Queue.NextSeq())*time.Millisecond%helloEvery)
	}
	r.box.seal(telemetry.Detail, at, open, true)
}

// Verdict takes the result of a round of probes.
func (r *Recorder) Verdict(v probe.Verdict) { r.take(input{at: v.Until, verdict: &v}) }

// Tick takes what was sampled since the last Tick. It is sealed once ReportEvery has passed since the last batch.
func (r *Recorder) Tick(t Tick) { r.take(r.tickOf(t)) }

// Event notes something that a person may want to know later. It is sent with the next ledger batch.
func (r *Recorder) Event(kind, detail string) {
	r.take(input{at: r.c.elapsed(), event: &event{kind, detail}})
}

// Lines takes lines of another room, such as hour_service or speedtest. make gets the wall time of at, which has its reading of elapsed
// time, once that is known; what it returns goes with the next batch of its tier, a ledger line at the next mark.
func (r *Recorder) Lines(at time.Time, make func(at time.Time) []*telemetry.Line) {
	r.take(input{at: at, lines: make})
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

// Close takes what was sampled since the last Tick, seals all there is and notes that the agent stopped in good order. When the time
// was never known, that is kept in the mark for the next run to tell.
func (r *Recorder) Close(t Tick) {
	r.settled = true
	in := r.tickOf(t)
	if !r.c.Known() {
		r.log.Warn("the clock was never known; the next run will tell what the states were, the rest is lost", "held", len(r.held))
		if r.doze(); !r.suspicious {
			r.life.Advance(r.c.Clock.Mono())
		}
		r.life.Clean = true
		r.keep()
		return
	}
	r.release()
	r.look()
	r.lossesAt = time.Time{} // what was lost since it was told last is not known to the next run
	r.apply(in)
	end := r.wall
	if r.suspicious {
		end = r.at(r.good) // what came after will stay unknown
		r.c.Services.Link(end, false)
	}
	r.spans(r.ledger.Close(end, 0))
	r.lines(r.hours.Close(r.wall))
	r.lines(r.c.Services.Close(r.wall))
	gone := telemetry.OpenSpan{State: telemetry.StateOff, Cause: telemetry.CauseShutdown} // so that the collector's word tells it from a power cut
	if r.mark(true) {
		r.box.seal(telemetry.Ledger, r.wall, gone, true)
	}
	r.box.seal(telemetry.Detail, r.wall, gone, true)
}

func (r *Recorder) take(in input) {
	if !r.release() {
		r.hold(in)
		r.came = r.c.elapsed()
		return
	}
	r.look()
	r.apply(in)
	r.seal()
	r.came = r.mono
}

func (r *Recorder) apply(in input) {
	switch {
	case in.verdict != nil:
		r.verdict(*in.verdict)
	case in.tick != nil:
		r.tick(r.at(in.at), *in.tick)
	case in.event != nil:
		r.event(r.at(in.at), *in.event)
	case in.lines != nil:
		r.lines(in.lines(r.at(in.at)))
	case !in.asleep.IsZero():
		r.wake(in)
	}
}

func (r *Recorder) verdict(v probe.Verdict) {
	v.At, v.Until = r.awake(v.At), r.awake(v.Until)
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
		r.c.Services.Measured(until, "", v.Internet.Sent, v.Internet.Lost, v.Internet.RTTs)
	}
	if r.suspicious = v.Pending; v.Pending {
		r.good = v.Until
		return
	}
	if r.told = v.State; v.State == telemetry.StateDown {
		r.downAt = v.Until
	}
	v.State = r.path.overrule(v.State)
	state, cause := r.ledger.State()
	if state == "" && !r.begun && r.lost == 0 { // the first verdict speaks for the moments before it too, unless others were lost
		v.Err += v.At.Sub(r.start)
		v.At = r.start
	}
	r.begun = true
	r.spans(r.ledger.Observe(r.at(v.At), v.State, v.Cause, v.Err))
	r.spans(r.ledger.Advance(until))
	r.c.Services.Link(r.at(v.At), v.State == telemetry.StateUp || v.State == telemetry.StateDegraded)
	if v.State != state || v.Cause != cause {
		r.urgent = true
		r.log.Info("the link changed its state", "state", cmp.Or(string(v.State), "unknown"), "cause", string(v.Cause), "was", cmp.Or(string(state), "unknown"), "since", r.at(v.At), "uncertain_by", v.Err.String())
	}
}

func (r *Recorder) tick(at time.Time, t tick) {
	if at = at.Truncate(time.Millisecond); !at.After(r.setAt) { // a line never has the time of another of its kind
		at = r.setAt.Add(time.Millisecond)
	}
	r.setAt = at
	r.flushLinks(at)
	if q := t.path; q.Sent > 0 {
		r.box.add(probe.Sample{Quality: q}.Line("collector", at))
		r.hours.Probed(at, q)
		r.c.Services.Measured(at, "collector", q.Sent, q.Lost, q.RTTs)
	}
	r.judgePath(t)
	for _, x := range t.Traffic {
		r.box.add(x.Line(at))
		if x.WAN {
			r.hours.Traffic(r.at(x.From), r.at(x.To), x.WANRx, x.WANTx)
			if x.PeakKnown {
				r.hours.Peak(r.at(x.To), x.RxPeak, x.TxPeak)
			}
		}
	}
	for _, m := range append([]Liner{t.Host}, t.More...) {
		if l := m.Line(at); l != nil {
			r.box.add(l)
		}
	}
	if t.ClientsKnown {
		r.hours.Clients(at, t.Clients)
	}
	r.tellLosses(at)
	r.lines(r.hours.Cover(at))
	r.lines(r.c.Services.Cover(at))
	r.due = r.due || r.mono.Sub(r.sealed) >= r.c.ReportEvery-r.c.DetailEvery/2 || r.box.crowded(telemetry.Detail)
}

// judgePath takes what traffic of our own has told of the link into account, while the prober says that it is up.
func (r *Recorder) judgePath(t tick) {
	next := t
	t, r.unjudged = r.unjudged, t // one set late: by then an outage that it was the first sign of is known
	// What an outage has cost is no measure of the link before and after it, and a broker that is away is the NOC's fault, not the village's.
	skip := r.deaf || deaf(t.path) || deaf(next.path)
	if r.deaf = deaf(t.path); skip || t.from.IsZero() || r.downAt.After(t.from) {
		r.path = path{}
		return
	}
	state, _ := r.ledger.State()
	slow, judged := r.path.judge(t.path, t.from, r.c.Limits)
	if !judged || r.suspicious || state != telemetry.StateUp && state != telemetry.StateDegraded {
		return
	}
	become := r.told
	if slow {
		become = telemetry.StateDegraded
	}
	if become == state || become != telemetry.StateUp && become != telemetry.StateDegraded {
		return
	}
	since, err := r.at(r.path.from), r.mono.Sub(r.path.from)
	r.spans(r.ledger.Observe(since, become, telemetry.CauseNone, err))
	r.urgent = true
	r.log.Info("the connection to the broker tells of another quality", "state", string(become), "was", string(state), "since", since, "uncertain_by", err.String())
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

// tellLosses tells what the spool has dropped, at once and then once an hour while it goes on.
func (r *Recorder) tellLosses(at time.Time) {
	for _, e := range r.box.takeNews() {
		r.event(at, e)
	}
	s := r.c.Queue.Stats()
	if !r.lossesAt.IsZero() && at.Sub(r.lossesAt) < time.Hour {
		return
	}
	if n := s.DroppedBatches - r.losses.DroppedBatches; n > 0 {
		r.event(at, event{"spool_overflow", fmt.Sprintf("%d batches with %d lines dropped because the spool was full", n, s.DroppedLines-r.losses.DroppedLines)})
		r.lossesAt = at
	}
	r.losses = s
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
