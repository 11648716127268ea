package ndt7

import (
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// triesAllowed is how often tokens may be asked for, right secret or wrong: by one host in one agent's name five at once and then one in ten
// seconds, by one host in whatever names 50 at once and then ten a second, because all villages of an operator may come from one
// address, and 200 at once and then 50 a second by all. A secret has 256 bits, so this protects the processor more than the secret.
var triesAllowed = limits{burst: 5, every: 10 * time.Second, hostBurst: 50, hostEvery: 100 * time.Millisecond, allBurst: 200, allEvery: 20 * time.Millisecond, most: 8192}

type limits struct {
	burst, hostBurst, allBurst int
	every, hostEvery, allEvery time.Duration
	most                       int // keys remembered
}

// triesKey is who asks for a token and in whose name. One agent's name does not tell enough: a stranger could use up its tries.
type triesKey struct {
	host  string
	agent telemetry.Address
}

// limiter is one leaky bucket for each key, one for each host and one for all. A bucket is the moment at which it will be empty.
type limiter struct {
	limits
	mu  sync.Mutex
	one map[triesKey]time.Time // a host's own is that of no agent
	all time.Time
}

// take takes a try; where there is none it tells how long to wait for one.
func (l *limiter) take(k triesKey, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.one == nil {
		l.one = map[triesKey]time.Time{}
	}
	if len(l.one)+2 > l.most {
		for key, empty := range l.one {
			if !empty.After(now) {
				delete(l.one, key)
			}
		}
	}
	h := triesKey{host: k.host}
	fresh := 0
	for _, key := range []triesKey{k, h} {
		if _, known := l.one[key]; !known {
			fresh++
		}
	}
	if len(l.one)+fresh > l.most {
		return l.every
	}
	one, wait := drop(l.one[k], now, l.every, l.burst)
	if wait > 0 {
		return wait
	}
	host, wait := drop(l.one[h], now, l.hostEvery, l.hostBurst)
	if wait > 0 {
		return wait
	}
	all, wait := drop(l.all, now, l.allEvery, l.allBurst)
	if wait > 0 {
		return wait
	}
	l.one[k], l.one[h], l.all = one, host, all
	return 0
}

// drop puts a try into a bucket.
func drop(empty, now time.Time, every time.Duration, burst int) (time.Time, time.Duration) {
	if empty.Before(now) {
		empty = now
	}
	if over := empty.Add(every).Sub(now) - time.Duration(burst)*every; over > 0 {
		return empty, over
	}
	return empty.Add(every), 0
}
