package intake

import (
	"bytes"
	"container/heap"
	"context"
	"hash/maphash"
	"sync"
)

// turn is what an agent may have worked off before the next one is heard, by the bytes of its batches, packed and unpacked. A batch
// of a minute costs a hundredth of it. What is worked off together is acknowledged in one write: with turns of 4 KiB a flood took a third more of the
// processor. Who had nothing waiting does not wait for turns.
const turn = 64 << 10

// fair is the queue in front of the workers. Agents are heard in turns, and who had nothing waiting is heard before those who always
// have: a live agent's batch passes a storm of backlogs. When it is full, who takes most room gives up half of its own, newest first;
// since nobody acknowledges that, it is sent again. It is safe for concurrent use.
type fair struct {
	maxMessages int
	maxBytes    int64
	seed        maphash.Seed
	ready       chan struct{} // a token for each message

	mu       sync.Mutex
	flows    map[string]*flow // by topic; each in one of the lists
	fresh    []*flow          // had nothing waiting when their message came
	old      []*flow          // have used up a turn
	heaviest weights
	messages int
	bytes    int64
}

// flow is what waits of one agent.
type flow struct {
	topic  string
	wait   []message
	weight int64 // of what waits, in bytes and a share for each message
	credit int   // what is left of its turn; below 0 for what it has taken in advance
	place  int   // in heaviest; -1 while nothing waits
}

func newFair(messages int, bytes int64) *fair {
	return &fair{maxMessages: messages, maxBytes: bytes, seed: maphash.MakeSeed(), ready: make(chan struct{}, messages), flows: map[string]*flow{}}
}

// weight makes both bounds count: so many messages of no bytes weigh as much as the bytes that may wait.
func (q *fair) weight(m message) int64 {
	return int64(len(m.payload)) + q.maxBytes/int64(q.maxMessages)
}

// put takes a message in and says how many were given up for it; the message itself may be that one.
func (q *fair) put(m message) (dropped int) {
	m.sum = maphash.Bytes(q.seed, m.payload)
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.flows[m.topic]
	w := q.weight(m)
	if f != nil && f.holds(&m) {
		return 1 // the first of the two will be answered
	}
	for q.messages >= q.maxMessages || q.bytes+int64(len(m.payload)) > q.maxBytes {
		mine := w
		if f != nil {
			mine += f.weight
		}
		if len(q.heaviest) == 0 || q.heaviest[0].weight <= mine {
			return dropped + 1
		}
		dropped += q.halve(q.heaviest[0])
	}
	if f == nil {
		f = &flow{topic: m.topic, credit: turn, place: -1}
		q.flows[m.topic] = f
		q.fresh = append(q.fresh, f)
	}
	f.wait = append(f.wait, m)
	f.weight += w
	if f.place < 0 {
		heap.Push(&q.heaviest, f)
	} else {
		heap.Fix(&q.heaviest, f.place)
	}
	q.messages++
	q.bytes += int64(len(m.payload))
	q.ready <- struct{}{} // has room: there are never more tokens than messages
	return dropped
}

// holds tells whether a message is among the newest that wait: an agent whose patience has ended sends it again.
func (f *flow) holds(m *message) bool {
	for _, w := range f.wait[max(0, len(f.wait)-64):] {
		if w.sum == m.sum && bytes.Equal(w.payload, m.payload) {
			return true
		}
	}
	return false
}

// halve gives up the newer half of what waits of one agent. The mutex is held.
func (q *fair) halve(f *flow) (dropped int) {
	keep := len(f.wait) / 2
	for _, m := range f.wait[keep:] {
		q.gone(f, m)
		dropped++
		select {
		case <-q.ready:
		default: // a worker has taken the token, and will find nothing
		}
	}
	clear(f.wait[keep:])
	f.wait = f.wait[:keep]
	q.settle(f)
	return dropped
}

// gone takes a message off the sums. The mutex is held.
func (q *fair) gone(f *flow, m message) {
	f.weight -= q.weight(m)
	q.messages--
	q.bytes -= int64(len(m.payload))
}

// settle puts a flow at its place among the heaviest. The mutex is held.
func (q *fair) settle(f *flow) {
	switch {
	case len(f.wait) > 0:
		heap.Fix(&q.heaviest, f.place)
	case f.place >= 0:
		heap.Remove(&q.heaviest, f.place)
	}
}

// take returns the next message; false when ctx has ended.
func (q *fair) take(ctx context.Context) (message, bool) {
	for {
		select {
		case <-q.ready:
		case <-ctx.Done():
			return message{}, false
		}
		if m, ok := q.next(); ok {
			return m, true
		}
	}
}

// next picks a message: one of an agent that is fresh, else of the agent whose turn it is. An agent that has nothing more to say stays in the list
// of the old for one round, so that saying little often is no way to be heard more than the others.
func (q *fair) next() (message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.messages > 0 {
		fresh := len(q.fresh) > 0
		list := &q.old
		if fresh {
			list = &q.fresh
		}
		f := (*list)[0]
		if !fresh && f.credit > 0 && len(f.wait) > 0 {
			return q.pick(f), true
		}
		(*list)[0] = nil
		*list = (*list)[1:]
		switch {
		case fresh && len(f.wait) > 0:
			q.old = append(q.old, f)
			return q.pick(f), true
		case fresh: // what it had was given up
			q.old = append(q.old, f)
			continue
		}
		if f.credit += turn; len(f.wait) == 0 && f.credit >= turn {
			delete(q.flows, f.topic)
		} else { // has more to say, or still owes
			q.old = append(q.old, f)
		}
	}
	return message{}, false
}

// pick takes the oldest message of a flow. The mutex is held.
func (q *fair) pick(f *flow) message {
	m := f.wait[0]
	f.wait[0] = message{}
	f.wait = f.wait[1:]
	f.credit -= len(m.payload)
	q.gone(f, m)
	q.settle(f)
	return m
}

// charge counts what a message turned out to be when it was unpacked.
func (q *fair) charge(topic string, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if f := q.flows[topic]; f != nil {
		f.credit -= bytes
	}
}

// size is what waits.
func (q *fair) size() (messages int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.messages, q.bytes
}

// clear gives up all that waits and says how many messages that were.
func (q *fair) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.messages
	q.flows, q.fresh, q.old, q.heaviest, q.messages, q.bytes = map[string]*flow{}, nil, nil, nil, 0, 0
	for len(q.ready) > 0 {
		<-q.ready
	}
	return n
}

// weights is a heap of the flows with something waiting, the heaviest on top.
type weights []*flow

// Len is for container/heap.
func (h weights) Len() int { return len(h) }

// Less is for container/heap.
func (h weights) Less(i, j int) bool { return h[i].weight > h[j].weight }

// Swap is for container/heap.
func (h weights) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for container/heap.
func (h *weights) Push(x any) {
	f := x.(*flow)
	f.place = len(*h)
	*h = append(*h, f)
}

// Pop is for container/heap.
func (h *weights) Pop() any {
	old := *h
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	f.place = -1
	return f
}
