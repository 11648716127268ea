package alert

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
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
