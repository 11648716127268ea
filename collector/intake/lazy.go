package intake

import (
	"container/heap"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const (
	heldMost = 256              // batches of one agent whose acknowledgement waits
	draining = 10 * time.Second // a batch so soon after the one before is of a backlog, whose sender waits for room
)

// held is what InfluxDB has of one agent and the agent has not been told.
type held struct {
	address telemetry.Address
	boot    string
	seqs    []uint64  // rising
	sealed  []int64   // when, each by its header, in ms
	due     time.Time // by when the agent is to be told
	arrived time.Time // when its newest batch came
	place   int       // in the queue; -1 when seqs is empty
}

// owed is an acknowledgement that is to be sent.
type owed struct {
	address telemetry.Address
	ack     telemetry.Ack
}

// lazy keeps acknowledgements back for as long as their agents allow, so that one tells of several batches. What it
// holds is lost when the collector is killed; then agents send those batches again. It is safe for concurrent use.
type lazy struct {
	tell func(telemetry.Address, telemetry.Ack)

	mu     sync.Mutex
	agents map[telemetry.Address]*held
	queue  dues
	closed bool
	wake   chan struct{} // the first in the queue is another
}

func newLazy(tell func(telemetry.Address, telemetry.Ack)) *lazy {
	return &lazy{tell: tell, agents: map[telemetry.Address]*held{}, wake: make(chan struct{}, 1)}
}

// stored takes a batch that InfluxDB has. It is told at once, together with what waits, when its header asks for that, when
// the next batch would come too late to do so, when a backlog is being drained, when no more can be held, and at the end. So
// most go out while the batch's own TCP acknowledgement is due, which then costs no packet.
func (z *lazy) stored(a telemetry.Address, h telemetry.Header, arrived time.Time) {
	z.mu.Lock()
	x := z.agents[a]
	if x == nil && (h.AckWithin <= 0 || z.closed) {
		z.mu.Unlock()
		z.tell(a, telemetry.Ack{Verdict: telemetry.Stored, Boot: h.Boot, Seq: h.Seq})
		return
	}
	if x == nil {
		x = &held{address: a, place: -1}
		z.agents[a] = x
	}
	var out []owed
	if x.boot != h.Boot {
		out = z.flush(x, nil)
		x.boot = h.Boot
	}
	gap, known := arrived.Sub(x.arrived), !x.arrived.IsZero()
	if gap > 0 {
		x.arrived = arrived
	}
	again := z.hold(x, h, arrived.Add(h.AckWithin))
	if h.AckWithin <= 0 || !x.due.After(arrived.Add(h.Next)) || known && gap < draining || again || len(x.seqs) == heldMost || z.closed {
		out = z.flush(x, out)
	} else if x.place == 0 {
		select {
		case z.wake <- struct{}{}:
		default:
		}
	}
	z.mu.Unlock()
	z.tellAll(out)
}

// hold puts a batch with those of its agent, and says whether it was there. An agent whose spool was emptied counts from one again
// in the same boot: its batches were not sealed in the order of the numbers. What it is owed then is of no use to it, and must not speak for
// its new batches of those numbers. The mutex is held.
func (z *lazy) hold(x *held, h telemetry.Header, due time.Time) (again bool) {
	at := h.At.UnixMilli()
	n, again := slices.BinarySearch(x.seqs, h.Seq)
	if again && x.sealed[n] != at || n > 0 && x.sealed[n-1] > at || !again && n < len(x.seqs) && x.sealed[n] < at {
		z.drop(x)
		n, again = 0, false
	}
	if !again {
		x.seqs, x.sealed = slices.Insert(x.seqs, n, h.Seq), slices.Insert(x.sealed, n, at)
	}
	if x.place < 0 {
		x.due = due
		heap.Push(&z.queue, x)
	} else if due.Before(x.due) {
		x.due = due
		heap.Fix(&z.queue, x.place)
	}
	return again
}

// alsoMost bounds the rows of one acknowledgement, in bytes of its text; more go into another.
const alsoMost = 240

// flush takes all that waits for one agent, in one acknowledgement where that is long enough: a collector that shares the agent's batches with
// others has numbers with gaps. The mutex is held.
func (z *lazy) flush(x *held, out []owed) []owed {
	var also []byte
	begin := 0 // of the acknowledgement
	for i := 0; i < len(x.seqs); {
		k := i + 1
		for k < len(x.seqs) && x.seqs[k] == x.seqs[k-1]+1 && x.seqs[i] > 0 {
			k++
		}
		ack := telemetry.Ack{Verdict: telemetry.Stored, Boot: x.boot, Seq: x.seqs[k-1]}
		if k-i > 1 {
			ack.First = x.seqs[i]
		}
		if last := k == len(x.seqs); last || len(also) > alsoMost || x.seqs[k]-x.seqs[begin]+heldMost >= telemetry.MaxAckSpan {
			ack.Also = string(also)
			out = append(out, owed{x.address, ack})
			also, begin = also[:0], k
		} else {
			if len(also) > 0 {
				also = append(also, ',')
			}
			if ack.First > 0 {
				also = append(strconv.AppendUint(also, ack.First, 10), '-')
			}
			also = strconv.AppendUint(also, ack.Seq, 10)
		}
		i = k
	}
	z.drop(x)
	return out
}

// drop forgets what waits for one agent. The mutex is held.
func (z *lazy) drop(x *held) {
	if x.seqs, x.sealed = x.seqs[:0], x.sealed[:0]; cap(x.seqs) > 32 {
		x.seqs, x.sealed = nil, nil
	}
	if x.place >= 0 {
		heap.Remove(&z.queue, x.place)
	}
}

func (z *lazy) tellAll(out []owed) {
	for _, o := range out {
		z.tell(o.address, o.ack)
	}
}

// overdue tells whoever is to be told by now, and returns when the next is; false when nothing waits.
func (z *lazy) overdue(now time.Time) (next time.Time, ok bool) {
	var out []owed
	z.mu.Lock()
	for len(z.queue) > 0 && !z.queue[0].due.After(now) {
		x := z.queue[0]
		out = z.flush(x, out)
		if now.Sub(x.arrived) >= draining {
			delete(z.agents, x.address) // a new one would know as much
		}
	}
	if ok = len(z.queue) > 0; ok {
		next = z.queue[0].due
	}
	z.mu.Unlock()
	z.tellAll(out)
	return next, ok
}

// run tells what becomes due until ctx ends.
func (z *lazy) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Stop()
		if next, ok := z.overdue(time.Now()); ok {
			timer.Reset(time.Until(next))
		}
		select {
		case <-timer.C:
		case <-z.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// close tells all that waits. What is stored after that is told at once.
func (z *lazy) close() {
	var out []owed
	z.mu.Lock()
	z.closed = true
	for len(z.queue) > 0 {
		out = z.flush(z.queue[0], out)
	}
	z.mu.Unlock()
	z.tellAll(out)
}

// waiting is how many batches have not been told.
func (z *lazy) waiting() (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, x := range z.queue {
		n += len(x.seqs)
	}
	return n
}

// dues is a heap of agents, the first to be told on top.
type dues []*held

// Len is for container/heap.
func (q dues) Len() int { return len(q) }

// Less is for container/heap.
func (q dues) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

// Swap is for container/heap.
func (q dues) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for container/heap.
func (q *dues) Push(x any) {
	h := x.(*held)
	h.place = len(*q)
	*q = append(*q, h)
}

// Pop is for container/heap.
func (q *dues) Pop() any {
	old := *q
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	h.place = -1
	return h
}
