package intake

import (
	"errors"
	"fmt"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// batch is one message, unpacked and checked.
type batch struct {
	address telemetry.Address
	payload []byte
	arrived time.Time
	header  telemetry.Header // Boot is "" where it could not be read
	good    []telemetry.Parsed
	bad     []telemetry.BadLine
	oldest  int64 // detail that ends before this, in ms, is not stored
}

// expired tells whether InfluxDB keeps a line no more.
func (b *batch) expired(l *telemetry.Parsed) bool {
	return l.Tier == telemetry.Detail && l.Time < b.oldest
}

// errHeader is in the error of a batch whose first line is not its header.
var errHeader = errors.New("no batch header")

// looked lists the measurements into whose fields somebody looks: this intake and its watcher. The lines of others only pass through.
func looked() []string { return []string{"batch", "span", "link", "traffic"} }

// open unpacks and checks a message. The error means that nothing of it can ever be stored. Its text is what the
// memory in flight is counted by.
func (i *Intake) open(a telemetry.Address, payload []byte, now time.Time) (b *batch, text []byte, err error) {
	b = &batch{address: a, payload: payload}
	if text, _, err = i.codec.Open(nil, payload); err != nil {
		return b, nil, err
	}
	good, bad, err := telemetry.ParseFor(text, looked()...)
	if err != nil {
		return b, nil, err
	}
	if len(bad) > 0 && bad[0].Number == 1 {
		return b, nil, fmt.Errorf("first line: %w: %w", errHeader, bad[0].Err)
	}
	if len(good) == 0 {
		return b, nil, fmt.Errorf("empty batch: %w", errHeader)
	}
	if b.header, err = telemetry.HeaderOf(&good[0].Line); err != nil {
		b.header = telemetry.Header{}
		return b, nil, fmt.Errorf("first line: %w: %w", errHeader, err)
	}
	b.bad = bad
	b.good = good[:0]
	oldest, newest := now.Add(-i.c.MaxAge).UnixMilli(), now.Add(i.c.MaxAhead).UnixMilli()
	for n, l := range good {
		switch {
		case n > 0 && l.Measurement == "batch":
			err = errors.New("batch: a second header in one batch")
		case l.Time < oldest:
			err = fmt.Errorf("%w: %s is more than %v ago", errTime, stamp(l.Time), i.c.MaxAge)
		case l.Time > newest:
			err = fmt.Errorf("%w: %s is more than %v ahead", errTime, stamp(l.Time), i.c.MaxAhead)
		default:
			b.good = append(b.good, l)
			continue
		}
		b.bad = append(b.bad, telemetry.BadLine{Raw: l.Raw, Err: err})
	}
	return b, text, nil
}

// errTime is in the error of a line whose timestamp cannot be right.
var errTime = errors.New("timestamp out of bounds")

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// text is the stamped lines of one tier, and which lines of the batch they are.
type text struct {
	tier  telemetry.Tier
	bytes []byte
	lines []int // index in batch.good
}

// texts stamps the good lines: one text, or two where the batch is of the ledger and its header is detail. Detail that ends before
// oldest is left out: InfluxDB keeps none of it any more, and would refuse it.
func (b *batch) texts(oldest time.Time) (out []text, expired int) {
	b.oldest = oldest.UnixMilli()
	for _, tier := range []telemetry.Tier{telemetry.Ledger, telemetry.Detail} {
		t := text{tier: tier, lines: make([]int, 0, len(b.good))}
		size := 0
		for n := range b.good {
			switch {
			case b.good[n].Tier != tier:
			case b.expired(&b.good[n]):
				expired++
			default:
				t.lines = append(t.lines, n)
				size += len(b.good[n].Raw) + len(",agent=,site=\n") + len(b.address.Agent) + len(b.address.Site)
			}
		}
		if len(t.lines) == 0 {
			continue
		}
		t.bytes = make([]byte, 0, size)
		for _, n := range t.lines {
			t.bytes = telemetry.AppendStamped(t.bytes, b.good[n], b.address)
		}
		out = append(out, t)
	}
	return out, expired
}
