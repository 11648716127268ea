package clock

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
	"pgregory.net/rapid"
)

// machine is a router whose clocks the test moves.
type machine struct{ r Reading }

func (m *machine) read() Reading { return m.r }

func (m *machine) run(d time.Duration) {
	m.r.Mono += d
	m.r.Wall = m.r.Wall.Add(d)
}

func (m *machine) step(d time.Duration) { m.r.Wall = m.r.Wall.Add(d) }

func at(s string) time.Time {
	t, err := time.Parse(time.DateTime, s)
	if err != nil {
		panic(err)
	}
	return t
}

func (m *machine) want(t *testing.T, c *Clock, now string, status telemetry.Clock, steps ...string) {
	t.Helper()
	if got := c.Now().Format(time.DateTime); got != now {
		t.Errorf("now %s, want %s", got, now)
	}
	if got := c.Status(); got != status {
		t.Errorf("status %s, want %s", got, status)
	}
	var got []string
	for _, s := range c.Steps() {
		got = append(got, s.At.Format(time.DateTime)+" "+s.String())
	}
	if fmt.Sprint(got) != fmt.Sprint(steps) {
		t.Errorf("steps %q, want %q", got, steps)
	}
}

const (
	synced    = telemetry.ClockSynced
	estimated = telemetry.ClockEstimated
)

func TestARouterThatBootsIn1970ContinuesFromTheLastMomentKnown(t *testing.T) {
	m := &machine{Reading{Wall: at("1970-01-01 00:00:20"), Mono: 20 * time.Second}}
	c := New(m.read, at("2026-11-23 10:00:00"))
	c.Bind()
	m.want(t, c, "2026-11-23 10:00:00", estimated)
	m.run(10 * time.Minute)
	m.want(t, c, "2026-11-23 10:10:00", estimated)
	c.Acked(at("2026-11-23 12:00:00"), 2*time.Second)
	m.want(t, c, "2026-11-23 12:00:01", synced, "2026-11-23 10:10:00 collector clock stepped by 6601.0 s, taken at once")
	m.run(time.Minute)
	m.want(t, c, "2026-11-23 12:01:01", synced)
	// Now NTP finds the time as well: nothing moves for us.
	m.run(time.Minute)
	m.r.Wall = at("2026-11-23 12:02:00")
	m.want(t, c, "2026-11-23 12:02:00", synced)
}

func TestWithoutAMarkAnUnsetClockBeginsAtTheFloor(t *testing.T) {
	m := &machine{Reading{Wall: at("1970-01-01 00:00:20")}}
	c := New(m.read, time.Time{})
	c.Bind()
	m.want(t, c, "2026-01-01 00:00:00", estimated)
	m.r.Wall = at("2026-11-23 12:02:00") // SNTP
	m.run(time.Second)
	m.want(t, c, "2026-11-23 12:02:01", estimated, "2026-01-01 00:00:01 system clock stepped by 28209720.0 s, taken at once")
}

func TestAClockSetFromABuildDateDoesNotGoBeforeTheMark(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-03-01 00:00:00")}}
	c := New(m.read, at("2026-11-23 10:00:00"))
	c.Bind()
	m.run(time.Minute)
	m.want(t, c, "2026-11-23 10:01:00", estimated)
}

func TestAStepBackwardsIsCaughtUpAtHalfSpeed(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 10:00:00")}}
	c := New(m.read, time.Time{})
	c.Bind()
	m.run(time.Minute)
	m.step(-2 * time.Minute)
	m.want(t, c, "2026-11-23 10:00:30", estimated, "2026-11-23 10:00:30 system clock stepped by -120.0 s, caught up at half speed")
	m.run(time.Minute)
	m.want(t, c, "2026-11-23 10:01:00", estimated)
	c.Acked(m.r.Wall, 0) // the system was right, but we have not caught up yet
	m.want(t, c, "2026-11-23 10:01:00", estimated)
	m.run(time.Hour)
	m.want(t, c, "2026-11-23 11:00:00", synced)
}

func TestOnlyATightAcknowledgementMakesTheClockSynced(t *testing.T) {
	now := at("2026-11-23 10:00:00")
	rows := []struct {
		name      string
		collector time.Time
		rtt       time.Duration
		want      telemetry.Clock
		moved     time.Duration
	}{
		{"agrees to the second", now.Add(-time.Second), time.Second, synced, 0},
		{"5 s ahead of the stretch", now.Add(5 * time.Second), time.Second, synced, 0},
		{"5 s behind the stretch", now.Add(-6 * time.Second), time.Second, synced, 0},
		{"further ahead: stepped to agree", now.Add(6 * time.Second), 2 * time.Second, synced, 7 * time.Second},
		{"agrees, but came late", now.Add(-11 * time.Second), 11 * time.Second, estimated, 0},
		{"came late and is far off: stepped, not synced", now.Add(time.Hour), 20 * time.Second, estimated, time.Hour + 10*time.Second},
		{"the collector's clock is not set", at("1999-01-01 00:00:00"), time.Second, estimated, 0},
		{"a round trip below zero", now.Add(time.Hour), -1, estimated, 0},
	}
	for _, r := range rows {
		m := &machine{Reading{Wall: now}}
		c := New(m.read, time.Time{})
		c.Bind()
		c.Acked(r.collector, r.rtt)
		if got := c.Status(); got != r.want {
			t.Errorf("%s: %s, want %s", r.name, got, r.want)
		}
		if got := c.Now().Sub(now); got != r.moved {
			t.Errorf("%s: moved by %v, want %v", r.name, got, r.moved)
		}
	}
}

