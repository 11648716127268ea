package outbox

import "sync"

// Outbox is safe for concurrent use. Its zero value has room for nothing: set Most.
type Outbox struct {
	Most int // messages that may wait

	mu      sync.Mutex
	waiting []byte
	count   int  // messages in waiting
	busy    bool // a goroutine is writing
}

// Post puts a message in. Version is that of the connection, 3 to 5. Room is false when there are too many already. Begin says that
// nobody is writing, and somebody has to now.
func (o *Outbox) Post(version byte, topic string, payload []byte) (room, begin bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count >= o.Most {
		return false, false
	}
	length := 2 + len(topic) + len(payload)
	if version == 5 {
		length++ // the length of its properties, which is 0
	}
	b := append(o.waiting, 0x30) // PUBLISH, QoS 0
	for ; length >= 0x80; length >>= 7 {
		b = append(b, byte(length)|0x80)
	}
	b = append(b, byte(length), byte(len(topic)>>8), byte(len(topic)))
	b = append(b, topic...)
	if version == 5 {
		b = append(b, 0)
	}
	o.waiting = append(b, payload...)
	o.count++
	begin = !o.busy
	o.busy = true
	return true, begin
}

// Take returns what waits; nothing ends the writing.
func (o *Outbox) Take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.waiting
	o.waiting, o.count, o.busy = nil, 0, len(b) > 0
	return b
}
