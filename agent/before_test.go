package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/sampler"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// next is the run after g, on the same disk.
func (g *rig) next(t *testing.T, boot string) *rig {
	n := newRig(t, nil)
	c := n.Recorder.c
	c.Boot = boot
	if len(g.q.marks) > 0 {
		m := g.q.marks[len(g.q.marks)-1]
		c.Mark = &m
	}
	n.clock.offset, n.boot = g.clock.offset, boot
	n.Recorder = NewRecorder(c)
	return n
}

func TestTheSumsOfTheHourOutliveAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		s := probe.Sample{Quality: ledger.Quality{Sent: 2, Lost: 1, RTTs: []time.Duration{30 * time.Millisecond}}}
		for range 10 {
			from := time.Now()
			time.Sleep(time.Minute)
			g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now(), Internet: s})
			g.Tick(Tick{Host: nothing(), Traffic: []sampler.Traffic{{Interface: "wan", WAN: true, From: from, To: time.Now(), RxBytes: 100, TxBytes: 10, WANRx: 100, WANTx: 10}}, Clients: 4, ClientsKnown: true})
		}
		time.Sleep(20 * time.Second) // killed here: nothing is said any more
		n := g.next(t, "00000000")
		n.Settle()
		up(n)
		lacks(t, n.news(t), "hour ms=540000i,rtt_le_25=0i,rtt_le_50=10i,rtt_le_100=10i,rtt_le_150=10i,rtt_le_300=10i,rtt_le_600=10i,rtt_le_1200=10i,rtt_le_inf=10i,sent=20i,lost=10i,rx_bytes=900i,tx_bytes=90i,clients_max=4i 1795435200000\n",
			"span,state=up ms=600000i,err_ms=20000i 1795435200000\n")
		n.Close(Tick{Host: nothing()})
		m := n.next(t, "00000001")
		m.Settle()
		if got := m.news(t); strings.Contains(got, "hour") {
			t.Errorf("an hour that was closed is told again:\n%s", got)
		}
	})
}

func TestARunThatNeverLearnedTheTimeIsToldByTheNext(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprintf("clean %v", clean), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil)
				g.Settle()
				up(g)
				g.Close(Tick{Host: nothing()})
				g.news(t)

				time.Sleep(10 * time.Minute)
				n := g.next(t, "00000000")
				n.clock.known = false
				n.Settle()
				up(n)
				for range 20 {
					time.Sleep(time.Minute)
					up(n)
				}
				if clean {
					n.Close(Tick{Host: nothing()})
				}
				if got := n.news(t); got != "" {
					t.Fatalf("stamped without the time:\n%s", got)
				}
				time.Sleep(10 * time.Minute)
				last := n.next(t, "11111111")
				last.Settle()
				header := last.q.batches[0]
				cause := map[bool]string{false: "power", true: "shutdown"}[clean]
				got := last.news(t)
				err := map[bool]int{false: 665998, true: 599998}[clean]
				lacks(t, got, fmt.Sprintf("span,state=up ms=1200000i,err_ms=%di 1795435800002\n", err),
					fmt.Sprintf("span,cause=%s,state=off ms=599998i,err_ms=%di 1795437000002\n", cause, err), "span,cause=shutdown,state=off ms=599998i,err_ms=599998i 1795435200004\n")
				if h := last.header(t, header); h.Clock != telemetry.ClockEstimated || header.Tier != telemetry.Ledger {
					t.Errorf("what was only placed is told as %s in %s", h.Clock, header.Tier)
				}
				if h := last.header(t, last.q.batches[1]); h.Clock != telemetry.ClockSynced {
					t.Errorf("what came after is told as %s", h.Clock)
				}
				if m := last.q.marks[len(last.q.marks)-1]; m.Boot != "11111111" {
					t.Errorf("mark %+v", m)
				}
				again := last.next(t, "22222222")
				again.Settle()
				if got := again.news(t); strings.Contains(got, "state=up ms=1200000i") {
					t.Errorf("told twice:\n%s", got)
				}
			})
		})
	}
}

func TestAMarkThatCannotBeReadCostsTheHourOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, &spool.Mark{Boot: "00000000", At: time.Date(2026, 11, 23, 11, 59, 0, 0, time.UTC), Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}, Extra: []byte{99, 1, 2}})
		g.Settle()
		lacks(t, g.news(t), "span,state=up ms=60000i,err_ms=60000i 1795435080000\n")
	})
}

func TestSeveralSetsGoInOneBatchEachWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		c := g.Recorder.c
		c.ReportEvery, c.DetailEvery, c.Patience = 15*time.Minute, 5*time.Minute, func() time.Duration { return 10 * time.Minute }
		g.Recorder = NewRecorder(c)
		g.Hello()
		g.Settle()
		up(g)
		g.news(t)
		n := len(g.q.batches)
		for i := range 6 {
			time.Sleep(5 * time.Minute)
			up(g)
			h := nothing()
			h.Load1 = float64(i)
			g.Tick(Tick{Host: h})
		}
		var details []spool.Batch
		for _, b := range g.q.batches[n:] {
			if b.Tier == telemetry.Detail {
				details = append(details, b)
			}
		}
		if len(details) != 2 || details[0].Lines != 4 {
			t.Fatalf("%d batches in half an hour, the first with %d lines", len(details), details[0].Lines)
		}
		for i, b := range g.q.batches {
			h := g.header(t, b)
			want := time.Duration(0)
			if b.Tier == telemetry.Detail && i >= n {
				want = 10 * time.Minute
			}
			if h.Next != 15*time.Minute || h.AckWithin != want {
				t.Errorf("batch %d, %s: next within %v, acknowledgement within %v, want %v", i, b.Tier, h.Next, h.AckWithin, want)
			}
		}
		lacks(t, g.news(t), "host load1=0 1795435500000\n", "host load1=1 1795435800000\n", "host load1=2 1795436100000\n", "host load1=5 1795437000000\n")
		g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now(), Until: time.Now()})
		if b := g.q.batches[len(g.q.batches)-1]; g.header(t, b).AckWithin != 0 || b.Tier != telemetry.Ledger {
			t.Error("a change of state waits for its acknowledgement")
		}
		g.q.stats.Batches = 5
		for range 3 {
			time.Sleep(5 * time.Minute)
			g.Tick(Tick{Host: nothing()})
		}
		if h := g.header(t, g.q.batches[len(g.q.batches)-1]); h.AckWithin != 0 {
			t.Error("patience while a backlog waits")
		}
	})
}

func TestSetsThatComeOftenAndAreReportedSeldomAreAllTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.c.DetailEvery, g.c.ReportEvery = time.Second, time.Hour
		g.Settle()
		up(g)
		want := 50 * 60
		for range want {
			time.Sleep(time.Second)
			traffic := make([]sampler.Traffic, 6)
			for i := range traffic {
				traffic[i] = sampler.Traffic{Interface: fmt.Sprintf("wan%d", i), From: time.Now().Add(-time.Second), To: time.Now(), RxBytes: 123456789, TxBytes: 123456789}
			}
			g.Tick(Tick{Host: nothing(), Traffic: traffic})
		}
		g.Close(Tick{Host: nothing()})
		if n := strings.Count(g.news(t), "traffic,iface=wan0"); n != want {
			t.Errorf("%d of %d sets are told", n, want)
		}
	})
}

