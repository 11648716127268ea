// Package sim is a fleet of simulated villages whose truth is known: power cuts, cut fibres, slow evenings.
//
// In: a seed, a site and a window of time. Out: the very lines that an agent there would have sent, in batches
// through agent/uplink, and the true spans beside them. Guarantees: all is a pure function of seed, site and
// time, so any window can be generated again, and a second run goes on from the first; after a power cut the
// state file says what was acknowledged, and what was not is told again, line for line the same.
package sim
