package clock

import (
	"fmt"
	"sync"
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
	Wall time.Time     // the system's wall clock
	Mono time.Duration // since boot; it never steps
}

// Source says who moved the clock.
type Source string

// The sources of a step.
const (
	System    Source = "system"
	Collector Source = "collector"
)

// Step is one step of a clock.
type Step struct {
	At       time.Time     // now, as it was called before the step; after a step backwards the time handed out now
	By       time.Duration // > 0: forwards
	Source   Source
	Followed bool // false: the collector's word stands against it
}

// String is the detail of an event line of kind "clock_step".
func (s Step) String() string {
	how := "taken at once"
	switch {
	case !s.Followed:
		how = "not followed: the collector's clock says otherwise"
	case s.By < 0:
		how = "caught up at half speed"
	}
	return fmt.Sprintf("%s clock stepped by %.1f s, %s", s.Source, s.By.Seconds(), how)
}

// Clock turns readings into wall time. Safe for concurrent use.
type Clock struct {
	read func() Reading

	mu     sync.Mutex
	prev   Reading
	offset time.Duration // what to add to the system's wall clock
	high   time.Time     // the latest time handed out
	agreed bool          // with the collector
	steps  []Step
}

// New starts a clock. It never says a time before notBefore, the last moment known from the boot before; zero when none is. When the
// system's clock is behind that, or before Floor, time begins there, estimated, and runs on from it.
func New(read func() Reading, notBefore time.Time) *Clock {
	r := read()
	c := &Clock{read: read, prev: r, high: r.Wall}
	if floor := Floor(); notBefore.Before(floor) {
		notBefore = floor
	}
	if r.Wall.Before(notBefore) {
		c.offset, c.high = notBefore.Sub(r.Wall), notBefore
	}
	return c
}

// Now is the wall time, in UTC. It never runs backwards.
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
		c.systemStepped(r.Wall, by)
	}
	c.prev = Reading{Wall: r.Wall, Mono: max(r.Mono, c.prev.Mono)}
	slow := c.high.Add(ran / 2)
	if c.high = r.Wall.Add(c.offset); c.high.Before(slow) {
		c.high = slow
	}
	for i := known; i < len(c.steps); i++ {
		if c.steps[i].At = expect; expect.After(c.high) {
			c.steps[i].At = c.high
		}
	}
}

// systemStepped decides whether to go along with a step of the system's clock.
func (c *Clock) systemStepped(wall time.Time, by time.Duration) {
	before := c.offset
	c.offset -= by // stay where we are
	if rest := c.offset.Abs(); wall.Before(Floor()) || c.agreed && rest > agreeWithin {
		c.note(Step{By: by, Source: System})
		return
	}
	c.offset = 0 // the system's clock is the best there is, or agrees with the collector by now
	if moved := by - before; moved > stepMin || moved < -stepMin {
		c.note(Step{By: moved, Source: System, Followed: true})
	}
}

// Acked hears the collector's clock from an acknowledgement that came just now. rtt is the time since its batch was first sent:
// the collector's clock was read within it. Where ours is within 5 s of that stretch, the clock counts as synced, provided
// that rtt is at most 10 s; where not, ours steps to its middle.
func (c *Clock) Acked(collector time.Time, rtt time.Duration) {
	if collector.Before(Floor()) || rtt < 0 {
		return // the collector's own clock is not set
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	ours := c.prev.Wall.Add(c.offset)
	tight := rtt <= tightRtt
	if ours.Before(collector.Add(-agreeWithin)) || ours.After(collector.Add(rtt+agreeWithin)) {
		by := collector.Add(rtt / 2).Sub(ours)
		c.note(Step{At: c.high, By: by, Source: Collector, Followed: true})
		c.offset += by
		c.agreed = tight
		if target := c.prev.Wall.Add(c.offset); target.After(c.high) {
			c.high = target
		}
		return
	}
	if tight {
		c.agreed = true
	}
}

// Status is synced once an acknowledgement has agreed within 5 s, or the clock was stepped to agree and has caught up with that.
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
