package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

type fakeClock struct{ at time.Time }

func (c *fakeClock) now() time.Time { return c.at }

func TestALogGetsOnePlainLineEveryFewSeconds(t *testing.T) {
	var out bytes.Buffer
	c := &fakeClock{at: time.Unix(1000, 0)}
	b := New(&out, "history", "lines", c.now)
	for i := range 120 {
		c.at = c.at.Add(100 * time.Millisecond)
		b.Show(float64(i+1)/120, int64(i+1)*10000)
	}
	b.Finish("done")
	want := "history  42 %  500,000 lines  100,000 lines/s  0:07 left\n" +
		"history  83 %  1,000,000 lines  100,000 lines/s  0:02 left\n" +
		"history 100 %  1,200,000 lines  100,000 lines/s  done in 0:12\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestATerminalGetsOneLineThatIsRedrawn(t *testing.T) {
	var out bytes.Buffer
	c := &fakeClock{at: time.Unix(1000, 0)}
	b := New(&out, "history", "lines", c.now)
	b.terminal = true
	for i := range 10 {
		c.at = c.at.Add(time.Second)
		b.Show(float64(i+1)/10, int64(i))
	}
	b.Finish("done")
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("%d newlines, want only the last", n)
	}
	if n := strings.Count(out.String(), "\r"); n != 11 {
		t.Errorf("drawn %d times, want 11", n)
	}
	longest := 0
	for _, l := range strings.Split(strings.TrimSpace(out.String()), "\r")[1:] {
		if len(l) < longest {
			t.Errorf("%q leaves something of the line before", l)
		}
		longest = len(strings.TrimRight(l, " "))
	}
	if !strings.Contains(out.String(), "[############............]") {
		t.Errorf("no half-full bar in %q", out.String())
	}
}

func TestAFaultBeginsALine(t *testing.T) {
	for _, shown := range []bool{true, false} {
		var out bytes.Buffer
		c := &fakeClock{at: time.Unix(1000, 0)}
		b := New(&out, "history", "lines", c.now)
		b.terminal = true
		want := 0
		if shown {
			b.Show(0.5, 10)
			want = 1
		}
		b.Close()
		b.Close()
		if n := strings.Count(out.String(), "\n"); n != want {
			t.Errorf("shown %v: %d newlines in %q, want %d", shown, n, out.String(), want)
		}
	}
}

func TestNothingIsShownBeforeThereIsSomethingToSay(t *testing.T) {
	var out bytes.Buffer
	c := &fakeClock{at: time.Unix(1000, 0)}
	b := New(&out, "history", "lines", c.now)
	b.Show(0, 0)
	if out.Len() != 0 {
		t.Errorf("wrote %q", out.String())
	}
	b.Finish("nothing to do") // no time has passed: no rate, no division by zero
	if got := out.String(); got != "history   0 %  0 lines  nothing to do in 0:00\n" {
		t.Errorf("got %q", got)
	}
}
