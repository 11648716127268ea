package web

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/report"
)

// bench is a workshop whose tasks end when the test says so.
type slow struct {
	*workshop
	begun, ended atomic.Int64 // tasks
	release      chan struct{}
}

func newSlow() *slow { return &slow{workshop: newWorkshop(), release: make(chan struct{})} }

// counts are its jobs and the results among them.
func (w *workshop) counts() (jobs, kept int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.jobs), len(w.kept)
}

func (s *slow) task(ctx context.Context, tell func(float64)) (*made, error) {
	s.begun.Add(1)
	defer s.ended.Add(1)
	tell(.25)
	select {
	case <-s.release:
		return &made{report: &report.Report{}, doc: []byte("{}"), sum: "abc"}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestTheSameQuestionIsMadeOnceHoweverManyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		for range 20 {
			go func() {
				if m, _, err := s.ask(t.Context(), "october", 0, s.task); err != nil || m.sum != "abc" {
					t.Errorf("one who asked got %v %v", m, err)
				}
			}()
		}
		synctest.Wait()
		close(s.release)
		synctest.Wait()
		if n := s.begun.Load(); n != 1 {
			t.Errorf("it was made %d times, want once", n)
		}
		if m, _, err := s.ask(t.Context(), "october", 0, s.task); err != nil || m == nil || s.begun.Load() != 1 || s.seen("abc") != m {
			t.Errorf("who asks soon after is not given the same: %v %v", m, err)
		}
		time.Sleep(keptFor + time.Second)
		if jobs, kept := s.counts(); jobs+kept != 0 || s.seen("abc") != nil {
			t.Errorf("after %v there are %d jobs and %d results", keptFor, jobs, kept)
		}
	})
}

func TestAPageIsToldHowFarItIsAndFindsItWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		for range 5 {
			m, done, err := s.ask(t.Context(), "october", time.Second, s.task)
			if m != nil || err != nil || done != (progress{Percent: 25}) {
				t.Fatalf("got %v %+v %v", m, done, err)
			}
			time.Sleep(leaseFor - time.Second)
		}
		close(s.release)
		synctest.Wait()
		if m, _, err := s.ask(t.Context(), "october", time.Second, s.task); m == nil || err != nil || s.begun.Load() != 1 {
			t.Errorf("got %v %v after %d tasks", m, err, s.begun.Load())
		}
		time.Sleep(keptFor)
	})
}

func TestWhatNobodyWaitsForIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		ctx, gone := context.WithCancel(t.Context())
		go func() { _, _, _ = s.ask(ctx, "script", 0, s.task) }()
		go func() { _, _, _ = s.ask(t.Context(), "page", time.Second, s.task) }()
		synctest.Wait()
		gone()
		synctest.Wait()
		if s.ended.Load() != 1 {
			t.Errorf("%d tasks ended when the script had gone, want 1", s.ended.Load())
		}
		time.Sleep(leaseFor)
		if s.ended.Load() != 1 {
			t.Errorf("the page's task ended while the page could come back")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if jobs, _ := s.counts(); s.ended.Load() != 2 || jobs != 0 {
			t.Errorf("%d tasks ended, %d are there", s.ended.Load(), jobs)
		}
		go func() { _, _, _ = s.ask(t.Context(), "again", time.Second, s.task) }()
		time.Sleep(500 * time.Millisecond)
		two, gone2 := context.WithCancel(t.Context())
		go func() { _, _, _ = s.ask(two, "again", 0, s.task) }()
		synctest.Wait()
		gone2()
		synctest.Wait()
		if s.begun.Load() != 3 || s.ended.Load() != 2 {
			t.Errorf("one of two who wait has gone, and of %d tasks %d ended", s.begun.Load(), s.ended.Load())
		}
		time.Sleep(leaseFor + time.Second)
	})
}

func TestFewAreMadeAtOnceAndTheRestWaitsOrIsTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		for i := range benches + mostWaiting {
			go func() { _, _, _ = s.ask(t.Context(), fmt.Sprint(i), 0, s.task) }()
		}
		synctest.Wait()
		if n := s.begun.Load(); n != benches {
			t.Errorf("%d are made at once, want %d", n, benches)
		}
		if _, _, err := s.ask(t.Context(), "one more", 0, s.task); !errors.Is(err, errBusy) {
			t.Errorf("one more gets %v, want errBusy", err)
		}
		waiting := 0
		for i := range benches + mostWaiting {
			_, done, err := s.ask(t.Context(), fmt.Sprint(i), time.Second, s.task)
			if done.Waits {
				waiting++
			}
			if err != nil {
				t.Error(err)
			}
		}
		if waiting != mostWaiting {
			t.Errorf("%d are told that they wait for others, want %d", waiting, mostWaiting)
		}
		close(s.release)
		synctest.Wait()
		if n := s.ended.Load(); n != benches+mostWaiting {
			t.Errorf("%d were made", n)
		}
		if jobs, kept := s.counts(); kept != mostKept || jobs != mostKept {
			t.Errorf("%d results are kept and %d jobs, want %d", kept, jobs, mostKept)
		}
		time.Sleep(keptFor + time.Second)
	})
}

func TestResultsAreBoundedByTheirBytesAndErrorsAreForgottenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop()
		for i := range 3 {
			_, _, _ = w.ask(t.Context(), fmt.Sprint(i), 0, func(context.Context, func(float64)) (*made, error) {
				return &made{doc: make([]byte, mostBytes/2+1)}, nil
			})
		}
		if _, kept := w.counts(); kept != 1 || w.jobs["2"] == nil {
			t.Errorf("%d results are kept", kept)
		}
		wrong := errors.New("connection refused")
		n := 0
		task := func(context.Context, func(float64)) (*made, error) { n++; return nil, wrong }
		for range 2 {
			if _, _, err := w.ask(t.Context(), "fault", time.Second, task); err != wrong {
				t.Errorf("got %v", err)
			}
		}
		if n != 1 {
			t.Errorf("the page that came back for the error had it made %d times", n)
		}
		time.Sleep(faultFor + time.Second)
		_, _, _ = w.ask(t.Context(), "fault", time.Second, task)
		if n != 2 {
			t.Errorf("after %v it is not tried again", faultFor)
		}
		time.Sleep(keptFor)
	})
}

func TestAWorkshopThatShutsEndsWhatItMakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlow()
		ctx, stop := context.WithCancel(t.Context())
		var shut atomic.Bool
		go func() { _ = s.run(ctx); shut.Store(true) }()
		var err error
		go func() { _, _, err = s.ask(t.Context(), "october", 0, s.task) }()
		synctest.Wait()
		stop()
		synctest.Wait()
		if !shut.Load() || s.ended.Load() != 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("shut %v, %d ended, %v", shut.Load(), s.ended.Load(), err)
		}
		if _, _, err := s.ask(t.Context(), "november", 0, s.task); !errors.Is(err, errBusy) {
			t.Errorf("who asks then gets %v", err)
		}
	})
}
