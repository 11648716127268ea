package conf

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Faults gathers what is wrong with the values of a configuration, so that one run shows all of it. Each fault names
// file, line and key as Doc.Faultf does; doc may be nil.
type Faults struct {
	doc *Doc
	all []error
}

// NewFaults begins without a fault.
func NewFaults(doc *Doc) *Faults { return &Faults{doc: doc} }

// Err joins all faults, in the order in which they were found; nil where there are none.
func (f *Faults) Err() error { return errors.Join(f.all...) }

// Add notes a fault of key.
func (f *Faults) Add(key, format string, a ...any) {
	f.all = append(f.all, f.doc.Faultf(key, format, a...))
}

// Check notes err as a fault of key; nil is none.
func (f *Faults) Check(key string, err error) {
	if err != nil {
		f.Add(key, "%w", err)
	}
}

// Filled wants a value. Todo says what to put there.
func (f *Faults) Filled(key, got, todo string) {
	if got == "" {
		f.Add(key, "is empty; %s", todo)
	}
}

// Within wants a length of time from lo to hi, both allowed.
func (f *Faults) Within(key string, got Duration, lo, hi time.Duration) {
	if got.Std() < lo || got.Std() > hi {
		f.Add(key, "%v is outside %v to %v", got, Duration(lo), Duration(hi))
	}
}

// OneOf wants one of the words.
func (f *Faults) OneOf(key, got string, want ...string) {
	if !slices.Contains(want, got) {
		f.Add(key, "%q is none of %s", got, strings.Join(want, ", "))
	}
}

// Between wants a number from lo to hi, both allowed.
func Between[T int | int64 | float64](f *Faults, key string, got, lo, hi T) {
	if got < lo || got > hi {
		f.Add(key, "%v is outside %v to %v", got, lo, hi)
	}
}
