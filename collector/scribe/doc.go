// Package scribe writes what the collector itself has to tell into InfluxDB: the sites, their states as the board shows them, and how the collector fares.
//
// In: the roster of sites, their live states, the figures of /metrics. Out: lines "site" into both tiers when the roster changes and once a day, lines
// "state" into the detail tier at each change and each five minutes, lines "collector" there each minute.
// Guarantees: requests of its own, one at a time, so that agents' data never wait for it; a line that was written never changes; figures that
// InfluxDB does not take now wait, three hours of them at most; no state is told while the collector hears nothing of the agents. After a restart it goes on from what InfluxDB has; a power cut costs the last minute.
package scribe
