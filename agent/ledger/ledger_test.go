package ledger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

func show(spans []telemetry.Span) (out []string) {
	for _, s := range spans {
		out = append(out, fmt.Sprintf("%s +%v %s %s err %v", s.Start.Format("15:04:05"), s.Length, s.State, s.Cause, s.Err))
	}
	return out
}

func expect(t *testing.T, spans []telemetry.Span, want ...string) {
	t.Helper()
	if got := show(spans); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("spans\n got %q\nwant %q", got, want)
	}
}

func TestASpanClosesWhenTheStateChangesAndAtEachUTCHour(t *testing.T) {
	var l Ledger
	expect(t, l.Observe(at(10), telemetry.StateUp, "", 2*time.Second))
	expect(t, l.Advance(at(20)))
	expect(t, l.Advance(at(125)), "12:10:00 +50m0s up  err 2s", "13:00:00 +1h0m0s up  err 0s")
	if got := l.Open(at(125)); got != (telemetry.OpenSpan{State: telemetry.StateUp, Length: 5 * time.Minute}) {
		t.Errorf("open %+v", got)
	}
	expect(t, l.Observe(at(126), telemetry.StateDown, telemetry.CauseLocal, 30*time.Second), "14:00:00 +6m0s up  err 30s")
	expect(t, l.Observe(at(127), telemetry.StateDown, telemetry.CauseBackhaul, 0), "14:06:00 +1m0s down local err 30s")
	expect(t, l.Close(at(180), 0), "14:07:00 +53m0s down backhaul err 0s")
	if l.Open(at(200)) != (telemetry.OpenSpan{}) {
		t.Error("a span is open after Close")
	}
}

func TestAChangeMayBePutBackToWhenItBegan(t *testing.T) {
	var l Ledger
	l.Observe(at(1), telemetry.StateUp, "", 0)
	l.Advance(at(5))
	expect(t, l.Observe(at(4), telemetry.StateDown, telemetry.CauseLocal, time.Second), "12:01:00 +3m0s up  err 1s")
	expect(t, l.Advance(at(61)), "12:04:00 +56m0s down local err 1s")
	// Not before what is closed already.
	expect(t, l.Observe(at(59), telemetry.StateUp, "", 0))
	expect(t, l.Close(at(62), 0), "13:00:00 +2m0s up  err 0s")
}

func TestAChangeNearAUTCHourIsUncertainOnBothSidesOfIt(t *testing.T) {
	var l Ledger
	l.Observe(at(0), telemetry.StateUp, "", 0)
	expect(t, l.Observe(at(120.25), telemetry.StateDown, telemetry.CauseLocal, 30*time.Second), "12:00:00 +1h0m0s up  err 0s", "13:00:00 +1h0m0s up  err 15s", "14:00:00 +15s up  err 30s")
	expect(t, l.Close(at(121), 0), "14:00:15 +45s down local err 30s")
}

func TestAClockStepMovesTheOpenSpanAndNeverDoublesTime(t *testing.T) {
	var l Ledger
	l.Observe(at(0), telemetry.StateUp, "", 0)
	expect(t, l.Observe(at(10), telemetry.StateDown, telemetry.CauseLocal, 0), "12:00:00 +10m0s up  err 0s")
	l.Advance(at(20))
	l.Step(45 * time.Minute)
	expect(t, l.Advance(at(66)), "12:55:00 +5m0s down local err 0s")
	expect(t, l.Observe(at(70), telemetry.StateUp, "", 0), "13:00:00 +10m0s down local err 0s")
	l.Advance(at(75))
	l.Step(-30 * time.Minute)
	expect(t, l.Observe(at(50), telemetry.StateDegraded, "", 0))
	expect(t, l.Advance(at(60)))
	expect(t, l.Close(at(73), 0), "13:10:00 +3m0s degraded  err 0s")
	// So far back that the earlier clock must have been wrong.
	expect(t, l.Observe(at(73-25*60), telemetry.StateUp, "", 0))
	expect(t, l.Close(at(74-25*60), 0), "12:13:00 +1m0s up  err 0s")
}

