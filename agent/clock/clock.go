package clock

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	// stepMin is how far the wall clock must move against the time since boot to be called a step. NTP slews by at most
	// 0.5 ms a second, so between two readings a minute apart nothing but a step comes near.
	stepMin = 2 * time.Second
	// agreeWithin is how far the collector's clock and ours may differ and still agree.
	agreeWithin = 5 * time.Second
	// tightRtt is the longest round trip whose acknowledgement can prove agreement.
	tightRtt = 10 * time.Second
	// maxSteps bounds what Steps holds; beyond it the newest ones are merged.
	maxSteps = 16
)

// Floor is the earliest time that is believed: a system clock before it is not set.
func Floor() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Reading is what the machine's clocks say at one moment.
type Reading struct {
	Wall   time.Time     // the system's wall clock
	Mono   time.Duration // since boot, sleep included; it never steps
	Awake  time.Duration // the same without the time that the machine slept; 0: not known
	Synced bool          // the system says that a time service of its own keeps Wall right
}

// Source says who moved the clock.
type Source string

// The sources of a step.
const (
	System    Source = "system"
	Collector Source = "collector"
	SNTP      Source = "sntp"
)

// Step is one step of a clock.
type Step struct {
	At       time.Time     // now, as it was called before the step; after a step backwards the time handed out now
	By       time.Duration // > 0: forwards
	Source   Source
	Followed bool // false: the collector's word stands against it
	Free     bool // nothing had been stamped yet, so that a step backwards needed no catching up
}

// String is the detail of an event line of kind "clock_step".
func (s Step) String() string {
	how := "taken at once"
	switch {
	case !s.Followed:
		how = "not followed: the collector's clock says otherwise"
	case s.By < 0 && !s.Free:
		how = "caught up at half speed"
	}
	return fmt.Sprintf("%s clock stepped by %.1f s, %s", s.Source, s.By.Seconds(), how)
}

// Clock turns readings into wall time. Safe for concurrent use.
type Clock struct {
	read  func() Reading
	bytes atomic.Int64 // of questions to time servers, and their answers

	mu     sync.Mutex
	prev   Reading
	offset time.Duration // what to add to the system's wall clock
	high   time.Time     // the latest time handed out
	agreed bool          // with the collector, or with a time server
	known  bool          // somebody who knows it has told the time
	heard  bool          // the collector has
	bound  bool          // something was stamped: never back
	slept  time.Duration // in all, as of prev
	steps  []Step
	doubt  chan struct{} // the time is to be asked for
	unsure bool          // it is not known, or what was heard does not fit
}

// New starts a clock. It never says a time before notBefore, the last moment known from the boot before; zero when none is. When the
// system's clock is behind that, or before Floor, time begins there, estimated, and runs on from it.
func New(read func() Reading, notBefore time.Time) *Clock {
	r := read()
	c := &Clock{read: read, prev: r, high: r.Wall, doubt: make(chan struct{}, 1), unsure: true}
	if floor := Floor(); notBefore.Before(floor) {
		notBefore = floor
	}
	if r.Wall.Before(notBefore) {
		c.offset, c.high = notBefore.Sub(r.Wall), notBefore
	}
	c.believe(r)
	return c
}

// Continue tells a moment of this same boot at which the time was known: at, when the time since boot was mono. So an agent that is
// started again need not ask anybody. A mono of 0, or one that is still to come, says nothing.
func (c *Clock) Continue(at time.Time, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if mono <= 0 || mono > c.prev.Mono || at.Before(Floor()) || c.known {
		return
	}
	now := at.Add(c.prev.Mono - mono)
	if c.offset = now.Sub(c.prev.Wall); c.prev.Synced && c.offset.Abs() <= agreeWithin {
		c.offset = 0
	}
	c.high, c.known, c.unsure = c.prev.Wall.Add(c.offset), true, false
}

// Believe takes the system's clock for right though nobody confirms it, where that is at least Floor: for a machine that is known to
// have a good battery clock and never meets a time server.
func (c *Clock) Believe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	c.believe(Reading{Wall: c.prev.Wall, Synced: true})
}

// believe takes the system's word where it says that it knows.
func (c *Clock) believe(r Reading) {
	if c.known || !r.Synced || r.Wall.Before(Floor()) {
		return
	}
	if !c.bound {
		c.offset, c.high = 0, r.Wall
	}
	c.known, c.unsure = true, false
}

// Known tells whether somebody who knows the time has told it in this boot: the collector, a time server, the system's own time
// service, or this agent's run before. Until then what was measured must not be stamped.
func (c *Clock) Known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.known
}

// Bind says that from now on times are stamped for good, so that time must not run backwards any more. Before that a step back is
// taken at once.
func (c *Clock) Bind() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = true
}

// Mono is the time since boot, sleep included.
func (c *Clock) Mono() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.prev.Mono
}

