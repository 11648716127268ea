package people

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/limit"
)

// Why somebody did not get in. A Wait is a reason too.
var (
	ErrWrong = errors.New("name or password is wrong")
	ErrBusy  = errors.New("too many are signing in just now")
)

// Wait is the error of who has tried too often: how long until the next try.
type Wait time.Duration

// Error says it.
func (w Wait) Error() string { return fmt.Sprintf("too many tries; wait %d s", w.Seconds()) }

// Seconds rounds up.
func (w Wait) Seconds() int { return int((time.Duration(w) + time.Second - 1) / time.Second) }

// Outcomes as they are counted.
const (
	good    = "good"
	wrong   = "wrong"
	limited = "limited"
	busy    = "busy"
)

// triesAllowed is how often passwords may be tried, right or wrong: by one host in one name five at once and then one in 30 s, by one host in whatever
// names 30 at once and then one in two seconds, because all of a NOC may come from one address; in one name from whatever hosts 20 at once and
// then one in 20 s, which is more than one host alone can use up, so that nobody shuts a user out by guessing from one place; and five a second by all.
// So a password is guessed at 4,400 times a day at most, by however many machines.
var triesAllowed = limit.Rates{Pair: limit.Rate{Burst: 5, Every: 30 * time.Second}, Host: limit.Rate{Burst: 30, Every: 2 * time.Second},
	Name: limit.Rate{Burst: 20, Every: 20 * time.Second}, All: limit.Rate{Burst: 100, Every: 200 * time.Millisecond}, Most: 32 << 10}

// patience is how long a try may wait for its turn to be hashed.
const patience = 10 * time.Second

// SignIn tells who it is that comes from that host with this name and password. What it does for a name that does not exist is what it does for one
// that does: the same tries, the same work, the same error.
func (p *People) SignIn(ctx context.Context, host, name, password string) (User, error) {
	u, err := p.signIn(ctx, host, name, password)
	outcome := good
	switch wait := Wait(0); {
	case errors.As(err, &wait):
		outcome = limited
	case errors.Is(err, ErrWrong):
		outcome = wrong
	case err != nil:
		outcome = busy
	}
	p.count.WithLabelValues(outcome).Inc()
	return u, err
}

func (p *People) signIn(ctx context.Context, host, name, password string) (User, error) {
	if len(name) > 64 || len(password) > maxPassword { // nobody's; and not worth remembering
		name, password = "", ""
	}
	if wait := p.tries.Take(host, name, time.Now()); wait > 0 {
		return User{}, Wait(wait)
	}
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return User{}, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.work <- struct{}{}:
		defer func() { <-p.work }()
	case <-ctx.Done():
		return User{}, ErrBusy
	}
	u, exists := p.User(name)
	want := p.ghost
	if exists {
		want = u.hash
	}
	if !want.is(password) || !exists {
		return User{}, ErrWrong
	}
	return u, nil
}

// Script is SignIn for a program that signs in with each request. Where the same name and password were right within the last ten minutes, and the user is
// still the same, it costs no try and no hash; fresh tells that it was not so. Many that come at once count as one.
func (p *People) Script(ctx context.Context, host, name, password string) (u User, fresh bool, err error) {
	u, _ = p.User(name)
	mark := p.known.mark(u, name, password)
	if p.known.has(mark) {
		return u, false, nil
	}
	v, err, _ := p.once.Do(host+"\x00"+string(mark[:]), func() (any, error) {
		if p.known.has(mark) {
			return u, nil
		}
		fresh = true
		u, err := p.SignIn(context.WithoutCancel(ctx), host, name, password)
		if err == nil {
			p.known.add(p.known.mark(u, name, password))
		}
		return u, err
	})
	if err != nil {
		return User{}, fresh, err
	}
	return v.(User), fresh, nil
}

// recent remembers names with their passwords that were right, as a MAC with a key that only this process has.
type recent struct {
	key   [32]byte
	mu    *sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

const (
	rememberFor  = 10 * time.Minute
	rememberMost = 1000
)

func newRecent() recent {
	r := recent{mu: &sync.Mutex{}, until: map[[sha256.Size]byte]time.Time{}}
	_, _ = rand.Read(r.key[:]) // never fails, by its documentation
	return r
}

// mark is another one when the user has another password or role.
func (r *recent) mark(u User, name, password string) (m [sha256.Size]byte) {
	h := hmac.New(sha256.New, r.key[:])
	stamp := u.stamp()
	h.Write(stamp[:])
	h.Write([]byte(strings.Join([]string{name, password}, "\x00")))
	copy(m[:], h.Sum(nil))
	return m
}

func (r *recent) has(m [sha256.Size]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.until[m])
}

func (r *recent) add(m [sha256.Size]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= rememberMost {
		clear(r.until)
	}
	r.until[m] = time.Now().Add(rememberFor)
}
