package uplink

import "time"

const (
	// leastKeepalive is as often as we ping when something on the way forgets connections that are silent: RFC 5382 asks NATs for two
	// hours, those of mobile networks are known for a few minutes.
	leastKeepalive = time.Minute
	// growEvery is how long a shorter keepalive stays before a longer one is tried.
	growEvery = 24 * time.Hour
	// pongMost is how long a ping may stay unanswered.
	pongMost = 30 * time.Second
)

// pulse decides how long a connection may be silent. Pure. What CONNECT names stays the configured keepalive; only pings come sooner.
type pulse struct {
	most, least time.Duration
	every       time.Duration
	since       time.Time // when every was last changed
}

func newPulse(most time.Duration) pulse {
	return pulse{most: most, least: min(leastKeepalive, most), every: most}
}

// forgotten notes a connection that died in silence while a fresh one worked at once: something on the way had forgotten it.
func (p *pulse) forgotten(now time.Time) {
	p.every, p.since = max(p.least, p.every/2), now
}

// interval is the keepalive now. A shorter one creeps back by a quarter each day.
func (p *pulse) interval(now time.Time) time.Duration {
	if p.every < p.most && now.Sub(p.since) >= growEvery {
		p.every, p.since = min(p.most, p.every*5/4), now
	}
	return p.every
}

// due is when to ping after a packet at last. A sixth later than the keepalive, so that a batch that comes once a keepalive is itself the
// sign of life; a broker must wait half a keepalive more.
func (p *pulse) due(last time.Time, now time.Time) time.Time {
	every := p.interval(now)
	return last.Add(every + every/6)
}

// pong is how long a ping may stay unanswered.
func (p *pulse) pong() time.Duration { return min(max(p.every/2, time.Second), pongMost) }
