package alert

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
)

func TestAChannelThatFailsIsTriedAgainLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &tape{name: "tape", fail: errors.New("no mail server")}
		w := newWorld(t, Defaults(), sink)
		w.now = time.Now()
		w.begin()
		w.engine.c.Now = time.Now
		w.add("a")
		w.pass(w.Grace)
		w.out("a")
		w.pass(6 * time.Minute) // on the world's clock; from here on the bubble's counts
		w.now = time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.engine.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		tries := w.engine.Deliveries(100)
		if n := len(tries); n < 9 || n > 25 {
			t.Errorf("%d attempts in an hour, want some that grow apart", n)
		}
		for i, d := range tries {
			if d.Attempt != len(tries)-i || d.Err == "" || !d.Next.After(d.At) || d.Next.Sub(d.At) > retryMost {
				t.Errorf("attempt %+v", d)
			}
		}
		sink.mu.Lock()
		sink.fail = nil
		sink.mu.Unlock()
		time.Sleep(retryMost + time.Second)
		synctest.Wait()
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if d := w.engine.Deliveries(1)[0]; d.Err != "" || len(sink.news) != 1 {
			t.Errorf("after the mail server is back: %+v, %d news", d, len(sink.news))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatAnOperatorWritesDownCountsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Defaults())
		w.now = time.Now()
		j := w.openJournal()
		w.begin()
		w.add("a")
		w.pass(w.Grace)
		w.out("a")
		w.pass(6 * time.Minute)
		time.Sleep(w.now.Sub(time.Now())) // the bubble's clock catches up with the world's
		w.engine.c.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.engine.Run(ctx) }()
		time.Sleep(3*stepEvery + stepEvery/2)
		w.now = time.Now()
		if _, err := j.Acknowledge("aisha", "", w.engine.Active()[0].ID, "calling"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stepEvery)
		if a := w.engine.Active()[0]; a.AcknowledgedBy != "aisha" {
			t.Errorf("a second later it is taken care of by %q", a.AcknowledgedBy)
		}
		if _, err := j.Plan("aisha", journal.Window{Scope: journal.Scope{Site: "a"}, From: w.now, To: w.now.Add(time.Hour), Zone: "UTC", Reason: "new mast"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stepEvery)
		if n := len(w.engine.Active()); n != 0 {
			t.Errorf("a second after maintenance began %d alerts go on", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestManyAlertsAtOnceAreFewMessages(t *testing.T) {
	m := &counting{tape: tape{name: "tape"}}
	s := Defaults()
	s.LostPct = 0
	w := newWorld(t, s, m).begin()
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprintf("s%02d", i)
	}
	w.add(ids...)
	for i, id := range ids { // nothing in common
		w.sites[id].Site.District = fmt.Sprint(i)
	}
	w.pass(w.Grace)
	w.up(ids...)
	w.out(ids...)
	w.pass(6 * time.Minute)
	for range 5 {
		w.deliver()
	}
	if m.messages != 3 || len(m.news) != 50 {
		t.Errorf("%d alerts in %d messages, want 50 in 3", len(m.news), m.messages)
	}
}

// counting counts messages.
type counting struct {
	tape
	messages int
}

func (c *counting) Send(ctx context.Context, m Message) (string, error) {
	c.messages++
	return c.tape.Send(ctx, m)
}

func TestSubscribersHearOfAlertsAndDeliveries(t *testing.T) {
	w := newWorld(t, Defaults(), &tape{name: "tape"}).begin()
	ch, cancel := w.engine.Subscribe()
	w.add("a")
	w.pass(w.Grace)
	select {
	case <-ch:
		t.Error("news while nothing happened")
	default:
	}
	w.out("a")
	w.pass(6 * time.Minute)
	<-ch
	w.deliver()
	<-ch
	cancel()
	cancel()
}

// What a second costs a NOC of 5,000 sites that report each minute.
func BenchmarkASecondOf5000Sites(b *testing.B) {
	for _, out := range []int{0, 50, 2000} {
		b.Run(fmt.Sprintf("%d out", out), func(b *testing.B) {
			w := newWorld(b, Defaults())
			w.begin()
			w.engine.lazyEvery = time.Hour
			ids := make([]string, 5000)
			for i := range ids {
				ids[i] = fmt.Sprintf("site-%04d", i)
			}
			w.add(ids...)
			for i, id := range ids {
				w.sites[id].Site.District = fmt.Sprint("District ", i/15)
			}
			w.engine.step(w.now, nil)
			w.now = w.now.Add(w.Grace)
			w.out(ids[:out]...)
			w.engine.step(w.now, w.changed)
			for range 400 {
				w.now = w.now.Add(time.Second)
				w.engine.step(w.now, nil)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				w.now = w.now.Add(time.Second)
				clear(w.changed)
				for i := range 83 {
					id := ids[out+(n+i)%(5000-out)]
					w.sites[id].tell(w.now, fleet.Up, "", w.sites[id].Since)
					w.changed[id] = true
				}
				n += 83
				w.engine.step(w.now, w.changed)
			}
		})
	}
}

func TestAHeartbeatThatGoesOutRarelyDoesNotWaitForItsTimeAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Defaults())
		var asked atomic.Int32
		w.heartbeat = Heartbeat{Every: 6 * time.Hour, Well: func(context.Context) error { asked.Add(1); return nil }}
		w.begin()
		w.engine.c.Now = time.Now
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.engine.Run(ctx) }()
		for _, want := range []int32{1, 2} {
			time.Sleep(firstBeat + time.Second)
			synctest.Wait()
			if got := asked.Load(); got != want {
				t.Errorf("it went out %d times, want %d", got, want)
			}
			time.Sleep(6 * time.Hour)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
