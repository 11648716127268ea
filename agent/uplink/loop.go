package uplink

import (
	"context"
	"errors"
	"time"
)

var (
	errDeaf = errors.New("collector has answered nothing for long")
	errHung = errors.New("broker has received a ping and does not answer it")
	errHome = errors.New("the first broker is back")
	errNew  = errors.New("the link is back, and this connection is not")
)

// loop sends and hears until the connection or ctx ends. One timer serves all that is to happen later.
func (s *session) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		s.take()
		s.speak()
		s.remind(now)
		err := s.watch(now)
		s.confirm()
		if err == nil {
			err = s.expire(now)
		}
		if err != nil {
			return err
		}
		s.send(ctx, now)
		timer.Reset(s.idle(now))
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.lost:
			s.take()
			return err
		case err := <-s.home.found:
			if err == nil {
				return errHome
			}
			s.home.again(time.Now())
		case <-s.u.kick:
			s.hurry(time.Now())
		case <-s.u.wake:
		case <-s.news:
		case <-s.meter().idle:
		case <-timer.C:
		}
	}
}

// idle is how long nothing happens by itself.
func (s *session) idle(now time.Time) time.Duration {
	wait := s.u.win.wait(now)
	for _, at := range []time.Time{s.again, s.look, s.beat, s.verdict, s.paced, s.home.at} {
		if !at.IsZero() {
			wait = min(wait, at.Sub(now))
		}
	}
	return max(0, wait)
}
