package agent

import (
	"fmt"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// maxHeld bounds what waits in RAM for the clock: about ten hours, some hundred bytes each.
const maxHeld = 2000

// jumpMin is how far the clock must move against elapsed time to be taken for a step.
const jumpMin = 2 * time.Second

// keepBytes is how much of a history may be written at each MarkEvery; a longer one is kept more rarely, to spare the flash.
const keepBytes = 300

// nap is a time that the machine slept, which elapsed time does not count.
type nap struct {
	at   time.Time // the earliest moment after it, by elapsed time: it was in between the last input and the next
	long time.Duration
}

// maxNaps bounds the naps that are remembered: as many as there may be among what waits for the clock, each of which they move.
const maxNaps = maxHeld

// recall reads what the mark holds of the runs before.
func (r *Recorder) recall() {
	m := r.c.Mark
	if m == nil {
		return
	}
	if len(m.Extra) > 0 {
		var err error
		if r.before, err = ledger.ParseMemory(m.Extra); err != nil {
			r.log.Warn("the sums of the hour that ran when the agent ended are lost", "err", err)
		}
	}
	if m.At.IsZero() { // no run before has ever known the time
		r.c.Mark = nil
		return
	}
	r.box.lastAt = m.At
}

// hold keeps what happened in RAM. Of the quick rounds of an outage that all say the same, the last is enough.
func (r *Recorder) hold(in input) {
	r.doze()
	if v := in.verdict; v != nil {
		r.suspicious = v.Pending
	}
	if v := in.verdict; v != nil && !v.Pending {
		r.life.Observe(r.sinceBoot(r.awake(v.At)), v.State, v.Cause, v.Err)
		r.life.Advance(r.sinceBoot(r.awake(v.Until)))
	}
	r.keepSometimes()
	if n := len(r.held); n > 0 && in.quick() && r.held[n-1].quick() {
		if last, v := r.held[n-1].verdict, in.verdict; v.State == last.State && v.Cause == last.Cause {
			last.Until = v.Until
			return
		}
	}
	r.wait(in)
}

// wait puts an input behind those that wait for the clock; where there is no more room the oldest is given up.
func (r *Recorder) wait(in input) {
	if len(r.held) >= maxHeld {
		r.held = append(r.held[:0], r.held[len(r.held)-maxHeld+1:]...)
		r.lost++
	}
	r.held = append(r.held, in)
}

// quick tells a verdict that says nothing but the state.
func (in input) quick() bool {
	v := in.verdict
	return v != nil && !v.Pending && v.Gateway.Sent+v.Internet.Sent+v.DNS.Sent == 0
}

// keepSometimes keeps the history of a run that does not know the time yet, at once when it begins and then as often as the mark.
func (r *Recorder) keepSometimes() {
	if len(r.life.Stretches) == 0 {
		return
	}
	now := r.c.elapsed()
	size := len(ledger.Memory{Lives: append(r.before.Lives[:len(r.before.Lives):len(r.before.Lives)], r.life)}.Append(nil))
	every := r.c.MarkEvery * time.Duration(1+size/keepBytes)
	if r.kept.IsZero() || now.Sub(r.kept) >= every-every/10 {
		r.life.Slack = every + every/10
		if r.keep() {
			r.kept = now
		}
	}
}

// keep writes the history of this run beside the mark of the last one that knew the time.
func (r *Recorder) keep() bool {
	var m spool.Mark
	if r.c.Mark != nil {
		m = *r.c.Mark
	}
	memory := r.before
	if now := r.c.Clock.Mono(); r.c.Known() {
		r.life.At = r.c.Clock.Now().Add(r.life.From - now)
	}
	if len(r.life.Stretches) > 0 {
		memory.Lives = append(memory.Lives[:len(memory.Lives):len(memory.Lives)], r.life)
	}
	m.Extra = memory.Append(nil)
	err := r.c.Queue.SetMark(m)
	r.unmarked.tell(r.log, err, "the disk does not take the history of this run, which does not know the time yet", "the mark is on disk again")
	return err == nil
}

// sinceBoot is the time since boot of a moment of elapsed time.
func (r *Recorder) sinceBoot(t time.Time) time.Duration {
	now := r.c.elapsed()
	return r.c.Clock.Mono() - now.Sub(t) - r.napsAfter(t)
}

// release begins to stamp, once it can, with the time before this start and then all that was held.
func (r *Recorder) release() bool {
	if r.released || !r.settled || !r.c.Known() {
		return r.released
	}
	r.doze()
	r.released = true
	r.c.Clock.Bind()
	r.wall, r.mono = r.c.Clock.Now(), r.c.elapsed()
	start := r.at(r.start)
	back := ledger.Return{Batch: r.last, Boot: r.c.Boot, Start: start, Up: r.life.From, Slack: max(r.c.MarkEvery, r.c.DetailEvery), BatchSlack: max(r.c.MarkEvery, r.c.ReportEvery+r.c.DetailEvery), Lives: r.before.Lives}
	if m := r.c.Mark; m != nil {
		back.Mark = &ledger.Last{At: m.At, Mono: m.Mono, Open: m.Open, Boot: m.Boot, Clean: m.Clean}
		r.hours.After(m.At)
		r.c.Services.After(m.At)
		if !back.Outdated() {
			r.lines(r.before.Hours.Recall())
			lines, ok := r.c.Services.Recall(r.before.More)
			if !ok {
				r.log.Warn("how long services were ready in the hour that ran when the agent ended is lost: they are others now")
			}
			r.lines(lines)
		}
	}
	spans, estimated := r.ledger.Resume(back)
	r.spans(spans)
	if r.before = (ledger.Memory{}); estimated {
		r.box.apart(telemetry.Ledger)
	}
	r.hours.Begin(start)
	r.c.Services.Begin(start)
	if r.lost > 0 {
		r.apply(input{at: r.mono, event: &event{"spool_overflow", fmt.Sprintf("%d measurements dropped while the clock was not known", r.lost)}})
	}
	r.awoke = time.Time{} // as it was then
	for _, in := range r.held {
		r.apply(in)
	}
	r.held, r.due = nil, true
	return true
}

// look reads the clock, and moves what is open when it was stepped forward. It never runs backwards.
func (r *Recorder) look() {
	expected := r.wall.Add(r.c.elapsed().Sub(r.mono))
	asleep := input{asleep: r.mono}
	napped := r.doze()
	r.wall, r.mono = r.c.Clock.Now(), r.c.elapsed()
	if expected = expected.Add(napped); napped > 0 {
		asleep.at = r.mono
		r.wake(asleep)
	}
	if r.wall.Sub(expected) > jumpMin {
		r.ledger.Step(r.wall.Sub(expected))
		r.lines(r.hours.Step(expected, r.wall))
		r.lines(r.c.Services.Step(expected, r.wall))
	}
}

// doze notes how long the machine has slept since the last call.
func (r *Recorder) doze() time.Duration {
	slept := r.c.Clock.Slept()
	napped := slept - r.slept
	if napped <= jumpMin {
		return 0
	}
	r.slept, r.awoke = slept, r.c.elapsed()
	last := r.came
	if r.released {
		last = r.mono
	}
	if len(r.naps) == maxNaps {
		r.naps = append(r.naps[:0], r.naps[1:]...)
	}
	r.naps = append(r.naps, nap{last.Add(1), napped})
	if !r.released {
		r.life.Lapse(r.c.Clock.Mono())
		r.wait(input{at: r.awoke, asleep: last})
	}
	return napped
}

// awake is a moment of a verdict, or that at which a sleep was noticed, if later: the answer may be from before the sleep, and says nothing of it.
func (r *Recorder) awake(t time.Time) time.Time {
	if t.Before(r.awoke) {
		return r.awoke
	}
	return t
}

// wake ends what was open when the machine fell asleep. What it slept through is not known.
func (r *Recorder) wake(in input) {
	r.awoke = in.at
	r.spans(r.ledger.Close(r.at(in.asleep), in.at.Sub(in.asleep)))
	r.lines(r.hours.Step(r.at(in.asleep), r.at(in.at)))
	r.lines(r.c.Services.Slept(r.at(in.asleep), r.at(in.at)))
}

// napsAfter is how long the machine has slept since a moment of elapsed time.
func (r *Recorder) napsAfter(t time.Time) (sum time.Duration) {
	for _, n := range r.naps {
		if n.at.After(t) {
			sum += n.long
		}
	}
	return sum
}

// at is the wall time of a moment of elapsed time.
func (r *Recorder) at(t time.Time) time.Time { return r.wall.Add(t.Sub(r.mono) - r.napsAfter(t)) }
