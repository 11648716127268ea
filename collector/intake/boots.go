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

// boots remembers the first batch of each boot of each agent since the collector started. Its acknowledgement,
// each time that it is sent, tells the agent what InfluxDB has of the boot before.
type boots struct {
	mu      *sync.Mutex
	agents  map[telemetry.Address][]boot // newest last
	queries *semaphore.Weighted
}

type boot struct {
	id  string
	seq uint64
}

// bootsKept bounds the boots remembered of one agent: the present one and those that its backlog is of.
const bootsKept = 4

// lookups is how many questions about former boots InfluxDB gets at once; lookupTime is how long one may take.
const (
	lookups    = 4
	lookupTime = 10 * time.Second
)

func newBoots() boots {
	return boots{mu: new(sync.Mutex), agents: map[telemetry.Address][]boot{}, queries: semaphore.NewWeighted(lookups)}
}

// first tells whether this is the first batch of its boot, or that same one again.
func (b *boots) first(a telemetry.Address, id string, seq uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.agents[a]
	if i := slices.IndexFunc(known, func(x boot) bool { return x.id == id }); i >= 0 {
		return known[i].seq == seq
	}
	if len(known) == bootsKept {
		known = slices.Delete(known, 0, 1)
	}
	b.agents[a] = append(known, boot{id, seq})
	return true
}

// forget makes the next batch of the boot the first one again.
func (b *boots) forget(a telemetry.Address, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.agents[a] = slices.DeleteFunc(b.agents[a], func(x boot) bool { return x.id == id })
}

// lastOf asks InfluxDB for the last batch of another boot before this one; nil when there is none. When InfluxDB
// does not answer, the next batch asks again.
func (i *Intake) lastOf(b *batch) *telemetry.LastBatch {
	last, err := i.lookUp(b.address, b.header)
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
func (i *Intake) lookUp(a telemetry.Address, h telemetry.Header) (*telemetry.LastBatch, error) {
	ctx, cancel := context.WithTimeout(i.ctx, lookupTime)
	defer cancel()
	if err := i.boots.queries.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer i.boots.queries.Release(1)
	if now := i.p.Now(); h.Clock == telemetry.ClockEstimated && now.After(h.At) {
		h.At = now
	}
	last, boot, err := i.before(ctx, a, h, i.c.LookBack, "")
	if err == nil && last != nil && boot == h.Boot {
		last, _, err = i.before(ctx, a, h, shortBoot, fmt.Sprintf(` AND "boot" != '%s'`, h.Boot))
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