func TestTheConnectionTellsOfQualityToo(t *testing.T) {
	type told struct {
		sent, lost int
		rtt        time.Duration
		trips      int
	}
	for _, tt := range []struct {
		name  string
		ticks []told
		want  telemetry.State
	}{
		{"fast", []told{{3, 0, 90 * time.Millisecond, 3}}, telemetry.StateUp},
		{"slow", []told{{3, 0, 900 * time.Millisecond, 3}}, telemetry.StateDegraded},
		{"one slow trip is none to go by", []told{{3, 0, 900 * time.Millisecond, 1}}, telemetry.StateUp},
		{"three in three minutes are", []told{{3, 0, 900 * time.Millisecond, 1}, {3, 0, 900 * time.Millisecond, 1}, {3, 0, 900 * time.Millisecond, 1}}, telemetry.StateDegraded},
		{"one of two segments sent again is no loss of half", []told{{2, 1, 90 * time.Millisecond, 1}}, telemetry.StateUp},
		{"a broker that is away is none", []told{{10, 3, 90 * time.Millisecond, 1}, {4, 4, 0, 0}, {10, 3, 90 * time.Millisecond, 1}}, telemetry.StateUp},
		{"three of ten are a loss", []told{{10, 3, 90 * time.Millisecond, 1}}, telemetry.StateDegraded},
		{"two of ten are within the limit", []told{{10, 2, 90 * time.Millisecond, 1}}, telemetry.StateUp},
		{"good again", []told{{10, 5, 90 * time.Millisecond, 1}, {10, 0, 90 * time.Millisecond, 3}}, telemetry.StateUp},
		{"old news", []told{{10, 5, 90 * time.Millisecond, 1}, {}, {}, {}, {}, {}, {}, {}}, telemetry.StateUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil)
				c := g.Recorder.c
				var now told
				c.Limits = ledger.Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond}
				c.Path = func() (int, int, []time.Duration) {
					rtts := make([]time.Duration, now.trips)
					for i := range rtts {
						rtts[i] = now.rtt
					}
					return now.sent, now.lost, rtts
				}
				g.Recorder = NewRecorder(c)
				g.Settle()
				up(g)
				sent := 0
				for _, now = range append(tt.ticks, told{}) { // a set is judged with the next one
					time.Sleep(time.Minute)
					sent += now.sent
					g.Tick(Tick{Host: nothing()})
					up(g) // the prober has an answer
				}
				if got, _ := g.ledger.State(); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
				got := g.news(t)
				if n := strings.Count(got, "link,target=collector"); sent > 0 && n == 0 || n > len(tt.ticks)+1 {
					t.Errorf("%d lines of the path", n)
				}
				g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now(), Until: time.Now()})
				time.Sleep(time.Second)
				up(g)
				if got, _ := g.ledger.State(); got != telemetry.StateUp {
					t.Errorf("%s after an outage", got)
				}
			})
		})
	}
}

func TestLinesOfOtherRoomsWaitForTheTimeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		g.Lines(time.Now(), func(at time.Time) []*telemetry.Line {
			return []*telemetry.Line{telemetry.NewLine("hour_service", at.Truncate(time.Hour)).Tag("service", "ehealth").Int("ready_ms", 1).Int("window_ms", 2)}
		})
		time.Sleep(90 * time.Minute)
		g.clock.known = true
		g.Tick(Tick{Host: nothing(), More: []Liner{battery{}}})
		lacks(t, g.news(t), "hour_service,service=ehealth ready_ms=1i,window_ms=2i 1795435200000\n", "power volts=12 1795440600000\n")
	})
}

type battery struct{}

func (battery) Line(at time.Time) *telemetry.Line {
	return telemetry.NewLine("power", at).Float("volts", 12)
}

func TestAFaultOfTheDiskIsAnEventOnceItWorksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		g.q.full = errors.New("no space left on device")
		for range 5 {
			time.Sleep(time.Minute)
			g.Tick(Tick{Host: nothing()})
		}
		g.q.full = nil
		for range 2 {
			time.Sleep(time.Minute)
			g.Tick(Tick{Host: nothing()})
		}
		got := g.news(t)
		lacks(t, got, `event,kind=disk_fault detail="the disk takes nothing: no space left on device"`, `event,kind=disk_works detail="the disk works again after`)
		if n := strings.Count(got, "kind=disk_"); n != 2 {
			t.Errorf("%d events of one fault:\n%s", n, got)
		}
	})
}

func TestWhatTheMachineSleptThroughStaysUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(10 * time.Minute)
		up(g)
		time.Sleep(30 * time.Second)
		g.clock.slept, g.clock.offset = time.Hour, g.clock.offset+time.Hour
		time.Sleep(time.Second)
		up(g)
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "span,state=up ms=600000i,err_ms=31000i 1795435200000\n", "span,state=up ms=60000i,err_ms=0i 1795439431000\n", "hour ms=600000i 1795435200000\n")
	})
}

