package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds on sessions. Beyond one the session that was used longest ago ends.
const (
	maxSessions = 2000
	maxEach     = 50 // of one user
)

const (
	tokenBytes = 32          // 256 random bits
	tidyEvery  = time.Minute // how soon what has ended is forgotten, and the last use of a session is on the disk
	usedWithin = time.Minute // a use is noted no finer
)

// SessionLimits end a session by time: Idle after its last use, Life after its begin.
type SessionLimits struct{ Idle, Life time.Duration }

// Sessions are those of all who have signed in. They are safe for concurrent use.
type Sessions struct {
	people *People
	limits SessionLimits
	now    func() time.Time
	log    *slog.Logger
	mu     sync.Mutex
	all    map[[sha256.Size]byte]*session // by the hash of their token
	dirty  bool                           // since the last write
	disk   sync.Mutex                     // one write at a time; taken before mu
	file   string
	broken bool // the last write failed
}

type session struct {
	user       string
	stamp      [sha256.Size]byte // of the user as it was
	made, used time.Time
}

// OpenSessions reads the sessions that were there before. A file that cannot be read is told and begun anew: then all sign in again.
func OpenSessions(file string, p *People, l SessionLimits, now func() time.Time, log *slog.Logger) *Sessions {
	s := &Sessions{people: p, limits: l, now: now, log: log, file: file}
	var err error
	if s.all, err = readSessions(file); err != nil {
		log.Warn("sessions cannot be read; everybody has to sign in again", "file", file, "error", err)
	}
	if s.all == nil {
		s.all = map[[sha256.Size]byte]*session{}
	}
	s.tidy()
	return s
}

// CountIn registers the number of sessions.
func (s *Sessions) CountIn(r prometheus.Registerer) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nabz_web_sessions", Help: "Sessions of people who have signed in at the board."}, func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(len(s.all))
	}))
}

// Begin starts a session of u and returns its token, 43 letters, digits, "-" and "_", of which only the hash is kept.
func (s *Sessions) Begin(u User) (token string) {
	var b [tokenBytes]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	token = base64.RawURLEncoding.EncodeToString(b[:])
	now := s.now()
	s.mu.Lock()
	s.makeRoom(u.Name)
	s.all[sha256.Sum256([]byte(token))] = &session{user: u.Name, stamp: u.stamp(), made: now, used: now}
	s.dirty = true
	s.mu.Unlock()
	s.save()
	return token
}

// makeRoom ends sessions so that there is room for one more of that user.
func (s *Sessions) makeRoom(user string) {
	for _, bound := range []struct {
		user string
		most int
	}{{user, maxEach}, {"", maxSessions}} {
		var oldest [sha256.Size]byte
		var at time.Time
		n := 0
		for key, one := range s.all {
			if bound.user != "" && one.user != bound.user {
				continue
			}
			if n++; n == 1 || one.used.Before(at) {
				oldest, at = key, one.used
			}
		}
		if n >= bound.most {
			delete(s.all, oldest)
		}
	}
}

// User tells whose session it is. It ends one whose time is over, whose user has another password or role, or is gone. A look that is no use does
// not put off the end by idleness.
func (s *Sessions) User(token string, use bool) (User, bool) {
	key := sha256.Sum256([]byte(token))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[key]
	if !ok {
		return User{}, false
	}
	u, ok := s.valid(one, now)
	if !ok {
		delete(s.all, key)
		s.dirty = true
		return User{}, false
	}
	if use && now.Sub(one.used) >= usedWithin {
		one.used = now
		s.dirty = true
	}
	return u, true
}

func (s *Sessions) valid(one *session, now time.Time) (User, bool) {
	u, ok := s.people.User(one.user)
	return u, ok && u.stamp() == one.stamp && now.Sub(one.used) < s.limits.Idle && now.Sub(one.made) < s.limits.Life
}

// End ends the session of a token; one that is none is no error.
func (s *Sessions) End(token string) {
	key := sha256.Sum256([]byte(token))
	s.mu.Lock()
	if _, ok := s.all[key]; ok {
		delete(s.all, key)
		s.dirty = true
	}
	s.mu.Unlock()
	s.save()
}

// Run forgets what has ended and writes what has changed, until ctx ends, and then once more.
func (s *Sessions) Run(ctx context.Context) error {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.save()
			return nil
		case <-tick.C:
			s.tidy()
			s.save()
		}
	}
}

func (s *Sessions) tidy() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.all {
		if _, ok := s.valid(one, now); !ok {
			delete(s.all, key)
			s.dirty = true
		}
	}
}

// save writes the file where something has changed. A disk at fault is told once; sessions go on in RAM.
func (s *Sessions) save() {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	if !s.dirty {
		s.mu.Unlock()
		return
	}
	s.dirty = false
	data := formatSessions(s.all)
	s.mu.Unlock()
	err := writeSessions(s.file, data)
	switch {
	case err != nil:
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		if !s.broken {
			s.log.Error("sessions cannot be written; they go on, and would be lost with the process", "file", s.file, "error", err)
		}
	case s.broken:
		s.log.Info("sessions are written again", "file", s.file)
	}
	s.broken = err != nil
}