func TestResumeTellsWhyTheAgentWasAway(t *testing.T) {
	open := telemetry.OpenSpan{State: telemetry.StateUp, Length: 5 * time.Minute}
	mark := func(change func(*Last)) *Last {
		m := &Last{At: at(25), Open: open, Boot: "aaaaaaaa"}
		if change != nil {
			change(m)
		}
		return m
	}
	for _, tt := range []struct {
		name string
		r    Return
		want []string
	}{
		{"first start ever", Return{Boot: "aaaaaaaa", Start: at(30)}, nil},
		{"power cut", Return{Mark: mark(nil), Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:20:00 +5m0s up  err 1m0s", "12:25:00 +5m0s off power err 1m0s"}},
		{"agent killed", Return{Mark: mark(nil), Boot: "aaaaaaaa", Start: at(25.5)},
			[]string{"12:20:00 +5m0s up  err 30s", "12:25:00 +30s off agent err 30s"}},
		{"clean shutdown, over hours", Return{Mark: mark(func(m *Last) { m.Clean, m.Open = true, telemetry.OpenSpan{} }), Boot: "bbbbbbbb", Start: at(130)},
			[]string{"12:25:00 +35m0s off shutdown err 0s", "13:00:00 +1h0m0s off shutdown err 0s", "14:00:00 +10m0s off shutdown err 0s"}},
		{"the collector knows more", Return{Mark: mark(nil), Batch: &telemetry.LastBatch{At: at(27), Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: 7 * time.Minute}}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:20:00 +7m0s up  err 1m0s", "12:27:00 +3m0s off power err 1m0s"}},
		{"the collector knows less", Return{Mark: mark(nil), Batch: &telemetry.LastBatch{At: at(24), Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: 4 * time.Minute}}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:20:00 +5m0s up  err 1m0s", "12:25:00 +5m0s off power err 1m0s"}},
		{"only the collector knows", Return{Batch: &telemetry.LastBatch{At: at(27), Open: open}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:22:00 +5m0s up  err 1m0s", "12:27:00 +3m0s off power err 1m0s"}},
		{"a clean mark that the collector outlives is a stale one", Return{Mark: mark(func(m *Last) { m.Clean = true }), Batch: &telemetry.LastBatch{At: at(27), Open: telemetry.OpenSpan{State: telemetry.StateUp}}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:27:00 +3m0s off power err 1m0s"}},
		{"an open span never crosses the hour", Return{Mark: mark(func(m *Last) { m.Open.Length = 50 * time.Minute }), Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:00:00 +25m0s up  err 1m0s", "12:25:00 +5m0s off power err 1m0s"}},
		{"clock behind the mark", Return{Mark: mark(nil), Boot: "bbbbbbbb", Start: at(10)}, []string{"12:20:00 +5m0s up  err 0s"}},
		{"away longer than can be believed", Return{Mark: mark(nil), Boot: "bbbbbbbb", Start: at(25).Add(2 * MaxOff)}, []string{"12:20:00 +5m0s up  err 1m0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Slack = time.Minute
			var l Ledger
			spans, _ := l.Resume(tt.r)
			expect(t, spans, tt.want...)
			if tt.name == "clock behind the mark" {
				expect(t, l.Observe(at(11), telemetry.StateUp, "", 0))
				expect(t, l.Close(at(26), 0), "12:25:00 +1m0s up  err 0s")
			}
		})
	}
}

type segment struct {
	from, to time.Time
	state    telemetry.State
	cause    telemetry.Cause
}

// merge joins neighbours of the same state, and reports gaps in want of the tiling as separate segments.
func merge(in []segment) (out []segment) {
	for _, s := range in {
		if n := len(out); n > 0 && out[n-1].to.Equal(s.from) && out[n-1].state == s.state && out[n-1].cause == s.cause {
			out[n-1].to = s.to
		} else if s.to.After(s.from) {
			out = append(out, s)
		}
	}
	return out
}

func segments(spans []telemetry.Span) (out []segment) {
	for _, s := range spans {
		out = append(out, segment{s.Start, s.End(), s.State, s.Cause})
	}
	return out
}

// checkTiling is what holds of the spans of any agent, whatever happened to it.
func checkTiling(t *rapid.T, spans []telemetry.Span) {
	for i, s := range spans {
		if s.Length <= 0 || s.Err < 0 {
			t.Fatalf("span %d is empty or negative: %v", i, show(spans[i:i+1]))
		}
		if s.Start.Truncate(time.Hour) != s.End().Add(-1).Truncate(time.Hour) {
			t.Fatalf("span %d crosses a UTC hour: %v", i, show(spans[i:i+1]))
		}
		if i > 0 && s.Start.Before(spans[i-1].End()) {
			t.Fatalf("spans overlap: %v", show(spans[i-1:i+1]))
		}
		if l := s.Line(); true {
			if _, err := telemetry.Check(l); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var judged = []segment{{state: telemetry.StateUp}, {state: telemetry.StateDegraded},
	{state: telemetry.StateDown, cause: telemetry.CauseLocal}, {state: telemetry.StateDown, cause: telemetry.CauseBackhaul}, {state: telemetry.StateDown, cause: telemetry.CauseDNS}}

func TestSpansTileTheTruthThroughChangesAndRestarts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			l     Ledger
			now   = noon.Add(time.Duration(rapid.Int64Range(0, 3_600_000).Draw(t, "start")) * time.Millisecond)
			boot  = 0
			truth []segment
			spans []telemetry.Span
			mark  Last // what was written last: on each change, and now and then
		)
		pass := func(most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, most.Milliseconds()).Draw(t, "ms")) * time.Millisecond
		}
		tell := func(to time.Time, s telemetry.State, c telemetry.Cause) {
			truth = append(truth, segment{now, to, s, c})
			now = to
		}
		setMark := func() {
			mark = Last{At: now, Open: l.Open(now), Boot: fmt.Sprintf("%08x", boot)}
		}
		change := func() {
			k := rapid.SampledFrom(judged).Draw(t, "state")
			spans = append(spans, l.Observe(now, k.state, k.cause, pass(time.Minute))...)
			setMark()
		}
		change()
		t.Repeat(map[string]func(*rapid.T){
			"change": func(*rapid.T) { change() },
			"time passes": func(*rapid.T) {
				s, c := l.State()
				tell(now.Add(pass(150*time.Minute)), s, c)
				spans = append(spans, l.Advance(now)...)
				setMark()
			},
			"agent or machine goes away": func(*rapid.T) {
				clean := rapid.Bool().Draw(t, "clean")
				reboot := rapid.Bool().Draw(t, "reboot")
				cause := telemetry.CauseAgent
				setMark()
				switch {
				case clean:
					spans = append(spans, l.Close(now, 0)...)
					mark = Last{At: now, Boot: mark.Boot, Clean: true}
					fallthrough
				case reboot && clean:
					if reboot {
						cause = telemetry.CauseShutdown
					}
				case reboot:
					cause = telemetry.CausePower
				}
				if reboot {
					boot++
				}
				last := mark
				l = Ledger{}
				tell(now.Add(pass(200*time.Minute)), telemetry.StateOff, cause)
				before, _ := l.Resume(Return{Mark: &last, Boot: fmt.Sprintf("%08x", boot), Start: now, Slack: time.Minute})
				spans = append(spans, before...)
				change()
			},
		})
		spans = append(spans, l.Close(now, 0)...)
		checkTiling(t, spans)
		got, want := merge(segments(spans)), merge(truth)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("spans do not tell the truth\n got %v\nwant %v", got, want)
		}
	})
}

func TestNoClockStepMakesSpansNegativeOverlappingOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		var spans []telemetry.Span
		var lived time.Duration
		now := noon
		ms := func(lo, hi time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(lo.Milliseconds(), hi.Milliseconds()).Draw(t, "ms")) * time.Millisecond
		}
		l.Observe(now, telemetry.StateUp, "", 0)
		reach := time.Duration(0) // how far back the steps go in all, kept within what is believed
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(*rapid.T) {
				d := ms(0, 90*time.Minute)
				now, lived = now.Add(d), lived+d
				spans = append(spans, l.Advance(now)...)
			},
			"change, up to a minute ago": func(*rapid.T) {
				k := rapid.SampledFrom(judged).Draw(t, "state")
				spans = append(spans, l.Observe(now.Add(-ms(0, time.Minute)), k.state, k.cause, 0)...)
				spans = append(spans, l.Advance(now)...)
			},
			"step": func(*rapid.T) {
				d := ms(-3*time.Hour, 3*time.Hour)
				if reach += min(d, 0); reach < -MaxAhead+time.Hour {
					reach -= min(d, 0)
					return
				}
				l.Step(d)
				now = now.Add(d)
			},
			"killed and back": func(*rapid.T) {
				last := Last{At: now, Open: l.Open(now), Boot: "aaaaaaaa"}
				if start, ok := l.Start(); !ok || now.Before(start) || now.Before(l.floor) {
					return // the agent waits for its clock; there is nothing new to lose
				}
				l = Ledger{}
				d := ms(0, 90*time.Minute)
				now, lived = now.Add(d), lived+d
				before, _ := l.Resume(Return{Mark: &last, Boot: "aaaaaaaa", Start: now})
				spans = append(spans, before...)
				spans = append(spans, l.Observe(now, telemetry.StateUp, "", 0)...)
			},
		})
		spans = append(spans, l.Close(now, 0)...)
		checkTiling(t, spans)
		var total time.Duration
		for _, s := range spans {
			total += s.Length
		}
		if total > lived {
			t.Fatalf("%v told in a life of %v:\n%v", total, lived, show(spans))
		}
	})
}
