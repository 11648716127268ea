package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/smartvillage/nabz/telemetry"
)

// boots remembers the first batches of each boot of each agent that came here. Their acknowledgements tell the agent what InfluxDB has
// of the boot before: the agent heeds the first one that it hears, and that may be any of the first few, as answers are lost and overtake each
// other. Nothing here has to be right for that. Another collector, or this one after a restart, begins with other batches; each asks InfluxDB, and
// at worst an agent is told twice. The earliest batch that came is told each time, so that an agent that heard nothing yet is told by whomever it asks.
type boots struct {
	mu      *sync.Mutex
	agents  map[telemetry.Address][]*boot // newest last
	queries *semaphore.Weighted
}

// boot is one boot of one agent. The mutex of boots guards it.
type boot struct {
	id    string
	seq   uint64    // the lowest that came
	begun time.Time // when the first came
	asked bool      // InfluxDB has answered
	last  *telemetry.LastBatch
}

const (
	bootsKept = 4               // boots remembered of one agent: the present one and those that its backlog is of
	bootNear  = 16              // numbers from the lowest on that may be on their way before an agent has heard anything
	bootYoung = 2 * time.Minute // for so long after the first
	// lookups is how many questions about former boots InfluxDB gets at once; lookupTime is how long one may take.
	lookups    = 4
	lookupTime = 10 * time.Second
)

func newBoots() boots {
	return boots{mu: new(sync.Mutex), agents: map[telemetry.Address][]*boot{}, queries: semaphore.NewWeighted(lookups)}
}

// first tells whether this is one of the first batches of its boot, or such a one again.
func (b *boots) first(a telemetry.Address, id string, seq uint64, arrived time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.find(a, id)
	if x == nil {
		known := b.agents[a]
		if len(known) == bootsKept {
			known = slices.Delete(known, 0, 1)
		}
		b.agents[a] = append(known, &boot{id: id, seq: seq, begun: arrived})
		return true
	}
	if seq <= x.seq {
		x.seq = seq
		return true
	}
	return seq < x.seq+bootNear && arrived.Sub(x.begun) < bootYoung
}

// find is the boot, or nil. The mutex is held.
func (b *boots) find(a telemetry.Address, id string) *boot {
	for _, x := range b.agents[a] {
		if x.id == id {
			return x
		}
	}
	return nil
}

// known is what InfluxDB has said of the boot before that one, while it is young.
func (b *boots) known(a telemetry.Address, id string, arrived time.Time) (*telemetry.LastBatch, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.find(a, id)
	if x == nil || !x.asked || arrived.Sub(x.begun) >= bootYoung {
		return nil, false
	}
	return x.last, true
}

// learn notes it.
func (b *boots) learn(a telemetry.Address, id string, last *telemetry.LastBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.find(a, id); x != nil {
		x.asked, x.last = true, last
	}
}

// forget makes the next batch of the boot the first one again.
func (b *boots) forget(a telemetry.Address, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.agents[a] = slices.DeleteFunc(b.agents[a], func(x *boot) bool { return x.id == id })
}

// lastOf asks InfluxDB for the last batch of another boot before this one; nil when there is none. When InfluxDB
// does not answer, the next batch asks again.
func (i *Intake) lastOf(b *batch) *telemetry.LastBatch {
	last, err := i.lookUp(b.address, b.header, b.arrived)
	if err != nil {
		i.boots.forget(b.address, b.header.Boot)
		i.p.Log.Warn("the last batch of the former boot was not found out; the next batch tries again", "agent", b.address.String(), "error", err)
		return nil
	}
	return last
}

// shortBoot is how far back a former boot is looked for behind batches of the present one. InfluxDB reads all of
// these, a third of a second for 90 days of them, while the very last batch of any boot costs it a few milliseconds.
const shortBoot = 48 * time.Hour

// lookUp finds the last batch of a former boot. Mostly it is the one right before this batch. When that is of the
// same boot, an earlier acknowledgement has told the agent, unless the collector was killed just then; so the last
// two days are looked through, and no more. An agent that does not know the time yet stamps its first batch with a guess, mostly too early:
// then all that is stored up to now counts as before it.
func (i *Intake) lookUp(a telemetry.Address, h telemetry.Header, arrived time.Time) (*telemetry.LastBatch, error) {
	ctx, cancel := context.WithTimeout(i.ctx, lookupTime)
	defer cancel()
	if err := i.boots.queries.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer i.boots.queries.Release(1)
	if last, ok := i.boots.known(a, h.Boot, arrived); ok { // batches of one agent come in a row
		return last, nil
	}
	if now := i.p.Now(); h.Clock == telemetry.ClockEstimated && now.After(h.At) {
		h.At = now
	}
	last, boot, err := i.before(ctx, a, h, i.c.LookBack, "")
	if err == nil && last != nil && boot == h.Boot {
		last, _, err = i.before(ctx, a, h, shortBoot, fmt.Sprintf(` AND "boot" != '%s'`, h.Boot))
	}
	if err == nil {
		i.boots.learn(a, h.Boot, last)
	}
	return last, err
}

// before asks for the last batch before this one. Ids, boot and numbers have been checked: none can carry a quote.
func (i *Intake) before(ctx context.Context, a telemetry.Address, h telemetry.Header, back time.Duration, where string) (last *telemetry.LastBatch, boot string, err error) {
	q := fmt.Sprintf(`SELECT "boot", "open_state", "open_cause", "open_ms" FROM "batch" WHERE "site" = '%s' AND "agent" = '%s'%s AND time >= %dms AND time < %dms ORDER BY time DESC LIMIT 1`,
		a.Site, a.Agent, where, h.At.Add(-back).UnixMilli(), h.At.UnixMilli())
	series, err := i.p.Querier.Query(ctx, telemetry.Detail, q)
	if err != nil || len(series) == 0 || len(series[0].Values) == 0 {
		return nil, "", err
	}
	row := series[0].Values[0]
	if len(row) != 5 {
		return nil, "", fmt.Errorf("batch has %d columns, want 5", len(row))
	}
	number := func(v any) int64 {
		n, _ := v.(json.Number)
		ms, _ := n.Int64()
		return ms
	}
	text := func(v any) string { s, _ := v.(string); return s }
	last = &telemetry.LastBatch{At: time.UnixMilli(number(row[0])).UTC(), Open: telemetry.OpenSpan{
		State: telemetry.State(text(row[2])), Cause: telemetry.Cause(text(row[3])), Length: time.Duration(number(row[4])) * time.Millisecond}}
	return last, text(row[1]), last.Open.Check()
}
