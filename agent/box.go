package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	boxLines = 5000      // lines of one batch
	boxBytes = 256 << 10 // text of one batch
	boxRoom  = 1 << 20   // text of one tier that is kept while the disk takes nothing
)

// box gathers lines by tier until they are sealed.
type box struct {
	c      RecorderConfig
	log    *slog.Logger
	tiers  [telemetry.Ledger + 1][]part
	sealed []byte
	lastAt time.Time // time of the last header: they rise strictly
	disk   fault     // of the spool
	news   []event   // that it began or ended
}

// part is what fits in one batch.
type part struct {
	text      []byte
	lines     int
	estimated bool // its times were not known, only placed
	full      bool // takes no more
}

// add takes a line. One that the schema refuses is a mistake in this program: it is left out and told.
func (b *box) add(l *telemetry.Line) {
	tier, err := telemetry.Check(l)
	if err != nil {
		b.log.Error("a line of ours is against the schema", "err", err)
		return
	}
	parts := b.tiers[tier]
	if n := len(parts); n == 0 || parts[n-1].full || parts[n-1].lines >= boxLines || len(parts[n-1].text) >= boxBytes {
		if n >= boxRoom/boxBytes { // the disk is at fault, and it has been told
			parts = parts[1:]
		}
		parts = append(parts, part{})
	}
	last := &parts[len(parts)-1]
	if text, err := l.Append(last.text); err == nil {
		last.text, last.lines = text, last.lines+1
	} else {
		b.log.Error("a line of ours cannot be encoded", "err", err)
	}
	b.tiers[tier] = parts
}

// apart says that the times of what waits of a tier were not known, only placed: it goes in batches of its own, which say so.
func (b *box) apart(t telemetry.Tier) {
	for i := range b.tiers[t] {
		b.tiers[t][i].estimated, b.tiers[t][i].full = true, true
	}
}

// takeNews is what the disk did since the last call, to be told in events.
func (b *box) takeNews() []event {
	out := b.news
	b.news = nil
	return out
}

// crowded tells whether more waits of a tier than goes in one batch: then it is time, or the oldest would be given up as when the disk is at fault.
func (b *box) crowded(t telemetry.Tier) bool { return len(b.tiers[t]) > 1 }

func (b *box) waiting(t telemetry.Tier) bool { return len(b.tiers[t]) > 0 }

// next is the time for the next header: now, or later than the header before.
func (b *box) next(now time.Time) time.Time {
	now = now.Truncate(time.Millisecond)
	if !now.After(b.lastAt) {
		return b.lastAt.Add(time.Millisecond)
	}
	return now
}

// seal puts what waits of a tier into the spool; with nothing waiting, a header alone. What the disk does not
// take waits for the next time. Soon: an acknowledgement is wanted at once.
func (b *box) seal(t telemetry.Tier, now time.Time, open telemetry.OpenSpan, soon bool) {
	if len(b.tiers[t]) == 0 {
		b.tiers[t] = []part{{}}
	}
	for len(b.tiers[t]) > 0 {
		p := b.tiers[t][0]
		if err := b.put(t, p, now, open, soon); err != nil {
			if b.disk == 0 {
				b.news = append(b.news, event{"disk_fault", "the disk takes nothing: " + err.Error()})
			}
			b.disk.tell(b.log, err, "the disk takes nothing; lines wait in RAM", "the disk works again")
			if p.lines == 0 {
				b.tiers[t] = b.tiers[t][1:]
			}
			return
		}
		if b.disk > 0 {
			b.news = append(b.news, event{"disk_works", fmt.Sprintf("the disk works again after %d faults; what was measured meanwhile waited in RAM", b.disk)})
		}
		b.disk.tell(b.log, nil, "", "the disk works again")
		b.tiers[t] = b.tiers[t][1:]
	}
	b.tiers[t] = nil
	b.c.Wake()
}

func (b *box) put(t telemetry.Tier, p part, now time.Time, open telemetry.OpenSpan, soon bool) error {
	stats := b.c.Queue.Stats()
	h := telemetry.Header{At: b.next(now), Boot: b.c.Boot, Seq: b.c.Queue.NextSeq(), Open: open, Next: b.c.ReportEvery,
		WireBytes: b.c.WireBytes(), Clock: b.c.Clock.Status()}
	if !b.explained(stats.Batches) {
		h.SpoolBytes, h.SpoolLines = stats.Bytes, stats.Lines
	}
	if p.estimated {
		h.Clock = telemetry.ClockEstimated
	}
	if t == telemetry.Detail && !soon && h.Clock == telemetry.ClockSynced {
		h.AckWithin = b.patience(stats.Batches)
	}
	text, err := h.Line().Append(nil)
	if err != nil {
		return err
	}
	b.sealed = b.c.Sealer.Seal(b.sealed[:0], append(text, p.text...))
	batch := spool.Batch{Seq: h.Seq, Tier: t, Boot: b.c.Boot, Lines: p.lines + 1, Payload: b.sealed}
	if err := b.c.Queue.Put(batch); err != nil && !errors.Is(err, spool.ErrFull) { // full: dropped and counted there
		return err
	}
	b.lastAt = h.At
	return nil
}

// patience is how late the acknowledgement of a detail batch may be. While more batches wait than patience explains, there is
// none: what waits should leave.
func (b *box) patience(waiting int64) time.Duration {
	if b.c.Patience == nil || !b.explained(waiting) {
		return 0
	}
	return b.c.Patience()
}

// explained tells whether so many batches wait because we can wait for their acknowledgements, and not because something is wrong.
func (b *box) explained(waiting int64) bool {
	if b.c.Patience == nil || b.c.ReportEvery <= 0 {
		return waiting == 0
	}
	return waiting <= int64(b.c.Patience()/b.c.ReportEvery)+2
}

// fault counts how often in a row something went wrong.
type fault int

// tell logs a lasting fault when it begins and when it ends.
func (f *fault) tell(log *slog.Logger, err error, begins, ends string) {
	switch {
	case err != nil:
		if *f++; *f == 1 {
			log.Error(begins, "err", err)
		}
	case *f > 0:
		log.Info(ends, "faults", int(*f))
		*f = 0
	}
}
