// Package ledger turns what the probes found into the uptime ledger: spans of time in one state, and sums of hours.
//
// In: judged answers with the time from which they hold, samples, and on a return what is known of the time before.
// Out: closed spans and hour lines. It guarantees that spans tile the observed time without gap or overlap, that
// none crosses a UTC hour, and that a clock step never makes one negative or counts a moment twice.
// It is pure: no I/O, no clock of its own. What a power cut would take is a Memory, some 60 bytes for the mark: the running hour, and the Life
// of runs that do not know the time yet. Resume closes what was open and places the lives.
package ledger
