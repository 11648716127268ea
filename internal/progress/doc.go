// Package progress shows how far a long piece of work is.
//
// In: how much is done of how much, and a count of what passed. Out: on a terminal one line that is redrawn, on
// anything else a plain line every few seconds, so that a log stays readable. It guarantees that the last state
// is shown; it keeps nothing.
package progress
