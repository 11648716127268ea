package limit

import (
	"sync"
	"time"
)

// Rate allows Burst tries at once and then one each Every. The zero Rate allows any.
type Rate struct {
	Burst int
	Every time.Duration
}

// Rates are the bounds of a Limiter.
type Rates struct {
	Pair Rate // of one host in one name. A name alone does not tell enough: a stranger could use up its tries
	Host Rate // of one host in whatever names
	Name Rate // of one name from whatever hosts
	All  Rate
	Most int // buckets remembered; beyond it, who is new waits
}

// key is whose bucket it is: a pair has both, a host and a name one of the two.
type key struct {
	of   byte
	host string
	name string
}

// Limiter hands out tries. It is safe for concurrent use. A bucket is the moment at which it will be empty.
type Limiter struct {
	rates Rates
	mu    sync.Mutex
	full  map[key]time.Time
	all   time.Time
}

// New makes a limiter.
func New(r Rates) *Limiter { return &Limiter{rates: r, full: map[key]time.Time{}} }

// Take takes a try; where there is none it takes nothing and tells how long to wait for one.
func (l *Limiter) Take(host, name string, now time.Time) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	type bucket struct {
		key   key
		rate  Rate
		empty time.Time
	}
	buckets := []bucket{{key: key{'p', host, name}, rate: l.rates.Pair}, {key: key{'h', host, ""}, rate: l.rates.Host}, {key: key{'n', "", name}, rate: l.rates.Name}}
	if len(l.full)+len(buckets) > l.rates.Most {
		for k, empty := range l.full {
			if !empty.After(now) {
				delete(l.full, k)
			}
		}
	}
	fresh := 0
	for i := range buckets {
		b := &buckets[i]
		if b.rate.Burst == 0 {
			continue
		}
		empty, known := l.full[b.key]
		if !known {
			fresh++
		}
		if b.empty, wait = drop(empty, now, b.rate); wait > 0 {
			return wait
		}
	}
	if len(l.full)+fresh > l.rates.Most {
		return l.rates.Pair.Every
	}
	all, wait := drop(l.all, now, l.rates.All)
	if wait > 0 {
		return wait
	}
	l.all = all
	for _, b := range buckets {
		if b.rate.Burst > 0 {
			l.full[b.key] = b.empty
		}
	}
	return 0
}

// drop puts a try into a bucket.
func drop(empty, now time.Time, r Rate) (time.Time, time.Duration) {
	if empty.Before(now) {
		empty = now
	}
	if over := empty.Add(r.Every).Sub(now) - time.Duration(r.Burst)*r.Every; over > 0 {
		return empty, over
	}
	return empty.Add(r.Every), 0
}
