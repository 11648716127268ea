package broker

import (
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/smartvillage/nabz/telemetry"
)

// Rates bound what one agent may send, in all its connections together. Who sends more is read more slowly, and TCP tells it so: nothing is
// dropped. A field that is 0 sets no bound.
type Rates struct {
	Messages int   // a second
	Bytes    int64 // a second
}

// A backlog of a week fits into the burst, or nearly, at whatever speed its line has.
const (
	burstMessages = 10 // seconds' worth of messages that may come at once
	burstBytes    = 8  // and of bytes
)

// pace holds each agent to its rates. It is safe for concurrent use.
type pace struct {
	rates Rates

	mu     sync.Mutex
	agents map[telemetry.Address]*allowance
}

// allowance is what an agent may still send at once. It is below zero while the agent has to wait.
type allowance struct {
	messages, bytes float64
	at              time.Time
}

func newPace(r Rates) *pace { return &pace{rates: r, agents: map[telemetry.Address]*allowance{}} }

// take notes a packet and returns how long to wait before the next is read.
func (p *pace) take(a telemetry.Address, size int, now time.Time) time.Duration {
	if p.rates == (Rates{}) {
		return 0
	}
	messages, bytes := float64(p.rates.Messages), float64(p.rates.Bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.agents[a]
	if x == nil {
		x = &allowance{messages: burstMessages * messages, bytes: burstBytes * bytes, at: now}
		p.agents[a] = x
	}
	since := max(0, now.Sub(x.at).Seconds())
	x.at = now
	x.messages = min(x.messages+since*messages, burstMessages*messages) - 1
	x.bytes = min(x.bytes+since*bytes, burstBytes*bytes) - float64(size)
	return p.until(x, 0, 0)
}

// until is how long it takes from then on that an agent may send that much at once. The mutex is held.
func (p *pace) until(x *allowance, messages, bytes float64) time.Duration {
	wait := 0.0
	if r := float64(p.rates.Messages); r > 0 {
		wait = max(wait, (messages-x.messages)/r)
	}
	if r := float64(p.rates.Bytes); r > 0 {
		wait = max(wait, (bytes-x.bytes)/r)
	}
	return time.Duration(wait * float64(time.Second))
}

// forget drops agents that may send as much at once as one that was never heard.
func (p *pace) forget(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a, x := range p.agents {
		if now.Sub(x.at) >= p.until(x, burstMessages*float64(p.rates.Messages), burstBytes*float64(p.rates.Bytes)) {
			delete(p.agents, a)
		}
	}
}

// slow keeps the goroutine that reads a connection until its agent may go on.
func (b *Broker) slow(cl *mqtt.Client, a telemetry.Address, size int) {
	d := b.pace.take(a, size, time.Now())
	if d < time.Millisecond {
		return
	}
	b.m.slowed.Inc()
	b.m.limit(func(more int64) {
		b.p.Log.Warn("agent sends more than it may, and is read more slowly", "agent", a.String(), "wait_ms", d.Milliseconds(), "others_not_logged", more)
	})
	for until := time.Now().Add(d); d > 0 && !cl.Closed(); d = time.Until(until) {
		t := time.NewTimer(min(d, time.Second)) // it may have been disconnected meanwhile
		select {
		case <-t.C:
		case <-b.ended:
			t.Stop()
			return
		}
	}
}
