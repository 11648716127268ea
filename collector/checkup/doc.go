// Package checkup looks at a collector's machine in the order in which faults are mended: configuration, clock, data folder, certificates, InfluxDB and
// what it keeps, a test line, the collector itself, broker, enrolment, board, sites and agents, alerts, Grafana, open files.
//
// In: a configuration. Out: one finding a matter, each with what to do next where something is wrong. It works beside a collector that runs and without
// one, and changes nothing but for the test line: a point of the measurement nabz_check in each bucket, one a day, which no figure counts.
// It keeps nothing on disk.
package checkup
