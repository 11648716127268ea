package uplink

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	// maxStalls is how often in a row a batch that the broker has not confirmed may be late before the connection is given up.
	maxStalls = 4
	// slowBytes in an ack timeout is a slow link, not a dead one.
	slowBytes = 1 << 10
	// toldAfter late answers in a row the collector's silence is told.
	toldAfter = 3
)

// loop sends and hears until the connection or ctx ends.
func (s *session) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		s.take()
		s.remind(now)
		if err := s.expire(now); err != nil {
			return err
		}
		s.send(ctx, now)
		wait := s.u.win.wait(now)
		if !s.again.IsZero() {
			wait = min(wait, s.again.Sub(now))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.lost:
			s.take()
			return err
		case <-s.u.wake:
		case <-s.news:
		case <-s.meter().idle:
		case <-timer.C:
		}
	}
}

// expire looks for answers that are late. What the broker itself has not confirmed is not sent again on the same connection:
// it is still in the pipe.
func (s *session) expire(now time.Time) error {
	w := s.u.win
	for _, f := range w.flights {
		if !f.out || now.Before(f.due) {
			continue
		}
		if !f.taken() {
			passed := s.meter().passed.Load()
			if f.stalls++; passed-f.passed >= slowBytes {
				f.stalls = 0
			}
			if f.stalls >= maxStalls {
				return fmt.Errorf("broker has confirmed nothing for %v", maxStalls*w.ackTimeout)
			}
			f.passed, f.due = passed, now.Add(w.ackTimeout)
			continue
		}
		w.late(f, now)
		if w.silent >= toldAfter {
			s.u.faults.silence.begin(s.u.c.Log, slog.LevelWarn, "silence", "collector does not acknowledge; batches stay in the spool and are sent again",
				"waited_s", w.ackTimeout.Seconds())
		}
	}
	return nil
}

// send hands over what may go now.
func (s *session) send(ctx context.Context, now time.Time) {
	w := s.u.win
	for ctx.Err() == nil && !s.meter().busy() {
		room := w.room(now)
		if room == 0 {
			return
		}
		fresh := w.fresh()
		batches, err := s.u.q.Peek(w.skip(now, fresh), room)
		if fresh && err == nil && len(batches) == 0 {
			batches, err = s.u.q.Peek(w.skip(now, false), room)
		}
		if err != nil {
			s.u.faults.queue.begin(s.u.c.Log, slog.LevelError, "peek", "spool cannot be read", "err", err)
			w.pause = now.Add(w.ackTimeout)
			return
		}
		s.u.faults.queue.end(s.u.c.Log, "spool works again")
		if len(batches) == 0 {
			w.prune(now)
			return
		}
		for _, b := range batches {
			f := w.begin(b.Seq, b.Boot, b.Payload, now)
			if !s.publish(f, b.Payload) {
				w.unsent(f, now)
				return
			}
		}
	}
}

// publish hands one batch to the connection; false when it would not take it.
func (s *session) publish(f *flight, payload []byte) bool {
	t := s.client.Publish(s.u.c.Address.Topic(telemetry.KindData), qos, false, payload)
	if done(t) && t.Error() != nil {
		return false
	}
	f.taken = func() bool { return done(t) }
	f.passed, f.stalls = s.meter().passed.Load(), 0
	s.u.count(func(st *Stats) {
		st.Sent++
		if f.tries > 1 {
			st.Retries++
		}
	})
	return true
}

func done(t mqtt.Token) bool {
	select {
	case <-t.Done():
		return true
	default:
		return false
	}
}

// noStore keeps no copies: the spool has them, and a new connection starts clean.
type noStore struct{}

func (noStore) Open()                             {}
func (noStore) Put(string, packets.ControlPacket) {}
func (noStore) Get(string) packets.ControlPacket  { return nil }
func (noStore) All() []string                     { return nil }
func (noStore) Del(string)                        {}
func (noStore) Close()                            {}
func (noStore) Reset()                            {}
