package probe

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/telemetry"
)

// Sample is what became of probes to one target. Sent is 0 when it was not asked.
type Sample struct {
	ledger.Quality
	Asked time.Time // when the first probe that was answered was sent; zero: none was
	Heard time.Time // when the last answer came
}

// Answered tells whether any probe was answered.
func (s Sample) Answered() bool { return s.Sent > s.Lost }

// Answer is the sample as a yes, a no or a "not asked".
func (s Sample) Answer() ledger.Answer {
	switch {
	case s.Sent == 0:
		return ledger.NotAsked
	case s.Answered():
		return ledger.Answered
	}
	return ledger.Silent
}

// Add puts another sample of the same target behind this one.
func (s *Sample) Add(o Sample) {
	s.Sent, s.Lost, s.RTTs = s.Sent+o.Sent, s.Lost+o.Lost, append(s.RTTs, o.RTTs...)
	if s.Asked.IsZero() || !o.Asked.IsZero() && o.Asked.Before(s.Asked) {
		s.Asked = o.Asked
	}
	if o.Heard.After(s.Heard) {
		s.Heard = o.Heard
	}
}

// answer notes an answer that came at now to a probe that was sent at sent.
func (s *Sample) answer(sent, now time.Time) {
	s.Lost--
	s.RTTs = append(s.RTTs, now.Sub(sent))
	if s.Asked.IsZero() || sent.Before(s.Asked) {
		s.Asked = sent
	}
	if now.After(s.Heard) {
		s.Heard = now
	}
}

// Line is the sample as a link line; target is gateway, internet or dns. The round trips are left out when
// nothing was answered. Jitter is the mean difference between neighbours (RFC 3393's delay variation, absolute).
func (s Sample) Line(target string, at time.Time) *telemetry.Line {
	l := telemetry.NewLine("link", at).Tag("target", target).Int("sent", int64(s.Sent)).Int("lost", int64(s.Lost))
	if len(s.RTTs) == 0 {
		return l
	}
	var sum, moved time.Duration
	for i, d := range s.RTTs {
		sum += d
		if i > 0 {
			moved += (d - s.RTTs[i-1]).Abs()
		}
	}
	n := time.Duration(len(s.RTTs))
	l.Float("rtt_min_ms", ms(slices.Min(s.RTTs))).Float("rtt_avg_ms", ms(sum/n)).Float("rtt_max_ms", ms(slices.Max(s.RTTs)))
	if n > 1 {
		l.Float("jitter_ms", ms(moved/(n-1)))
	}
	return l
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
