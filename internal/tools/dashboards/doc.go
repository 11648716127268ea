// Command dashboards writes Grafana's dashboards as files, beside the code that makes them.
//
// In: the folder. Out: a JSON file for each dashboard; others of that kind are left alone.
// It guarantees that two runs write the same bytes; a test of package dashboards holds the files against the code.
// It is for who changes a dashboard: make dashboards.
package main
