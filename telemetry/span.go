package telemetry

import (
	"fmt"
	"slices"
	"time"
)

// State is what a site's link was in, in the agent's own judgement. What no span covers is unknown.
type State string

// The states of a span.
const (
	StateUp       State = "up"
	StateDegraded State = "degraded"
	StateDown     State = "down"
	StateOff      State = "off" // the agent was not running
)

// Cause says why a site is down or off.
type Cause string

// The causes: the first three go with down, the others with off.
const (
	CauseNone     Cause = ""
	CauseLocal    Cause = "local"    // the gateway is silent or the interface is down
	CauseBackhaul Cause = "backhaul" // the gateway answers, no anchor does
	CauseDNS      Cause = "dns"      // anchors answer by address, no name resolves
	CausePower    Cause = "power"    // the machine booted without a clean shutdown
	CauseShutdown Cause = "shutdown" // the machine booted after a clean one
	CauseAgent    Cause = "agent"    // the machine ran on, the agent did not
)

func states() []string {
	return []string{string(StateUp), string(StateDegraded), string(StateDown), string(StateOff)}
}

func causes() []string {
	return []string{string(CauseLocal), string(CauseBackhaul), string(CauseDNS), string(CausePower), string(CauseShutdown), string(CauseAgent)}
}

func checkState(s State, c Cause) error {
	ok := false
	switch s {
	case StateUp, StateDegraded:
		ok = c == CauseNone
	case StateDown:
		ok = c == CauseLocal || c == CauseBackhaul || c == CauseDNS
	case StateOff:
		ok = c == CausePower || c == CauseShutdown || c == CauseAgent
	}
	if !ok {
		return fmt.Errorf("state %.20q with cause %.20q: %w", s, c, ErrMalformed)
	}
	return nil
}

// Span is a stretch of time in one state, closed, and at most up to the next UTC hour. Err is the
// uncertainty of its start and end.
type Span struct {
	Start  time.Time
	Length time.Duration
	State  State
	Cause  Cause
	Err    time.Duration
}

// End is the first instant after the span.
func (s Span) End() time.Time { return s.Start.Add(s.Length) }

// Line is the span as it is sent.
func (s Span) Line() *Line {
	return NewLine("span", s.Start).Tag("state", string(s.State)).Tag("cause", string(s.Cause)).
		Int("ms", s.Length.Milliseconds()).Int("err_ms", s.Err.Milliseconds())
}

// SpanOf reads a span line.
func SpanOf(l *Line) (Span, error) {
	ms, ok1 := l.GetInt("ms")
	errMs, ok2 := l.GetInt("err_ms")
	s := Span{
		Start:  time.UnixMilli(l.Time).UTC(),
		Length: time.Duration(ms) * time.Millisecond,
		State:  State(l.GetTag("state")),
		Cause:  Cause(l.GetTag("cause")),
		Err:    time.Duration(errMs) * time.Millisecond,
	}
	if l.Measurement != "span" || !ok1 || !ok2 || ms < 0 || ms > hourMs || errMs < 0 {
		return Span{}, fmt.Errorf("span line without a length of 0 to %d ms and an err_ms: %w", hourMs, ErrMalformed)
	}
	return s, checkState(s.State, s.Cause)
}

// OpenSpan is the span that was still open when a batch was sealed. The zero value says that none was.
type OpenSpan struct {
	State  State
	Cause  Cause
	Length time.Duration
}

// Check reports a state that does not exist, a cause that does not go with it, or a length over an hour.
func (o OpenSpan) Check() error {
	if o == (OpenSpan{}) {
		return nil
	}
	if o.Length < 0 || o.Length > time.Hour {
		return fmt.Errorf("open span of %v, longer than an hour: %w", o.Length, ErrMalformed)
	}
	return checkState(o.State, o.Cause)
}

// newer tells whether the state or the cause is a word that is not known here, such as a newer agent may use. What such a span means nobody here knows.
func (o OpenSpan) newer() bool {
	state, cause := string(o.State), string(o.Cause)
	return isWord(state) && !slices.Contains(states(), state) || isWord(cause) && !slices.Contains(causes(), cause)
}

