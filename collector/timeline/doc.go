// Package timeline answers what state a site was in, and when, from spans that come in any order, more than
// once, overlapping, and from several agents.
//
// In: segments. Out: one list without gaps in its meaning: at each instant the best-informed state that any
// segment claims, and unknown where none does. Guarantees: the same set of segments gives the same list,
// whatever their order. It keeps nothing on disk; a power cut costs nothing that the ledger does not hold.
package timeline
