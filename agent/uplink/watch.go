package uplink

import (
	"errors"
	"time"
)

// secondWind is what a connection in doubt gets when the link is said to be back; TCP itself may wait a minute before it tries again.
const secondWind = 10 * time.Second

// watch looks after the connection itself: do bytes arrive, is a ping due, is the broker's answer to one late.
func (s *session) watch(now time.Time) error {
	m := s.meter()
	next, doubt := m.watch(now)
	if s.look = next; doubt {
		s.doubt()
	}
	if !s.verdict.IsZero() {
		due := !now.Before(s.verdict)
		if due {
			m.look(now)
		}
		if m.pending().IsZero() || m.sign().After(s.kicked) {
			s.verdict = time.Time{}
		} else if due {
			return errNew
		}
	}
	s.home.ask(s, now)
	return s.pulse(now)
}

// pulse pings, where nothing else has told the broker that we are there.
func (s *session) pulse(now time.Time) error {
	sent, heard, pinged := s.wire.times()
	if !pinged.IsZero() {
		limit, early := pinged.Add(s.u.pulse.pong()), pinged.Add(doubtMost)
		switch {
		case !now.Before(limit):
			return s.unanswered(now)
		case now.Before(early):
			limit = early
		case !s.doubted:
			s.doubted = true
			s.doubt()
		}
		s.beat = limit
		return nil
	}
	s.doubted = false
	last := sent
	if !s.meter().counts() {
		last = heard // nothing but an answer tells that the broker is there
	} else if !s.look.IsZero() {
		s.beat = time.Time{} // bytes are waiting already: a ping would wait behind them
		return s.silent(now)
	}
	if s.beat = s.u.pulse.due(last, now); now.Before(s.beat) {
		return nil
	}
	s.ask()
	s.beat = now.Add(s.u.pulse.pong())
	return nil
}

// unanswered tells why a connection on which a ping was not answered is given up: the broker hangs, or the link is gone.
func (s *session) unanswered(now time.Time) error {
	m := s.meter()
	m.unanswered()
	if m.look(now); m.told() && m.pending().IsZero() {
		return errHung
	}
	return errors.New("broker does not answer a ping")
}

// silent gives up a connection on which nothing was acknowledged since it was quiet for long: something on the way has forgotten it. One
// that was busy until just now gets the time that TCP gives it, since there it is the link.
func (s *session) silent(now time.Time) error {
	m, long := s.meter(), s.u.pulse.every/2
	if m.silentAfter() < long {
		return nil
	}
	if s.beat = m.pending().Add(2 * s.u.pulse.pong()); now.Before(s.beat) {
		return nil
	}
	if m.look(now); m.silentAfter() < long {
		s.beat = now
		return nil
	}
	return errors.New("connection has died in silence")
}

func (s *session) ask() {
	s.wire.ping()
	s.u.count(func(st *Stats) { st.Pings++; st.Keepalive = s.u.pulse.every })
}

func (s *session) doubt() {
	if !s.meter().local {
		s.u.c.Doubt()
	}
}

// hurry hears that the link is back. A connection whose bytes wait gets a moment to recover. One behind a proxy looks well in any case: whether
// its far half has outlived the outage only an answer of the broker tells.
func (s *session) hurry(now time.Time) {
	if _, _, pinged := s.wire.times(); s.meter().behindProxy() && pinged.IsZero() {
		s.ask()
	}
	if s.verdict.IsZero() && now.Sub(s.pendingSince(now)) >= doubtLeast {
		s.kicked, s.verdict = now, now.Add(secondWind)
	}
}

// pendingSince tells since when the far end owes us a sign of life; now when it does not.
func (s *session) pendingSince(now time.Time) time.Time {
	if at := s.meter().pending(); !at.IsZero() {
		return at
	}
	return now
}
