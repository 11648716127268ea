package agent

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
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

// fakeClock runs with the bubble's time, beside it by an offset.
type fakeClock struct {
	offset time.Duration
	known  bool
	slept  time.Duration
	bound  bool
}

func (c *fakeClock) Mono() time.Duration {
	return time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) + 34*time.Second + c.slept
}
func (c *fakeClock) Slept() time.Duration { return c.slept }
func (c *fakeClock) Bind()                { c.bound = true }

func (c *fakeClock) Now() time.Time { return time.Now().Add(c.offset).UTC() }
func (c *fakeClock) Status() telemetry.Clock {
	if c.known {
		return telemetry.ClockSynced
	}
	return telemetry.ClockEstimated
}

// fakeQueue keeps what was put, and the order of batches and marks.
type fakeQueue struct {
	batches []spool.Batch
	marks   []spool.Mark
	order   []string
	stats   spool.Stats
	full    error
	unmark  error // what SetMark meets
}

func (q *fakeQueue) NextSeq() uint64 { return uint64(len(q.batches)) + 1 }
func (q *fakeQueue) Put(b spool.Batch) error {
	if q.full != nil {
		return q.full
	}
	b.Payload = bytes.Clone(b.Payload)
	q.batches, q.order = append(q.batches, b), append(q.order, b.Tier.String())
	return nil
}
func (q *fakeQueue) SetMark(m spool.Mark) error {
	if err := cmp.Or(q.unmark, q.full); err != nil {
		return err
	}
	q.marks, q.order = append(q.marks, m), append(q.order, "mark")
	return nil
}
func (q *fakeQueue) Stats() spool.Stats { return q.stats }

const boot = "4f2a9c1b"

type rig struct {
	*Recorder
	q     *fakeQueue
	clock *fakeClock
	codec *telemetry.Codec
	boot  string
	seen  int
}

func newRig(t *testing.T, mark *spool.Mark) *rig {
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(codec.Close)
	sealer, err := telemetry.NewSealer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sealer.Close)
	// The bubble's time begins in 2000; the agent's is the autumn of 2026, at 12:00:00 UTC.
	g := &rig{q: &fakeQueue{}, clock: &fakeClock{offset: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Sub(time.Now()), known: true}, codec: codec, boot: boot}
	g.Recorder = NewRecorder(RecorderConfig{Boot: boot, Clock: g.clock, Known: func() bool { return g.clock.known }, Queue: g.q, Sealer: sealer, Mark: mark,
		MarkEvery: time.Minute, WireBytes: func() int64 { return 7 }, Wake: func() {}, Log: slog.New(slog.DiscardHandler)})
	return g
}

// news is what was sealed since the last call, as text without the batch lines, after checking these.
func (g *rig) news(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, b := range g.q.batches[g.seen:] {
		text, _, err := g.codec.Open(nil, b.Payload)
		if err != nil {
			t.Fatal(err)
		}
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 {
			t.Fatal(bad, err)
		}
		h, err := telemetry.HeaderOf(&good[0].Line)
		if err != nil || h.Seq != b.Seq || h.Boot != g.boot || len(good) != b.Lines {
			t.Errorf("header %+v of batch %d with %d lines: %v", h, b.Seq, b.Lines, err)
		}
		for _, l := range good[1:] {
			if l.Tier != b.Tier {
				t.Errorf("a %s line in a %s batch: %s", l.Tier, b.Tier, l.Raw)
			}
			out.Write(l.Raw)
			out.WriteByte('\n')
		}
	}
	g.seen = len(g.q.batches)
	return out.String()
}

// header is that of a batch.
func (g *rig) header(t *testing.T, b spool.Batch) telemetry.Header {
	t.Helper()
	text, _, err := g.codec.Open(nil, b.Payload)
	if err != nil {
		t.Fatal(err)
	}
	good, _, err := telemetry.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	h, err := telemetry.HeaderOf(&good[0].Line)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func up(t *rig) {
	now := time.Now()
	t.Verdict(probe.Verdict{State: telemetry.StateUp, At: now, Until: now})
}

func nothing() sampler.State {
	n := math.NaN()
	return sampler.State{CPUPct: n, MemPct: n, DiskPct: n, Load1: n, TempC: n, UptimeSec: -1}
}

func lacks(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("lacks %q in\n%s", w, got)
		}
	}
}

