// Package report computes the figures that people cite, from the stored ledger alone.
//
// In: a period, sites, and a querier. Out: up, down by cause, off by cause and unknown time, availability with its
// completeness and bounds. Guarantees: the same ledger, period and definition give the same bytes of JSON;
// lines that repeat or overlap count once; time that nobody observed never raises availability. It keeps
// nothing, so a power cut costs it nothing.
package report
