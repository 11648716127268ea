package service

import (
	"sort"
	"time"
)

// track is a number over time: each entry holds until the next, or until it is too old to be believed.
type track []entry

type entry struct {
	from, until time.Time // until is zero for one that does not grow old
	value       float64
}

// set says what holds from a moment on. What was said of later moments is taken back.
func (t *track) set(from, until time.Time, value float64) {
	i := t.after(from.Add(-1))
	if i > 0 && (*t)[i-1].value == value && (until.IsZero() || !(*t)[i-1].until.Before(from)) {
		*t = (*t)[:i]
		(*t)[i-1].until = until // the same for longer
		return
	}
	*t = append((*t)[:i], entry{from, until, value})
}

// after is the index of the first entry that begins later than at.
func (t track) after(at time.Time) int {
	return sort.Search(len(t), func(i int) bool { return t[i].from.After(at) })
}

// at is the value at a moment, if there is one, and the next moment at which that may change; zero: it does not.
func (t track) at(at time.Time) (value float64, known bool, next time.Time) {
	i := t.after(at)
	if i < len(t) {
		next = t[i].from
	}
	if i == 0 {
		return 0, false, next
	}
	e := t[i-1]
	if !e.until.IsZero() {
		if !at.Before(e.until) {
			return 0, false, next
		}
		if next.IsZero() || e.until.Before(next) {
			next = e.until
		}
	}
	return e.value, true, next
}

// forget drops what does not matter from a moment on.
func (t *track) forget(before time.Time) {
	if i := t.after(before); i > 1 {
		*t = append((*t)[:0], (*t)[i-1:]...)
	}
}

// shift moves all by d: the clock was stepped. What was said of later moments than before is taken back first.
func (t *track) shift(d time.Duration, before time.Time) {
	*t = (*t)[:t.after(before)]
	t.forget(before)
	for i := range *t {
		e := &(*t)[i]
		e.from = e.from.Add(d)
		if !e.until.IsZero() {
			e.until = e.until.Add(d)
		}
	}
}
