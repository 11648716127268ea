// Package service tells how long each of a village's services could have been used: the clinic's video consultation, the
// school's lessons, in their own opening hours.
//
// In: what is configured of a service (hours, endpoint, limits), and what was found out: the state of the link, round trips and
// losses, whether the endpoint answers, the last speed test. Out: an hour_service line for each UTC hour, ready of window.
// It guarantees 0 ≤ ready ≤ window ≤ the part of the hour that was observed, whatever the clock does, and that what is not
// known is never ready. The Monitor is pure; the Checker, which asks endpoints, is the only part that touches the network.
// A power cut takes what came after the last Memory that the caller has put on disk.
package service
