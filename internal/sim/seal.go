package sim

import (
	"fmt"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	detailFor  = 89 * day    // the ledger alone tells of what is older: the detail bucket keeps 90 days
	fineFor    = day         // the newest history has a detail line set each minute
	coarseStep = 10 * minute // what is older has one each ten
	bulk       = 6 * hour    // of one-minute detail in a batch, when much is sent at once
	bulkCoarse = day
	notice     = second // from a change of state to the batch that tells of it
)

// stretch is a half-open stretch of time in ms.
type stretch struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// sealer turns time into the sealed batches of one agent. It is for one goroutine.
type sealer struct {
	track  *Track
	codec  *telemetry.Codec
	seq    uint64    // of the last batch
	at     int64     // all before is sealed
	lastAt int64     // time of the last header
	shift  int64     // ms by which this run's headers are earlier, so that no two runs write the same header
	detail int64     // no detail is told of the time before
	coarse []stretch // of which only ten-minute detail is told
	wire   func() int64
	waits  func() fill
	told   Told
	text   []byte
}

// step is the length of the detail interval that ends at an instant, 0 for none.
func (s *sealer) step(end int64) int64 {
	if end < s.detail {
		return 0
	}
	for _, c := range s.coarse {
		if end > c.From && end <= c.To {
			return coarseStep
		}
	}
	return minute
}

// phase spreads the agents' batches over the first seconds of each minute.
func (s *sealer) phase() int64 { return int64(s.track.id%5000) + 300 }

// next is the stretch to be sealed after what is sealed, given the time now: a long one while the history is
// told or the agent is far behind, else up to the end of a minute or shortly after a change of state. A
// stretch lies in one run, since a batch belongs to one boot; false when the agent is in a gap that has not
// ended by now.
func (s *sealer) next(now int64, history bool) (stretch, bool) {
	from := s.at
	r, ok := s.track.runAt(from)
	if !ok {
		if from = s.track.ahead(from, on); from > now {
			return stretch{}, false
		}
		r, _ = s.track.runAt(from)
	}
	to := r.end
	switch {
	case !history && now-from <= hour:
		to = min(to, floor(from-s.phase(), minute)+minute+s.phase())
		to = min(to, s.track.at(from-notice).end+notice)
	case s.step(floor(from, minute)+minute) == minute:
		to = min(to, floor(from, bulk)+bulk)
	default:
		to = min(to, floor(from, bulkCoarse)+bulkCoarse)
	}
	return stretch{from, to}, true
}

// seal tells a stretch in at most two batches, ledger first.
func (s *sealer) seal(w stretch) ([]spool.Batch, error) {
	s.told.Reset()
	if err := s.track.tell(&s.told, w.From, w.To, s.step); err != nil {
		return nil, fmt.Errorf("generate %s: %w", s.track.site.ID, err)
	}
	s.at = w.To
	var out []spool.Batch
	for i, part := range []struct {
		text  []byte
		lines int
		tier  telemetry.Tier
	}{{s.told.Ledger, s.told.LedgerLines, telemetry.Ledger}, {s.told.Detail, s.told.DetailLines, telemetry.Detail}} {
		if part.lines == 0 {
			continue
		}
		b, err := s.batch(max(w.To-s.shift-int64(1-i), s.lastAt+1), part.text, part.lines+1, part.tier)
		if err != nil {
			return nil, fmt.Errorf("seal a batch of %s: %w", s.track.site.ID, err)
		}
		out = append(out, b)
	}
	return out, nil
}

func (s *sealer) batch(at int64, text []byte, lines int, tier telemetry.Tier) (spool.Batch, error) {
	s.seq++
	s.lastAt = at
	f := s.waits()
	h := telemetry.Header{At: time.UnixMilli(at), Seq: s.seq, Open: s.open(at), SpoolBytes: f.bytes, SpoolLines: f.lines,
		WireBytes: s.wire(), Clock: telemetry.ClockSynced}
	if r, ok := s.track.runAt(at - 1); ok {
		h.Boot = s.track.boot(r.boot)
	} else {
		h.Boot = s.track.boot(s.track.ahead(at, on))
	}
	var err error
	if s.text, err = h.Line().Append(s.text[:0]); err != nil {
		return spool.Batch{}, err
	}
	s.text = append(s.text, text...)
	payload, err := s.codec.Seal(nil, s.text, telemetry.Zstd)
	if err != nil {
		return spool.Batch{}, err
	}
	if len(payload) > telemetry.MaxMessage || len(s.text) > telemetry.MaxExpanded || lines > telemetry.MaxLines {
		return spool.Batch{}, fmt.Errorf("%d lines, %d bytes: %w", lines, len(payload), telemetry.ErrTooLarge)
	}
	return spool.Batch{Seq: s.seq, Tier: tier, Boot: h.Boot, Lines: lines, Payload: payload}, nil
}

// open is the span that had not been closed at an instant.
func (s *sealer) open(at int64) telemetry.OpenSpan {
	for _, f := range s.track.spans(floor(at-1, hour), at) {
		if f.end == at && !f.gap() {
			return telemetry.OpenSpan{State: f.state, Cause: f.cause, Length: time.Duration(at-f.start) * time.Millisecond}
		}
	}
	return telemetry.OpenSpan{}
}