// TestAMarkThatTheDiskDidNotRenewTellsNothingTwice: a disk turns read-only while the agent runs on from RAM, power is cut, and the disk works
// again. The collector's last word shows that the mark is of before spans and hours that were told since.
func TestAMarkThatTheDiskDidNotRenewTellsNothingTwice(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // of the last header, behind the mark
		clean bool
		cause string
	}{
		{"an hour has ended", 70 * time.Minute, false, "power"},
		{"the state has changed", 15 * time.Minute, false, "power"},
		{"a clean stop", 15 * time.Minute, true, "shutdown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil)
				g.Settle()
				up(g)
				for range 5 {
					time.Sleep(time.Minute)
					up(g)
					g.Tick(Tick{Host: nothing(), Clients: 3, ClientsKnown: true})
				}
				g.q.unmark = fmt.Errorf("%w: read-only file system", spool.ErrRAMOnly)
				for range int(tt.after / time.Minute) {
					time.Sleep(time.Minute)
					if up(g); tt.name == "the state has changed" && time.Since(g.start) > 15*time.Minute {
						g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, At: time.Now(), Until: time.Now()})
					}
					g.Tick(Tick{Host: nothing(), Clients: 3, ClientsKnown: true})
				}
				if tt.clean {
					g.Close(Tick{Host: nothing()})
				}
				before := g.news(t)
				last := g.header(t, g.q.batches[len(g.q.batches)-1])

				time.Sleep(20 * time.Minute)
				n := g.next(t, "00000000")
				n.Acked(telemetry.Ack{Boot: "00000000", Last: &telemetry.LastBatch{At: last.At, Open: last.Open}})
				after := n.news(t)
				key := func(line string) string { f := strings.Fields(line); return f[0] + f[len(f)-1] }
				for a := range strings.Lines(after) {
					for b := range strings.Lines(before) {
						if key(a) == key(b) {
							t.Errorf("told twice:\n%s%s", b, a)
						}
					}
				}
				lacks(t, after, "span,cause="+tt.cause+",state=off ms=")
			})
		})
	}
}

// TestAVerdictFromJustBeforeTheSleepWasNoticedTellsNothingOfIt: a verdict takes a moment from the answer to the recorder, which notices by it
// that the machine has slept.
func TestAVerdictFromJustBeforeTheSleepWasNoticedTellsNothingOfIt(t *testing.T) {
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprintf("time known %v", known), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil)
				g.clock.known = known
				g.Settle()
				up(g)
				time.Sleep(10 * time.Minute)
				up(g)
				g.clock.slept, g.clock.offset = time.Hour, g.clock.offset+time.Hour
				time.Sleep(time.Second)
				v := probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now()}
				time.Sleep(5 * time.Millisecond)
				g.Verdict(v)
				time.Sleep(time.Minute)
				if life := g.life.Length(); !known && g.life.Stretches[0].Length > 10*time.Minute {
					t.Errorf("of the life of %v that goes in the mark %+v", life, g.life.Stretches)
				}
				g.clock.known = true
				g.Close(Tick{Host: nothing()})
				got := g.news(t)
				lacks(t, got, "span,state=up ms=600000i,err_ms=1005i 1795435200000\n", "span,state=up ms=60000i,err_ms=0i 1795439401005\n")
				if n := strings.Count(got, "span,"); n != 2 {
					t.Errorf("%d spans in\n%s", n, got)
				}
			})
		})
	}
}

func TestWhatWasSampledJustBeforeTheSleepWasNoticedIsOfTheTimeAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(10 * time.Minute)
		up(g)
		g.clock.slept, g.clock.offset = time.Hour, g.clock.offset+time.Hour
		time.Sleep(time.Second)
		at := time.Now()
		time.Sleep(5 * time.Millisecond)
		g.Lines(at, func(at time.Time) []*telemetry.Line { return []*telemetry.Line{battery{}.Line(at)} })
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "power volts=12 1795439401000\n")
	})
}

func TestTheHeaderOfAnAgentStartedAnewWithoutTheTimeIsNotInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(10 * 24 * time.Hour)
		up(g)
		time.Sleep(2 * time.Minute)
		n := g.next(t, boot)
		n.clock.known = false
		n.Hello()
		h := n.header(t, n.q.batches[0])
		if m := g.q.marks[len(g.q.marks)-1]; !h.At.After(m.At) || h.At.After(n.clock.Now().Add(helloEvery)) { // its number parts it from others within that
			t.Errorf("the header is of %v, the mark of %v, and it is %v", h.At, m.At, n.clock.Now())
		}
	})
}
