// Package report computes the figures that people cite, from the stored ledger alone.
//
// In: a question (period, sites, benchmarks) and a querier. Out: a Report, which is a value: availability with and without power cuts, its
// completeness and bounds, outages, throughput, latency, services, sites left out; and its canonical JSON. Guarantees: the same ledger and the same
// question give the same bytes, in whatever order lines came and however often; time that nobody observed never raises availability; several agents
// of a site are united. It keeps nothing, so a power cut costs it nothing.
package report
