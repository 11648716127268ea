package broker

import (
	"runtime"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/smartvillage/nabz/telemetry"
)

// Batches go past the broker's table of subscriptions, and so do acknowledgements, commands and results: for each of them the table would be searched, and
// what it finds merged in five maps, to tell what the topic's own name says. That was a third of all that is allocated for a batch.

// errTaken tells the broker that nobody else is to hear of a message.
var errTaken error = packets.CodeSuccessIgnore

// OnPublish hands a batch to whom all of them are for. The broker still acknowledges it where its quality of service asks for that, and
// looks for no other subscriber: the rules let no agent hear data.
func (r *rules) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	switch a, kind, err := telemetry.ParseTopic(pk.TopicName); {
	case err != nil:
		return pk, nil
	case kind == telemetry.KindResult:
		if r.b.p.OnResult != nil {
			r.b.p.OnResult(a, pk.Payload)
		}
		return pk, errTaken
	case kind != telemetry.KindData:
		pk.FixedHeader.Retain = false // presence: nobody may subscribe it later, and the broker goes through all that is retained each second
		return pk, nil
	}
	r.b.p.OnData(pk.TopicName, pk.Payload)
	return pk, errTaken
}

// OnWill keeps the broker from retaining a last will, for the same reason.
func (*rules) OnWill(_ *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	will.Retain = false
	return will, nil
}

// hears tells why an agent would not hear a topic now, or nil.
func (r *rules) hears(a telemetry.Address, topic string) error {
	r.mu.Lock()
	cl := r.current[a]
	r.mu.Unlock()
	if cl == nil || cl.Closed() {
		return ErrGone
	}
	if _, ok := cl.State.Subscriptions.Get(topic); !ok {
		return ErrDeaf
	}
	return nil
}

// tell sends a message to the one agent that its topic names, when that is connected and has subscribed the topic.
func (r *rules) tell(topic string, payload []byte) error {
	a, _, err := telemetry.ParseTopic(topic)
	if err != nil {
		return err
	}
	r.mu.Lock()
	cl := r.current[a]
	r.mu.Unlock()
	if cl == nil || cl.Closed() {
		return nil
	}
	c, ok := cl.Net.Conn.(*guest)
	if !ok {
		return nil
	}
	if _, ok := cl.State.Subscriptions.Get(topic); !ok {
		return nil
	}
	room, begin := c.out.Post(cl.Properties.ProtocolVersion, topic, payload)
	if !room {
		r.b.m.unsent.Inc()
		return nil
	}
	if begin {
		select {
		case r.ready <- c:
		default:
			go r.write(c)
		}
	}
	info := r.b.server.Info
	atomic.AddInt64(&info.BytesSent, int64(len(payload)+len(topic)+4))
	atomic.AddInt64(&info.PacketsSent, 1)
	atomic.AddInt64(&info.MessagesSent, 1)
	return nil
}

// idleWriters is how many goroutines wait for the next connection to write to: a new one for each would have to grow its stack each time.
const idleWriters = 16

// write writes to one connection until nothing waits, and then to others. A connection that ends makes a write end; nobody hears of its error but
// the reader of that connection, by one of its own.
func (r *rules) write(c *guest) {
	for c != nil {
		runtime.Gosched() // who is at work may have more for this connection, which then goes in the same write: a tenth of the processor in a flood
		for b := c.out.Take(); len(b) > 0; b = c.out.Take() {
			_, _ = c.Conn.Write(b)
		}
		if r.idle.Add(1) > idleWriters {
			r.idle.Add(-1)
			return
		}
		select {
		case c = <-r.ready:
		case <-r.b.gate.done:
			c = nil
		}
		r.idle.Add(-1)
	}
}
