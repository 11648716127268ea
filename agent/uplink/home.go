package uplink

import (
	"context"
	"time"
)

// home asks now and then, from another broker than the first in the list, whether the first is back. It is tried with a connection of its
// own beside the one that works, so that nothing is given up for a broker that is still away.
type home struct {
	at    time.Time  // when to ask; zero: we are there, or it is being asked
	found chan error // what came of asking
	after time.Duration
	stop  context.CancelFunc
}

func newHome(away bool, after time.Duration, now time.Time) *home {
	h := &home{found: make(chan error, 1), after: after, stop: func() {}}
	if away {
		h.again(now)
	}
	return h
}

func (h *home) again(now time.Time) { h.at = now.Add(h.after + jitter(h.after/4)) }

// ask asks when it is time.
func (h *home) ask(s *session, now time.Time) {
	if h.at.IsZero() || now.Before(h.at) {
		return
	}
	h.at = time.Time{}
	h.stop()
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	s.work.Go(func() {
		c, _, err := s.u.dial(ctx, s.u.first)
		if err == nil {
			_ = c.Close() // it was there
		}
		h.found <- err
	})
}
