package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
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
	kick  chan struct{} // the link is back
	total atomic.Int64
	path  path
	conn  atomic.Pointer[meter]
	tls   *tls.Config

	proxyTold atomic.Bool

	mu    sync.Mutex
	stats Stats

	// Used by Run alone.
	win     *window
	pulse   pulse
	pace    pace
	first   *url.URL      // of the brokers
	forgot  time.Duration // the last connection died in silence after it had been quiet that long; 0: it did not
	deaf    time.Duration // how long the collector may be silent before another connection is tried
	session uint64        // last number taken
	unused  bool          // no broker has heard of it
	faults  struct{ session, queue, silence, reject, ack fault }
	brokers map[string]*fault

	homeAfter, signIn time.Duration
}

// New makes an uplink; Run checks the configuration.
func New(c Config, q Queue) *Uplink {
	c = c.fill()
	return &Uplink{c: c, q: q, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), tls: secure(c.TLS), win: newWindow(c, jitter),
		pulse: newPulse(c.Keepalive), pace: newPace(c.BacklogKbps), deaf: patience(), brokers: map[string]*fault{}, homeAfter: homeAfter, signIn: connectTimeout,
		stats: Stats{Keepalive: c.Keepalive}}
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(d) + 1)) }

// patience is how long the collector may be deaf; not the same for all agents, since they all hear when it goes.
func patience() time.Duration { return deafLeast + jitter(deafLeast/4) }

// Wake says that the queue has something new. It never blocks.
func (u *Uplink) Wake() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// Reconnect says that the link has just come, or come back: what waits for the end of a backoff, or for TCP to try again, is tried now.
// It never blocks.
func (u *Uplink) Reconnect() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// Evidence is the last moment at which the broker is known to have received bytes of ours or sent us some. Zero: never. A broker on
// loopback proves nothing of the link, and bytes that only a proxy acknowledges do not count.
func (u *Uplink) Evidence() time.Time {
	if m := u.conn.Load(); m != nil && !m.pending().IsZero() {
		m.look(time.Now())
	}
	return u.path.last()
}

// TakeQuality tells of the path to the broker since the last call: segments or questions sent, how many of these were lost, and round
// trips: of TCP where its acknowledgements are the broker's, and of MQTT's questions.
func (u *Uplink) TakeQuality() (sent, lost int, rtts []time.Duration) { return u.path.take() }

// Stats returns a snapshot.
func (u *Uplink) Stats() Stats {
	s := u.counts()
	s.WireBytes = u.total.Load()
	return s
}

func (u *Uplink) counts() Stats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
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
	u.first = brokers[0]
	failed, at := 0, 0
	for ctx.Err() == nil {
		broker := brokers[at%len(brokers)]
		began := time.Now()
		acked := u.counts().Acked
		up, err := u.connection(ctx, broker)
		if ctx.Err() != nil {
			return nil
		}
		good := u.counts().Acked > acked && !errors.Is(err, errDeaf) && !errors.Is(err, errHung)
		if good || up && time.Since(began) > u.c.Keepalive {
			failed = 0 // it did some good, or held for a while: the backoff starts anew
		}
		switch {
		case errors.Is(err, errHome):
			u.c.Log.Info("the first broker is back", "broker", broker.String())
			at = 0
			continue
		case errors.Is(err, errNew):
			failed = 0
			continue
		case !good:
			at++
		}
		u.tell(broker, err)
		wait := u.backoff(failed / len(brokers))
		failed++
		if u.sleep(ctx, wait) {
			failed = 0
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

// sleep waits, or tells that the link is back.
func (u *Uplink) sleep(ctx context.Context, d time.Duration) (kicked bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-u.kick:
		return true
	case <-t.C:
	}
	return false
}

// dial connects to a broker.
func (u *Uplink) dial(ctx context.Context, broker *url.URL) (net.Conn, *meter, error) {
	ctx, cancel := context.WithTimeout(ctx, u.signIn)
	defer cancel()
	// The broker gives a connection up after one and a half keepalives; bytes that wait longer wait for nobody.
	return dial(ctx, u.c.Dial, broker, u.tls, max(u.c.Keepalive*3/2, deadLeast), &u.path, &u.total)
}

// reached notes how a connection came about. When the one before died in silence after a quiet time and this one worked at once, it was
// not the link: something on the way forgets silent connections, so silence must be shorter.
func (u *Uplink) reached(took time.Duration) {
	if u.forgot >= u.pulse.every/2 && u.forgot > 0 && took < doubtMost && u.pulse.every > u.pulse.least {
		u.pulse.forgotten(time.Now())
		u.c.Log.Info("something on the way forgets silent connections; MQTT pings more often", "keepalive_s", int(u.pulse.every.Seconds()))
	}
	u.forgot = 0
}

// proxied tells when a connection turns out to be a proxy's.
func (u *Uplink) proxied(yes bool) {
	if yes && !u.proxyTold.Swap(true) {
		u.c.Log.Info("a proxy acknowledges for the broker, as those in front of a satellite do; only the broker's own answers count as evidence")
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
	n = max(n, u.session+1) // an old will must not hide a new presence, whatever became of the record
	u.session = n
	return n
}

// connected notes a connection that works.
func (u *Uplink) connected(broker *url.URL, session uint64) {
	now := u.c.Now()
	u.count(func(s *Stats) {
		s.Connected, s.Since, s.Broker, s.Keepalive = true, now, broker.String(), u.pulse.every
		s.Connects++
	})
	if f := u.brokers[broker.String()]; f != nil && f.kind != "" {
		f.end(u.c.Log, "connected to the broker again", "broker", broker.String(), "session", session)
		return
	}
	u.c.Log.Info("connected to the broker", "broker", broker.String(), "session", session)
}

func (u *Uplink) disconnected(broker *url.URL) {
	u.conn.Store(nil)
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
	all := u.win.answered(a)
	if len(all) == 0 {
		u.count(func(s *Stats) { s.Strays++ })
		return
	}
	now, rtt := u.c.Now(), time.Since(all[0].first)
	for _, f := range all {
		if err := u.q.Ack(f.seq); err != nil {
			u.faults.queue.begin(u.c.Log, slog.LevelWarn, "ack", "acknowledgement is not recorded", "err", err)
		}
		u.count(func(s *Stats) {
			s.Acked++
			s.LastAck, s.Rtt = now, rtt
			if a.Verdict == telemetry.Rejected {
				s.Rejected++
			}
		})
	}
	u.deaf = patience()
	u.faults.silence.end(u.c.Log, "collector acknowledges again")
	if a.Verdict == telemetry.Rejected {
		u.faults.reject.begin(u.c.Log, slog.LevelWarn, "reject", "collector rejects a batch; it lies there with the dead letters", "seq", all[0].seq, "why", a.Why)
	} else {
		u.faults.reject.end(u.c.Log, "collector stores batches again")
	}
	for _, f := range all {
		one := a
		one.First = 0
		if a.Boot != "" {
			one.Seq = f.seq
		}
		u.c.OnAck(one, f.size)
	}
}
