// Package store is the way to InfluxDB, 1.8 and later: writes through its client library, InfluxQL queries.
//
// In: stamped lines of one tier, or a query. Out: InfluxDB's answer, told apart as stored, refused for ever, or
// to be tried again; series with numbers as they were written.
// Guarantees: nil means that InfluxDB has answered for every line. A write is tried again for some seconds before its
// caller hears of a fault, and nothing is kept behind the caller's back, so a power cut loses only what was never
// reported as stored.
package store
