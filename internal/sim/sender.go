package sim

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/agent/uplink"
)

// sender is one agent of the fleet.
type sender struct {
	fleet    *fleet
	site     Site
	seal     *sealer
	true     *Track // for the truth file; the sealer has its own
	queue    *queue
	gate     *gate
	up       *uplink.Uplink
	sequence atomic.Uint64 // of the last batch sealed
	sealed   atomic.Int64  // all before is sealed
}

const (
	ahead  = 12 // batches that wait at most while the history is told
	inFlow = 8  // of them on their way at a time
)

func (f *fleet) newSender(w World, site Site, secret string, v *siteState) *sender {
	s := &sender{fleet: f, site: site, true: w.Track(site).Since(time.UnixMilli(v.From)), queue: newQueue(v.Sent), gate: newGate()}
	s.sequence.Store(v.Seq)
	s.sealed.Store(v.Sent)
	timeout := f.AckTimeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	s.up = uplink.New(uplink.Config{
		Brokers: f.Brokers, Address: site.Address(), Secret: secret, Keepalive: 30 * time.Second, AckTimeout: timeout,
		MaxBackoff: 4 * time.Second, Window: inFlow, Session: sessions(f.Now), Dial: s.gate.dial,
		Log: slog.New(quiet{f.Log.Handler(), s.gate}).With("agent", site.Address().String()),
	}, s.queue)
	s.seal = &sealer{track: w.Track(site).Since(time.UnixMilli(v.From)), codec: f.codec, seq: v.Seq, at: v.Sent, shift: 2 * (f.state.Runs % 100), detail: f.began.UnixMilli() - detailFor, coarse: v.Coarse,
		wire: func() int64 { return s.up.Stats().WireBytes }, waits: s.queue.fill}
	return s
}

// sessions numbers the connections of an agent by the clock, so that they rise across runs too.
func sessions(now func() time.Time) func() (uint64, error) {
	var mu sync.Mutex
	var last uint64
	return func() (uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		last = max(last+1, uint64(now().UnixMilli()))
		return last, nil
	}
}

// reached is up to when the site has had a link: now, or when it was last cut.
func (s *sender) reached(now int64) int64 {
	return s.true.back(now, fault.linked)
}

// put seals a stretch into the queue.
func (s *sender) put(w stretch) error {
	s.fleet.working <- struct{}{}
	batches, err := s.seal.seal(w)
	<-s.fleet.working
	if err != nil {
		return err
	}
	s.sequence.Store(s.seal.seq)
	s.sealed.Store(w.To)
	s.queue.put(w.To, batches)
	s.up.Wake()
	return nil
}

// history tells all up to an instant, with few batches waiting, and returns when all is acknowledged.
func (s *sender) history(ctx context.Context, goal int64) error {
	for s.seal.at < goal {
		w, ok := s.seal.next(goal, true)
		if !ok || w.From >= goal {
			break
		}
		w.To = min(w.To, goal)
		if err := s.put(w); err != nil {
			return err
		}
		if err := s.queue.wait(ctx, ahead); err != nil {
			return err
		}
	}
	return s.queue.wait(ctx, 0)
}

// live seals each stretch when it has passed, and cuts and mends the connection as the truth says.
func (s *sender) live(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := s.fleet.now()
		f := s.seal.track.at(now)
		if f.linked() != s.gate.isOpen() {
			s.gate.set(f.linked())
			s.up.Wake()
		}
		w, ok := s.seal.next(now, false)
		if ok && w.To <= now {
			if err := s.put(w); err != nil {
				return err
			}
			continue
		}
		wait := f.end - now
		if ok {
			wait = min(wait, w.To-now)
		}
		timer.Reset(time.Duration(float64(wait)*float64(time.Millisecond)/s.fleet.Speed) + time.Millisecond)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}
