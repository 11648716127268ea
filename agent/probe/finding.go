package probe

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Verdict is what one round says.
type Verdict struct {
	State telemetry.State // "": not known since At
	Cause telemetry.Cause
	At    time.Time     // the state holds from here; the same as Until when it did not change
	Err   time.Duration // the true moment of the change lies within At ± Err
	Until time.Time     // the state is known to have held here

	// Pending says that this round failed and none has confirmed it yet: State is the one before, last known to hold at Until, and must
	// not be told as lasting until another verdict comes, within seconds.
	Pending bool

	// Samples of the schedule, for loss and round trip; Sent is 0 where nothing was asked or the round was an extra one.
	Gateway, Internet, DNS Sample
}

// finding is a state, and what is known of when.
type finding struct {
	state   telemetry.State
	cause   telemetry.Cause
	first   time.Time // it had begun by then
	last    time.Time // it still held then
	from    time.Time // it had not begun before; zero: since the last moment known to have been otherwise
	certain bool      // needs no second round
	judged  bool      // the quality is part of it
}

func (f finding) is(s telemetry.State, c telemetry.Cause) bool { return f.state == s && f.cause == c }

// known is what is held for true, with the moments that bound the next change.
type known struct {
	state telemetry.State
	cause telemetry.Cause
	begun time.Time // of the prober, or since when nothing is known
	lost  bool      // nothing is known any more; else not yet
	least time.Time // the state cannot have begun before
	good  time.Time // the link was last known to work
	named time.Time // a name was last resolved
	fine  time.Time // quality was last known to be good
	poor  time.Time // quality was last known to be poor
	bad   time.Time // the outage was last known to last
	held  time.Time // the same, with this cause
	moved time.Time // something changed, or seemed to: be quick for a while

	suspect finding // of the first failing round; zero: none
}

func alive(s telemetry.State) bool { return s == telemetry.StateUp || s == telemetry.StateDegraded }

// trouble tells whether the link must be asked in quick rounds.
func (k *known) trouble() bool {
	return k.state == telemetry.StateDown || !k.suspect.first.IsZero()
}

// find weighs a finding against what is held for true.
func (k *known) find(f finding) Verdict {
	if f.state == telemetry.StateUp && k.state == telemetry.StateDegraded && !f.judged {
		f.state = k.state // only a sample can say that the quality is good again
	}
	v := Verdict{State: f.state, Cause: f.cause, At: f.last, Until: f.last}
	switch {
	case f.is(k.state, k.cause):
		k.suspect = finding{}
	case f.state == telemetry.StateDown && !f.certain && !k.confirms(f):
		k.suspect, k.moved = f, f.last
		if k.state == telemetry.StateDown { // down in any case, but not known why
			k.bad = f.last
		}
		return k.pending()
	default:
		k.change(f, &v)
	}
	k.hold(f)
	return v
}

// confirms tells whether a second round says what the first one did. While the link was well before, any cause
// beyond names confirms any other.
func (k *known) confirms(f finding) bool {
	s := k.suspect
	if s.first.IsZero() {
		return false
	}
	dns := telemetry.CauseDNS
	return s.cause == f.cause || k.state != telemetry.StateDown && s.cause != dns && f.cause != dns
}

func (k *known) change(f finding, v *Verdict) {
	to, from := f.first, f.from
	if k.confirms(f) { // what the kernel tells of now may not be how it began
		to, from = k.suspect.first, k.suspect.from
	}
	if from.IsZero() {
		from = k.otherwise(f)
	}
	if from.Before(k.least) {
		from = k.least
	}
	switch {
	case k.state != "":
		v.At, v.Err = between(from, to)
	case k.lost:
		v.At = to
	default:
		v.At = k.begun
	}
	k.least = v.At.Add(-v.Err)
	if v.Until.Before(v.At) {
		v.Until = v.At
	}
	k.state, k.cause, k.suspect = f.state, f.cause, finding{}
	k.moved = f.last
	if alive(f.state) {
		k.fine, k.poor = k.least, k.least
	}
}

// otherwise is the last moment at which what was found is known not to have been so.
func (k *known) otherwise(f finding) time.Time {
	dns := telemetry.CauseDNS
	switch {
	case alive(k.state) && f.cause == dns:
		return k.named
	case k.state == telemetry.StateUp && f.state == telemetry.StateDegraded:
		return k.fine
	case k.state == telemetry.StateDegraded && f.state == telemetry.StateUp:
		return k.poor
	case f.state == telemetry.StateDown && (alive(k.state) || k.cause == dns):
		return k.good
	case f.state == telemetry.StateDown:
		return k.held
	}
	return k.bad
}

func (k *known) hold(f finding) {
	switch {
	case alive(f.state):
		k.good = later(k.good, f.last)
		if f.judged && f.state == telemetry.StateUp {
			k.fine = f.last
		} else if f.judged {
			k.poor = f.last
		}
	default:
		k.bad, k.held = later(k.bad, f.last), later(k.held, f.last)
	}
}

// pending says that the state before is in doubt since it was last known to hold.
func (k *known) pending() Verdict {
	v := k.still()
	v.Pending = true
	return v
}

// until is when the state was last known to hold.
func (k *known) until() time.Time {
	switch {
	case alive(k.state):
		return k.good
	case k.state != "":
		return k.held
	}
	return k.begun
}

// forget says that the state is not known any more since it was last known to hold.
func (k *known) forget() Verdict {
	k.begun, k.lost = k.until(), true
	k.state, k.cause, k.suspect = "", "", finding{}
	return k.still()
}

// still is the state as far as it is known.
func (k *known) still() Verdict {
	at := k.until()
	return Verdict{State: k.state, Cause: k.cause, At: at, Until: at, Pending: !k.suspect.first.IsZero()}
}

// between is the best guess for a change that came after from and before to, and how far off it can be.
func between(from, to time.Time) (at time.Time, err time.Duration) {
	if from.IsZero() || !to.After(from) {
		return to, 0
	}
	half := to.Sub(from) / 2
	return from.Add(half), half
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
