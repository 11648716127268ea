// Package bench measures what an agent and a collector cost, as a user would: it runs the built programs.
//
// In: the programs in bin/, how long to look, and root, for network namespaces of its own that vanish with it.
// Out: figures, one a line, with the budget that each has to keep; the harness's progress goes to stderr.
// A collector is on loopback, beside a real InfluxDB; what sends to it, and the tight writer that it is held against, are processes of their own (load).
// The agent sits behind a pair of virtual interfaces; at the far end are a collector with TLS and a real InfluxDB, a
// name server, and addresses that answer echo requests. Each packet is seen and sorted by kind; the sum is checked
// against the interface's own counters. Nothing leaves the machine, and nothing is kept.
package bench