func TestAChangeOfStateIsSealedAtOnceWithTheMarkBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(90 * time.Second)
		g.q.order = nil
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now(), Pending: true})
		g.Tick(Tick{Host: nothing()})
		if len(g.q.order) != 0 {
			t.Errorf("sealed %v while an outage was suspected", g.q.order)
		}
		time.Sleep(time.Second)
		g.news(t)
		g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now().Add(-31 * time.Second), Err: 30 * time.Second, Until: time.Now()})
		if got, want := fmt.Sprint(g.q.order), "[mark ledger detail]"; got != want {
			t.Errorf("order %s, want %s", got, want)
		}
		if got, want := g.news(t), "span,state=up ms=60000i,err_ms=30000i 1795435200000\n"; got != want {
			t.Errorf("got %q want %q", got, want)
		}
		if m := g.q.marks[len(g.q.marks)-1]; m.Open.State != telemetry.StateDown || m.Open.Length < 31*time.Second || m.Clean {
			t.Errorf("mark %+v", m)
		}
	})
}

func TestTheMinuteIsToldInItsTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		s := probe.Sample{Quality: ledger.Quality{Sent: 2, Lost: 1, RTTs: []time.Duration{30 * time.Millisecond}}}
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now(), Internet: s, Gateway: s})
		from := time.Now()
		time.Sleep(time.Minute)
		g.Verdict(probe.Verdict{State: telemetry.StateUp, At: time.Now(), Until: time.Now(), Internet: s})
		h := nothing()
		h.Load1 = 0.5
		g.Event("boot", "hello")
		g.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "wan", WAN: true, From: from, To: time.Now(), RxBytes: 1000, TxBytes: 10, WANRx: 1000, WANTx: 10, RxPeak: 800, TxPeak: 8, PeakKnown: true}, {Interface: "lan", From: from, To: time.Now()}}, Host: h})
		lacks(t, g.news(t), "link,target=internet sent=4i,lost=2i,rtt_min_ms=30,rtt_avg_ms=30,rtt_max_ms=30,jitter_ms=0 1795435260000\n",
			"link,target=gateway sent=2i,lost=1i", "traffic,iface=wan rx_bytes=1000i,tx_bytes=10i,rx_peak_bps=800i,tx_peak_bps=8i,errs=0i,drops=0i 1795435260000\n",
			"traffic,iface=lan rx_bytes=0i,tx_bytes=0i,errs=0i,drops=0i", "host load1=0.5 1795435260000\n", `event,kind=boot detail="hello" 1795435260000`)
		time.Sleep(time.Hour)
		g.Tick(Tick{Host: nothing()})
		lacks(t, g.news(t), "hour ms=3600000i,rtt_le_25=0i,rtt_le_50=2i,rtt_le_100=2i,rtt_le_150=2i,rtt_le_300=2i,rtt_le_600=2i,rtt_le_1200=2i,rtt_le_inf=2i,sent=4i,lost=2i,rx_bytes=1000i,tx_bytes=10i,rx_peak_bps=800i,tx_peak_bps=8i 1795435200000\n",
			"span,state=up ms=3600000i,err_ms=0i 1795435200000\n")
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "span,state=up ms=120000i,err_ms=0i 1795438800000\n", "hour ms=120000i 1795438800000\n")
		last := g.q.marks[len(g.q.marks)-1]
		if !last.Clean || last.Open.State != "" || !last.At.After(g.box.lastAt) {
			t.Errorf("the last mark is %+v, the last header is of %v", last, g.box.lastAt)
		}
	})
}

func TestNothingIsStampedUntilTheClockIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		truth := g.clock.offset
		g.clock.known, g.clock.offset = false, 0 // the year 2000
		g.Hello()
		g.Settle()
		g.news(t)
		up(g)
		for range 3 {
			time.Sleep(time.Minute)
			g.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "wan", From: time.Now().Add(-time.Minute), To: time.Now(), RxBytes: 5}}, Host: nothing()})
		}
		if n := len(g.q.batches); n != 1 {
			t.Fatalf("%d batches were sealed, want the hello alone", n)
		}
		g.clock.known, g.clock.offset = true, truth
		time.Sleep(time.Second)
		up(g)
		lacks(t, g.news(t), "traffic,iface=wan rx_bytes=5i,tx_bytes=0i,errs=0i,drops=0i 1795435260000\n", "1795435320000\n", "1795435380000\n")
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), "span,state=up ms=181000i,err_ms=0i 1795435200000\n")
	})
}

func TestWhatWaitsForTheClockIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		for range maxHeld + 5 {
			g.Tick(Tick{Host: nothing()})
		}
		g.clock.known = true
		g.Tick(Tick{Host: nothing()})
		lacks(t, g.news(t), `event,kind=spool_overflow detail="5 measurements dropped while the clock was not known"`)
	})
}

func TestAMachineThatSleepsOftenHoldsNoMoreThanTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		for range maxHeld {
			time.Sleep(time.Second)
			g.clock.slept += time.Minute
			g.Tick(Tick{Host: nothing()})
		}
		if n := len(g.held); n > maxHeld {
			t.Errorf("%d inputs wait, at most %d may", n, maxHeld)
		}
	})
}

func TestAMachineThatSleptOftenBeforeItsClockWasKnownTellsEachTimeRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		up(g)
		for range 100 {
			time.Sleep(5 * time.Second)
			up(g)
			g.clock.slept += 10 * time.Second
			g.clock.offset += 10 * time.Second
			time.Sleep(time.Second)
			up(g)
		}
		g.clock.known = true
		g.Close(Tick{Host: nothing()})
		got := g.news(t)
		for _, i := range []int64{0, 1, 50, 99} { // each time 5 s awake, 10 s asleep, 1 s awake
			if start := 1795435200000 + i*16000; !strings.Contains(got, fmt.Sprintf(" %d\n", start)) {
				t.Errorf("no span begins at %d:\n%s", start, got)
			}
		}
	})
}

func TestAnOutageOfTenHoursWithoutAClockIsToldWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		for i := range 10 * 60 * 12 { // a quick round each five seconds, a scheduled one each minute
			time.Sleep(5 * time.Second)
			v := probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now(), Until: time.Now()}
			if i%12 == 11 {
				v.Gateway.Sent, v.Gateway.Lost = 2, 2
				g.Tick(Tick{Host: nothing()})
			}
			g.Verdict(v)
		}
		g.clock.known = true
		g.Tick(Tick{Host: nothing()})
		got := g.news(t)
		if n := strings.Count(got, "span,cause=local,state=down ms=3600000i"); n != 10 {
			t.Errorf("%d hours of ten are told", n)
		}
		if strings.Contains(got, "spool_overflow") {
			t.Error("something was dropped")
		}
	})
}

func TestWhatWasDroppedWhileTheClockWasNotKnownStaysUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.clock.known = false
		g.Settle()
		up(g)
		for range maxHeld {
			time.Sleep(time.Second)
			g.Tick(Tick{Host: nothing()})
		}
		g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now(), Until: time.Now()})
		time.Sleep(time.Minute)
		g.clock.known = true
		g.Close(Tick{Host: nothing()})
		got := g.news(t)
		lacks(t, got, "span,cause=local,state=down ms=60000i,err_ms=0i 1795437200000\n")
		if n := strings.Count(got, "span,"); n != 1 {
			t.Errorf("%d spans in\n%s", n, got)
		}
	})
}

func TestAStateThatIsNotKnownAnyMoreIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(10 * time.Minute)
		g.Tick(Tick{Host: nothing()})
		since := time.Now().Add(-2 * time.Minute)
		g.Verdict(probe.Verdict{At: since, Until: since})
		time.Sleep(10 * time.Minute)
		g.Tick(Tick{Host: nothing()})
		if h := g.header(t, g.q.batches[len(g.q.batches)-1]); h.Open != (telemetry.OpenSpan{}) {
			t.Errorf("the header tells %+v as open", h.Open)
		}
		up(g)
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		got := g.news(t)
		lacks(t, got, "span,state=up ms=480000i,err_ms=0i 1795435200000\n", "span,state=up ms=60000i,err_ms=0i 1795436400000\n")
		if n := strings.Count(got, "span,"); n != 2 {
			t.Errorf("%d spans in\n%s", n, got)
		}
	})
}

func TestAStepForwardLeavesAGapAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(10 * time.Minute)
		g.Tick(Tick{Host: nothing()})
		g.clock.offset += 2 * time.Hour
		time.Sleep(time.Minute)
		g.Tick(Tick{Host: nothing()})
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		got := g.news(t)
		lacks(t, got, "span,state=up ms=720000i,err_ms=0i 1795442400000\n", "hour ms=660000i 1795435200000\n", "hour ms=60000i 1795443060000\n")
		if n := strings.Count(got, "span,"); n != 1 {
			t.Errorf("%d spans in\n%s", n, got)
		}
	})
}

func TestTheTimeBeforeTheStartIsToldOnceTheCollectorHasSpoken(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	open := func(m time.Duration) telemetry.OpenSpan {
		return telemetry.OpenSpan{State: telemetry.StateUp, Length: m}
	}
	for _, tt := range []struct {
		name string
		mark *spool.Mark
		ack  *telemetry.Ack // nil: it never comes
		want string
	}{
		{"power cut, the mark alone", &spool.Mark{Boot: "00000000", At: start.Add(-10 * time.Minute), Open: open(5 * time.Minute)}, &telemetry.Ack{Boot: boot},
			"span,state=up ms=300000i,err_ms=60000i 1795434300000\nspan,cause=power,state=off ms=600000i,err_ms=60000i 1795434600000\n"},
		{"power cut, the collector knows more", &spool.Mark{Boot: "00000000", At: start.Add(-10 * time.Minute), Open: open(5 * time.Minute)},
			&telemetry.Ack{Boot: boot, Last: &telemetry.LastBatch{At: start.Add(-9 * time.Minute), Open: open(6 * time.Minute)}},
			"span,state=up ms=360000i,err_ms=60000i 1795434300000\nspan,cause=power,state=off ms=540000i,err_ms=60000i 1795434660000\n"},
		{"killed", &spool.Mark{Boot: boot, At: start.Add(-time.Minute)}, nil, "span,cause=agent,state=off ms=60000i,err_ms=60000i 1795435140000\n"},
		{"shut down", &spool.Mark{Boot: "00000000", At: start.Add(-time.Minute), Clean: true}, nil, "span,cause=shutdown,state=off ms=60000i,err_ms=0i 1795435140000\n"},
		{"first start", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, tt.mark)
				g.Hello()
				if n := len(g.q.batches); n != 1 || len(g.q.marks) != 0 {
					t.Fatalf("%d batches and %d marks", n, len(g.q.marks))
				}
				time.Sleep(time.Second)
				up(g)
				g.Tick(Tick{Host: nothing()})
				if got := g.news(t); got != "" {
					t.Errorf("told before the collector has spoken: %s", got)
				}
				if tt.ack != nil {
					g.Acked(telemetry.Ack{Boot: "00000000"}) // of a batch that waited since the run before: says nothing of this
					if g.settled {
						t.Error("settled by an acknowledgement of another boot")
					}
					g.Acked(*tt.ack)
				} else {
					g.Settle()
				}
				if got := g.news(t); got != tt.want {
					t.Errorf("\n got %s\nwant %s", got, tt.want)
				}
			})
		})
	}
}

func TestLossesOfTheSpoolAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		g.q.stats = spool.Stats{DroppedBatches: 1, DroppedLines: 8}
		g.Tick(Tick{Host: nothing()})
		lacks(t, g.news(t), `event,kind=spool_overflow detail="1 batches with 8 lines dropped because the spool was full"`)
		for range 30 {
			g.q.stats.DroppedBatches++
			g.q.stats.DroppedLines += 8
			time.Sleep(time.Minute)
			g.Tick(Tick{Host: nothing()})
		}
		if got := g.news(t); strings.Contains(got, "event") {
			t.Errorf("told again within the hour:\n%s", got)
		}
		time.Sleep(time.Hour)
		g.Tick(Tick{Host: nothing()})
		lacks(t, g.news(t), `event,kind=spool_overflow detail="30 batches with 240 lines dropped because the spool was full"`)
		g.q.stats.DroppedBatches++
		g.q.stats.DroppedLines += 8
		time.Sleep(time.Minute)
		g.Close(Tick{Host: nothing()})
		lacks(t, g.news(t), `event,kind=spool_overflow detail="1 batches with 8 lines dropped because the spool was full"`)
	})
}