// isWord tells whether a text is a word as states, causes and clocks are: 2 to 32 of a to z and "-", the first a letter.
func isWord(s string) bool {
	if len(s) < 2 || len(s) > 32 || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// Clock says how well the agent knew the time when it sealed a batch.
type Clock string

// The two answers.
const (
	ClockSynced    Clock = "synced"
	ClockEstimated Clock = "estimated"
)

// Header is the first line of every batch. Boot is the first 8 hex digits of the kernel's boot id. Seq rises
// by one for each batch that the agent seals, and goes on across restarts. At is unique for each agent.
type Header struct {
	At         time.Time
	Boot       string
	Seq        uint64
	Open       OpenSpan
	SpoolBytes int64 // bytes waiting in the spool
	SpoolLines int64 // lines waiting in the spool
	WireBytes  int64 // bytes this agent has had on the wire since its start, both ways
	Clock      Clock
	Next       time.Duration // while all is well the next batch comes within this; whole seconds up to a day; 0: not said
	AckWithin  time.Duration // an acknowledgement this late is soon enough, so that several can go in one; the same bounds; 0: at once
}

// Line is the header as it is sent. Counts of 0 are left out, and read as 0.
func (h Header) Line() *Line {
	l := NewLine("batch", h.At).Int("seq", int64(h.Seq)).Str("boot", h.Boot)
	if h.Open.State != "" {
		l.Str("open_state", string(h.Open.State))
		if h.Open.Cause != "" {
			l.Str("open_cause", string(h.Open.Cause))
		}
		l.Int("open_ms", h.Open.Length.Milliseconds())
	}
	some := func(key string, n int64) {
		if n != 0 {
			l.Int(key, n)
		}
	}
	some("spool_bytes", h.SpoolBytes)
	some("spool_lines", h.SpoolLines)
	some("wire_bytes", h.WireBytes)
	l.Str("clock", string(h.Clock))
	some("next_s", int64(h.Next/time.Second))
	some("ack_s", int64(h.AckWithin/time.Second))
	return l
}

// HeaderOf reads a batch line.
func HeaderOf(l *Line) (Header, error) {
	if l.Measurement != "batch" {
		return Header{}, fmt.Errorf("first line of a batch is %.40q, not \"batch\": %w", l.Measurement, ErrMalformed)
	}
	h := Header{At: time.UnixMilli(l.Time).UTC()}
	seq, ok := l.GetInt("seq")
	if !ok || seq < 0 {
		return Header{}, fmt.Errorf("batch line without a seq of 0 or more: %w", ErrMalformed)
	}
	h.Seq = uint64(seq)
	if h.Boot, _ = l.GetStr("boot"); !isBoot(h.Boot) {
		return Header{}, fmt.Errorf("batch line with boot %.40q, not 8 hex digits: %w", h.Boot, ErrMalformed)
	}
	clock, _ := l.GetStr("clock")
	if h.Clock = Clock(clock); h.Clock != ClockSynced {
		if !isWord(clock) {
			return Header{}, fmt.Errorf("batch line with clock %.40q, not synced or estimated: %w", clock, ErrMalformed)
		}
		h.Clock = ClockEstimated // a newer agent's word for something less than synced
	}
	state, _ := l.GetStr("open_state")
	cause, _ := l.GetStr("open_cause")
	ms, _ := l.GetInt("open_ms")
	h.Open = OpenSpan{State: State(state), Cause: Cause(cause), Length: time.Duration(ms) * time.Millisecond}
	h.SpoolBytes, _ = l.GetInt("spool_bytes")
	h.SpoolLines, _ = l.GetInt("spool_lines")
	h.WireBytes, _ = l.GetInt("wire_bytes")
	next, _ := l.GetInt("next_s")
	ack, _ := l.GetInt("ack_s")
	if min(next, ack) < 0 || max(next, ack) > dayS {
		return Header{}, fmt.Errorf("batch line with next_s %d and ack_s %d, not 0 to %d: %w", next, ack, dayS, ErrMalformed)
	}
	h.Next, h.AckWithin = time.Duration(next)*time.Second, time.Duration(ack)*time.Second
	if h.Open.newer() {
		h.Open = OpenSpan{}
	}
	return h, h.Open.Check()
}

func isBoot(s string) bool {
	if len(s) != 8 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
