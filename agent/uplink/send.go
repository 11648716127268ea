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
	// maxStalls is how often in a row a batch that has not arrived may be late before the connection is given up.
	maxStalls = 4
	// slowBytes in an ack timeout is a slow link, not a dead one.
	slowBytes = 1 << 10
	// toldAfter late answers in a row the collector's silence is told.
	toldAfter = 3
)

// expire looks for answers that are late. What has not arrived is not sent again on the same connection: it is still in the pipe.
func (s *session) expire(now time.Time) error {
	w, m := s.u.win, s.meter()
	looked := false
	for _, f := range w.flights {
		if !f.out || now.Before(f.due) {
			continue
		}
		if !f.taken && !looked {
			m.look(now)
			s.confirm()
			looked = true
		}
		if !f.taken {
			arrived := s.arrived()
			if f.stalls++; arrived-f.passed >= slowBytes {
				f.stalls = 0
			}
			if f.stalls >= maxStalls {
				return fmt.Errorf("nothing has reached the broker for %v", maxStalls*w.ackTimeout)
			}
			f.passed, f.due = arrived, now.Add(w.ackTimeout)
			continue
		}
		w.late(f, now)
		if _, heard, pinged := s.wire.times(); heard.Before(f.sent) && pinged.IsZero() {
			s.ask() // is it the collector that is silent, or the broker?
		}
		if w.silent >= toldAfter {
			s.u.faults.silence.begin(s.u.c.Log, slog.LevelWarn, "silence", "collector does not acknowledge; batches stay in the spool and are sent again",
				"waited_s", w.ackTimeout.Seconds())
		}
	}
	if w.silent > 0 && now.Sub(w.since) >= s.u.deaf {
		s.u.deaf = min(2*s.u.deaf, deafMost)
		return errDeaf
	}
	return nil
}

// arrived is a count that grows while bytes get through.
func (s *session) arrived() int64 {
	if m := s.meter(); m.counts() {
		return m.arrived()
	}
	return s.meter().written.Load()
}

// confirm notes the batches that have arrived since.
func (s *session) confirm() {
	for _, f := range s.u.win.flights {
		if f.out && !f.taken {
			f.taken = f.has()
		}
	}
}

// send hands over what may go now.
func (s *session) send(ctx context.Context, now time.Time) {
	w := s.u.win
	s.paced = time.Time{}
	for ctx.Err() == nil && !s.meter().busy() {
		if w.room(now) == 0 && w.slow() { // have they arrived meanwhile?
			s.meter().look(now)
			s.confirm()
		}
		room := s.u.pace.room(w.room(now))
		if room == 0 {
			return
		}
		if d := s.u.pace.wait(now); d > 0 {
			s.paced = now.Add(d)
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
			if s.u.pace.wait(now) > 0 {
				break
			}
			f := w.begin(b.Seq, b.Boot, b.Payload, b.Tier == telemetry.Detail, now)
			if !s.publish(f, b.Payload) {
				w.unsent(f, now)
				return
			}
			s.u.pace.spend(len(b.Payload))
		}
	}
}

// publish hands one batch to the connection; false when it would not take it. Where the kernel tells what has left for good, the broker need
// not confirm it: at QoS 0 that saves an answer a batch, and the promise that counts is the collector's anyway.
func (s *session) publish(f *flight, payload []byte) bool {
	m := s.meter()
	quality := byte(1)
	if m.counts() {
		quality = 0
	}
	t := s.client.Publish(s.u.c.Address.Topic(telemetry.KindData), quality, false, payload)
	if done(t) && t.Error() != nil {
		return false
	}
	f.has = func() bool { return done(t) && t.Error() == nil }
	if quality == 1 {
		s.heed(t)
	} else {
		end := int64(0) // of this batch among the bytes written; not known until it is
		f.has = func() bool {
			if end == 0 && done(t) && t.Error() == nil {
				end = m.written.Load()
			}
			return end > 0 && m.arrived() >= end
		}
	}
	f.passed, f.stalls = s.arrived(), 0
	s.u.count(func(st *Stats) {
		st.Sent++
		if f.tries > 1 {
			st.Retries++
		}
	})
	return true
}

// heed wakes the loop once the broker has confirmed a batch, which makes room for the next.
func (s *session) heed(t mqtt.Token) {
	s.work.Go(func() {
		select {
		case <-t.Done():
			s.tell()
		case <-s.over:
		}
	})
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
