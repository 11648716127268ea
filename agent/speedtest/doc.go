// Package speedtest measures throughput by the ndt7 protocol of Measurement Lab, within a monthly budget of bytes.
//
// In: a server (the collector's own, or any that speaks ndt7), what the site allows (tests a day, hours, bytes a month), whether
// villagers are using the link. Out: one Result a test, as a `speedtest` line. Guarantees: a month's tests never cost more than
// the month's budget, through restarts, kill -9 and power cuts, because the worst case is on disk before a test begins; no
// test while the time is unknown, outside the hours, or while the link is busy. Across a power cut lives the file
// "speedtest-budget" alone: 80 bytes, written twice a test. When tests run is drawn anew at each start, which changes nothing:
// the gaps are exponential, so what is left of one is distributed as a whole one.
package speedtest
