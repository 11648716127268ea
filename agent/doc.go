// Package agent measures a site's link and machine and hands what it found to the collector.
//
// In: a Config; what the NOC asks for, where the owner allows it. Out: batches of lines in the spool, from where the uplink takes them to
// the collector; answers.
// It guarantees that what a batch holds never changes once it is sealed, that the time up to now is told without gap or
// overlap while it runs, and that a line leaves the disk only when the collector has stored it.
// A power cut loses what was not sealed yet; the span that was open and the hour's sums are closed on return, as they stood when the mark
// was written last (mark_every, and at each change of state) or, the span, when the collector had the last batch. A run that ends before
// it learns the time leaves a short history of its states, which the next run tells. A speed test
// that the NOC asked for is not run twice.
package agent
