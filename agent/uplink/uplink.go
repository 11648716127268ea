package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/smartvillage/nabz/telemetry"
)

// Uplink is the agent's end of the MQTT connection. Run does the work; the other methods may be called from anywhere.
type Uplink struct {
	c     Config
	q     Queue
	wake  chan struct{}
	total atomic.Int64

	mu    sync.Mutex
	stats Stats

	// Used by Run alone.
	win     *window
	session uint64 // last number taken
	unused  bool   // no broker has heard of it
	faults  struct{ session, queue, silence, reject, ack fault }
	brokers map[string]*fault
}

// New makes an uplink; Run checks the configuration.
func New(c Config, q Queue) *Uplink {
	c = c.fill()
	return &Uplink{c: c, q: q, wake: make(chan struct{}, 1), win: newWindow(c, jitter), brokers: map[string]*fault{}}
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d) + 1)) }

// Wake says that the queue has something new. It never blocks.
func (u *Uplink) Wake() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Stats returns a snapshot.
func (u *Uplink) Stats() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.stats
	s.WireBytes = u.total.Load()
	return s
}

// count changes the statistics.
func (u *Uplink) count(f func(s *Stats)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.stats)
}

// Run connects, sends and reconnects until ctx ends, says goodbye then (within 3 s), and returns nil. An error is a
// configuration that cannot work.
func (u *Uplink) Run(ctx context.Context) error {
	brokers, err := u.c.brokers()
	if err != nil {
		return err
	}
	if err := u.c.Address.Check(); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	failed, at := 0, 0
	for ctx.Err() == nil {
		broker := brokers[at%len(brokers)]
		began := time.Now()
		acked := u.Stats().Acked
		up, err := u.connection(ctx, broker)
		if ctx.Err() != nil {
			return nil
		}
		good := u.Stats().Acked > acked
		if good || up && time.Since(began) > u.c.Keepalive {
			failed = 0 // it did some good, or held for a while: the backoff starts anew
		}
		if !good {
			at++
		}
		u.tell(broker, err)
		wait := u.backoff(failed / len(brokers))
		failed++
		if !sleep(ctx, wait) {
			return nil
		}
	}
	return nil
}

// backoff is exponential with full jitter, from 1 s up to MaxBackoff.
func (u *Uplink) backoff(n int) time.Duration {
	d := min(minBackoff, u.c.MaxBackoff)
	for ; n > 0 && d < u.c.MaxBackoff; n-- {
		d *= 2
	}
	return jitter(min(d, u.c.MaxBackoff))
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// connectError is an attempt that never became a connection.
type connectError struct{ err error }

func (e *connectError) Error() string { return "connect: " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// tell logs why a connection ended or could not be made, once for each broker and kind.
func (u *Uplink) tell(broker *url.URL, err error) {
	f := u.brokers[broker.String()]
	if f == nil {
		f = &fault{}
		u.brokers[broker.String()] = f
	}
	log := u.c.Log.With("broker", broker.String())
	var connect *connectError
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		f.begin(log, slog.LevelError, "refused", "broker refuses this agent's name and secret",
			"username", u.c.Address.String(), "next", "put the secret that \"nabz-collector agent add\" printed into secret_file; \"nabz-collector agent list\" shows who may sign in")
	case errors.As(err, &connect):
		f.begin(log, slog.LevelWarn, "unreachable", "broker cannot be reached; batches stay in the spool", "err", connect.err)
	default:
		f.begin(log, slog.LevelWarn, "lost", "connection to the broker is lost; batches stay in the spool", "err", err)
	}
}

// nextSession numbers a connection. When the number cannot be recorded, counting on in RAM is better than not sending: a full
// disk is emptied by sending.
func (u *Uplink) nextSession() uint64 {
	if u.unused { // months offline must not wear the flash with numbers
		return u.session
	}
	n, err := u.c.Session()
	if err != nil {
		u.faults.session.begin(u.c.Log, slog.LevelWarn, "session", "presence session cannot be recorded; it may be taken for an old one", "err", err)
		n = u.session + 1
	} else {
		u.faults.session.end(u.c.Log, "presence sessions are recorded again")
	}
	u.session = n
	return n
}

// connected notes a connection that works.
func (u *Uplink) connected(broker *url.URL, session uint64) {
	now := u.c.Now()
	u.count(func(s *Stats) { s.Connected, s.Since, s.Broker = true, now, broker.String(); s.Connects++ })
	if f := u.brokers[broker.String()]; f != nil && f.kind != "" {
		f.end(u.c.Log, "connected to the broker again", "broker", broker.String(), "session", session)
		return
	}
	u.c.Log.Info("connected to the broker", "broker", broker.String(), "session", session)
}

func (u *Uplink) disconnected(broker *url.URL) {
	now := u.c.Now()
	u.count(func(s *Stats) {
		if s.Broker = broker.String(); s.Connected || s.Since.IsZero() {
			s.Connected, s.Since = false, now
		}
	})
	u.win.lost(time.Now())
}

// answer handles an acknowledgement.
func (u *Uplink) answer(a telemetry.Ack) {
	f := u.win.answered(a)
	if f == nil {
		u.count(func(s *Stats) { s.Strays++ })
		return
	}
	if err := u.q.Ack(f.seq); err != nil {
		u.faults.queue.begin(u.c.Log, slog.LevelWarn, "ack", "acknowledgement is not recorded", "err", err)
	}
	now := u.c.Now()
	u.count(func(s *Stats) {
		s.Acked++
		s.LastAck, s.Rtt = now, time.Since(f.first)
		if a.Verdict == telemetry.Rejected {
			s.Rejected++
		}
	})
	u.faults.silence.end(u.c.Log, "collector acknowledges again")
	if a.Verdict == telemetry.Rejected {
		u.faults.reject.begin(u.c.Log, slog.LevelWarn, "reject", "collector rejects a batch; it lies there with the dead letters", "seq", f.seq, "why", a.Why)
	} else {
		u.faults.reject.end(u.c.Log, "collector stores batches again")
	}
	u.c.OnAck(a, f.size)
}
