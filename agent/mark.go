package agent

import (
	"errors"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// seal puts into the spool what is due. While a suspicion is open it waits, for seconds: a header must not tell a span as lasting
// that may have ended.
func (r *Recorder) seal() {
	since := r.wall.Sub(r.marked)
	// A mark is due also when the next input, at the pace of this one, would bring it late; a moment early must not double the gap.
	stale := since+r.mono.Sub(r.came) > r.c.MarkEvery+r.c.MarkEvery/10 || since >= r.c.MarkEvery
	if !r.released || r.suspicious || !r.due && !r.urgent && !stale {
		return
	}
	r.spans(r.ledger.Advance(r.wall))
	ledgerToo := r.box.waiting(telemetry.Ledger)
	if ledgerToo || r.urgent || stale {
		before := r.unmarked
		ledgerToo = r.mark(false) && ledgerToo
		r.due = r.due || before == 0 && r.unmarked > 0 // from now on the headers are all that tells how long it lived
	}
	if ledgerToo {
		r.box.seal(telemetry.Ledger, r.wall, r.open(), true)
	}
	if r.due || r.urgent && !ledgerToo {
		r.box.seal(telemetry.Detail, r.wall, r.open(), r.urgent || r.sealed.IsZero())
		r.sealed = r.mono
	}
	r.due, r.urgent = false, false
}

func (r *Recorder) open() telemetry.OpenSpan { return r.ledger.Open(r.wall) }

// mark notes on disk how far the ledger has come, and the sums of the running hour. It comes before the batch that holds the spans and
// hours closed so far: a power cut between the two leaves their time unknown, the other way round would tell it twice. So where it
// cannot be written (false), no ledger batch may go: the next start would close the span of the mark before once more, with
// another length.
func (r *Recorder) mark(clean bool) bool {
	at := r.box.next(r.wall)
	if at.Sub(r.wall) > time.Minute { // the run before was ahead of time, so that headers are; what it knows of the time now is better
		at = r.wall.Truncate(time.Millisecond)
	}
	m := spool.Mark{Boot: r.c.Boot, Mono: r.c.Clock.Mono().Truncate(time.Millisecond), Clock: r.c.Clock.Status(), Open: r.ledger.Open(at), Clean: clean}
	if clean { // later than the last headers, or the collector's word on these would be taken for news
		at = at.Add(time.Duration(len(r.box.tiers[telemetry.Ledger])+len(r.box.tiers[telemetry.Detail])+2) * time.Millisecond)
	} else {
		m.Extra = ledger.Memory{Hours: r.hours, More: r.c.Services.Memory(nil, at)}.Append(nil)
	}
	m.At = at
	err := r.c.Queue.SetMark(m)
	if errors.Is(err, spool.ErrRAMOnly) { // the spool has told; that a mark is too old a later start hears from the collector, see ledger.Return
		err = nil
	}
	r.unmarked.tell(r.log, err, "the disk does not take the mark of the moment last known alive; spans and hours wait in RAM", "the mark is on disk again")
	r.marked = r.wall
	return err == nil
}
