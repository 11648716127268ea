// Package benchmark says whether what was measured at sites meets what somebody else asks for: a regulator, a donor, the ITU.
//
// In: benchmarks as TOML files (presets that come along, and those of a programme's own), and for each site a small struct of
// measures. Out: for each site and criterion pass, fail or not enough data, with the value, the limit, what stands behind it and
// why; the same for all sites together. Guarantees: no data is never a pass; the order of tests and sites changes nothing; what
// is known as a range only is judged only where the whole range is on one side. It keeps nothing, so a power cut costs it nothing.
package benchmark