func TestAStepAgainstTheCollectorsWordIsToldAndNotFollowed(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 10:00:00")}}
	c := New(m.read, time.Time{})
	c.Bind()
	c.Acked(at("2026-11-23 10:00:00"), time.Second)
	m.run(time.Minute)
	m.step(time.Hour)
	m.want(t, c, "2026-11-23 10:01:00", synced, "2026-11-23 10:01:00 system clock stepped by 3600.0 s, not followed: the collector's clock says otherwise")
	m.step(-time.Hour)
	m.want(t, c, "2026-11-23 10:01:00", synced)
}

func TestStepsAreBounded(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 10:00:00")}}
	c := New(m.read, time.Time{})
	c.Bind()
	for range 100 {
		m.step(time.Minute)
		c.Now()
	}
	steps := c.Steps()
	var sum time.Duration
	for _, s := range steps {
		sum += s.By
	}
	if len(steps) != maxSteps || sum != 100*time.Minute {
		t.Errorf("%d steps by %v, want %d by %v", len(steps), sum, maxSteps, 100*time.Minute)
	}
}

// TestTimeNeverRunsBackwards moves the clocks at random and cuts spans with what comes out, the way the ledger does.
func TestTimeNeverRunsBackwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]time.Time{at("1970-01-01 00:00:00"), at("2026-03-01 00:00:00"), at("2026-11-23 10:00:00"), at("2036-01-01 00:00:00")})
		m := &machine{Reading{Wall: start.Draw(t, "start")}}
		var mark time.Time
		if rapid.Bool().Draw(t, "has mark") {
			mark = at("2026-11-20 00:00:00")
		}
		c := New(m.read, mark)
		c.Bind()
		open := c.Now() // start of the open span
		if open.Before(mark) || open.Before(Floor()) {
			t.Fatalf("began at %v, before the mark %v or the floor", open, mark)
		}
		mono := m.r.Mono
		var covered, slack time.Duration // slack: moves too small to be called a step
		step := func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(-int64(300*24*time.Hour), int64(300*24*time.Hour)).Draw(t, "step"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"run":  func(t *rapid.T) { m.run(time.Duration(rapid.Int64Range(0, int64(2*time.Hour)).Draw(t, "run"))) },
			"step": func(t *rapid.T) { slack += stepMin; m.step(step(t)) },
			"small": func(t *rapid.T) {
				slack += 3 * time.Second
				m.step(time.Duration(rapid.Int64Range(-int64(3*time.Second), int64(3*time.Second)).Draw(t, "step")))
			},
			"ack": func(t *rapid.T) {
				off := rapid.SampledFrom([]time.Duration{0, time.Second, -time.Second, step(t)}).Draw(t, "off")
				rtt := time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "rtt"))
				c.Acked(c.Now().Add(off), rtt)
			},
			"": func(t *rapid.T) {
				now := c.Now()
				end := now
				for _, s := range c.Steps() {
					if s.Followed && s.By > 0 && s.At.Before(end) {
						end = s.At
					}
				}
				if end.Before(open) {
					t.Fatalf("span of %v", end.Sub(open))
				}
				covered += end.Sub(open)
				open = now
				if ran := m.r.Mono - mono; covered > ran+slack {
					t.Fatalf("spans cover %v of %v that have passed", covered, ran)
				}
			},
		})
	})
}

// TestClocksMeetAgain: after any step a clock that the collector keeps telling the time is synced and right in the end.
func TestClocksMeetAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		off := time.Duration(rapid.Int64Range(-int64(72*time.Hour), int64(72*time.Hour)).Draw(t, "off"))
		truth := at("2026-11-23 10:00:00")
		m := &machine{Reading{Wall: truth.Add(off)}}
		c := New(m.read, time.Time{})
		c.Bind()
		for range 7 * 24 {
			m.run(time.Hour)
			truth = truth.Add(time.Hour)
			c.Acked(truth.Add(-300*time.Millisecond), 600*time.Millisecond)
		}
		if d := c.Now().Sub(truth).Abs(); d > agreeWithin+300*time.Millisecond || c.Status() != synced {
			t.Fatalf("off by %v, %s", d, c.Status())
		}
	})
}

func TestBootID(t *testing.T) {
	file := func(text string, err error) func(string) ([]byte, error) {
		return func(path string) ([]byte, error) {
			if path != BootIDFile {
				t.Errorf("read %s", path)
			}
			return []byte(text), err
		}
	}
	booted := at("2026-11-23 10:00:10")
	rows := []struct {
		name   string
		read   func(string) ([]byte, error)
		booted time.Time
		want   string
	}{
		{"linux", file("4f2a9c1b-7d7c-4b0e-9a0e-111111111111\n", nil), booted, "4f2a9c1b"},
		{"no such file", file("", os.ErrNotExist), booted, fmt.Sprintf("%08x", at("2026-11-23 10:00:00").Unix())},
		{"garbage", file("4F2A9C1B", nil), booted.Add(-20 * time.Second), fmt.Sprintf("%08x", at("2026-11-23 10:00:00").Unix())},
		{"nothing known", file("", os.ErrNotExist), time.Time{}, ""},
	}
	for _, r := range rows {
		got, err := BootID(r.read, r.booted)
		if got != r.want || (err != nil) != (r.want == "") {
			t.Errorf("%s: %q %v, want %q", r.name, got, err, r.want)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if id, err := BootID(os.ReadFile, time.Time{}); err != nil || len(id) != 8 {
		t.Errorf("this machine: %q %v", id, err)
	}
}

func TestThisMachinesClocksRun(t *testing.T) {
	a := SystemReading()
	b := SystemReading()
	if a.Mono <= 0 || b.Mono < a.Mono || a.Wall.Before(Floor()) {
		t.Errorf("readings %+v then %+v", a, b)
	}
}