func TestWhatAFullSpoolHasDroppedIsNotOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		g.q.full = fmt.Errorf("put batch 1: %w", spool.ErrFull)
		g.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "wan", From: time.Now(), To: time.Now(), RxBytes: 5}}, Host: nothing()})
		g.q.full = nil
		time.Sleep(time.Minute)
		g.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "wan", From: time.Now(), To: time.Now(), RxBytes: 7}}, Host: nothing()})
		if got := g.news(t); strings.Contains(got, "rx_bytes=5i") || !strings.Contains(got, "rx_bytes=7i") {
			t.Errorf("got\n%s", got)
		}
	})
}

func TestADiskThatTakesNothingCostsNoLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		g.q.full = errors.New("no space left on device")
		for range 3 {
			time.Sleep(time.Minute)
			g.Tick(Tick{Traffic: []sampler.Traffic{{Interface: "wan", From: time.Now(), To: time.Now(), RxBytes: 5}}, Host: nothing()})
		}
		g.q.full = nil
		time.Sleep(time.Minute)
		g.Tick(Tick{Host: nothing()})
		if got := g.news(t); strings.Count(got, "traffic") != 3 {
			t.Errorf("got\n%s", got)
		}
	})
}

func TestWithoutAMarkNoSpanIsSentSoThatNoneIsToldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.Settle()
		up(g)
		time.Sleep(time.Minute)
		g.Tick(Tick{Host: nothing()})
		g.news(t)
		g.q.unmark = errors.New("no space left on device") // for a new file; a batch still fits in the old one
		time.Sleep(time.Minute)
		g.Verdict(probe.Verdict{State: telemetry.StateDown, Cause: telemetry.CauseLocal, At: time.Now(), Until: time.Now()})
		if got := g.news(t); strings.Contains(got, "span") {
			t.Errorf("sent without a mark:\n%s", got)
		}
		if b := g.q.batches[len(g.q.batches)-1]; b.Tier != telemetry.Detail {
			t.Error("no header told the change of state")
		}
		// Killed here, the next start closes the span of the last mark: it must not have been told with another length.
		next := newRig(t, &g.q.marks[len(g.q.marks)-1])
		next.clock.offset = g.clock.offset
		time.Sleep(time.Second)
		next.Settle()
		lacks(t, next.news(t), "span,state=up ms=60000i,err_ms=60000i 1795435200000\n")

		g.Close(Tick{Host: nothing()})
		if got := g.news(t); strings.Contains(got, "span") {
			t.Errorf("sent at the end without a mark:\n%s", got)
		}
		g.q.unmark = nil
		time.Sleep(time.Minute)
		g.Tick(Tick{Host: nothing()})
		lacks(t, g.news(t), "span,state=up ms=120000i,err_ms=0i 1795435200000\n")
	})
}

func TestTheMarkIsRenewedAsOftenAsConfigured(t *testing.T) {
	for _, tt := range []struct {
		name          string
		report, probe time.Duration // the gaps of ticks and of verdicts
	}{
		{"ticks that come a moment early", time.Minute - time.Millisecond, time.Minute - time.Millisecond},
		{"batches that are rare", 15 * time.Minute, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, nil)
				g.Settle()
				up(g)
				last, ticked := time.Now(), time.Now()
				for range 130 { // past two hours, whose spans wait for their batch
					time.Sleep(tt.probe)
					n := len(g.q.marks)
					up(g)
					if time.Since(ticked) >= tt.report {
						ticked = time.Now()
						g.Tick(Tick{Host: nothing()})
					}
					if gap := time.Since(last); gap > time.Minute {
						t.Fatalf("%v without a mark at %v", gap, g.wall)
					}
					if len(g.q.marks) > n {
						last = time.Now()
					}
				}
			})
		})
	}
}
