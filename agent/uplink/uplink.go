package uplink

import (
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

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
	words [][]byte // answers to commands, not handed to a connection yet

	// Used by Run alone.
	win     *window
	pulse   pulse
	pace    pace
	first   *url.URL      // of the brokers
	forgot  time.Duration // the last connection died in silence after it had been quiet that long; 0: it did not
	deaf    time.Duration // how long the collector may be silent before another connection is tried
	session uint64        // last number taken
	unused  bool          // no broker has heard of it
	twin    bool          // another machine works as this agent
	faults  struct{ session, queue, silence, reject, ack, command fault }
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

// maxWords bounds the answers that wait for a connection. A newer one pushes out the oldest: the collector asks again.
const maxWords = 16

// Answer sends a word on a command, at the next connection where there is none now. It never blocks.
func (u *Uplink) Answer(payload []byte) {
	u.mu.Lock()
	u.words = append(u.words, payload)
	if n := len(u.words) - maxWords; n > 0 {
		u.words = u.words[n:]
	}
	u.mu.Unlock()
	u.Wake()
}

// takeWords empties the answers that wait.
func (u *Uplink) takeWords() (all [][]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	all, u.words = u.words, nil
	return all
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
// loopback, or near, proves nothing of the link, and bytes that only a proxy acknowledges do not count.
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
		s.Connected, s.Since, s.Broker, s.Keepalive = true, now, shown(broker), u.pulse.every
		s.Connects++
	})
	if f := u.brokers[shown(broker)]; f != nil && f.kind != "" {
		f.end(u.c.Log, "connected to the broker again", "broker", shown(broker), "session", session)
		return
	}
	u.c.Log.Info("connected to the broker", "broker", shown(broker), "session", session)
}

func (u *Uplink) disconnected(broker *url.URL) {
	m := u.conn.Swap(nil)
	now := u.c.Now()
	u.count(func(s *Stats) {
		if s.Broker = shown(broker); s.Connected || s.Since.IsZero() {
			s.Connected, s.Since = false, now
		}
	})
	u.win.lost(time.Now(), m == nil || !m.behindProxy())
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
		u.count(func(s *Stats) { // before it leaves the queue: who sees an empty queue sees why
			s.Acked++
			s.LastAck, s.Rtt = now, rtt
			if a.Verdict == telemetry.Rejected {
				s.Rejected++
			}
		})
		if err := u.q.Ack(f.seq); err != nil {
			u.faults.queue.begin(u.c.Log, slog.LevelWarn, "ack", "acknowledgement is not recorded", "err", err)
		}
	}
	u.deaf, u.twin = patience(), a.Twin != ""
	u.faults.silence.end(u.c.Log, "collector acknowledges again")
	if a.Verdict == telemetry.Rejected {
		u.faults.reject.begin(u.c.Log, slog.LevelWarn, "reject", "collector rejects a batch; it lies there with the dead letters", "seq", all[0].seq, "why", a.Why)
	} else {
		u.faults.reject.end(u.c.Log, "collector stores batches again")
	}
	for _, f := range all {
		one := a
		one.First, one.Also = 0, ""
		if a.Boot != "" {
			one.Seq = f.seq
		}
		u.c.OnAck(one, f.size)
	}
}
