package sim

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// blackout is a power cut after which the mast has none either, at a site whose router has no clock: it comes up without the link and so without
// the time. Either the link comes back and tells it, and what happened meanwhile is told late; or the power goes once more.
type blackout struct {
	ending
	off, boot, lost, back int64 // power gone; router up; link back, or power gone once more; router up again
}

// ending is what an agent makes of a boot without the time.
type ending int

const (
	learned   ending = iota // the link came back
	guessed                 // placed by the next boot, in the middle of the room that there was
	forgotten               // nothing tells of it: unknown
)

// blackoutOn draws the one of a local day, if there is one: by daylight, so that it ends on that day, and not near the ends of a month, so that
// what was guessed lies in the month in which it was.
func blackoutOn(seed uint64, s *Site, z *zone, localDay int64) (b blackout, ok bool) {
	r := randomOf(seed, key("blackout"), uint64(localDay), key(s.ID))
	of := time.UnixMilli(localDay * day).UTC().Day()
	if !s.NoClock || !r.chance(0.12) || of < 3 || of > 26 {
		return blackout{}, false
	}
	b.off = z.wall(localDay, int64(r.between(9, 12)*float64(hour)))
	b.boot = b.off + int64(r.between(10, 120)*float64(minute))
	b.lost = b.boot + int64(r.between(15, 150)*float64(minute))
	b.back = b.lost
	if b.ending = ending(r.next() % 3); b.ending != learned {
		b.back += int64(r.between(10, 120) * float64(minute))
	}
	return b, true
}

// faults are the blackout and a minute before and behind it in which the link is up, so that what is told of it depends on nothing else.
func (b blackout) faults() []fault {
	fs := []fault{{start: b.off - minute, end: b.off, state: telemetry.StateUp}, {start: b.back, end: b.back + minute, state: telemetry.StateUp}}
	if b.ending == forgotten {
		fs = append(fs, fault{start: b.off, end: b.back, state: Unknown})
	} else {
		fs = append(fs, b.spans(b.boot, b.lost)...)
	}
	for i := range fs {
		fs[i].firm = true
	}
	return fs
}

// spans are what a blackout looks like whose boot without the time lasted from one instant to another.
func (b blackout) spans(boot, lost int64) []fault {
	fs := []fault{{start: b.off, end: boot, state: telemetry.StateOff, cause: telemetry.CausePower}, {start: boot, end: lost, state: telemetry.StateDown, cause: telemetry.CauseBackhaul}}
	if b.back > lost {
		fs = append(fs, fault{start: lost, end: b.back, state: telemetry.StateOff, cause: telemetry.CausePower})
	}
	return fs
}

// told is how an agent tells of it, and how well it is known.
func (b blackout) told() (fs []fault, doubt int64) {
	if b.ending != guessed {
		return b.spans(b.boot, b.lost), 0
	}
	room := b.back - b.off - (b.lost - b.boot)
	boot := b.off + room/2
	return b.spans(boot, boot+b.lost-b.boot), room - room/2
}

// blackout is the one that began at or before t and is told of at t or later.
func (k *Track) blackout(t int64) (blackout, bool) {
	if !k.site.NoClock || k.beside {
		return blackout{}, false
	}
	b, ok := k.blackoutOn(k.zone.dayOf(t))
	return b, ok && b.off <= t && t <= b.back && b.ending != forgotten
}

// blackoutOn leaves out one that the agent was not there for from beginning to end.
func (k *Track) blackoutOn(localDay int64) (blackout, bool) {
	b, ok := blackoutOn(k.world.Seed, &k.site, k.zone, localDay)
	return b, ok && k.begin <= b.off-minute && b.back+minute <= k.end
}

// Guess is a stretch of time of which the agent only guessed what was when: the sums are right, and what was in it within Doubt of where it is
// told to have been.
type Guess struct {
	Start, End time.Time
	Doubt      time.Duration
}

// Guesses are those that touch [from, to).
func (k *Track) Guesses(from, to time.Time) (out []Guess) {
	for d := k.zone.dayOf(from.UnixMilli()); d <= k.zone.dayOf(to.UnixMilli()); d++ {
		b, ok := k.blackoutOn(d)
		if ok && !k.beside && b.ending == guessed && b.off < to.UnixMilli() && b.back > from.UnixMilli() {
			_, doubt := b.told()
			out = append(out, Guess{time.UnixMilli(b.off).UTC(), time.UnixMilli(b.back).UTC(), time.Duration(doubt) * time.Millisecond})
		}
	}
	return out
}
