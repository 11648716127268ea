// Package dashboards makes Grafana's dashboards and data sources, writes them where Grafana finds them, and tries their queries.
//
// In: where InfluxDB and the board are, a folder; to check, an InfluxDB. Out: files that Grafana provisions from; a row for each query.
// Guarantees: the JSON files beside the code are what the code makes; files are replaced whole, so that a power cut leaves the old or the new; no
// credential is in a file that all may read; every panel has a unit and a description and needs no plug-in; unknown time never counts as up.
package dashboards
