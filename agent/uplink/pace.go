package uplink

import "time"

const (
	// paceBurst lets a minute's few batches pass at once.
	paceBurst = 4 << 10
	// batchOverhead is what a batch costs beyond its payload: topic, MQTT, TLS, headers, TCP's and the collector's acknowledgement; and
	// again for each further segment.
	batchOverhead = 220
	segment       = 1400
)

// pace is a token bucket that keeps a backlog from filling the link. Pure.
type pace struct {
	rate float64 // bytes a second; 0: no limit
	have float64
	at   time.Time
}

func newPace(kbps int) pace { return pace{rate: float64(max(0, kbps)) * 1000 / 8, have: paceBurst} }

// wait is how long nothing more may go.
func (p *pace) wait(now time.Time) time.Duration {
	if p.rate == 0 {
		return 0
	}
	if !p.at.IsZero() && now.After(p.at) {
		p.have = min(paceBurst, p.have+now.Sub(p.at).Seconds()*p.rate)
	}
	p.at = now
	if p.have > 0 {
		return 0
	}
	return time.Duration((1-p.have)/p.rate*float64(time.Second)) + time.Millisecond
}

// room is how many batches may be read from the queue for sending; when the bucket is low, one at a time.
func (p *pace) room(n int) int {
	if p.rate > 0 && p.have < paceBurst/2 {
		return min(n, 1)
	}
	return n
}

// spend notes a batch that went.
func (p *pace) spend(payload int) {
	if p.rate > 0 {
		p.have -= float64(payload + batchOverhead*(1+payload/segment))
	}
}
