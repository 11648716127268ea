package intake

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// batch is one message, unpacked and checked.
type batch struct {
	address telemetry.Address
	payload []byte
	arrived time.Time
	header  telemetry.Header // Boot is "" where it could not be read, or is none
	foreign bool             // of another program than our agent: no header, and nobody who waits for an acknowledgement
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
func looked() []string { return []string{"batch", "span", "event", "link", "traffic", "host", "power"} }

// lineBytes is what a line takes in memory beside its text, taken apart and with its verdict. A message of short lines, or of many empty ones, takes
// many times its text.
const lineBytes = 768

// unpack opens a message and tells what memory its batch takes until it is settled. The text may be the payload itself. An error means that it can
// never be opened.
func (r *rules) unpack(x *room, payload []byte) (text []byte, weight int64, err error) {
	if len(payload) > 0 && len(payload) <= telemetry.MaxMessage && telemetry.IsPlain(payload) {
		text = payload
	} else {
		if text, _, err = r.codec.Open(x.text[:0], payload); err != nil {
			return nil, 0, err
		}
		x.text = text
	}
	return text, min(int64(len(text)+lineBytes*bytes.Count(text, []byte{'\n'})), r.c.FlightBytes), nil
}

// check parses the text of a message and holds it against the rules. The error means that nothing of it can ever be stored.
func (r *rules) check(x *room, text []byte, now time.Time) error {
	b, parse := &x.batch, x.parser.Parse
	if b.foreign = r.isForeign(text); b.foreign {
		parse = r.parseForeign
	}
	good, bad, err := parse(text)
	if err != nil {
		return err
	}
	if !b.foreign {
		if b.header, err = readHeader(good, bad); err != nil {
			return err
		}
	}
	b.bad = bad
	r.bounds(b, good, now)
	return nil
}

// bounds sorts good lines into those of the batch that are good in time and number, and those that are not.
func (r *rules) bounds(b *batch, good []telemetry.Parsed, now time.Time) {
	b.good = good[:0]
	oldest, newest := now.Add(-r.c.MaxAge).UnixMilli(), now.Add(r.c.MaxAhead).UnixMilli()
	for n, l := range good {
		var err error
		switch {
		case n > 0 && l.Measurement == "batch" && !b.foreign:
			err = errors.New("batch: a second header in one batch")
		case l.Time < oldest:
			err = fmt.Errorf("%w: %s is more than %v ago", errTime, stamp(l.Time), r.c.MaxAge)
		case l.Time > newest:
			err = fmt.Errorf("%w: %s is more than %v ahead", errTime, stamp(l.Time), r.c.MaxAhead)
		default:
			err = r.series.check(b.address, &l, b.foreign, now)
		}
		if err == nil {
			b.good = append(b.good, l)
			continue
		}
		b.bad = append(b.bad, telemetry.BadLine{Raw: l.Raw, Err: err})
	}
}

// readHeader reads the header, which is the first line.
func readHeader(good []telemetry.Parsed, bad []telemetry.BadLine) (telemetry.Header, error) {
	if len(bad) > 0 && bad[0].Number == 1 && !errors.Is(bad[0].Err, telemetry.ErrNewer) {
		return telemetry.Header{}, fmt.Errorf("first line: %w: %w", errHeader, bad[0].Err)
	}
	if len(good) == 0 {
		return telemetry.Header{}, fmt.Errorf("empty batch: %w", errHeader)
	}
	h, err := telemetry.HeaderOf(&good[0].Line)
	if err != nil {
		return telemetry.Header{}, fmt.Errorf("first line: %w: %w", errHeader, err)
	}
	return h, nil
}

// refused counts the lines of which nothing is stored, and gives the reason of one. A line of a newer agent that is stored in part is none of them: its
// agent can do nothing about it, and the NOC has it among the dead letters.
func (b *batch) refused() (n int, why string) {
	whole := batch{}
	for _, l := range b.bad {
		if !errors.Is(l.Err, telemetry.ErrNewer) {
			whole.bad = append(whole.bad, l)
		}
	}
	return len(whole.bad), whole.why()
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

// stamp writes the good lines for the writer: one text, or two where the batch is of the ledger and its header is detail. Detail that ends before
// oldest is left out: InfluxDB keeps none of it any more, and would refuse it.
func (x *room) stamp(oldest time.Time) (out []text, expired int) {
	b := &x.batch
	b.oldest = oldest.UnixMilli()
	out, x.stamped, x.lines = x.texts[:0], x.stamped[:0], x.lines[:0]
	size := 0
	for n := range b.good {
		size += len(b.good[n].Raw) + len(",agent=,site=\n") + len(b.address.Agent) + len(b.address.Site)
	}
	x.stamped, x.lines = slices.Grow(x.stamped, size), slices.Grow(x.lines, len(b.good)) // what is cut out of them below stays where it is
	for _, tier := range []telemetry.Tier{telemetry.Ledger, telemetry.Detail} {
		from, first := len(x.stamped), len(x.lines)
		for n := range b.good {
			switch {
			case b.good[n].Tier != tier:
			case b.expired(&b.good[n]):
				expired++
			default:
				x.lines = append(x.lines, n)
				x.stamped = b.appendLine(x.stamped, n)
			}
		}
		if len(x.lines) > first {
			out = append(out, text{tier, x.stamped[from:], x.lines[first:]})
		}
	}
	return out, expired
}

// appendLine writes a good line behind dst with who sent it.
func (b *batch) appendLine(dst []byte, n int) []byte {
	if !b.foreign {
		return telemetry.AppendStamped(dst, b.good[n], b.address)
	}
	out, err := appendForeign(dst, b.good[n].Line, b.address)
	if err != nil { // cannot be: checkForeign has written it before
		return append(dst, '\n')
	}
	return out
}
