// Package collector is the centre: it takes in what agents send, has it stored, watches the sites and shows them.
//
// In: a configuration, MQTT messages, HTTP requests. Out: lines in InfluxDB, acknowledgements, the board.
// Guarantees: it stays up while InfluxDB is gone, says so, and acknowledges nothing until it is back; at the end it
// brings to a verdict what it has taken in, within a bound. It may be killed at any instant: all that it keeps
// itself is dead letters, the files of sites, agents and users, sessions, the audit log and published reports, and the rest is read back from InfluxDB.
package collector