// Slept is how long the machine has slept since New; 0 also where that cannot be told.
func (c *Clock) Slept() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.slept
}

// Now is the wall time, in UTC. After Bind it never runs backwards.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.high.UTC()
}

// advance takes a reading.
func (c *Clock) advance() {
	r := c.read()
	ran := max(0, r.Mono-c.prev.Mono)
	known, expect := len(c.steps), c.high.Add(ran)
	if by := r.Wall.Sub(c.prev.Wall) - ran; by > stepMin || by < -stepMin {
		c.systemStepped(r, by)
	}
	if r.Awake > 0 && c.prev.Awake > 0 {
		c.slept += max(0, ran-max(0, r.Awake-c.prev.Awake))
	}
	c.prev = Reading{Wall: r.Wall, Mono: max(r.Mono, c.prev.Mono), Awake: max(r.Awake, c.prev.Awake), Synced: r.Synced}
	slow := c.high.Add(ran / 2)
	if c.high = r.Wall.Add(c.offset); c.bound && c.high.Before(slow) {
		c.high = slow
	}
	c.believe(r)
	for i := known; i < len(c.steps); i++ {
		if c.steps[i].At = expect; expect.After(c.high) {
			c.steps[i].At = c.high
		}
	}
}

// systemStepped decides whether to go along with a step of the system's clock.
func (c *Clock) systemStepped(r Reading, by time.Duration) {
	before := c.offset
	c.offset -= by                               // stay where we are
	stands := c.known && (c.agreed || !r.Synced) // what was heard
	if rest := c.offset.Abs(); r.Wall.Before(Floor()) || stands && rest > agreeWithin {
		c.note(Step{By: by, Source: System})
		if c.known {
			c.ask()
		}
		return
	}
	c.offset = 0 // the system's clock is the best there is, or agrees with the collector by now
	if moved := by - before; moved > stepMin || moved < -stepMin {
		c.note(Step{By: moved, Source: System, Followed: true})
	}
}

// Acked hears the collector's clock from an acknowledgement that came just now. rtt is the time since its batch was first sent:
// the collector's clock was read within it.
func (c *Clock) Acked(collector time.Time, rtt time.Duration) { c.Heard(collector, rtt, Collector) }

// Heard takes the word of somebody who knows the time: told was read from his clock within the last rtt. Where ours is within 5 s of
// that stretch, the clock counts as synced, provided that rtt is at most 10 s; where not, ours steps to its middle. A long rtt, as of
// an acknowledgement that was let wait, moves a clock that is known only as far as it must, and has it asked for. Once the
// collector has spoken, a time server that says otherwise is not followed: the collector's clock is the one that all agents share.
func (c *Clock) Heard(told time.Time, rtt time.Duration, from Source) {
	if told.Before(Floor()) || rtt < 0 {
		return // that clock is not set itself
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	ours, latest := c.prev.Wall.Add(c.offset), told.Add(rtt)
	tight := rtt <= tightRtt
	agree := !ours.Before(told.Add(-agreeWithin)) && !ours.After(latest.Add(agreeWithin))
	if from != Collector && c.heard && c.agreed {
		c.unsure = false // it was asked, and that is all it was asked for
		if !agree {
			c.note(Step{At: c.high, By: told.Add(rtt / 2).Sub(ours), Source: from})
		}
		return
	}
	c.heard = c.heard || from == Collector
	if agree {
		c.agreed = c.agreed || tight
		c.known = true
		c.unsure = c.unsure && !tight
		return
	}
	by := told.Add(rtt / 2).Sub(ours)
	if c.known && !tight {
		if by = latest.Sub(ours); ours.Before(told) {
			by = told.Sub(ours)
		}
	}
	c.note(Step{At: c.high, By: by, Source: from, Followed: true, Free: !c.bound})
	c.offset += by
	c.agreed, c.known, c.unsure = tight, true, false
	if !tight {
		c.ask()
	}
	if target := c.prev.Wall.Add(c.offset); target.After(c.high) || !c.bound {
		c.high = target
	}
}

// ask has the time asked for.
func (c *Clock) ask() {
	c.unsure = true
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// Status is synced once the collector or a time server has agreed within 5 s, or the clock was stepped to agree and has caught up
// with that.
func (c *Clock) Status() telemetry.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if c.agreed && c.high.Sub(c.prev.Wall.Add(c.offset)) <= agreeWithin {
		return telemetry.ClockSynced
	}
	return telemetry.ClockEstimated
}

// Steps returns the steps since the last call, oldest first, at most 16. Call it after Now and before using the time: a step forwards
// that is followed ends the open span at its At, and the next one begins at Now.
func (c *Clock) Steps() []Step {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.steps
	c.steps = nil
	return out
}

func (c *Clock) note(s Step) {
	if len(c.steps) == maxSteps {
		last := &c.steps[maxSteps-1]
		last.By += s.By
		return
	}
	c.steps = append(c.steps, s)
}
