// Package walk tests the whole walk of a datum, with real parts: agent, broker, collector, InfluxDB, and real kill -9.
//
// In: nothing but the programs of this repository and an InfluxDB. Out: proof that what an agent measured is what
// InfluxDB returns, once each, whatever was killed on the way, and that the figures equal the truth.
// The package holds tests only; nothing of it runs in the field.
package walk
