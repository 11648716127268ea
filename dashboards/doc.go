// Package dashboards holds Grafana's data sources, dashboard provider and two dashboards; no code.
//
// In: nothing. Out: files that Grafana provisions from; INFLUX_URL and INFLUX_TOKEN in its environment say where.
// It guarantees, by its tests, that every panel has its own id, data source, unit and description, and that every
// query gives rows from a real InfluxDB. It keeps nothing.
package dashboards
