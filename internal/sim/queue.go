package sim

import (
	"context"
	"slices"
	"sync"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// queue holds one agent's sealed batches in memory until the collector has acknowledged them. It is what the
// spool is to a real agent; it knows besides up to which instant all has been acknowledged.
type queue struct {
	mu             sync.Mutex
	ledger, detail []spool.Batch
	windows        []window // sealed, oldest first, from the first one not acknowledged
	sent           int64    // all that was told before this instant is acknowledged
	lines, bytes   int64    // waiting
	acked          int64    // lines acknowledged since the start
	changed        chan struct{}
}

// window is a stretch that was sealed, and the batches of it that still wait.
type window struct {
	to   int64
	seqs []uint64
}

func newQueue(sent int64) *queue { return &queue{sent: sent, changed: make(chan struct{}, 1)} }

// put takes in the batches of the stretch that ends at to.
func (q *queue) put(to int64, batches []spool.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := window{to: to}
	for _, b := range batches {
		w.seqs = append(w.seqs, b.Seq)
		q.lines += int64(b.Lines)
		q.bytes += int64(len(b.Payload))
		if b.Tier == telemetry.Ledger {
			q.ledger = append(q.ledger, b)
		} else {
			q.detail = append(q.detail, b)
		}
	}
	q.windows = append(q.windows, w)
	q.settle()
}

// Peek returns up to most batches that are not in skip: the oldest ledger first, then the oldest detail.
func (q *queue) Peek(skip map[uint64]bool, most int) (out []spool.Batch, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, tier := range [][]spool.Batch{q.ledger, q.detail} {
		for _, b := range tier {
			if len(out) == most {
				return out, nil
			}
			if !skip[b.Seq] {
				out = append(out, b)
			}
		}
	}
	return out, nil
}

// Ack forgets a batch. One that is not there is forgotten already.
func (q *queue) Ack(seq uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, tier := range []*[]spool.Batch{&q.ledger, &q.detail} {
		i, ok := slices.BinarySearchFunc(*tier, seq, func(b spool.Batch, seq uint64) int { return int(int64(b.Seq) - int64(seq)) })
		if !ok {
			continue
		}
		q.lines -= int64((*tier)[i].Lines)
		q.bytes -= int64(len((*tier)[i].Payload))
		q.acked += int64((*tier)[i].Lines)
		*tier = slices.Delete(*tier, i, i+1)
	}
	for i := range q.windows {
		if j := slices.Index(q.windows[i].seqs, seq); j >= 0 {
			q.windows[i].seqs = slices.Delete(q.windows[i].seqs, j, j+1)
			break
		}
	}
	q.settle()
	return nil
}

// settle moves the mark over the windows of which nothing waits.
func (q *queue) settle() {
	n := 0
	for n < len(q.windows) && len(q.windows[n].seqs) == 0 {
		q.sent = q.windows[n].to
		n++
	}
	q.windows = slices.Delete(q.windows, 0, n)
	select {
	case q.changed <- struct{}{}:
	default: // told already
	}
}

// fill is what waits in a queue, and how far it has come.
type fill struct {
	batches         int
	lines, bytes    int64
	acked, sentUpTo int64
}

func (q *queue) fill() fill {
	q.mu.Lock()
	defer q.mu.Unlock()
	return fill{batches: len(q.ledger) + len(q.detail), lines: q.lines, bytes: q.bytes, acked: q.acked, sentUpTo: q.sent}
}

// wait returns when at most the given number of batches wait. It is for one goroutine.
func (q *queue) wait(ctx context.Context, most int) error {
	for {
		if q.fill().batches <= most {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-q.changed:
		}
	}
}
