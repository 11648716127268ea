package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/terminal"
)

const (
	redraw = 100 * time.Millisecond // on a terminal
	plain  = 5 * time.Second        // elsewhere
	cells  = 24                     // width of the bar
)

// Bar shows one piece of work. It is for one goroutine.
type Bar struct {
	out      io.Writer
	now      func() time.Time
	label    string
	unit     string
	terminal bool
	began    time.Time
	shown    time.Time
	last     state
	width    int // of the line on the terminal
}

type state struct {
	done  float64
	count int64
}

// New begins a bar. Unit names what is counted, such as "lines".
func New(out io.Writer, label, unit string, now func() time.Time) *Bar {
	return &Bar{out: out, now: now, label: label, unit: unit, terminal: terminal.Is(out), began: now()}
}

// Show tells the present state: the share done from 0 to 1, and what has passed so far. It writes only as often
// as a reader can use.
func (b *Bar) Show(done float64, count int64) {
	b.last = state{min(max(done, 0), 1), count}
	every := plain
	if b.terminal {
		every = redraw
	}
	if at := b.now(); at.Sub(b.shown) >= every && (b.terminal || at.Sub(b.began) >= plain) {
		b.shown = at
		b.write("")
	}
}

// Finish writes the last state with a closing word, such as "done".
func (b *Bar) Finish(word string) {
	b.write(word)
	b.Close()
}

// Close ends the line of a terminal where work ended without a word, as with a fault, so that what is said of it has a line of its own. Behind Finish it does nothing.
func (b *Bar) Close() {
	if b.terminal && b.width > 0 {
		fmt.Fprintln(b.out)
		b.width = 0
	}
}

func (b *Bar) write(word string) {
	elapsed := b.now().Sub(b.began)
	line := fmt.Sprintf("%s %3.0f %%  %s %s", b.label, 100*b.last.done, thousands(b.last.count), b.unit)
	if s := elapsed.Seconds(); s > 0 {
		line += fmt.Sprintf("  %s %s/s", thousands(int64(float64(b.last.count)/s)), b.unit)
	}
	switch {
	case word != "":
		line += fmt.Sprintf("  %s in %s", word, clock(elapsed))
	case b.last.done > 0:
		line += fmt.Sprintf("  %s left", clock(time.Duration(float64(elapsed)*(1-b.last.done)/b.last.done)))
	}
	if !b.terminal {
		fmt.Fprintln(b.out, line)
		return
	}
	full := int(b.last.done * cells)
	line = "[" + strings.Repeat("#", full) + strings.Repeat(".", cells-full) + "] " + line
	fmt.Fprintf(b.out, "\r%s%s", line, strings.Repeat(" ", max(0, b.width-len(line))))
	b.width = len(line)
}

// clock is a duration as m:ss.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
